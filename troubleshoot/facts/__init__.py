"""The observations of one diagnosis, seen the way that plan, steps and judge ask about them.

Nothing here touches a network, a file or a clock. A question whose answer is still on its way raises
:class:`NotYet`; that is how the engine knows which running probes could still change a verdict.
"""

from __future__ import annotations

import enum
import functools
import ipaddress
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from probes.address import AddressKind, AddressResult
from probes.base import Observation, Status
from probes.connect import ConnectOutcome, ConnectResult
from probes.datagram import DatagramResult
from probes.descriptors import DescriptorsResult
from probes.failure import Failure, IcmpError, IcmpMeaning
from probes.hosts_file import HostsFileResult
from probes.interfaces import Interface, InterfacesResult
from probes.link import LinkResult
from probes.neighbours import Neighbour, NeighboursResult, NeighbourState
from probes.path_mtu import PathMtuResult
from probes.ping import PingMethod, PingResult
from probes.resolve import Answer, ResolveResult, ServerAnswer
from probes.route import RouteKind, RouteResult
from probes.service import ServiceResult
from probes.services_file import ServicesFileResult
from probes.sockets import SocketEntry, SocketsResult
from probes.tcp_path import TcpAnswer, TcpPathResult
from probes.traceroute import TracerouteResult
from probes.transfer import TransferResult
from troubleshoot.facts.transfers import contrast
from troubleshoot.intake.request import Request

Key = tuple[str, str]
T = TypeVar("T")

#: More addresses of one name than this are not looked at.
MAX_ADDRESSES = 8
#: Addresses that only the name servers know are tried beside those of the system; at most this many.
MAX_EXTRA = 3


class NotYet(Exception):  # noqa: N818 - not an error: the answer is still on its way
    """A running probe will answer this question."""


class Reading(enum.StrEnum):
    """What an attempt to reach one address and port came to."""

    CONNECTED = "connected"
    RESET = "reset"
    CUT = "cut"
    ICMP = "icmp"
    SILENT = "silent"
    LOCAL = "local"
    UNDECIDED = "undecided"
    UNTRIED = "untried"


