"""Which probes the facts known so far call for. Pure: asked again after every answer, it names them all.

The engine starts what is named and not yet started. So one probe feeds many steps and rules, nothing runs twice,
what depends on an answer starts the moment that the answer is there, and everything else runs side by side.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from probes.address import AddressKind, AddressRequest, AddressResult
from probes.address_family import AddressFamilyRequest
from probes.answer_ttl import AnswerTtlRequest
from probes.bind import BindRequest
from probes.buffers import BuffersRequest
from probes.connect import ConnectRequest
from probes.datagram import DatagramRequest
from probes.descriptors import DescriptorsRequest
from probes.drop_point import DropPointRequest
from probes.failure import Failure
from probes.hosts_file import HostsFileRequest
from probes.interfaces import InterfacesRequest, InterfacesResult
from probes.link import LinkRequest
from probes.mtu_hop import MtuHopRequest
from probes.neighbours import NeighboursRequest
from probes.network_subsystem import NetworkSubsystemRequest
from probes.own_filter import OwnFilterRequest
from probes.path_mtu import PathMtuRequest
from probes.ping import PingRequest, PingResult
from probes.proxy import ProxyRequest
from probes.resolve import ResolveRequest
from probes.route import RouteKind, RouteRequest
from probes.service import ServiceOutcome, ServiceRequest
from probes.services_file import ServicesFileRequest
from probes.sockets import SocketsRequest
from probes.statistics import StatisticsRequest
from probes.stray_ack import StrayAckRequest
from probes.tcp_path import TcpPathRequest, TcpPathResult
from probes.traceroute import TracerouteRequest
from probes.transfer import Dialogue, TransferRequest
from probes.wire import WireRequest
from troubleshoot.facts import (
    BEFORE,
    Facts,
    NotYet,
    Reach,
    Reading,
    bind_subject,
    family_of,
    flows,
    gateway_of,
    loss_series,
    neighbour_dead,
    plain,
    second_look,
)

#: Where a datagram is thrown away, should it ever leave (RFC 863).
_DISCARD = 9
#: Steps that need the target to be looked at over the network.
_NETWORK_STEPS = frozenset(
    {"connect", "ping-remote", "traceroute", "resolve-name", "check-dns", "path-mtu", "address-valid"}
)


class Job(msgspec.Struct, frozen=True):
    """One run of a probe: its name, what it is about, and its request."""

    probe: str
    subject: str
    request: object

    @property
    def key(self) -> tuple[str, str]:
        """How observations of this run are filed."""
        return (self.probe, self.subject)


def wanted(facts: Facts) -> tuple[Job, ...]:
    """Return every job that the facts call for, in the order of their usefulness, each once."""
    found: dict[tuple[str, str], Job] = {}
    for job in _all(facts):
        found.setdefault(job.key, job)
    return tuple(found.values())


def _all(facts: Facts) -> Iterator[Job]:
    request = facts.request
    steps = set(request.steps)
    if request.kind == "no-network-meaning":
        return
    yield from _this_machine(facts, steps)
    if request.kind == "api-misuse" and not steps & _NETWORK_STEPS:
        return
    if not steps & _NETWORK_STEPS:
        return
    target = request.target
    if request.code == "WSAEADDRINUSE" and not any(_is_far(facts, a) for a in facts.targets):
        return  # a port of this machine is to be bound: there is nothing to be reached
    if "connect" in steps or "statistics" in steps:
        yield Job("statistics", BEFORE, StatisticsRequest())
    if target.host is not None and facts.names.has_name:
        yield Job("resolve", target.host, ResolveRequest(target.host, request.family))
        yield Job("hosts-file", target.host, HostsFileRequest(target.host))
    if target.service is not None:
        yield Job("services-file", target.service, ServicesFileRequest(target.transport, service=target.service))
    yield Job("interfaces", "", InterfacesRequest())
    yield Job("proxy", "", ProxyRequest(target.host))
    nameless = not facts.targets and not facts.names.resolving
    over_network = request.kind != "api-misuse" or "connect" in steps or nameless
    if over_network and steps & {"connect", "ping-remote", "check-dns"}:
        yield from _network(facts, steps)
    else:
        for address in facts.targets:
            yield Job("address", address, AddressRequest(address))
            if "path-mtu" in steps:
                yield Job("route", address, RouteRequest(address))
                yield Job("path-mtu", address, PathMtuRequest(address))
                yield from _shrinks(facts, address)


def _this_machine(facts: Facts, steps: set[str]) -> Iterator[Job]:
    """The steps that look at this machine's own resources."""
    request = facts.request
    if "network-subsystem" in steps:
        yield Job("network-subsystem", "", NetworkSubsystemRequest())
        yield Job("interfaces", "", InterfacesRequest())
    if "address-family" in steps:
        yield Job("address-family", "", AddressFamilyRequest(request.pid))
        yield from _named(facts)
    if "buffers" in steps:
        yield Job("buffers", "", BuffersRequest(request.pid))
    if "open-sockets" in steps or (request.pid is not None and "api-usage" in steps):
        watch_s = 1.0 if request.code == "WSAEMFILE" else 0.0
        yield Job("descriptors", "", DescriptorsRequest(request.pid, watch_s, request.target.transport))
    if "port-owner" in steps or request.code == "WSAEADDRNOTAVAIL":
        yield from _port(facts)
    if request.code == "WSAEACCES":
        for address in facts.targets:
            result = facts.peek("address", AddressResult, address)
            if result is not None and result.kind is AddressKind.BROADCAST:
                # Without SO_BROADCAST the kernel refuses it before anything is sent.
                port = facts.port or _DISCARD
                yield Job("datagram", f"{address} {port}", DatagramRequest(address, port))


