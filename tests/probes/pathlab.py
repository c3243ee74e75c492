"""A path of three routers between a client and a server, each in a network namespace of its own, IPv4 and IPv6.

    client ---- r1 ---- r2 ---- r3 ---- server        and a listener of TCP 8080 and UDP 8053 on the server
    10.78.1.2   .1 | 10.78.2.1  .2 | 10.78.3.1  .2 | 10.78.4.1  10.78.4.2      fd78:1::/64 to fd78:4::/64

The server is hop 4. The kernel's own ICMP limits stand unless a test lifts them. No packet leaves.
"""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import linklab
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
HOSTS = ("client", "r1", "r2", "r3", "server")
SERVER = {4: "10.78.4.2", 6: "fd78:4::2"}
DEAD = {4: "10.78.4.9", 6: "fd78:4::9"}
ON_LINK_DEAD = {4: "10.78.1.9", 6: "fd78:1::9"}
R1 = {4: "10.78.1.1", 6: "fd78:1::1"}
R2 = {4: "10.78.2.2", 6: "fd78:2::2"}
R3 = {4: "10.78.3.2", 6: "fd78:3::2"}
CLIENT = {4: "10.78.1.2", 6: "fd78:1::2"}

_serial = itertools.count()
_PRELUDE = f"""
import asyncio, os, pickle, sys, time
sys.path.insert(0, {str(ROOT)!r})
from probes.base import Budget, CannotObserve, Context, load

async def look(name, **request):
    probe = load(name)
    partials.clear()
    begun = time.monotonic()
    try:
        found = await probe.observe(probe.request(**request), context, partials.append)
    except CannotObserve as error:
        found = error
    global took_s
    took_s = time.monotonic() - begun
    return found

def observe(name, **request):
    return asyncio.run(look(name, **request))

context = Context()
partials = []
result = took_s = None
"""
_POSTLUDE = "\nwith os.fdopen(int(sys.argv[1]), 'wb') as pipe: pickle.dump((result, took_s, partials), pipe)\n"
_LISTENER = """
import select, socket
tcp = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", 8053))
print("ready", flush=True)
while True:
    for one in select.select([tcp, udp], [], [])[0]:
        if one is tcp:
            tcp.accept()[0].close()
        else:
            data, source = udp.recvfrom(2048)
            if data != b"silence":
                udp.sendto(b"answer", source)
"""


