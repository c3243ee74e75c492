"""The lab: network namespaces with a client LAN, a chain of routers, a server LAN and two name servers.

Everything is real: veth pairs, bridges, forwarding kernels, dnsmasq, unbound and small socket services. Traffic stays
inside the namespaces. Linux only; needs root, or a user namespace (see :func:`rootless`).

    python tests/lab/topology.py down      removes what labs of processes that are gone have left behind

The first lab of a process does the same: whoever interrupts a run the hard way need not clean up.
"""

from __future__ import annotations

import array
import atexit
import fcntl
import functools
import itertools
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.lab.plan import Machine, Plan, draw  # noqa: E402
from tests.lab.services import namespace  # noqa: E402

NETNS, NETNS_ETC = Path("/run/netns"), Path("/etc/netns")
PREFIX = "wlab"
SWITCH = "switch"
NOBODY = 65534
NAME_SERVERS = ("ns1", "ns2")
#: Frames must be complete when the wire reads them: no checksum or segmentation left to hardware (ethtool(8) ioctls).
OFFLOADS = (0x17, 0x19, 0x1F, 0x24, 0x2C)
SIOCETHTOOL = 0x8946


class LabError(RuntimeError):
    """The lab could not be built or a tool in it failed."""


@dataclass(frozen=True)
class Shape:
    """What a link does to each frame, each way. ``loss`` is a share between 0 and 1."""

    delay_ms: float = 0.25
    jitter_ms: float = 0.0
    loss: float = 0.0
    rate_mbit: float = 0.0


@dataclass(frozen=True)
class Service:
    """A service on ``node``; ``hosts`` empty means every address of both families. Kinds: see services.py."""

    port: int
    kind: str = "echo"
    node: str = "server"
    transport: str = "tcp"
    hosts: tuple[str, ...] = ()


#: Ways of a name server whose messages are no answers (services.py).
UNFIT = ("wrong-id", "wrong-question", "sent-back", "noise")