def _named(facts: Facts) -> Iterator[Job]:
    """What the target's name and service name stand for on this machine."""
    target = facts.request.target
    if target.host is not None and facts.names.has_name:
        yield Job("resolve", target.host, ResolveRequest(target.host, facts.request.family))
        yield Job("hosts-file", target.host, HostsFileRequest(target.host))
    if target.service is not None:
        yield Job("services-file", target.service, ServicesFileRequest(target.transport, service=target.service))
    for address in facts.targets:
        yield Job("address", address, AddressRequest(address))


def _port(facts: Facts) -> Iterator[Job]:
    """Bind the port where the program would; for WSAEADDRNOTAVAIL the address, whoever it belongs to."""
    yield from _named(facts)
    request, target = facts.request, facts.request.target
    foreign = request.code == "WSAEADDRNOTAVAIL"
    # The address is in question, not the port: any port will do, so that none is refused for its own sake.
    port = 0 if foreign else facts.port
    if port is None:
        return
    own = [
        a
        for a in facts.targets
        if facts.machine.is_local(a) or _unspecified(a) or (foreign and _could_be_bound(facts, a))
    ]
    if target.host is None:
        own = [everywhere for everywhere in ("0.0.0.0", "::") if request.family in (None, family_of(everywhere))]
    for address in own:
        if port:
            yield Job("sockets", str(port), SocketsRequest(port, target.transport))
        subject = bind_subject(address, port)
        yield Job("bind", subject, BindRequest(address, port, target.transport, request.pid))


def _could_be_bound(facts: Facts, address: str) -> bool:
    """Whether the address is of a kind that a machine can have (known once its kind is)."""
    result = facts.peek("address", AddressResult, address)
    kinds = (AddressKind.UNICAST, AddressKind.LINK_LOCAL, AddressKind.LOOPBACK)
    return result is not None and result.kind in kinds and not result.zone_missing


def _is_far(facts: Facts, address: str) -> bool:
    """Whether the address is another machine's (known once its kind is)."""
    result = facts.peek("address", AddressResult, address)
    return result is not None and not result.local and result.kind is not AddressKind.UNSPECIFIED


def _unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(plain(host)).is_unspecified
    except ValueError:
        return False