class PathLab:
    """The namespaces of one module's tests; a context manager that takes them down again."""

    def __init__(self) -> None:
        self.prefix = f"wp{os.getpid()}x{next(_serial)}"
        self._started: list[subprocess.Popen[bytes]] = []
        self.took_s = 0.0
        self.partials: list[Any] = []

    def __enter__(self) -> Self:
        reason = linklab.missing()
        if reason:
            pytest.skip(reason)
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", self.name(host)], capture_output=True, check=False)

    def name(self, host: str) -> str:
        """Return the namespace of a host."""
        return self.prefix + host

    def _build(self) -> None:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "add", self.name(host)], check=True)
            # without these an address is tentative for a second
            self.sh(host, "for n in default all; do echo 0 >/proc/sys/net/ipv6/conf/$n/accept_dad; done")
            self.sh(host, "ip link set lo up")
            # a routing loop brings packets back by another way than they would leave
            self.sh(host, "for n in default all; do echo 0 >/proc/sys/net/ipv4/conf/$n/rp_filter; done")
            if host.startswith("r"):
                self.sh(host, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        links = list(itertools.pairwise(HOSTS))
        for near, far in links:
            self.sh(near, f"ip link add e1 type veth peer name e0 netns {self.name(far)}; ip link set e1 up")
            self.sh(far, "ip link set e0 up")
        for net, (near, far) in enumerate(links, 1):
            one, other = (2, 1) if net == 1 else (1, 2)
            for host, device, number in ((near, "e1", one), (far, "e0", other)):
                self.sh(host, f"ip addr add 10.78.{net}.{number}/24 dev {device}")
                self.sh(host, f"ip addr add fd78:{net}::{number}/64 dev {device} nodad")
        self.sh("client", "ip route add default via 10.78.1.1; ip -6 route add default via fd78:1::1")
        self.sh("server", "ip route add default via 10.78.4.1; ip -6 route add default via fd78:4::1")
        for index, host in enumerate(("r1", "r2", "r3"), 1):
            for net in range(1, 5):
                if net in (index, index + 1):
                    continue
                link, number = (index, 1) if net < index else (index + 1, 2)
                self.sh(host, f"ip route add 10.78.{net}.0/24 via 10.78.{link}.{number}")
                self.sh(host, f"ip -6 route add fd78:{net}::/64 via fd78:{link}::{number}")
        self._start("server", _LISTENER)

    def _start(self, host: str, code: str) -> subprocess.Popen[bytes]:
        """Start a Python program on a host and wait until it says that it is ready."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name(host), sys.executable, "-c", code], stdout=subprocess.PIPE
        )
        self._started.append(process)
        assert process.stdout is not None
        with process.stdout as ready:
            assert ready.readline() == b"ready\n"
        return process

    @contextmanager
    def program(self, host: str, code: str) -> Iterator[None]:
        """Have a Python program, which prints ``ready``, run on a host meanwhile."""
        process = self._start(host, code)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def sh(self, host: str, script: str) -> str:
        """Run a shell script on a host."""
        command = ["ip", "netns", "exec", self.name(host), "sh", "-ec", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, f"{script}: {done.stderr}"
        return done.stdout

    def filter(self, host: str, hook: str, *rules: str) -> None:
        """Add a packet filter's rules on a host."""
        body = "\n  ".join((f"type filter hook {hook} priority 0; policy accept;", *rules))
        self.sh(host, f"nft -f - <<'X'\ntable inet {hook}x {{\n chain c {{\n  {body}\n }}\n}}\nX")

    def count(self, host: str, hook: str, match: str) -> None:
        """Count packets with a filter's counter; :meth:`counted` reads it."""
        self.sh(
            host,
            f"nft -f - <<'X'\ntable inet cnt {{\n counter n {{ }}\n chain c {{\n"
            f"  type filter hook {hook} priority -10; policy accept;\n  {match} counter name n\n }}\n}}\nX",
        )

    def counted(self, host: str) -> int:
        """Return how many packets :meth:`count` has seen."""
        return int(self.sh(host, "nft list counter inet cnt n").split("packets")[1].split()[0])

    def calm(self) -> None:
        """Take every filter away and let all forget their neighbours, so that tests do not meddle."""
        for host in HOSTS:
            self.sh(host, "nft flush ruleset; ip neigh flush all; ip -6 neigh flush all")
        self.sh("client", "sysctl -qw net.ipv4.ping_group_range='1 0'")

    def lift_limits(self) -> None:
        """Let every host send ICMP errors without limit.

        There is no way back: a limit put back finds the allowance of every sender at nothing.
        """
        for host in HOSTS:
            self.sh(host, "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")

    def exhaust(self, ttl: int) -> None:
        """Use up what the device ``ttl`` hops away allows the client in ICMP errors."""
        self.run(f"""
            import socket
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
                flood.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, {ttl})
                for port in range(40000, 40012):
                    flood.sendto(b"x", ({SERVER[4]!r}, port))
                    time.sleep(0.002)
        """)

    def run(self, code: str, *, uid: int = 0) -> Any:
        """Run Python on the client and return what it left in ``result``; ``observe(name, **request)`` runs a probe."""
        with tempfile.TemporaryFile() as file:  # a pipe would fill up while nobody reads
            source = _PRELUDE + textwrap.dedent(code) + _POSTLUDE
            command = [sys.executable, "-W", "error", "-c", source, str(file.fileno())]
            if uid:
                own = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--bounding-set", "-all"]
                command = ["setpriv", *own, *command]
            command = ["ip", "netns", "exec", self.name("client"), *command]
            done = subprocess.run(
                command, pass_fds=[file.fileno()], capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stderr
            assert not done.stderr, done.stderr
            file.seek(0)
            result, self.took_s, self.partials = pickle.load(file)  # noqa: S301 - our own child
            return result

    def observe(self, probe: str, *, uid: int = 0, **request: object) -> Any:
        """Run one probe on the client; a reason why it cannot observe is returned as its exception."""
        return self.run(f"result = observe({probe!r}, **{request!r})", uid=uid)
