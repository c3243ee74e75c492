"""Faults that can be put into a lab, each with a check by other means that it is really there.

A fault is a frozen record: ``inject`` makes it, ``verify`` raises :class:`NotReal` where plain facts (ip-route(8),
nft counters, ss(8), dig(1), ping(8), bare sockets) do not show it. Verification looks from the client's neighbour
wherever it can: routers limit ICMP errors for each destination, and the client's share belongs to what is tested.
Faults combine freely; whether one hides another is for the scenario to know.
"""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from tests.lab.topology import UNFIT, Lab, NameServer, Service
from troubleshoot.knowledge.registry import enter


class NotReal(AssertionError):  # noqa: N818 - a finding of the lab about itself
    """The injected fault does not show."""


class Fault(Protocol):
    """What every fault can do."""

    def inject(self, lab: Lab) -> None: ...

    def verify(self, lab: Lab) -> None: ...


FAULTS: dict[str, Callable[..., Fault]] = {}


def fault(name: str) -> Callable[[type[Fault]], type[Fault]]:
    """Enter a class into the registry, under a name that no other has."""

    def register(made: type[Fault]) -> type[Fault]:
        return enter(FAULTS, name, made)

    return register


def make(data: Mapping[str, Any]) -> Fault:
    """Build a fault from a scenario's table; ``kind`` names it, the rest are its fields."""
    rest = dict(data)
    name = rest.pop("kind")
    if name not in FAULTS:
        raise ValueError(f"no fault {name!r}; there are {', '.join(sorted(FAULTS))}")
    return FAULTS[name](**rest)


def require(holds: bool, what: str) -> None:
    if not holds:
        raise NotReal(what)