def _network(facts: Facts, steps: set[str]) -> Iterator[Job]:
    """The target over the network, address by address."""
    target, port = facts.request.target, facts.port
    for address in (*facts.names.destinations, *facts.names.extra_targets):
        yield Job("address", address, AddressRequest(address))
        yield Job("route", address, RouteRequest(address))
    if not facts.targets:
        yield from _name_servers(facts)
    reachable = [a for a in facts.targets if _may_be_tried(facts, a)]
    if port is not None and port > 0:
        for address in reachable:
            yield _attempt(facts, address, port)
        for address in facts.names.extra_targets:
            if _may_be_tried(facts, address):
                yield _attempt(facts, address, port)
        registered = facts.request.service_port
        if registered is not None and registered != port:
            for address in reachable[:2]:
                yield _attempt(facts, address, registered)
    looked_into = _looked_into(facts, reachable)
    for address in looked_into:
        yield from _path(facts, address, port)
    yield from _around(facts, steps, looked_into)
    yield from _what_failed(facts)
    for address in looked_into:
        if facts.attempts.reach(address).reading is Reading.CONNECTED:
            if port is not None and target.transport == "tcp":
                yield from _once_connected(facts, address, port)
            else:
                yield from _losses(facts, address)
    for address in facts.targets:
        if port is not None and facts.machine.is_local(address) and _answered_or_quiet(facts, address):
            # After the attempt: a queue that was full then is full now, a listener that came later is not blamed.
            yield Job("sockets", str(port), SocketsRequest(port, target.transport))
    if "path-mtu" in steps:
        for address in looked_into[:1]:
            yield Job("path-mtu", address, PathMtuRequest(address))
            yield from _shrinks(facts, address)


def _may_be_tried(facts: Facts, address: str) -> bool:
    """Whether packets to the address make sense (known once its kind is)."""
    result = facts.peek("address", AddressResult, address)
    if result is None or facts.request.target.port == 0:
        return False
    if facts.request.code == "WSAEADDRINUSE" and result.local:
        return False  # the port is to be bound, and whoever has it is left alone
    never = {AddressKind.UNSPECIFIED, AddressKind.MULTICAST, AddressKind.BROADCAST, AddressKind.SUBNET_NETWORK}
    return result.kind not in never and not result.zone_missing


def _attempt(facts: Facts, address: str, port: int) -> Job:
    if facts.request.target.transport == "udp":
        return Job("datagram", f"{address} {port}", DatagramRequest(address, port, facts.request.question_hex))
    return Job("connect", f"{address} {port}", ConnectRequest(address, port))


def _answered_or_quiet(facts: Facts, address: str) -> bool:
    reach = facts.attempts.reach(address)
    return reach.decided or reach.heard_ms >= facts.threshold("look_around_ms")


def _looked_into(facts: Facts, reachable: list[str]) -> list[str]:
    """The addresses whose path is followed: the first of each family, and the one that fails first."""
    found: list[str] = []
    for family in (4, 6):
        found += [a for a in reachable if family_of(a) == family][:1]
    found.sort(key=reachable.index)
    focus = facts.attempts.focus
    if focus is not None and focus.failed and focus.address in reachable and focus.address not in found:
        found.append(focus.address)
    return found


def _path(facts: Facts, address: str, port: int | None) -> Iterator[Job]:
    if facts.unseen("route", address):
        yield Job("ping", address, PingRequest(address))  # a system whose routes cannot be read: that much is left
        return
    route = facts.link.peek_route(address)
    if route is None or route.kind not in (RouteKind.UNICAST, RouteKind.LOCAL):
        return
    yield Job("ping", address, PingRequest(address))
    if route.kind is RouteKind.LOCAL:
        return
    if route.on_link:
        yield Job("neighbours", address, NeighboursRequest((address,)))
    yield Job("traceroute", address, TracerouteRequest(address))
    if port is not None and facts.request.target.transport == "tcp":
        yield Job("tcp-path", f"{address} {port}", TcpPathRequest(address, port))


def _around(facts: Facts, steps: set[str], looked_into: list[str]) -> Iterator[Job]:
    """The reference's other pings: local host, router, beyond the router, the target's subnet."""
    request = facts.request
    for router in facts.link.routers:
        yield Job("ping", router, PingRequest(router))
        yield Job("neighbours", router, NeighboursRequest((router,)))
    if "ping-local-host" in steps:
        local_host = request.local_host or facts.link.guess_local_host()
        yield Job("neighbours", "", NeighboursRequest())
        if local_host is not None:
            yield Job("ping", local_host, PingRequest(local_host))
    for address in looked_into:
        route = facts.link.peek_route(address)
        if route is None or route.gateway is None or facts.machine.is_local(address):
            continue
        if "ping-beyond-router" in steps:
            beyond = facts.hops.router_at_by_trace(address, 2)
            if beyond is not None and plain(beyond) != plain(address):
                yield Job("ping", beyond, replace(PingRequest(beyond), silent_wait_s=1.0))
        if ("ping-remote-subnet" in steps and _answered_or_quiet(facts, address)) or _silent_so_far(facts, address):
            # Reports of guesses that are absent use up what the last router may say, also of the target.
            few = request.remote_neighbour is None and facts.attempts.reach(address).reading is Reading.CONNECTED
            for neighbour in facts.path.remote_neighbours(address):
                yield Job("ping", neighbour, PingRequest(neighbour, count=1) if few else PingRequest(neighbour))