@dataclass(frozen=True)
class NameServer:
    """How one name server behaves.

    ``mode``: ``ok`` (a real dnsmasq or unbound with the zone), ``refused`` (a real unbound that refuses everybody),
    ``servfail``, ``formerr``, ``notimp`` (every answer has that rcode), ``silent`` (takes questions and says nothing),
    ``wrong-id``, ``wrong-question``, ``sent-back``, ``noise`` (what comes back is no answer), ``closed`` (the machine
    runs and nothing listens), ``off`` (the machine is off the network).
    ``records`` are what its zone holds instead of the lab's own.
    """

    mode: str = "ok"
    records: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class Settings:
    """What a lab is built from, beside its plan.

    ``shapes`` maps ``client`` (the client's own cable) and ``link1``, ``link2``, … (router 1 to 2, …) to a shape.
    ``icmp`` is ``default`` (the kernel's own limits), ``strict`` (one error a second, no burst) or ``off``.
    ``records`` are the zone's ``(name, address)`` pairs, ``None`` for the usual ones.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    icmp: str = "default"
    services: tuple[Service, ...] | None = None
    records: tuple[tuple[str, str], ...] | None = None
    name_servers: tuple[NameServer, NameServer] = (NameServer(), NameServer())
    datagram_ping: bool = False
    client_ipv6: bool = True


def rootless(argv: Sequence[str]) -> list[str]:
    """Return the command that runs ``argv`` inside a user namespace where a lab can be built."""
    script = (
        "set -e; PATH=$PATH:/usr/sbin:/sbin; export PATH\n"
        "mount -t tmpfs tmpfs /run; mkdir -p /run/netns /run/lock /run/etc /run/work\n"
        "if [ -d /etc/netns ]; then mount -t tmpfs tmpfs /etc/netns; else\n"
        " mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc; mkdir /etc/netns\n"
        "fi\n"
        'ip link set lo up; exec "$@"'
    )
    unshare = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--propagation", "private"]
    return [*unshare, "sh", "-c", script, "sh", *argv]


def unavailable() -> str | None:
    """Why no lab can be built by this process; ``None`` where it can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces exist on Linux only"
    missing = [tool for tool in ("ip", "nft", "dnsmasq", "unbound", "setpriv") if which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    probe = f"{PREFIX}{_base36(os.getpid())}probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces are not permitted here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=False)
    return None


def which(tool: str) -> str | None:
    """Find a tool also where an ordinary user's PATH does not look."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
#: Still root's files, but none of root's powers: for trees and interpreters that nobody else may read, and for user
#: namespaces, which have no other user.
WITHOUT_CAPABILITIES = ("setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")


@functools.cache
def nobody_can_run() -> bool:
    """Whether the program runs as an ordinary user from here (its folders may be closed to others)."""
    argv = [*AS_NOBODY, sys.executable, "-B", "-c", "import icmplib, msgspec, psutil, dns, troubleshoot.cli.entry"]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, check=False).returncode == 0


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits or "0"


_counter = itertools.count(1)
_open: list[Lab] = []
_open_lock = threading.Lock()


class Lab:
    """A running lab; a context manager. ``plan`` says who has which address."""

    def __init__(self, plan: Plan | None = None, settings: Settings | None = None) -> None:
        self.plan = plan or draw(1)
        self.settings = settings or Settings()
        self.tag = f"{PREFIX}{_base36(os.getpid())}x{next(_counter)}"
        self.children: list[subprocess.Popen[str]] = []
        self.servers: dict[str, subprocess.Popen[str]] = {}
        self.names = [machine.name for machine in self.plan.machines]
        self.values = self.plan.values()
        self.wired: dict[str, str] = {}
        self.up_ms = 0.0
        self.folders: list[Path] = []
        self.held: list[socket.socket] = []

    # -- names and commands ---------------------------------------------------------------------------------------

    def ns(self, node: str) -> str:
        """The network namespace of a machine."""
        return f"{self.tag}-{node}"

    def machine(self, node: str) -> Machine:
        """The machine called ``node``, addresses and all."""
        return self.plan[node]

    def fill(self, text: str) -> str:
        """Replace ``{…}`` in a scenario's text by what it stands for in this lab."""
        return text.format_map(self.values)

    def inside(self, node: str) -> AbstractContextManager[None]:
        """Put this thread into a machine's network namespace: sockets opened inside belong there."""
        return namespace(self.ns(node))

    def command(self, node: str, argv: Sequence[str], *, unprivileged: bool = False) -> list[str]:
        """Return the command that runs ``argv`` on ``node`` with that machine's resolv.conf, hosts and services."""
        drop: list[str] = []
        if unprivileged:
            drop = list(AS_NOBODY if nobody_can_run() else WITHOUT_CAPABILITIES)
        return ["ip", "netns", "exec", self.ns(node), *drop, *argv]

    def run(
        self, node: str, *argv: str, check: bool = True, timeout_s: float = 10.0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a tool on ``node`` and return what it printed."""
        done = subprocess.run(
            self.command(node, argv), input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        if check and done.returncode:
            raise LabError(f"{node}: {' '.join(argv)}: {done.stderr.strip() or done.returncode} {stdin or ''}")
        return done

    def ip(self, node: str, *lines: str) -> None:
        """Run lines of the ip tool on ``node``, in one process."""
        _batch(["ip", "-n", self.ns(node)], lines)

    def nft(self, node: str, rules: str) -> None:
        """Load packet filter rules on ``node``."""
        self.run(node, "nft", "-f", "-", stdin=rules)

    def sysctl(self, node: str, settings: Mapping[str, str | int]) -> None:
        """Write sysctls of ``node``, each named by its path below ``/proc/sys/net``."""
        with self.inside(node):
            for key, value in settings.items():
                Path("/proc/sys/net", key).write_text(f"{value}\n", encoding="ascii")

    def etc(self, node: str, name: str, text: str | bytes, mode: int = 0o644) -> None:
        """Give ``node`` a file in ``/etc`` of its own (ip-netns(8))."""
        folder = NETNS_ETC / self.ns(node)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        (folder / name).chmod(mode)

    def keep_folder(self, folder: Path) -> Path:
        """Have a folder removed with the lab."""
        self.folders.append(folder)
        return folder

    def hold(self, opened: socket.socket) -> None:
        """Keep a socket open until the lab ends."""
        self.held.append(opened)

    # -- life -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        with _open_lock:
            remove_leftovers()
            if not _open:
                atexit.register(_close_all)
            _open.append(self)
        started = time.perf_counter()
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        self.up_ms = (time.perf_counter() - started) * 1000
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> None:
        """End every process of this lab and remove its namespaces and files; harmless when repeated."""
        for child in self.children:
            child.kill()
        for child in self.children:
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream:
                    with suppress(OSError):
                        stream.close()
        self.children.clear()
        for opened in self.held:
            opened.close()
        self.held.clear()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        names = [self.ns(name) for name in (*self.names, SWITCH)]
        _batch(["ip", "-force"], [f"netns del {name}" for name in names if (NETNS / name).exists()])
        for name in names:
            shutil.rmtree(NETNS_ETC / name, ignore_errors=True)
        with suppress(OSError):
            NETNS_ETC.rmdir()  # only where nobody else needs it
        with _open_lock, suppress(ValueError):
            _open.remove(self)

    def _build(self) -> None:
        plan = self.plan
        _batch(["ip"], [f"netns add {self.ns(name)}" for name in (*self.names, SWITCH)])
        for name in (*self.names, SWITCH):
            self._prepare(name)
        links = _Cables(self)
        _batch(["ip"], links.lines)
        links.raise_ends()
        self._start("wire.py", json.dumps(links.wires), node=SWITCH)
        # addresses only now: an address on a veth whose peer is down answers no neighbour solicitation for a second
        _batches({self.ns(machine.name): self._addresses(machine) for machine in plan.machines})
        self._configure_client()
        self._start_services()
        for name, behaviour in zip(NAME_SERVERS, self.settings.name_servers, strict=True):
            self.serve_names(name, behaviour, wait=False)
        for child in self.children:
            self._await_ready(child)
        for name in NAME_SERVERS:
            self._await_names(name)

    def _prepare(self, name: str) -> None:
        settings: dict[str, str | int] = {}
        if name == SWITCH:
            settings["ipv6/conf/default/disable_ipv6"] = 1
            self.sysctl(name, settings)
            return
        for which_ in ("all", "default"):
            settings[f"ipv6/conf/{which_}/accept_dad"] = 0
            settings[f"ipv6/conf/{which_}/accept_ra"] = 0
            settings[f"ipv4/conf/{which_}/rp_filter"] = 0
        settings["ipv6/conf/default/router_solicitations"] = 0
        if name.startswith("router"):
            settings["ipv4/ip_forward"] = 1
            settings["ipv6/conf/all/forwarding"] = 1
        if name == "client":
            if self.settings.datagram_ping:  # off by default; a user namespace maps no group but 0
                settings["ipv4/ping_group_range"] = "0 2147483647" if nobody_can_run() else "0 0"
            if not self.settings.client_ipv6:
                settings["ipv6/conf/all/disable_ipv6"] = 1
                settings["ipv6/conf/default/disable_ipv6"] = 1
        if self.settings.icmp == "off":
            settings["ipv4/icmp_ratelimit"] = 0
            settings["ipv6/icmp/ratelimit"] = 0
        self.sysctl(name, settings)
        if self.settings.icmp == "strict" and name.startswith("router"):
            # The kernel's own limit has a burst of six; a bucket of one, as strict routers have, is a filter's job.
            self.nft(
                name,
                "table inet strict {\n chain out {\n  type filter hook output priority 10; policy accept;\n"
                "  icmp type { time-exceeded, destination-unreachable } limit rate over 1/second burst 1 packets drop\n"
                "  icmpv6 type { time-exceeded, destination-unreachable } "
                "limit rate over 1/second burst 1 packets drop\n }\n}\n",
            )

    def _addresses(self, machine: Machine) -> list[str]:
        plan, lines = self.plan, []
        skip6 = machine.name == "client" and not self.settings.client_ipv6
        for port in machine.ports:
            lines.append(f"addr add {port.v4} brd + dev {port.interface}")
            if not skip6:
                lines.append(f"addr add {port.v6} dev {port.interface} nodad")
        if not machine.name.startswith("router"):
            router = plan.router(1).near if machine.near.network == 0 else plan.last_router.far
            lines.append(f"route add default via {router.v4.ip}")
            if not skip6:
                lines.append(f"route add default via {router.v6.ip}")
            return lines
        number = plan.hop(machine.name)
        for index in range(plan.routers + 1):
            if index < number - 1:
                port = plan.router(number - 1).far
            elif index > number:
                port = plan.router(number + 1).near
            else:
                continue
            lines.append(f"route add {plan.networks4[index]} via {port.v4.ip}")
            lines.append(f"route add {plan.networks6[index]} via {port.v6.ip}")
        return lines

    def _configure_client(self) -> None:
        servers = [self.plan[name].near.v4.ip for name in NAME_SERVERS]
        self.etc("client", "resolv.conf", "".join(f"nameserver {server}\n" for server in servers))
        self.etc("client", "hosts", "127.0.0.1 localhost\n::1 localhost\n")
        self.etc("client", "nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n")
        self.etc("client", "services", Path("/etc/services").read_text(encoding="utf-8", errors="replace"))

    # -- processes ------------------------------------------------------------------------------------------------

    def spawn(self, node: str, argv: Sequence[str], *, first_line: str | None = None) -> subprocess.Popen[str]:
        """Start a process on ``node`` that ends with the lab; ``first_line`` goes to its standard input."""
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.ns(node), *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if first_line is not None else subprocess.DEVNULL,
            stderr=None if first_line is not None else subprocess.DEVNULL,
            text=True,
        )
        self.children.append(child)
        if first_line is not None:
            assert child.stdin
            child.stdin.write(first_line + "\n")
            child.stdin.flush()
        return child

    def _start(self, script: str, first_line: str, *, node: str) -> subprocess.Popen[str]:
        return self.spawn(node, [sys.executable, "-SEs", str(HERE / script)], first_line=first_line)

    @staticmethod
    def _await_ready(child: subprocess.Popen[str]) -> None:
        if child.stdout and child.stdout.readline() != "READY\n":
            raise LabError(f"{child.args!r} did not start")

    def usual_services(self) -> tuple[Service, ...]:
        """What listens where nothing else was asked for: TCP and UDP echo on the server, on both families."""
        port, other = self.plan.port, self.plan.other_port
        return (
            Service(port),
            Service(other, kind="banner"),
            Service(port, transport="udp"),
            Service(port, node="mate"),
            Service(port, node="neighbour"),
        )

    def _start_services(self) -> None:
        services = self.settings.services
        self._launch(self.usual_services() if services is None else services)

    def serve(self, *services: Service) -> None:
        """Start further services and wait until they listen."""
        self._await_ready(self._launch(services))

    def _launch(self, services: Iterable[Service]) -> subprocess.Popen[str]:
        entries = []
        for service in services:
            entry = asdict(service)
            entry["namespace"] = self.ns(entry.pop("node"))
            entry["hosts"] = service.hosts or ("0.0.0.0", "::")
            entries.append(entry)
        return self._start("services.py", json.dumps(entries), node="server")

    # -- names ----------------------------------------------------------------------------------------------------

    def usual_records(self) -> tuple[tuple[str, str], ...]:
        """The zone as it is where nothing else was asked for."""
        value = self.values
        return (
            (value["name"], value["server"]),
            (value["name"], value["server6"]),
            (value["other_name"], value["mate"]),
            (value["other_name"], value["mate6"]),
        )

    def records(self, behaviour: NameServer) -> tuple[tuple[str, str], ...]:
        """What a name server with this behaviour answers with."""
        if behaviour.records is not None:
            return behaviour.records
        return self.usual_records() if self.settings.records is None else self.settings.records

    def serve_names(self, node: str, behaviour: NameServer, *, wait: bool = True) -> None:
        """(Re)start the name server on ``node``: ``ns1`` is unbound, ``ns2`` dnsmasq, two implementations."""
        old = self.servers.pop(node, None)
        if old:
            old.kill()
            old.wait()
        mode = behaviour.mode
        rcodes = {"servfail": 2, "formerr": 1, "notimp": 4}
        if mode in ("ok", "refused"):
            real = _dnsmasq if node == "ns2" and mode == "ok" else _unbound
            self.servers[node] = self.spawn(node, real(self, node, mode, self.records(behaviour)))
        elif mode in rcodes or mode in ("silent", *UNFIT):
            kind = f"dns:{rcodes[mode]}" if mode in rcodes else mode
            entries = [Service(53, kind=kind, node=node, transport=transport) for transport in ("udp", "tcp")]
            self.servers[node] = self._launch(entries)
            if wait:
                self._await_ready(self.servers[node])
        elif mode == "off":
            self.cut(node)
        elif mode != "closed":
            raise LabError(f"a name server cannot be {mode!r}")
        if wait:
            self._await_names(node)

    def serve_zone(self, node: str, told: Mapping[str, object]) -> None:
        """Replace the name server on ``node`` by one that answers as it is told (zone.py)."""
        old = self.servers.pop(node, None)
        if old:
            old.kill()
            old.wait()
        hosts = [self.plan[node].near.address(family) for family in (4, 6)]
        for name in ("unbound.conf", "dnsmasq.conf"):  # ip-netns(8) complains of files that /etc itself has not
            (self.folder(node) / name).unlink(missing_ok=True)
        self.servers[node] = self._start("zone.py", json.dumps({"hosts": hosts, **told}), node=node)
        self._await_ready(self.servers[node])

    def cut(self, node: str) -> None:
        """Switch a host off: its interface goes down, its cable stays."""
        self.ip(node, "link set e0 down")

    def cut_cable(self, node: str) -> None:
        """Pull a host's cable out: its interface stays up and loses its carrier."""
        if node in self.wired:
            self.ip(SWITCH, f"link set {self.wired[node]} down")
        else:
            self.ip(SWITCH, f"link set p-{node} down")

    def _await_names(self, node: str) -> None:
        server = self.servers.get(node)
        if server is None or server.stdout is not None:
            return
        question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"
        with self.inside(node), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect((self.plan[node].near.address(4), 53))
            asking.settimeout(0.02)
            for _ in range(250):
                try:
                    asking.send(question)
                    asking.recv(512)
                except OSError:
                    if server.poll() is not None:
                        break
                    time.sleep(0.005)
                else:
                    return
        raise LabError(f"the name server on {node} did not start: {server.args!r}")

    def folder(self, node: str) -> Path:
        """A folder for a server's configuration, removed with the lab."""
        folder = NETNS_ETC / self.ns(node)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _reverse(records: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, address in records:
        found.setdefault(name, []).append(address)
    return found


def _dnsmasq(lab: Lab, node: str, mode: str, records: Iterable[tuple[str, str]]) -> list[str]:
    lines = ["no-resolv", "no-hosts", "pid-file=", "bind-interfaces", "local=/#/"]
    lines += [f"listen-address={lab.plan[node].near.address(family)}" for family in (4, 6)]
    lines += [f"host-record={name},{address}" for name, address in records]
    path = lab.folder(node) / "dnsmasq.conf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [which("dnsmasq") or "dnsmasq", "--no-daemon", f"--conf-file={path}"]


def _unbound(lab: Lab, node: str, mode: str, records: Iterable[tuple[str, str]]) -> list[str]:
    allow = "refuse" if mode == "refused" else "allow"
    lines = [
        "server:",
        'chroot: ""',
        'username: ""',
        'pidfile: ""',
        "use-syslog: no",
        "num-threads: 1",
        'module-config: "iterator"',
        f"access-control: 0.0.0.0/0 {allow}",
        f"access-control: ::/0 {allow}",
        'local-zone: "." static',
        'local-data: ". 3600 NS a.root-servers.net."',
    ]
    lines += [f"interface: {lab.plan[node].near.address(family)}" for family in (4, 6)]
    for name, addresses in _reverse(records).items():
        lines += [f'local-data: "{name}. 60 {"AAAA" if ":" in item else "A"} {item}"' for item in addresses]
    lines += ["remote-control:", "control-enable: no"]
    path = lab.folder(node) / "unbound.conf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [which("unbound") or "unbound", "-d", "-c", str(path)]


class _Cables:
    """Every cable of a lab: the lines of ip(8) that make them, the ends to raise, the wires in between."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.lines: list[str] = []
        self.ends: list[tuple[str, str]] = [(name, "lo") for name in lab.names]
        self.plain: list[tuple[str, str]] = []
        self.in_bridge: list[tuple[str, str]] = []
        self.wires: list[list[str | float | int]] = []
        plan, shapes = lab.plan, {"client": Shape(), **lab.settings.shapes}
        bridges = (0, plan.routers)
        for index in bridges:
            self.lines.append(
                f"link add lan{index} netns {lab.ns(SWITCH)} type bridge forward_delay 0 mcast_snooping 0"
            )
            self.ends.append((SWITCH, f"lan{index}"))
        for machine in plan.machines:
            for port in machine.ports:
                if port.network in bridges:
                    shape = shapes.get("client") if machine.name == "client" else None
                    self.to_bridge(machine.name, port.interface, port.network, shape)
        for number in range(1, plan.routers):
            left, right = (f"router{number}", "e1"), (f"router{number + 1}", "e0")
            self.between(left, right, shapes.get(f"link{number}"))

    def veth(self, left: tuple[str, str], right: tuple[str, str]) -> None:
        ns = self.lab.ns
        self.lines.append(f"link add {left[1]} netns {ns(left[0])} type veth peer name {right[1]} netns {ns(right[0])}")
        self.ends += [left, right]

    def between(self, left: tuple[str, str], right: tuple[str, str], shape: Shape | None) -> None:
        if shape is None:
            self.veth(left, right)
            return
        number = len(self.wires)
        a, b = f"w{number}a", f"w{number}b"
        self.veth(left, (SWITCH, a))
        self.veth(right, (SWITCH, b))
        self.plain += [left, right]
        self.lab.wired[left[0]] = a
        seed = self.lab.plan.seed + number
        self.wires.append([a, b, shape.delay_ms, shape.jitter_ms, shape.loss, shape.rate_mbit, seed])

    def to_bridge(self, name: str, interface: str, network: int, shape: Shape | None) -> None:
        port = f"p-{name}" if interface == "e0" else f"p-{name}{interface}"  # a single router has a port in each bridge
        if shape is None:
            self.veth((name, interface), (SWITCH, port))
        else:
            self.between((name, interface), (SWITCH, port), shape)
        self.in_bridge.append((port, f"lan{network}"))

    def raise_ends(self) -> None:
        """Plug ports into bridges and set everything up, before any address is given; offloads off on wires."""
        groups: dict[str, list[str]] = {}
        for port, bridge in self.in_bridge:
            groups.setdefault(self.lab.ns(SWITCH), []).append(f"link set {port} master {bridge}")
        for name, interface in self.ends:
            groups.setdefault(self.lab.ns(name), []).append(f"link set {interface} up")
        _batches(groups)
        for name, interface in self.plain:
            with self.lab.inside(name), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
                for command in OFFLOADS:
                    value = array.array("B", struct.pack("II", command, 0))
                    request = struct.pack("16sP16x", interface.encode(), value.buffer_info()[0])
                    with suppress(OSError):  # not every kernel knows every one of them
                        fcntl.ioctl(handle, SIOCETHTOOL, request)


def _batch(command: Sequence[str], lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if not text:
        return
    done = subprocess.run([*command, "-batch", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode and "-force" not in command:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}\n{text}")


def _batches(groups: Mapping[str, Sequence[str]]) -> None:
    """Run lines of ip(8) in several namespaces at once."""
    running = []
    for name, lines in groups.items():
        process = subprocess.Popen(
            ["ip", "-n", name, "-batch", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdin
        process.stdin.write("".join(f"{line}\n" for line in lines))
        process.stdin.close()
        process.stdin = None
        running.append((name, process))
    troubles = []
    for name, process in running:
        _, err = process.communicate()
        if process.returncode:
            troubles.append(f"{name}: {err.strip()}")
    if troubles:
        raise LabError("; ".join(troubles))


def _close_all() -> None:
    for lab in tuple(_open):  # each takes itself off the list
        lab.down()


def leftovers() -> list[str]:
    """Names of namespaces, and of folders for them, of labs whose process is gone."""
    names = {path.name for folder in (NETNS, NETNS_ETC) if folder.is_dir() for path in folder.iterdir()}
    owned = {name: re.fullmatch(PREFIX + r"([0-9a-z]+)x\d+-\w+", name) for name in names}
    return sorted(name for name, of in owned.items() if of and not Path(f"/proc/{int(of[1], 36)}").exists())


@functools.cache
def remove_leftovers() -> None:
    """End what still runs in the namespaces of labs whose process is gone and remove these; once in a process."""
    names = leftovers()
    for name in names:
        inside = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
        for pid in inside.stdout.split():
            with suppress(ProcessLookupError):  # whoever reads from a lab that is gone ends by itself
                os.kill(int(pid), signal.SIGKILL)
    _batch(["ip", "-force"], [f"netns del {name}" for name in names])
    for name in names:
        shutil.rmtree(NETNS_ETC / name, ignore_errors=True)


def main() -> None:
    if sys.argv[1:] != ["down"]:
        sys.exit(__doc__)
    remove_leftovers()


if __name__ == "__main__":
    main()