def try_tcp(lab: Lab, node: str, address: str, port: int, wait_s: float = 0.2) -> int | None:
    """Connect from ``node``: 0 when connected, the errno when refused, ``None`` when silent for ``wait_s``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.inside(node), socket.socket(family, socket.SOCK_STREAM) as trying:
        trying.settimeout(wait_s)
        try:
            trying.connect((address, port))
        except TimeoutError:
            return None
        except OSError as error:
            return error.errno
        return 0


def pings(lab: Lab, node: str, address: str, wait_s: float = 0.4) -> bool:
    """Whether ping(8) on ``node`` gets an answer from ``address``."""
    return lab.run(node, "ping", "-n", "-c1", f"-W{wait_s}", address, check=False).returncode == 0


def route_get(lab: Lab, node: str, *words: str) -> tuple[str, str]:
    """What ip-route(8) on ``node`` says about a destination: its answer, its complaint."""
    done = subprocess.run(
        ["ip", "-n", lab.ns(node), "route", "get", *words], capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr


def families(family: int) -> tuple[int, ...]:
    """Both families for 0."""
    return (family,) if family else (4, 6)


def value(lab: Lab, key: str, family: int) -> str:
    """An address of the lab by its scenario name, in one family."""
    return lab.values[key + ("6" if family == 6 else "")]


REJECTS = {
    "reset": "reject with tcp reset",
    "port-unreachable": "reject with icmpx type port-unreachable",
    "host-unreachable": "reject with icmpx type host-unreachable",
    "no-route": "reject with icmpx type no-route",
    "admin-prohibited": "reject with icmpx type admin-prohibited",
    "net-prohibited": "reject with icmp type net-prohibited",
    "host-prohibited": "reject with icmp type host-prohibited",
    "drop": "drop",
}
#: A strict router answers one packet a second: the third SYN, after three seconds, is answered for sure.
PATIENCE_S = 3.5
ICMP_ERRORS = (
    "icmp type { time-exceeded, destination-unreachable }",
    "icmpv6 type { time-exceeded, destination-unreachable }",
)
ECHO = ("icmp type echo-request", "icmpv6 type echo-request")


@fault("filter")
@dataclass(frozen=True)
class Filter:
    """A packet filter on ``node``.

    ``what``: ``tcp``/``udp`` (with ``port``; ``answers`` matches what comes back from that port), ``echo``,
    ``icmp-errors``, ``all-tcp``, ``any`` (everything but neighbour discovery). ``first`` limits it to the first
    packets that match. ``to`` is the machine that a check sends to.
    """

    node: str
    hook: str
    action: str = "drop"
    what: str = "tcp"
    port: str = "{port}"
    answers: bool = False
    family: int = 0
    first: int = 0
    to: str = "server"
    seen_from: str = ""

    def _matches(self, lab: Lab) -> list[str]:
        port = lab.fill(self.port)
        if self.what in ("tcp", "udp"):
            side = "sport" if self.answers else "dport"
            prefix = {0: "", 4: "meta nfproto ipv4 ", 6: "meta nfproto ipv6 "}[self.family]
            return [f"{prefix}{self.what} {side} {port}"]
        if self.what == "all-tcp":
            return [{0: "", 4: "meta nfproto ipv4 ", 6: "meta nfproto ipv6 "}[self.family] + "meta l4proto tcp"]
        if self.what in ("echo", "icmp-errors"):
            both = ECHO if self.what == "echo" else ICMP_ERRORS
            return [both[0] if f == 4 else both[1] for f in families(self.family)]
        neighbours = "icmpv6 type != { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert }"
        found = []
        for family in families(self.family):
            if family == 4:
                found.append("meta nfproto ipv4")
            else:
                found += [f"meta l4proto ipv6-icmp {neighbours}", "meta nfproto ipv6 meta l4proto != ipv6-icmp"]
        return found

    @property
    def _table(self) -> str:
        words = (self.hook, self.what, self.action, str(self.family))
        return "f_" + "_".join(words).replace("-", "_")

    def inject(self, lab: Lab) -> None:
        limit = f"limit rate 1/day burst {self.first} packets " if self.first else ""
        rules = "\n  ".join(f"{match} {limit}counter {REJECTS[self.action]}" for match in self._matches(lab))
        lab.nft(
            self.node,
            f"table inet {self._table} {{\n chain c {{\n  type filter hook {self.hook} priority 0; policy accept;\n"
            f"  {rules}\n }}\n}}\n",
        )

    def hits(self, lab: Lab) -> int:
        """How many packets the filter has taken."""
        listed = json.loads(lab.run(self.node, "nft", "-j", "list", "table", "inet", self._table).stdout)
        total = 0
        for item in listed["nftables"]:
            for part in item.get("rule", {}).get("expr", ()):
                total += part.get("counter", {}).get("packets", 0)
        return total

    def verify(self, lab: Lab) -> None:
        origin = self.seen_from or ("client" if self.node == "client" else "neighbour")
        port = int(lab.fill(self.port))
        for family in families(self.family):
            if self.first:
                listed = lab.run(self.node, "nft", "list", "table", "inet", self._table).stdout
                require("burst" in listed, f"{self}: the rule is not there")  # trying it would use it up
                continue
            address = value(lab, self.to, family)
            before, outcome = self.hits(lab), None
            if self.what == "echo":
                outcome = 0 if pings(lab, origin, address, 0.2) else None
            elif self.what == "icmp-errors":
                self._datagram(lab, origin, address, port, hops=lab.plan.hop(self.node))
            elif self.what == "udp":
                self._datagram(lab, origin, address, port)
            else:
                outcome = try_tcp(lab, origin, address, port, 0.15 if self.action == "drop" else PATIENCE_S)
            deadline = time.monotonic() + 1.0
            while self.hits(lab) == before:
                require(time.monotonic() < deadline, f"{self}: no packet over IPv{family} met the filter")
                time.sleep(0.02)
            require(outcome != 0, f"{self}: {address} still answers")
            if self.action != "drop" and self.what in ("tcp", "all-tcp") and origin != "client":
                require(outcome is not None, f"{self}: silence where a refusal was due")

    @staticmethod
    def _datagram(lab: Lab, node: str, address: str, port: int, hops: int = 64) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        level, option = (41, socket.IPV6_UNICAST_HOPS) if ":" in address else (0, socket.IP_TTL)
        with lab.inside(node), socket.socket(family, socket.SOCK_DGRAM) as sending, suppress(OSError):
            sending.setsockopt(level, option, hops)
            sending.sendto(b"lab", (address, port))


#: An IPv6 route of the kernel's own has metric 256, one set by hand 1024; IPv4 knows no such difference.
STRONGER = {4: "", 6: " metric 1"}
#: What ip-route(8) complains of, by type of route.
COMPLAINT = {
    "unreachable": "No route to host",
    "prohibit": "Permission denied",
    "blackhole": "Invalid argument",
    "missing": "Network is unreachable",
}


@fault("route")
@dataclass(frozen=True)
class Route:
    """On ``node`` the route to the server's network is ``unreachable``, ``prohibit``, ``blackhole`` or ``missing``.

    On the client ``missing`` takes the default route away.
    """

    node: str
    type: str
    family: int = 0

    def inject(self, lab: Lab) -> None:
        lines = []
        for family in families(self.family):
            network = value(lab, "server_network", family)
            if self.type == "missing":
                word = "default" if self.node == "client" else network
                lines.append(f"-{family} route del {word}")
            else:
                lines.append(f"-{family} route replace {self.type} {network}{STRONGER[family]}")
        for line in lines:
            subprocess.run(["ip", "-n", lab.ns(self.node), *line.split()], check=True)

    def verify(self, lab: Lab) -> None:
        for family in families(self.family):
            words = [value(lab, "server", family)]
            if self.node != "client":
                words += ["from", value(lab, "neighbour", family), "iif", "e0"]
            said, complaint = route_get(lab, self.node, *words)
            require(COMPLAINT[self.type] in complaint, f"{self}: {said or complaint}")


@fault("loop")
@dataclass(frozen=True)
class Loop:
    """Router ``router`` sends what is for the server's network back to the router before it."""

    router: int
    family: int = 0

    def inject(self, lab: Lab) -> None:
        for family in families(self.family):
            back = lab.plan.router(self.router - 1).far.address(family)
            network = value(lab, "server_network", family)
            words = f"-{family} route replace {network} via {back}{STRONGER[family]}".split()
            subprocess.run(["ip", "-n", lab.ns(f"router{self.router}"), *words], check=True)

    def verify(self, lab: Lab) -> None:
        for family in families(self.family):
            server, source = value(lab, "server", family), value(lab, "neighbour", family)
            here, before = lab.plan.router(self.router), lab.plan.router(self.router - 1)
            said, complaint = route_get(lab, here.name, server, "from", source, "iif", "e0")
            require(f"via {before.far.address(family)} " in said, f"{self}: {said}{complaint}")
            said, complaint = route_get(lab, before.name, server, "from", source, "iif", "e0")
            require(f"via {here.near.address(family)} " in said, f"{self}: {said}{complaint}")