def _silent_so_far(facts: Facts, address: str) -> bool:
    """Whether the target's own pings and the attempts have met silence long enough to look around it."""
    ping = facts.path.peek_ping(address)
    if ping is None or ping.received or any(e.icmp or e.failure for e in ping.echoes):
        return False
    reach = facts.attempts.reach(address)
    quiet = reach.reading in (Reading.UNDECIDED, Reading.SILENT)
    return quiet and ping.waited_ms >= facts.threshold("look_around_ms") and not facts.path.alive(address)


def _what_failed(facts: Facts) -> Iterator[Job]:
    """What only makes sense to ask once an attempt has failed, or has been silent for a while."""
    focus = facts.attempts.focus
    port = facts.port
    if focus is None:
        return
    quiet = focus.reading is Reading.UNDECIDED and focus.heard_ms >= facts.threshold("look_around_ms")
    route = facts.link.peek_route(focus.address)
    interfaces = facts.peek("interfaces", InterfacesResult)
    if _may_be_reported_later(facts, focus.address):
        yield Job("ping", second_look(focus.address), PingRequest(focus.address))
    if focus.failure in (Failure.ADDRESS_NOT_AVAILABLE, Failure.FAMILY_UNSUPPORTED) or focus.no_port_left:
        yield Job("descriptors", "", DescriptorsRequest(facts.request.pid, 0.0, facts.request.target.transport))
        yield Job("address-family", "", AddressFamilyRequest(facts.request.pid))
    if facts.machine.is_local(focus.address):
        if focus.failed:
            yield Job("network-subsystem", "", NetworkSubsystemRequest())
        return
    if not focus.failed and not quiet:
        return
    if focus.reading is Reading.RESET and port is not None and route is not None and not route.on_link:
        ping = facts.path.peek_ping(focus.address)
        expected = tuple({e.reply_ttl for e in (ping.echoes if ping else ()) if e.reply_ttl is not None})
        if expected or ("ping", focus.address) not in facts.running:
            request = AnswerTtlRequest(focus.address, port, rtt_ms=focus.heard_ms, expected=expected)
            yield Job("answer-ttl", f"{focus.address} {port}", request)
        if ("tcp-path", f"{focus.address} {port}") not in facts.running:
            yield Job("tcp-path", f"{second_look(focus.address)} {port}", TcpPathRequest(focus.address, port))
    yield from _flows(facts, focus.address)
    yield from _drop_point(facts, focus)
    if not facts.request.privileged:
        yield from _own_filter(facts, focus, quiet=quiet)
        return
    if (
        port is not None
        and facts.request.target.transport == "tcp"
        and (quiet or focus.reading in (Reading.SILENT, Reading.RESET))
    ):
        yield Job("wire", f"{focus.address} {port}", WireRequest(focus.address, port))
    if (
        port is not None
        and facts.request.target.transport == "tcp"
        and (quiet or focus.reading is Reading.SILENT)
        and facts.path.alive(focus.address)
    ):
        yield Job("stray-ack", f"{focus.address} {port}", StrayAckRequest(focus.address, port))
    if route is None or interfaces is None:
        return
    if route.kind is RouteKind.UNICAST and route.on_link and route.interface is not None:
        if (quiet or focus.reading in (Reading.ICMP, Reading.SILENT, Reading.LOCAL)) and not facts.path.alive(
            focus.address
        ):
            router = next((d.gateway for d in route.defaults if d.gateway), None)
            yield Job("link", focus.address, LinkRequest(focus.address, route.interface, router))
        return
    name = route.interface or _nearest_interface(interfaces, focus.address)
    near = name is not None and _could_be_local(interfaces, name, focus.address)
    answered = facts.path.alive(focus.address) or (
        focus.icmp is not None and not facts.machine.is_own(focus.icmp.sender)
    )
    if (
        near
        and name is not None
        and not answered
        and (quiet or focus.reading in (Reading.LOCAL, Reading.ICMP, Reading.SILENT))
    ):
        yield Job("link", focus.address, LinkRequest(focus.address, name, None))