class Reach(msgspec.Struct, frozen=True):
    """The reading for one address; ``heard_ms`` is from the first packet to the answer that decided."""

    address: str
    reading: Reading
    icmp: IcmpError | None = None
    failure: Failure | None = None
    errno: str | None = None
    heard_ms: float = 0.0
    packets: int = 0

    @property
    def decided(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.reading not in (Reading.UNDECIDED, Reading.UNTRIED)

    @property
    def failed(self) -> bool:
        """Whether it was tried and did not get through."""
        return self.decided and self.reading is not Reading.CONNECTED

    @property
    def no_port_left(self) -> bool:
        """Whether this machine found no local port for it: connect() of TCP and of UDP say so in different words."""
        words = ("EADDRNOTAVAIL", "EAGAIN")
        return self.reading is Reading.LOCAL and self.errno in words


#: What a router says that cannot pass a packet on.
UNREACHABLE = frozenset({IcmpMeaning.NETWORK_UNREACHABLE, IcmpMeaning.HOST_UNREACHABLE})


#: Codes that a program only meets once it is connected.
ESTABLISHED = frozenset({"WSAECONNRESET", "WSAECONNABORTED", "WSAENETRESET", "WSAEDISCON"})
#: Codes of connections that open and then do not get on.
STALLING = ESTABLISHED | {"WSAETIMEDOUT"}
#: Loss is told from slowness by these: no answer takes longer on a path where it is measured, and an echo or a SYN
#: that is not answered for so long while others are counts as lost, milliseconds.
_LONGEST_RTT_MS = 400.0
_OVERDUE_MS = 150.0
#: A SYN is sent again after so long (RFC 6298).
_RETRANSMITTED_MS = 1000.0


def scoped(address: str | None, interface: str | None) -> str | None:
    """Return a link-local address with its interface, without which nothing can be sent to it (RFC 4007)."""
    if address is None or interface is None or "%" in address or not address.lower().startswith("fe80:"):
        return address
    return f"{address}%{interface}"


def gateway_of(route: RouteResult) -> str | None:
    """Return the route's next router in the form that can be pinged, ``None`` where there is none."""
    return scoped(route.gateway, route.interface)


def second_look(address: str) -> str:
    """Return the subject of the pings that are sent to a silent address a few seconds after the first ones."""
    return f"{address} again"


def bind_subject(address: str, port: int) -> str:
    """Return the subject of the trial to bind a port of an address."""
    return f"{address} {port}"


def service_subject(address: str, port: int, *, tls: bool) -> str:
    """Return the subject of watching what the service on a port does with a connection."""
    return f"{address} {port}{' tls' if tls else ''}"


def family_of(address: str) -> int:
    """Return 4 or 6 for an address literal."""
    return 6 if ":" in address else 4


def plain(address: str) -> str:
    """Return the address without its zone, in its canonical form."""
    try:
        return str(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return address


class Facts:
    """A view of ``observations`` for ``request``; ``running`` are the probes that have not ended yet."""

    def __init__(
        self,
        request: Request,
        thresholds: Mapping[str, float],
        observations: Mapping[Key, Observation[object]],
        running: Iterable[Key] = (),
    ) -> None:
        self.request = request
        self.thresholds = thresholds
        self.observations = observations
        self.running = frozenset(running)

    # -- observations --------------------------------------------------------------------------------------

    def peek(self, probe: str, kind: type[T], subject: str = "") -> T | None:
        """Return the result as far as it is known now, partial ones included."""
        observation = self.observations.get((probe, subject))
        result = observation.result if observation is not None else None
        return result if isinstance(result, kind) else None

    def get(self, probe: str, kind: type[T], subject: str = "") -> T | None:
        """Return the final result, ``None`` where there is none; raises :class:`NotYet` while it runs."""
        if (probe, subject) in self.running:
            raise NotYet(f"{probe} {subject}".strip())
        return self.peek(probe, kind, subject)

    def observation(self, probe: str, subject: str = "") -> Observation[object] | None:
        """Return the record of a probe's run."""
        return self.observations.get((probe, subject))

    def of(self, probe: str) -> tuple[Observation[object], ...]:
        """Return every record of one probe, in the order in which they were started."""
        return tuple(o for (name, _), o in self.observations.items() if name == probe)

    def threshold(self, name: str) -> float:
        """Return a threshold of the catalogue."""
        return self.thresholds[name]

    # -- names ---------------------------------------------------------------------------------------------

    @property
    def is_literal(self) -> bool:
        """Whether the target's host is an address."""
        return self.request.target.host is not None and self.request.target.literal

    @property
    def has_name(self) -> bool:
        """Whether there is a name to resolve."""
        return self.request.target.host is not None and not self.request.target.literal

    @functools.cached_property
    def resolve(self) -> ResolveResult | None:
        """The name's resolution as far as it is known."""
        return self.peek("resolve", ResolveResult, self.request.target.host or "")

    @property
    def resolving(self) -> bool:
        """Whether the resolution still runs."""
        return ("resolve", self.request.target.host or "") in self.running

    def resolved(self) -> ResolveResult | None:
        """Return the final resolution; raises :class:`NotYet` while it runs."""
        return self.get("resolve", ResolveResult, self.request.target.host or "")

    @functools.cached_property
    def targets(self) -> tuple[str, ...]:
        """The addresses that a program would try, in its order."""
        host = self.request.target.host
        if host is None:
            return ()
        if self.request.target.literal:
            return (host,)
        if self.resolve is None:
            return ()
        wanted = self.request.family
        return tuple(a for a in self.resolve.addresses if wanted in (None, family_of(a)))[:MAX_ADDRESSES]

    @functools.cached_property
    def extra_targets(self) -> tuple[str, ...]:
        """Addresses that name servers give for the name and the system does not use (hosts file, disagreement)."""
        if not self.has_name or self.resolve is None or not self.targets:
            return ()
        known = {plain(a) for a in self.targets}
        families = {family_of(a) for a in self.targets}
        found: list[str] = []
        for answer in self.resolve.answers:
            for address in answer.addresses:
                if family_of(address) in families and plain(address) not in known and address not in found:
                    found.append(address)
        return tuple(found[:MAX_EXTRA])

    def hosts_file(self) -> HostsFileResult | None:
        """Return what the hosts file says of the target's name."""
        return self.get("hosts-file", HostsFileResult, self.request.target.host or "")

    def services_file(self) -> ServicesFileResult | None:
        """Return what the services file says of the target's service."""
        return self.peek("services-file", ServicesFileResult, self.request.target.service or "")

    @property
    def port(self) -> int | None:
        """The port that a program would use: as given, or as the services file resolves the service name."""
        target = self.request.target
        if target.port is not None or target.service is None:
            return target.port
        file = self.services_file()
        if file is not None and file.resolved_port is not None:
            return file.resolved_port
        if ("services-file", target.service) in self.running or file is None:
            return None
        return self.request.service_port

    @property
    def servers(self) -> tuple[str, ...]:
        """The configured name servers' addresses."""
        if self.resolve is None or self.resolve.configuration is None:
            return ()
        return self.resolve.configuration.servers

    def unresolved(self) -> bool:
        """Return whether the target is a name that does not lead to an address (:class:`NotYet` while unknown)."""
        if not self.has_name or self.targets:
            return False
        return self.resolved() is not None

    @functools.cached_property
    def destinations(self) -> tuple[str, ...]:
        """Where packets have to go first: the target's addresses, or without any the name servers."""
        if self.targets:
            return self.targets
        asked = {a.server for a in (self.resolve.answers if self.resolve else ())}
        return tuple(s for s in self.servers if s in asked and not self.is_loopback(s))

    @staticmethod
    def is_loopback(address: str) -> bool:
        """Whether the address is a loopback address."""
        try:
            return ipaddress.ip_address(address.partition("%")[0]).is_loopback
        except ValueError:
            return False

    # -- this machine --------------------------------------------------------------------------------------

    def interfaces(self) -> tuple[Interface, ...]:
        """Return the interfaces (:class:`NotYet` while they are read)."""
        result = self.get("interfaces", InterfacesResult)
        return result.interfaces if result is not None else ()

    def is_own(self, address: str | None) -> bool:
        """Whether the address belongs to this machine."""
        if address is None:
            return False
        result = self.peek("interfaces", InterfacesResult)
        if self.is_loopback(address):
            return True
        own = {plain(a.address) for i in (result.interfaces if result else ()) for a in i.addresses}
        return plain(address) in own

    def is_local(self, address: str) -> bool:
        """Whether the target address is this machine itself."""
        kind = self.peek("address", AddressResult, address)
        return self.is_loopback(address) or (kind is not None and kind.local)

    def kind(self, address: str) -> AddressKind | None:
        """Return what kind of address it is."""
        result = self.get("address", AddressResult, address)
        return result.kind if result is not None else None

    def route(self, address: str) -> RouteResult | None:
        """Return the kernel's route to it (:class:`NotYet` while it is looked up)."""
        return self.get("route", RouteResult, address)

    def peek_route(self, address: str) -> RouteResult | None:
        """Return the kernel's route to it as far as known."""
        return self.peek("route", RouteResult, address)

    @functools.cached_property
    def routers(self) -> tuple[str, ...]:
        """The routers that the destinations go by way of (the user's ``--router`` first)."""
        away = any((r := self.peek_route(a)) is not None and r.kind is not RouteKind.LOCAL for a in self.destinations)
        found = [self.request.router] if self.request.router and away else []
        for address in self.destinations:
            route = self.peek_route(address)
            if route is not None and route.kind is not RouteKind.LOCAL:
                gateways = (
                    [gateway_of(route)]
                    if route.gateway
                    else [scoped(d.gateway, d.interface) for d in route.defaults[:1]]
                )
                found += [g for g in gateways if g is not None and g not in found]
        return tuple(found)

    # -- neighbours ----------------------------------------------------------------------------------------

    def neighbour(self, address: str) -> Neighbour | None:
        """Return the link-level state of an on-link address that was asked for (:class:`NotYet` while asked)."""
        if ("neighbours", address) in self.running:
            raise NotYet(f"neighbours {address}")
        return self.peek_neighbour(address)

    def peek_neighbour(self, address: str) -> Neighbour | None:
        """Return the link-level state as far as known."""
        result = self.peek("neighbours", NeighboursResult, address)
        if result is None:
            return None
        return next((n for n in result.asked if plain(n.address) == plain(address)), None)

    @staticmethod
    def neighbour_alive(neighbour: Neighbour | None) -> bool:
        """Whether the neighbour answered at link level while we watched, or the kernel is sure of it."""
        if neighbour is None:
            return False
        return neighbour.answered or neighbour.confirmed or neighbour.state is NeighbourState.PERMANENT

    @staticmethod
    def neighbour_dead(neighbour: Neighbour | None) -> bool:
        """Whether link-level requests to the neighbour, the kernel's or our own, went unanswered."""
        if neighbour is None or neighbour.confirmed or neighbour.answered:
            return False
        return neighbour.state is NeighbourState.FAILED or neighbour.requests > 0

    def link(self, address: str) -> LinkResult | None:
        """Return what the wire itself says of the address (root only)."""
        return self.get("link", LinkResult, address)

    # -- reaching the target -------------------------------------------------------------------------------

    def ping(self, address: str) -> PingResult | None:
        """Return the pings of an address (:class:`NotYet` while they run and none was answered)."""
        result = self.peek_ping(address)
        if result is not None and (result.received or any(e.icmp for e in result.echoes)):
            return result
        self.get("ping", PingResult, address)
        self.get("ping", PingResult, second_look(address))
        return result

    def peek_ping(self, address: str) -> PingResult | None:
        """Return the pings of an address as far as known; where the first were silent, the second look counts."""
        first = self.peek("ping", PingResult, address)
        if first is not None and (first.received or any(e.icmp or e.failure for e in first.echoes)):
            return first
        return self.peek("ping", PingResult, second_look(address)) or first

    def trace(self, address: str) -> TracerouteResult | None:
        """Return the path to an address (:class:`NotYet` while its end is not known)."""
        return self.get("traceroute", TracerouteResult, address)

    def peek_trace(self, address: str) -> TracerouteResult | None:
        """Return the path to an address as far as known."""
        return self.peek("traceroute", TracerouteResult, address)

    def tcp_path(self, address: str) -> TcpPathResult | None:
        """Return how far SYNs to the target's port travel (:class:`NotYet` while unknown)."""
        return self.get("tcp-path", TcpPathResult, f"{address} {self.port}")

    def alive(self, address: str) -> bool:
        """Whether the address itself has answered anything yet."""
        ping = self.peek_ping(address)
        trace = self.peek_trace(address)
        return bool((ping and ping.received) or (trace and trace.reached_ttl))

    def unreachables(self, address: str) -> tuple[tuple[float, IcmpError], ...]:
        """What routers said of the address to pings and traceroute: how long that took, and what it was."""
        ping, trace = self.peek_ping(address), self.peek_trace(address)
        told = [(e.rtt_ms, e.icmp) for e in (ping.echoes if ping else ())]
        told += [(a.rtt_ms, a.icmp) for hop in (trace.hops if trace else ()) for a in hop.answers]
        return tuple(
            (wait_ms, error)
            for wait_ms, error in told
            if error is not None
            and wait_ms is not None
            and error.meaning in UNREACHABLE
            and not self.is_own(error.sender)
        )

    def unreachable_early(self, address: str) -> bool:
        """Whether routers said so within the round trip, and not after they had looked for a neighbour in vain.

        A dead host, too, is reported soon to a packet that comes late in that search: one such report is not enough.
        """
        told = self.unreachables(address)
        early = all(ms - self.rtt_ms(address) < self.threshold("neighbour_wait_ms") for ms, _ in told)
        decided = any(error.meaning is IcmpMeaning.NETWORK_UNREACHABLE for _, error in told)
        return early and (decided or len(told) > 1)

    def rtt_ms(self, address: str) -> float:
        """The longest round trip seen to the address or towards it, 0 where none was.

        Reports of an absent host do not count: they come when a router has given up waiting.
        """
        ping = self.peek_ping(address)
        trace = self.peek_trace(address)
        seen = [ping.rtt_max_ms or 0.0] if ping else []
        for hop in trace.hops if trace else ():
            seen += [a.rtt_ms for a in hop.answers if a.icmp is None or a.icmp.meaning not in UNREACHABLE]
        return max(seen, default=0.0)

    def reach(self, address: str, port: int | None = None) -> Reach:
        """Return what the attempt to reach ``address`` came to; ``port`` stands for the target's own."""
        port = port if port is not None else self.port
        if port is None:
            return self._reach_by_ping(address)
        if self.request.target.transport == "udp":
            return self._reach_by_datagram(address, port)
        return self._reach_by_connect(address, port)

    def _reach_by_connect(self, address: str, port: int) -> Reach:
        subject = f"{address} {port}"
        result = self.peek("connect", ConnectResult, subject)
        running = ("connect", subject) in self.running
        if result is None:
            return Reach(address, Reading.UNDECIDED if running else Reading.UNTRIED)
        syns = sum(a.syns for a in result.attempts)
        if result.outcome is ConnectOutcome.CONNECTED:
            return Reach(address, Reading.CONNECTED, heard_ms=_connected_ms(result), packets=syns)
        if result.outcome is ConnectOutcome.FAILED:
            failed = [a for a in result.attempts if a.outcome is ConnectOutcome.FAILED]
            first = next((a for a in failed if a.icmp is not None), failed[0])
            heard = first.started_ms + first.duration_ms
            return Reach(
                address, _reading_of(first.failure, first.icmp), first.icmp, first.failure, first.errno, heard, syns
            )
        waited = max((a.started_ms + a.duration_ms for a in result.attempts), default=0.0)
        # A slow path answers its first packet only after every router on it has resolved its neighbour.
        waited_out = result.complete and waited >= self.threshold("neighbour_wait_ms") + 4 * self.rtt_ms(address)
        decided = waited_out or self._silence_is_enough(address, syns, waited)
        reading = Reading.SILENT if decided else Reading.UNDECIDED
        return Reach(address, reading, failure=Failure.NO_ANSWER, packets=syns, heard_ms=waited)

    def passes_on(self, address: str) -> int | None:
        """The least TTL at which the very address that SYNs were sent to answers *time exceeded*: it passes them on."""
        subjects = (f"{address} {self.port}", f"{second_look(address)} {self.port}")
        paths = [self.peek("tcp-path", TcpPathResult, subject) for subject in subjects]
        seen = [
            hop.ttl
            for path in paths
            for hop in (path.hops if path is not None else ())
            if hop.answer is TcpAnswer.TIME_EXCEEDED
            and hop.icmp is not None
            and hop.icmp.sender is not None
            and plain(hop.icmp.sender) == plain(address)
        ]
        return min(seen, default=None)

    def _silence_is_enough(self, address: str, packets: int, waited_ms: float) -> bool:
        """Whether silence towards a port means something although the wait is not over.

        The host is known to be alive, or out of a router's reach, so nobody will report it dead later; several
        packets went unanswered, so it is not one that was lost; and the slowest answer seen would be here long since.
        Or the host's neighbour is alive, so the path works, and the time in which a router reports a dead host
        (3.05 s) is over.
        """
        ping = self.peek_ping(address)
        patchy = ping is not None and bool(ping.received) and self.overdue(ping) > 0
        if packets < self.threshold("silence_packets_lossy" if patchy else "silence_packets"):
            return False
        if self.alive(address) or self.unreachable_early(address):
            if self.passes_on(address) is not None and waited_ms < self.threshold("report_ms"):
                return False  # the machine behind it may be reported absent
            return waited_ms >= self.threshold("silence_ms") + 4 * self.rtt_ms(address)
        route = self.peek_route(address)
        if route is None or route.on_link or self.is_local(address):
            return False
        beside = [p.rtt_max_ms for p in self.remote_neighbour_asked(address) if p.received and p.rtt_max_ms is not None]
        beside += [  # the name's other family is there: the network works, and would report this address by now
            _connected_ms(found)
            for other in self.targets
            if family_of(other) != family_of(address)
            and (found := self.peek("connect", ConnectResult, f"{other} {self.port}")) is not None
            and found.outcome is ConnectOutcome.CONNECTED
        ]
        return bool(beside) and waited_ms >= self.threshold("report_ms") + 4 * max(beside)

    def _reach_by_datagram(self, address: str, port: int) -> Reach:
        subject = f"{address} {port}"
        result = self.peek("datagram", DatagramResult, subject)
        running = ("datagram", subject) in self.running
        if result is None:
            return Reach(address, Reading.UNDECIDED if running else Reading.UNTRIED)
        heard = result.duration_ms
        if result.answered:
            return Reach(address, Reading.CONNECTED, heard_ms=heard, packets=result.sent)
        if result.icmp is not None or result.failure is not None:
            reading = _reading_of(result.failure, result.icmp)
            return Reach(address, reading, result.icmp, result.failure, result.errno, heard, result.sent)
        reading = Reading.UNDECIDED if running else Reading.SILENT
        return Reach(address, reading, failure=Failure.NO_ANSWER, heard_ms=heard, packets=result.sent)

    def _reach_by_ping(self, address: str) -> Reach:
        result = self.peek_ping(address)
        running = ("ping", address) in self.running
        if result is None:
            return Reach(address, Reading.UNDECIDED if running else Reading.UNTRIED)
        if result.received:
            return Reach(address, Reading.CONNECTED, heard_ms=result.rtt_min_ms or 0.0, packets=result.sent)
        for echo in result.echoes:
            if echo.icmp is not None or echo.failure is not None:
                reading = _reading_of(echo.failure, echo.icmp)
                heard = echo.rtt_ms or result.waited_ms
                return Reach(address, reading, echo.icmp, echo.failure, echo.errno, heard, result.sent)
        reading = Reading.UNDECIDED if running else Reading.SILENT
        return Reach(address, reading, failure=Failure.NO_ANSWER, heard_ms=result.waited_ms, packets=result.sent)

    @functools.cached_property
    def usable(self) -> tuple[str, ...]:
        """The target addresses of the families that this machine has at all.

        A machine without IPv6 is not at fault for the IPv6 addresses of a name that has IPv4 ones too.
        """
        if len({family_of(a) for a in self.targets}) < 2:
            return self.targets
        routed = tuple(a for a in self.targets if self._has_way(a))
        return routed or self.targets

    def _has_way(self, address: str) -> bool:
        route = self.peek_route(address)
        return route is None or route.kind is not RouteKind.NONE

    def reaches(self) -> tuple[Reach, ...]:
        """Return the readings of every usable address."""
        return tuple(self.reach(a) for a in self.usable)

    def blocked(self) -> bool:
        """Return whether the target was tried and no usable address of it answers.

        :class:`NotYet` while one may still answer; false where nothing was tried.
        """
        reaches = self.reaches()
        if any(r.reading is Reading.CONNECTED for r in reaches):
            return False
        if any(r.reading is Reading.UNDECIDED for r in reaches):
            raise NotYet("connect")
        if not reaches and self.resolving:
            raise NotYet("resolve")
        return any(r.failed for r in reaches)

    @property
    def focus(self) -> Reach | None:
        """The first usable address that fails: the one whose path is looked into."""
        reaches = self.reaches()
        return next((r for r in reaches if r.failed), next(iter(reaches), None))

    def decided_reach(self, address: str, port: int | None = None) -> Reach:
        """Return the reading for one address; raises :class:`NotYet` while it is undecided."""
        found = self.reach(address, port)
        if found.reading is Reading.UNDECIDED:
            raise NotYet(f"connect {address}")
        return found

    # -- once connected ------------------------------------------------------------------------------------

    @property
    def established(self) -> bool:
        """Whether the code is one that only established connections bring."""
        return self.request.code in ESTABLISHED

    def connected(self) -> tuple[Reach, ...]:
        """Return the target's TCP addresses that connect; :class:`NotYet` while none does and one still may."""
        if self.port is None or self.request.target.transport != "tcp":
            return ()
        reaches = self.reaches()
        found = tuple(r for r in reaches if r.reading is Reading.CONNECTED)
        if not found and any(r.reading is Reading.UNDECIDED for r in reaches):
            raise NotYet("connect")
        return found

    def service(self, address: str) -> ServiceResult | None:
        """Return what the service did with a connection (:class:`NotYet` while it is watched)."""
        return self.get("service", ServiceResult, self.service_key(address))

    def peek_service(self, address: str) -> ServiceResult | None:
        """Return what the service did with a connection, as far as known."""
        return self.peek("service", ServiceResult, self.service_key(address))

    def stalls(self, address: str) -> bool:
        """Whether the code fits a connection that opens and then does not get on, and this is the one it fits."""
        if self.request.code not in STALLING or self.is_local(address):
            return False
        first = next((r.address for r in self.reaches() if r.reading is Reading.CONNECTED), None)
        return first == address

    def slow(self, address: str) -> bool:
        """Whether answers take so long that a lost packet cannot be told from a late one."""
        return self.rtt_ms(address) > _LONGEST_RTT_MS

    def echoes(self, address: str) -> PingResult | None:
        """Return the first pings where they were ICMP echoes and the address answers them (as far as known)."""
        ping = self.peek("ping", PingResult, address)
        return ping if ping is not None and ping.received and ping.method is not PingMethod.UDP else None

    def awaits_echo(self, address: str) -> bool:
        """Whether the first ping has not been sent long enough ago to miss its answer."""
        ping = self.peek("ping", PingResult, address)
        return ("ping", address) in self.running and (ping is None or ping.waited_ms < _OVERDUE_MS)

    def overdue(self, ping: PingResult) -> int:
        """Return how many echoes of a series can be called lost by now."""
        missing = sum(e.rtt_ms is None and e.failure is None for e in ping.echoes)
        return missing if ping.waited_ms >= max(_OVERDUE_MS, 3 * (ping.rtt_max_ms or 0.0)) else 0

    def losing(self, address: str) -> bool:
        """Whether a packet to or from a port that connects seems to have been lost; :class:`NotYet` while open.

        Not on a slow path, where an answer may still come. A UDP ping says nothing: hosts limit their refusals.
        """
        if self.is_local(address) or self.slow(address):
            return False
        if self.syn_lost(address):
            return True
        ping = self.echoes(address)
        if ping is None:
            return False
        if self.overdue(ping):
            return True
        if ("ping", address) in self.running:
            raise NotYet(f"ping {address}")
        return False

    def syn_lost(self, address: str) -> bool:
        """Whether a SYN met silence while another was answered quickly."""
        result = self.peek("connect", ConnectResult, f"{address} {self.port}")
        made = [a for a in (result.attempts if result else ()) if a.outcome is ConnectOutcome.CONNECTED]
        if result is None or not made:
            return False
        # where a first SYN was answered, but slowly, the other ones may just have been slower still
        answers = [a.duration_ms for a in made if a.syns <= 1] or [a.duration_ms - _RETRANSMITTED_MS for a in made]
        quick_ms = max(0.0, min(answers))
        if quick_ms > _LONGEST_RTT_MS:
            return False
        if any(a.syns > 1 for a in made):
            return True
        before = [a for a in result.attempts if a.started_ms < made[0].started_ms and a is not made[0]]
        return any(a.duration_ms >= _OVERDUE_MS + 3 * quick_ms for a in before)

    def accepted_early(self, address: str) -> int | None:
        """Return the TTL from which SYNs to the port are accepted, where other packets of that TTL go no further.

        Both walks need not be over: the least TTL is known once the one before it brought *time exceeded*, or once
        the SYNs of all before it have been on their way for much longer than an answer takes. :class:`NotYet` while
        it is not known.
        """
        route = self.peek_route(address)
        if route is None or route.on_link or self.is_local(address):
            return None
        path = self.peek("tcp-path", TcpPathResult, f"{address} {self.port}")
        least = path.final_ttl if path is not None and path.final is TcpAnswer.ACCEPTED else None
        if least is None or path is None or not self._least_known(path, least):
            path = self.tcp_path(address)
            least = path.final_ttl if path is not None and path.final is TcpAnswer.ACCEPTED else None
        if least is None or self.router_at_by_trace(address, least) == plain(address):
            return None
        if self.dies_at(address, least):
            return least
        trace = self.trace(address)
        reached = trace.reached_ttl if trace is not None else None
        return least if reached is not None and least < reached else None

    def _least_known(self, path: TcpPathResult, least: int) -> bool:
        if path.passed_ttl >= least - 1:
            return True
        record = self.observation("tcp-path", f"{path.address} {path.port}")
        asked = {hop.ttl for hop in path.hops if hop.sent}
        patience_ms = _OVERDUE_MS + 50 + 4 * self.rtt_ms(path.address)
        return record is not None and record.duration_ms >= patience_ms and asked >= set(range(1, least))

    def dies_at(self, address: str, ttl: int) -> bool:
        """Whether traceroute's packet of that TTL was ended by a router: the host is farther away."""
        trace = self.peek_trace(address)
        return any(
            a.icmp is not None
            and a.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
            and (a.address is None or plain(a.address) != plain(address))
            for hop in (trace.hops if trace is not None else ())
            if hop.ttl == ttl
            for a in hop.answers
        )

    def service_key(self, address: str) -> str:
        """Return the subject under which the service behind an address is watched."""
        return service_subject(address, self.port or 0, tls=self.request.tls)

    def hosts_override(self) -> bool:
        """Whether the hosts file, and not the name service, gave the target's address."""
        if not self.has_name:
            return False
        hosts = self.hosts_file()
        if hosts is None or not hosts.used or not hosts.entries:
            return False
        listed = {plain(e.address) for e in hosts.entries}
        return any(plain(a) in listed for a in self.targets)

    def absent_on_link(self, address: str) -> bool:
        """Whether an on-link target did not answer at link level (:class:`NotYet` while it may)."""
        found = self.reach(address)
        if found.reading is Reading.CONNECTED or self.alive(address):
            return False
        if (
            found.icmp is not None
            and self.is_own(found.icmp.sender)
            and found.icmp.meaning is IcmpMeaning.HOST_UNREACHABLE
        ):
            return True
        neighbour = self.neighbour(address)
        if self.neighbour_dead(neighbour):
            return True
        if self.neighbour_alive(neighbour):
            return False
        return self.decided_reach(address).failure is Failure.HOST_UNREACHABLE

    def interface(self, address: str) -> str | None:
        """Return the name of the interface that leads to an address, as far as known."""
        route = self.peek_route(address)
        return route.interface if route is not None else None

    def hole(self, address: str) -> tuple[int, int] | None:
        """Return a size of packets to the address that vanishes and one that arrives, where that is so, bytes."""
        found = self.peek("path-mtu", PathMtuResult, address)
        if found is not None and found.mtu is not None:
            vanished = [s.size for s in found.steps if s.answer == "silence" and s.size > found.mtu]
            return (max(vanished), found.mtu) if found.black_hole and len(set(vanished)) > 1 else None
        proven = contrast(self.peek("transfer", TransferResult, f"{address} {self.port}"))
        name = self.interface(address)
        own = [i.mtu for i in self.interfaces() if i.name == name]
        return (own[0], proven.short.bound) if proven is not None and not proven.back and own else None

    def zone_missing(self, address: str) -> bool:
        """Whether a link-local IPv6 address lacks the interface that it is on."""
        result = self.get("address", AddressResult, address)
        return result is not None and result.zone_missing

    def router_at_by_trace(self, target: str, ttl: int) -> str | None:
        """The router that answered traceroute (not SYNs) at ``ttl``."""
        trace = self.peek_trace(target)
        for hop in trace.hops if trace else ():
            if hop.ttl == ttl:
                return next((a.address for a in hop.answers if a.address is not None), None)
        return None

    def loopback_down(self) -> bool:
        """Whether the loopback interface is not up."""
        return any(i.loopback and not i.up for i in self.interfaces())

    def full_queue(self, port: int | None) -> SocketEntry | None:
        """Return a local listener on ``port`` whose accept queue is full, if there is one."""
        result = self.get("sockets", SocketsResult, str(port))
        for entry in result.entries if result else ():
            if (
                entry.state == "listen"
                and entry.queue is not None
                and entry.queue_limit is not None
                and entry.queue > entry.queue_limit
            ):
                return entry
        return None

    # -- the path ------------------------------------------------------------------------------------------

    def distance(self, address: str) -> int | None:
        """The least TTL that reaches the address itself (1 = no router between), as far as known."""
        trace = self.peek_trace(address)
        if trace is not None and trace.reached_ttl is not None:
            return trace.reached_ttl
        route = self.peek_route(address)
        return 1 if route is not None and route.on_link and self.alive(address) else None

    def hop_of(self, target: str, sender: str | None) -> int | None:
        """The hop at which ``sender`` stands on the path to ``target``, as traceroute or SYNs showed it."""
        if sender is None:
            return None
        route = self.peek_route(target)
        if route is not None and route.gateway is not None and plain(route.gateway) == plain(sender):
            return 1
        trace = self.peek_trace(target)
        for hop in trace.hops if trace else ():
            if any(a.address is not None and plain(a.address) == plain(sender) for a in hop.answers):
                return hop.ttl
        path = self.peek("tcp-path", TcpPathResult, f"{target} {self.port}")
        for step in path.hops if path else ():
            exceeded = step.icmp is not None and step.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
            if exceeded and step.icmp and step.icmp.sender and plain(step.icmp.sender) == plain(sender):
                return step.ttl
        return None

    def router_at(self, target: str, ttl: int) -> str | None:
        """The address that answered for TTL ``ttl`` on the path to ``target``."""
        trace = self.peek_trace(target)
        for hop in trace.hops if trace else ():
            if hop.ttl == ttl:
                for answer in hop.answers:
                    if answer.icmp is not None and answer.icmp.meaning is IcmpMeaning.TIME_EXCEEDED:
                        return answer.address
        path = self.peek("tcp-path", TcpPathResult, f"{target} {self.port}")
        for step in path.hops if path else ():
            if step.ttl == ttl and step.icmp is not None and step.icmp.meaning is IcmpMeaning.TIME_EXCEEDED:
                return step.icmp.sender
        return None

    def last_hop(self, target: str) -> int:
        """The greatest TTL at which a router answered for any protocol, 0 for none."""
        trace = self.peek_trace(target)
        path = self.peek("tcp-path", TcpPathResult, f"{target} {self.port}")
        hops = [
            hop.ttl
            for hop in (trace.hops if trace else ())
            if any(a.icmp is not None and a.icmp.meaning is IcmpMeaning.TIME_EXCEEDED for a in hop.answers)
        ]
        return max([*hops, path.passed_ttl if path else 0], default=0)

    # -- around the target ---------------------------------------------------------------------------------

    def remote_neighbours(self, address: str) -> tuple[str, ...]:
        """Addresses on the target's subnet to ping: the user's, else the two that routers usually have.

        A guess that answers proves that the target's network works; so does the last router's report that a
        guess is absent. Silence proves nothing by itself.
        """
        if self.request.remote_neighbour is not None:
            return (self.request.remote_neighbour,)
        prefix = 24 if family_of(address) == 4 else 64
        network = ipaddress.ip_network(f"{plain(address)}/{prefix}", strict=False)
        guesses = [network[1], network[254] if prefix == 24 else network[2]]
        return tuple(str(g) for g in guesses if str(g) != plain(address))

    def remote_neighbour_alive(self, address: str) -> PingResult | None:
        """Return the pings that show the target's network at work, ``None`` where none does."""
        open_ones = False
        for neighbour in self.remote_neighbours(address):
            result = self.peek_ping(neighbour)
            if result is not None and result.received:
                return result
            for echo in result.echoes if result is not None else ():
                absent = echo.icmp is not None and echo.icmp.meaning is IcmpMeaning.HOST_UNREACHABLE
                late = (echo.rtt_ms or 0.0) >= self.threshold("neighbour_wait_ms")
                if absent and late and result is not None and not self.is_own(echo.icmp.sender if echo.icmp else None):
                    return result
            open_ones = open_ones or ("ping", neighbour) in self.running
        if open_ones:
            raise NotYet("ping of a neighbour of the target")
        return None

    def remote_neighbour_asked(self, address: str) -> tuple[PingResult, ...]:
        """Return the pings of the target's neighbours, whatever came of them."""
        found = (self.peek_ping(n) for n in self.remote_neighbours(address))
        return tuple(p for p in found if p is not None)

    def other_neighbour_alive(self, address: str) -> bool:
        """Whether any other neighbour on the link is known to answer."""
        for observation in self.of("neighbours"):
            result = observation.result
            if isinstance(result, NeighboursResult):
                for found in (*result.asked, *result.table):
                    fresh = found.confirmed or found.state is NeighbourState.REACHABLE
                    if fresh and plain(found.address) != plain(address):
                        return True
        return False

    def mask_doubtful(self, address: str) -> bool:
        """Whether an on-link target lies so far from our own address that a wrong mask could explain it."""
        route = self.peek_route(address)
        if route is None or not route.on_link or route.source is None or not any(d.gateway for d in route.defaults):
            return False
        prefix = 24 if family_of(address) == 4 else 64
        own = ipaddress.ip_network(f"{plain(route.source)}/{prefix}", strict=False)
        return ipaddress.ip_address(plain(address)) not in own

    # -- name servers --------------------------------------------------------------------------------------

    def answers_of(self, server: str) -> tuple[ServerAnswer, ...]:
        """Return the answers of one server to the name itself (not the control question)."""
        return tuple(
            a for a in (self.resolve.answers if self.resolve else ()) if a.server == server and not a.other_name
        )

    def server_responds(self, server: str) -> bool | None:
        """Whether the server answered anything at all; ``None`` where nothing was asked of it."""
        answers = [a for a in (self.resolve.answers if self.resolve else ()) if a.server == server]
        if not answers:
            return None
        return any(a.answer not in SILENCE for a in answers)

    def hidden(self) -> bool:
        """Whether what could be at fault may not be looked into: by this user, or on this system at all."""
        if any(self.unseen(probe) and step in self.request.reference_steps for step, probe in _OF_THE_MACHINE):
            return True
        if "port-owner" in self.request.reference_steps and any(o.result is None for o in self.of("bind")):
            return True
        result = self.peek("descriptors", DescriptorsResult)
        # Where only the sockets of the heaviest process are hidden, its number of descriptors is not.
        counted = result is not None and result.open_at_start is not None and result.sockets is None
        return (
            result is not None
            and (result.hidden > (1 if counted else 0) or result.unlisted)
            and self.request.pid is None
            and "open-sockets" in self.request.reference_steps
        )

    # -- runs that could not be made -----------------------------------------------------------------------

    def unseen(self, probe: str, subject: str = "") -> bool:
        """Whether a probe has run and could not look at all."""
        observation = self.observation(probe, subject)
        return observation is not None and observation.result is None and (probe, subject) not in self.running

    def not_permitted(self, probe: str) -> bool:
        """Whether a probe of that name was refused for want of privilege."""
        return any(o.status is Status.NOT_PERMITTED for o in self.of(probe))


#: Steps about the whole machine, and the probe without which nothing is known of them.
_OF_THE_MACHINE = (
    ("open-sockets", "descriptors"),
    *((name, name) for name in ("buffers", "address-family", "network-subsystem")),
)
#: Answers that are none: the server (or the way to it) kept silent or said that it is not there.
SILENCE = frozenset({Answer.NO_ANSWER, Answer.PORT_CLOSED, Answer.UNREACHABLE})


def _connected_ms(result: ConnectResult) -> float:
    """Return how long the quickest of the attempts that were accepted took."""
    return min(a.duration_ms for a in result.attempts if a.outcome is ConnectOutcome.CONNECTED)


def _reading_of(failure: Failure | None, icmp: IcmpError | None) -> Reading:
    if icmp is not None:
        return Reading.ICMP
    if failure is Failure.REFUSED:
        return Reading.RESET
    if failure in (Failure.RESET, Failure.ABORTED):
        return Reading.CUT
    if failure in (Failure.TIMED_OUT, Failure.NO_ANSWER):
        return Reading.SILENT
    return Reading.LOCAL