@fault("off")
@dataclass(frozen=True)
class Off:
    """A machine is off the network: its interfaces are down, its cables' other ends are up."""

    node: str

    def inject(self, lab: Lab) -> None:
        lab.cut(self.node)
        if self._before():
            lab.ip(self.node, "link set e1 down")

    def _before(self) -> str:
        """The router before it, where it is one that stands behind another."""
        number = int(self.node.removeprefix("router")) if self.node.startswith("router") else 0
        return f"router{number - 1}" if number > 1 else ""

    def verify(self, lab: Lab) -> None:
        # a neighbour of the machine asks, and first shows that it can ask at all
        if self.node == "router1":
            origin, other = "neighbour", lab.values["client"]
        elif self._before():
            origin, other = self._before(), lab.values["client"]
        elif lab.plan[self.node].near.network == 0:
            origin, other = "router1", lab.values["client"]
        else:
            origin, other = "mate", lab.plan.last_router.far.address(4)
        require(pings(lab, origin, other, 1.0), f"{self}: its whole network is gone")
        for family in (4, 6):
            require(not pings(lab, origin, value(lab, self.node, family), 0.2), f"{self}: it answers a neighbour")


@fault("interface")
@dataclass(frozen=True)
class Interface:
    """The client's interface is ``admin-down``, has ``no-carrier`` or ``no-address`` (of ``family``)."""

    state: str
    family: int = 0

    def inject(self, lab: Lab) -> None:
        if self.state == "admin-down":
            lab.ip("client", "link set e0 down")
        elif self.state == "no-carrier":
            lab.cut_cable("client")
        elif self.state == "no-address":
            for family in families(self.family):
                subprocess.run(
                    ["ip", f"-{family}", "-n", lab.ns("client"), "addr", "flush", "dev", "e0", "scope", "global"],
                    check=True,
                )
        else:
            raise ValueError(self.state)

    def verify(self, lab: Lab) -> None:
        done = subprocess.run(
            ["ip", "-j", "-n", lab.ns("client"), "addr", "show", "dev", "e0"],
            capture_output=True,
            text=True,
            check=True,
        )
        (link,) = json.loads(done.stdout)
        if self.state == "admin-down":
            require("UP" not in link["flags"], f"{self}: {link['flags']}")
        elif self.state == "no-carrier":
            require("UP" in link["flags"] and "NO-CARRIER" in link["flags"], f"{self}: {link['flags']}")
        else:
            words = {4: "inet", 6: "inet6"}
            left = [
                entry
                for entry in link["addr_info"]
                if entry["scope"] == "global" and entry["family"] in {words[f] for f in families(self.family)}
            ]
            require(not left, f"{self}: {left}")