def _once_connected(facts: Facts, address: str, port: int) -> Iterator[Job]:
    """What only makes sense to ask of a port that accepts connections."""
    request = facts.request
    rtt_s = max(facts.path.rtt_ms(address), facts.attempts.reach(address).heard_ms) / 1000
    greets = request.tls or request.speaks_first
    if greets or facts.service.established:
        # A greeting may wait for a look-up of our name; whoever does not greet ends a connection at once, or not.
        wait_ms = facts.threshold("greeting_ms") + 200 if greets else facts.threshold("hang_up_ms")
        name = None if facts.names.is_literal else request.target.host
        ask = ServiceRequest(address, port, wait_ms / 1000 + 4 * rtt_s, tls=request.tls, server_name=name)
        yield Job("service", facts.service.subject(address), ask)
    yield from _flows(facts, address)
    yield from _losses(facts, address)
    stuck = facts.service.peek(address)
    stuck_now = stuck is not None and stuck.outcome is ServiceOutcome.SILENT and stuck.waited_ms >= 1000
    # on a slow path it takes long, and silence of an open connection says little
    asked = facts.service.stalls(address) and (facts.service.established or not facts.path.slow(address))
    if (asked or (greets and stuck_now)) and not facts.machine.is_local(address):
        yield from _large_packets(facts, address, port, rtt_s)
    try:
        early = facts.hops.accepted_early(address)
    except NotYet:
        return
    ping = facts.path.peek_ping(address)
    seen = {e.reply_ttl for e in (ping.echoes if ping else ()) if e.reply_ttl is not None}
    if early is not None and (seen or ("ping", address) not in facts.running or facts.hops.dies_at(address, early)):
        likely = tuple(start - early + 1 for start in (64, 255, 128))
        request_ = AnswerTtlRequest(
            address, port, rtt_ms=facts.attempts.reach(address).heard_ms, expected=(*seen, *likely)
        )
        yield Job("answer-ttl", f"{address} {port}", request_)


def _large_packets(facts: Facts, address: str, port: int, rtt_s: float) -> Iterator[Job]:
    """Do packets as long as the interface's get through, in a real transfer and by themselves, and how far?

    The transfer's first connection is made before any size is tried: what routers then say teaches the kernel a smaller
    one, and connections made afterwards would be spared what the program met.
    """
    request, subject = facts.request, f"{address} {port}"
    dialogue = Dialogue.TLS if request.tls else Dialogue.SAY if request.say_hex else Dialogue.LISTEN
    name = None if facts.names.is_literal else request.target.host
    yield Job("transfer", subject, TransferRequest(address, port, dialogue, request.say_hex, name, rtt_ms=rtt_s * 1000))
    if facts.observation("transfer", subject) is None:
        return
    if facts.path.alive(address):
        yield Job("path-mtu", address, PathMtuRequest(address, wait_s=max(0.5, 3 * rtt_s)))
    yield from _shrinks(facts, address)


def _shrinks(facts: Facts, address: str) -> Iterator[Job]:
    """Up to which hop do packets get that do not arrive?"""
    sizes, hops = facts.service.hole(address), facts.hops.distance(address)
    if sizes is None or (facts.path.peek_trace(address) is not None and not facts.hops.last_hop(address) and hops != 1):
        return
    silent = tuple(ttl for ttl in range(1, hops or 1) if facts.hops.router_at(address, ttl) is None)
    yield Job("mtu-hop", address, MtuHopRequest(address, *sizes, hops, facts.path.rtt_ms(address), silent))


def _flows(facts: Facts, address: str) -> Iterator[Job]:
    """Does it depend on the source port whether a connection is made?"""
    request = flows.called_for(facts, address)
    if request is not None:
        yield Job("flows", facts.endpoint(address), request)


def _drop_point(facts: Facts, focus: Reach) -> Iterator[Job]:
    """Where SYNs are heard of less far than the host is: do they vanish there, or do the routers only say little?"""
    subject = facts.endpoint(focus.address)
    path = facts.peek("tcp-path", TcpPathResult, subject)
    distance = facts.hops.distance(focus.address)
    ended = path is not None and ("tcp-path", subject) not in facts.running
    if focus.reading is not Reading.SILENT or facts.port is None or path is None or not ended or distance is None:
        return
    if path.final is None and path.passed_ttl < distance - 1:
        rtt_ms = max(1.0, facts.path.rtt_ms(focus.address))
        request = DropPointRequest(focus.address, facts.port, path.passed_ttl + 1, distance - 1, rtt_ms)
        yield Job("drop-point", subject, request)


