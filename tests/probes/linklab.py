"""A client, a neighbour on its link, a router and a server beyond it, each in a network namespace of its own.

    client e0 10.77.1.2/24 ----+
                               +-- bridge b0 router 10.77.1.1/24, e1 10.77.2.1/24 ---- e0 server 10.77.2.2/24
    neighbour e0 10.77.1.200 --+

IPv6 likewise in fd77:1::/64 and fd77:2::/64. Nothing listens but what a test starts, and no packet leaves.
"""

from __future__ import annotations

import functools
import itertools
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
HOSTS = ("client", "neighbour", "router", "server")

_serial = itertools.count()
_PRELUDE = f"""
import asyncio, os, pickle, sys
sys.path.insert(0, {str(ROOT)!r})
from probes.base import CannotObserve, Context, load

def observe(name, **request):
    probe = load(name)
    context = Context()
    try:
        found = asyncio.run(probe.observe(probe.request(**request), context, lambda partial: None))
    except CannotObserve as error:
        return error
    global packets
    packets = context.packets_sent
    return found

result = packets = None
"""
_POSTLUDE = "\nwith os.fdopen(int(sys.argv[1]), 'wb') as pipe: pickle.dump(result, pipe)\n"


@functools.cache
def missing() -> str | None:
    """Say why the lab cannot stand here; ``None`` where it can."""
    if os.geteuid() != 0:
        return "named network namespaces need root"
    for tool in ("ip", "nft", "nc", "setpriv"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    name = f"wl{os.getpid()}try"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return None if done.returncode == 0 else f"no network namespace can be made: {done.stderr.strip()}"


class LinkLab:
    """The namespaces of one test; a context manager that takes them down again."""

    def __init__(self) -> None:
        self.prefix = f"wl{os.getpid()}x{next(_serial)}"
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        reason = missing()
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
        return self.prefix + host[0]

    def _build(self) -> None:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "add", self.name(host)], check=True)
            # without these an address is tentative for a second
            self.sh(host, "for n in default all; do echo 0 >/proc/sys/net/ipv6/conf/$n/accept_dad; done")
            self.sh(host, "ip link set lo up")
        router = self.name("router")
        self.sh("router", "ip link add b0 type bridge mcast_snooping 0 && ip link set b0 up")
        for host, port, far in (("client", "e0", "pc"), ("neighbour", "e0", "pn"), ("server", "e0", "e1")):
            self.sh(host, f"ip link add {port} type veth peer name {far} netns {router}")
        self.sh("router", "ip link set pc master b0; ip link set pn master b0")
        self.sh("router", "for i in pc pn e1; do ip link set $i up; done")
        for host in ("client", "neighbour", "server"):
            self.sh(host, "ip link set e0 up")
        for host, device, four, six in (
            ("client", "e0", "10.77.1.2/24", "fd77:1::2/64"),
            ("neighbour", "e0", "10.77.1.200/24", "fd77:1::200/64"),
            ("router", "b0", "10.77.1.1/24", "fd77:1::1/64"),
            ("router", "e1", "10.77.2.1/24", "fd77:2::1/64"),
            ("server", "e0", "10.77.2.2/24", "fd77:2::2/64"),
        ):
            self.sh(host, f"ip addr add {four} brd + dev {device}; ip addr add {six} dev {device} nodad")
        for host, four, six in (
            ("client", "10.77.1.1", "fd77:1::1"),
            ("neighbour", "10.77.1.1", "fd77:1::1"),
            ("server", "10.77.2.1", "fd77:2::1"),
        ):
            self.sh(host, f"ip route add default via {four}; ip -6 route add default via {six}")
        self.sh("router", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")

    def sh(self, host: str, script: str) -> str:
        """Run a shell script on a host."""
        command = ["ip", "netns", "exec", self.name(host), "sh", "-ec", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, f"{script}: {done.stderr}"
        return done.stdout

    def filter(self, host: str, hook: str, rule: str) -> None:
        """Add a packet filter's rule on a host."""
        chain = f"type filter hook {hook} priority 0; policy accept;"
        self.sh(host, f"nft -f - <<'X'\ntable inet {hook}x {{\n chain c {{\n  {chain}\n  {rule}\n }}\n}}\nX")

    def listen(self, host: str, port: int) -> None:
        """Accept connections on a TCP port, of IPv4 and IPv6."""
        code = (
            "import socket,sys\n"
            "s = socket.create_server(('::', int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)\n"
            "print('ready', flush=True)\n"
            "while True: s.accept()[0].close()\n"
        )
        command = ["ip", "netns", "exec", self.name(host), sys.executable, "-c", code, str(port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._started.append(process)
        assert process.stdout is not None
        with process.stdout as ready:
            assert ready.readline() == b"ready\n"

    def mac(self, host: str, device: str = "e0") -> str:
        """Return the link address of an interface."""
        return self.sh(host, f"cat /sys/class/net/{device}/address").strip()

    def run(self, code: str, *, host: str = "client", uid: int = 0) -> Any:
        """Run Python on a host and return what it left in ``result``; ``observe(name, **request)`` runs a probe."""
        reading, writing = os.pipe()
        source = _PRELUDE + textwrap.dedent(code) + _POSTLUDE
        command = [sys.executable, "-W", "error", "-c", source, str(writing)]
        if uid:
            own = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--bounding-set", "-all"]
            command = ["setpriv", *own, *command]
        command = ["ip", "netns", "exec", self.name(host), *command]
        with os.fdopen(reading, "rb") as pipe:
            try:
                done = subprocess.run(
                    command, pass_fds=[writing], capture_output=True, text=True, timeout=60, check=False
                )
            finally:
                os.close(writing)
            assert done.returncode == 0, done.stderr
            return pickle.load(pipe)  # noqa: S301 - our own child

    def observe(self, probe: str, *, host: str = "client", uid: int = 0, **request: object) -> Any:
        """Run one probe on a host; a reason why it cannot observe is returned as its exception."""
        return self.run(f"result = observe({probe!r}, **{request!r})", host=host, uid=uid)

    def settle(self) -> None:
        """Have every host know its neighbours, so that no first packet waits for a link address."""
        for address in ("10.77.1.1", "10.77.1.200", "10.77.2.2", "fd77:1::1", "fd77:1::200", "fd77:2::2"):
            self.sh("client", f"echo x | nc -u -w0 {address} 9 || true")
        time.sleep(0.05)