@fault("mask")
@dataclass(frozen=True)
class Mask:
    """The client's IPv4 mask is too ``wide`` (the server looks local) or too ``narrow`` (the router looks remote).

    With ``onlink`` the default route stands nevertheless, forced upon the interface; without it a narrow mask leaves
    no default route, because the kernel accepts no router outside the network.
    """

    width: str
    onlink: bool = False

    def inject(self, lab: Lab) -> None:
        port, router = lab.plan["client"].near, lab.values["router1"]
        length = lab.plan.wide_prefix() if self.width == "wide" else lab.plan.narrow_prefix()
        lines = [f"addr del {port.v4} dev e0", f"addr add {port.v4.ip}/{length} brd + dev e0"]
        if self.width == "wide" or self.onlink:
            lines.append(f"route add default via {router} dev e0{' onlink' if self.onlink else ''}")
        lab.ip("client", *lines)

    def verify(self, lab: Lab) -> None:
        if self.width == "wide":
            said, complaint = route_get(lab, "client", lab.values["server"])
            require(bool(said) and " via " not in said, f"{self}: {said}{complaint}")
            return
        said, complaint = route_get(lab, "client", lab.values["neighbour"])
        require(" via " in said or "unreachable" in complaint, f"{self}: {said}{complaint}")


@fault("name-server")
@dataclass(frozen=True)
class NameServerFault:
    """A name server (``ns1``, ``ns2`` or ``both``) behaves differently; modes as in ``topology.NameServer``.

    ``records`` maps names to addresses that it holds instead of the lab's own.
    """

    node: str
    mode: str = "ok"
    records: Mapping[str, list[str]] | None = None

    def _nodes(self) -> tuple[str, ...]:
        return ("ns1", "ns2") if self.node == "both" else (self.node,)

    def inject(self, lab: Lab) -> None:
        records = None if self.records is None else filled(lab, self.records)
        for node in self._nodes():
            lab.serve_names(node, NameServer(self.mode, records))

    def verify(self, lab: Lab) -> None:
        for node in self._nodes():
            address = lab.values[node]
            if self.mode == "off":
                require(not pings(lab, "mate", address, 0.2), f"{self}: {node} answers a neighbour")
            elif self.mode in ("silent", "closed"):
                outcome = self._ask(lab, address)
                wanted = errno.ECONNREFUSED if self.mode == "closed" else None
                require(outcome == wanted, f"{self}: {node}: {outcome}")
            elif self.mode in UNFIT:
                said = lab.run(
                    "mate", "dig", "+tries=1", "+time=1", f"@{address}", lab.values["name"], check=False
                ).stdout
                require(self._ask(lab, address) == 0 and "ANSWER SECTION" not in said, f"{self}: {said}")
            elif self.mode == "ok":
                self._holds(lab, address)
            else:
                said = lab.run("mate", "dig", "+tries=1", "+time=2", f"@{address}", lab.values["name"]).stdout
                require(f"status: {self.mode.upper()}" in said, f"{self}: {said}")

    def _holds(self, lab: Lab, server: str) -> None:
        """Check that the server answers with the records, and with no others for their names."""
        for name, items in (self.records or {}).items():
            wanted, found = {lab.fill(item) for item in items}, set()
            for kind in ("A", "AAAA"):
                said = lab.run("mate", "dig", "+tries=1", "+time=2", "+short", f"@{server}", lab.fill(name), kind)
                found |= {line for line in said.stdout.splitlines() if not line.startswith(";")}
            require(found == wanted, f"{self}: {server} has {found}")

    @staticmethod
    def _ask(lab: Lab, address: str) -> int | None:
        """Errno of a question over connected UDP, 0 when answered, ``None`` when silent."""
        with lab.inside("mate"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect((address, 53))
            asking.settimeout(0.25)
            try:
                asking.send(b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01")
                asking.recv(512)
            except TimeoutError:
                return None
            except OSError as error:
                return error.errno
            return 0


def filled(lab: Lab, records: Mapping[str, list[str]]) -> tuple[tuple[str, str], ...]:
    """A scenario's zone with its ``{…}`` replaced."""
    return tuple((lab.fill(name), lab.fill(item)) for name, items in records.items() for item in items)


@fault("records")
@dataclass(frozen=True)
class Records:
    """The name ``name`` has ``count_4`` IPv4 and ``count_6`` IPv6 addresses according to the name servers.

    The zone itself belongs to the scenario's ``records``; this only checks what is served.
    """

    name: str
    count_4: int
    count_6: int

    def inject(self, lab: Lab) -> None:
        """Nothing: the zone is served from the start."""

    def verify(self, lab: Lab) -> None:
        for node in ("ns1", "ns2"):
            for kind, count in (("A", self.count_4), ("AAAA", self.count_6)):
                said = lab.run(
                    "mate", "dig", "+tries=1", "+time=2", "+short", f"@{lab.values[node]}", lab.fill(self.name), kind
                )
                found = [line for line in said.stdout.splitlines() if line and not line.startswith(";")]
                require(len(found) == count, f"{self}: {node} gives {kind} {found}")


@fault("resolv-conf")
@dataclass(frozen=True)
class ResolvConf:
    """The client's resolv.conf holds ``text``."""

    text: str

    def inject(self, lab: Lab) -> None:
        lab.etc("client", "resolv.conf", lab.fill(self.text))

    def verify(self, lab: Lab) -> None:
        said = lab.run("client", "cat", "/etc/resolv.conf").stdout
        require(said == lab.fill(self.text), f"{self}: {said}")


@fault("hosts-entry")
@dataclass(frozen=True)
class HostsEntry:
    """The client's hosts file gives ``name`` the ``address``."""

    address: str
    name: str = "{name}"

    def inject(self, lab: Lab) -> None:
        lab.etc("client", "hosts", lab.fill(f"127.0.0.1 localhost\n{self.address} {self.name}\n"))

    def verify(self, lab: Lab) -> None:
        said = lab.run("client", "getent", "ahosts", lab.fill(self.name)).stdout
        require(lab.fill(self.address) in said.split(), f"{self}: {said}")


@fault("services-entry")
@dataclass(frozen=True)
class ServicesEntry:
    """The client's services file gives ``service`` the TCP port ``port``."""

    service: str
    port: str

    def inject(self, lab: Lab) -> None:
        lab.etc("client", "services", f"{self.service}\t{lab.fill(self.port)}/tcp\n")

    def verify(self, lab: Lab) -> None:
        said = lab.run("client", "getent", "-s", "files", "services", f"{self.service}/tcp").stdout
        require(f" {lab.fill(self.port)}/tcp" in said, f"{self}: {said}")


@fault("service")
@dataclass(frozen=True)
class ServiceFault:
    """A service stands on ``node``: of what ``service_kind``, on which ``hosts`` (see services.py)."""

    service_kind: str
    port: str = "{port}"
    node: str = "client"
    transport: str = "tcp"
    hosts: tuple[str, ...] = ()

    def inject(self, lab: Lab) -> None:
        hosts = tuple(lab.fill(host) for host in self.hosts)
        lab.serve(Service(int(lab.fill(self.port)), lab.fill(self.service_kind), self.node, self.transport, hosts))

    def verify(self, lab: Lab) -> None:
        rows = listeners(lab, self.node, lab.fill(self.port), self.transport)
        require(bool(rows), f"{self}: ss shows no listener")
        for host in self.hosts:
            require(any(lab.fill(host) in row for row in rows), f"{self}: {rows}")
        if self.service_kind == "full":
            queues = [row.split() for row in rows]
            require(all(int(words[1]) > int(words[2]) for words in queues), f"{self}: {rows}")


def listeners(lab: Lab, node: str, port: str, transport: str = "tcp") -> list[str]:
    """The rows of ss(8) on ``node`` for a local port."""
    flag = "-t" if transport == "tcp" else "-u"
    return lab.run(node, "ss", "-Hln", flag, "sport", "=", f":{port}").stdout.splitlines()


@fault("closed-port")
@dataclass(frozen=True)
class ClosedPort:
    """Nothing listens on ``port`` of ``node`` (the lab never uses that port)."""

    port: str = "{closed_port}"
    node: str = "server"
    transport: str = "tcp"

    def inject(self, lab: Lab) -> None:
        """Nothing to do."""

    def verify(self, lab: Lab) -> None:
        rows = listeners(lab, self.node, lab.fill(self.port), self.transport)
        require(not rows, f"{self}: {rows}")
        if self.transport == "tcp" and self.node == "server":
            outcome = try_tcp(lab, "mate", lab.values["server"], int(lab.fill(self.port)), 1.0)
            require(outcome == errno.ECONNREFUSED, f"{self}: a neighbour of the server gets {outcome}")


@fault("unused-address")
@dataclass(frozen=True)
class UnusedAddress:
    """Nobody has ``address``."""

    address: str = "{spare}"

    def inject(self, lab: Lab) -> None:
        """Nothing to do: the plan leaves it free."""

    def verify(self, lab: Lab) -> None:
        address = lab.fill(self.address)
        origin = "neighbour" if address in (lab.values["spare_local"], lab.values["spare_local6"]) else "mate"
        require(not pings(lab, origin, address, 0.2), f"{self}: somebody answers")


@fault("sysctl")
@dataclass(frozen=True)
class Sysctl:
    """Kernel settings of ``node``: paths below ``/proc/sys/net`` and their values."""

    node: str
    values: Mapping[str, int]

    def inject(self, lab: Lab) -> None:
        lab.sysctl(self.node, self.values)

    def verify(self, lab: Lab) -> None:
        for key, wanted in self.values.items():
            said = lab.run(self.node, "cat", f"/proc/sys/net/{key}").stdout.strip()
            require(said == str(wanted), f"{self}: {key} is {said}")


@fault("bad-input")
@dataclass(frozen=True)
class BadInput:
    """The fault is in what the user asks for (an unusable address, a code of the program): nothing to inject."""

    why: str

    def inject(self, lab: Lab) -> None:
        """Nothing to do."""

    def verify(self, lab: Lab) -> None:
        require(try_tcp(lab, "neighbour", lab.values["server"], lab.plan.port, 1.0) == 0, "the network itself is ill")