def _losses(facts: Facts, address: str) -> Iterator[Job]:
    """Series that tell a loss in numbers, and where there is one, after which hop it begins."""
    try:
        for series in loss_series.series(facts, address):
            yield Job(series.probe, series.subject, series.request)
        if loss_series.weight(facts, address) in ("certain", "likely"):
            place = loss_series.search(facts, address)
            for series in place if isinstance(place, tuple) else ():
                yield Job(series.probe, series.subject, series.request)
    except NotYet:
        return


def _own_filter(facts: Facts, focus: Reach, *, quiet: bool) -> Iterator[Job]:
    """Without root: does a connection that meets silence, or a reset from hop 1, leave this machine at all?"""
    route = facts.link.peek_route(focus.address)
    if facts.request.target.transport != "tcp" or facts.port is None or route is None or route.interface is None:
        return
    path = facts.peek("tcp-path", TcpPathResult, facts.endpoint(focus.address))
    at_once = focus.reading is Reading.RESET and path is not None and path.final_ttl == 1 and not route.on_link
    if quiet or focus.reading is Reading.SILENT or at_once:
        rtt_ms = max(1.0, facts.path.rtt_ms(focus.address))
        request = OwnFilterRequest(focus.address, facts.port, route.interface, rtt_ms)
        yield Job("own-filter", facts.endpoint(focus.address), request)


def _may_be_reported_later(facts: Facts, address: str) -> bool:
    """Whether pings that met silence are worth repeating before anything is concluded from it.

    A path that is slow loses its first seconds to address resolution at every router. And a router may have kept
    back its report of a dead host: a Linux router sends six in a row and then one a second, and questions to a dead
    name server behind it use them up.
    """
    first = facts.peek("ping", PingResult, address)
    ended = first is not None and ("ping", address) not in facts.running
    quiet = first is not None and not first.received and not any(e.icmp or e.failure for e in first.echoes)
    route = facts.link.peek_route(address)
    gateway = gateway_of(route) if route is not None else None
    if not ended or not quiet or gateway is None or facts.path.alive(address):
        return False
    undecided = facts.attempts.reach(address).reading in (Reading.UNDECIDED, Reading.SILENT)
    return undecided and not neighbour_dead(facts.link.peek_neighbour(gateway))


def _could_be_local(interfaces: InterfacesResult, name: str, address: str) -> bool:
    """Whether a mask that is too narrow could be what keeps the address from being local (same /16 or /48)."""
    prefix = 16 if family_of(address) == 4 else 48
    wanted_ = ipaddress.ip_network(f"{plain(address)}/{prefix}", strict=False)
    return any(
        found.name == name and ipaddress.ip_address(plain(own.address)) in wanted_
        for found in interfaces.interfaces
        for own in found.addresses
        if own.family == family_of(address)
    )


def _nearest_interface(interfaces: InterfacesResult, address: str) -> str | None:
    """The interface whose own addresses begin like the target's."""
    best: tuple[int, str] | None = None
    wanted_ = int(ipaddress.ip_address(plain(address)))
    for found in interfaces.interfaces:
        for own in found.addresses if not found.loopback and found.up else ():
            if own.family == family_of(address):
                distance = wanted_ ^ int(ipaddress.ip_address(plain(own.address)))
                if best is None or distance < best[0]:
                    best = (distance, found.name)
    return best[1] if best is not None else None


def _name_servers(facts: Facts) -> Iterator[Job]:
    """The name leads nowhere yet: is the way to the name servers clear, and are they there?

    Whoever has been silent for a moment is looked for while it is awaited: its neighbour's silence takes the kernel
    three seconds to establish, about as long as the resolver takes to give up.
    """
    for server in facts.names.destinations:
        if server in facts.names.awaited or facts.names.server_responds(server) is False:
            yield Job("ping", server, PingRequest(server, silent_wait_s=2.0))
            route = facts.link.peek_route(server)
            if route is not None and route.on_link:
                yield Job("neighbours", server, NeighboursRequest((server,)))
