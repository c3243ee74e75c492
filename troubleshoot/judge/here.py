"""Rules of this machine and its own network: interfaces, routes, mask, filter, files, router, neighbours."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator

from msgspec.structs import replace

from probes.address import AddressKind
from probes.base import Note, note
from probes.failure import Failure, IcmpMeaning
from probes.interfaces import Interface
from probes.own_filter import OwnFilterResult
from probes.resolve import Answer
from probes.route import RouteKind, RouteResult
from probes.sockets import SocketEntry, SocketsResult
from probes.tcp_path import TcpAnswer
from probes.wire import WireResult
from troubleshoot.facts import Facts, Reach, Reading, describe, family_of, gateway_of, neighbour_dead, plain
from troubleshoot.judge.model import Finding, rule, values
from troubleshoot.judge.ports import place
from troubleshoot.report import Confidence

_FORBIDDING = frozenset({RouteKind.PROHIBIT, RouteKind.UNREACHABLE, RouteKind.BLACKHOLE})
_NEVER = frozenset({AddressKind.UNSPECIFIED, AddressKind.MULTICAST, AddressKind.BROADCAST, AddressKind.SUBNET_NETWORK})


def _connected(facts: Facts) -> bool:
    """Whether some address answers: then nothing on this machine stops the target."""
    return any(r.reading is Reading.CONNECTED for r in facts.attempts.reaches())


def _routes(facts: Facts) -> Iterator[tuple[str, RouteResult]]:
    """The first destinations with the way that the kernel would send packets there.

    An address that stands for every one of this machine, or for one on a link that is not named, has no way to be
    judged, whatever the kernel looks up.
    """
    for address in facts.names.destinations[:2]:
        route = facts.link.route(address)
        if (
            route is None
            or facts.machine.kind(address) is AddressKind.UNSPECIFIED
            or facts.machine.zone_missing(address)
        ):
            continue
        yield address, route


def _said(facts: Facts, found: Reach) -> tuple[str, Note]:
    return (
        "connect" if facts.port else "ping-remote",
        describe.reach(found, facts.port, facts.request.target.transport),
    )


def _tried(facts: Facts, address: str) -> tuple[tuple[str, Note], ...]:
    """The failed attempt at ``address``, where it was tried."""
    if address not in facts.targets:
        return ()
    found = facts.attempts.reach(address)
    return (_said(facts, found),) if found.failed else ()


@rule("address-invalid")
def address_invalid(facts: Facts) -> Finding | None:
    """The destination can never be connected to, whatever the network does."""
    target = facts.request.target
    if facts.request.code == "WSAEADDRINUSE" or target.host is None:
        return None
    # Access is refused where a port is to be bound everywhere, and to a broadcast address without SO_BROADCAST: both
    # can be used, and have causes of their own.
    usable = {AddressKind.UNSPECIFIED, AddressKind.BROADCAST} if facts.request.code == "WSAEACCES" else set()
    address = next(iter(facts.targets), target.host)
    kind, variant = None, "default"
    if target.port == 0 or facts.port == 0:
        kind, variant = "port 0", "port"
    else:
        for candidate in facts.targets:
            sort = facts.machine.kind(candidate)
            never = (
                sort in _NEVER
                and sort not in usable
                and not (target.transport == "udp" and sort is AddressKind.MULTICAST)
            )
            if not never and not facts.machine.zone_missing(candidate):
                return None
            address, kind = candidate, "link-local without %interface" if not never else (sort.value if sort else None)
            variant = "zone" if not never else "unspecified" if sort is AddressKind.UNSPECIFIED else "default"
    if kind is None:
        return None
    return Finding(
        cause="address-invalid",
        confidence="certain",
        scope="this-machine",
        step="address-valid",
        evidence=(("address-valid", note("fact.address-never", address=address, kind=kind)),),
        values=values(address=address, kind=kind),
        variant=variant,
        address=address,
    )


def _carriers(facts: Facts, family: int) -> tuple[list[Interface], list[Interface]]:
    """The non-loopback interfaces that can carry ``family`` now, and those that cannot."""
    good: list[Interface] = []
    bad: list[Interface] = []
    for found in facts.machine.interfaces():
        if found.loopback:
            continue
        able = [
            a
            for a in found.addresses
            if a.family == family and not ipaddress.ip_address(plain(a.address)).is_link_local
        ]
        (good if found.up and found.carrier is not False and able else bad).append(found)
    return good, bad


def _holds(found: Interface, address: str) -> bool:
    """Whether the address lies in one of the interface's own subnets."""
    wanted = ipaddress.ip_address(plain(address))
    return any(
        wanted in ipaddress.ip_interface(f"{plain(a.address)}/{a.prefix}").network
        for a in found.addresses
        if a.family == wanted.version
    )


@rule("interface-down")
def interface_down(facts: Facts) -> Finding | None:
    """The interface that would carry the traffic is down, has no carrier or has no usable address."""
    if _connected(facts):
        return None
    for address, route in _routes(facts):
        if route.kind is RouteKind.LOCAL:
            continue
        at_fault = _interface_at_fault(facts, address, route)
        if at_fault is not None:
            return Finding(
                cause="interface-down",
                confidence="certain",
                scope="this-machine",
                step="interface",
                evidence=(
                    ("interface", describe.interface(at_fault)),
                    ("router-configured", describe.route(route)),
                    *_tried(facts, address),
                ),
                values=values(interface=at_fault.name),
            )
    return None


def _interface_at_fault(facts: Facts, address: str, route: RouteResult) -> Interface | None:
    family = family_of(address)
    good, bad = _carriers(facts, family)
    if route.kind is RouteKind.UNICAST:
        used = next((i for i in facts.machine.interfaces() if i.name == route.interface), None)
        return used if used is not None and not used.loopback and (not used.up or used.carrier is False) else None
    if route.kind is not RouteKind.NONE:
        return None
    # An interface that is down keeps its IPv4 addresses and loses its routes: its own subnet was meant.
    owner = next((i for i in bad if _holds(i, address)), None)
    if owner is not None:
        return owner
    other_family, _ = _carriers(facts, 10 - family)
    if good or other_family or not bad:
        return None
    return min(bad, key=lambda i: (i.up and i.carrier is not False, not i.addresses, i.index))


@rule("no-route")
def no_route(facts: Facts) -> Finding | None:
    """The routing table itself forbids the destination."""
    if _connected(facts):
        return None
    for address, route in _routes(facts):
        if route.kind in _FORBIDDING:
            return Finding(
                cause="no-route",
                confidence="certain",
                scope="this-machine",
                step="router-configured",
                evidence=(("router-configured", describe.route(route)), *_tried(facts, address)),
                values=values(address=address, kind=route.kind.value, found=route.matched),
            )
    return None


@rule("no-default-route")
def no_default_route(facts: Facts) -> Finding | None:
    """No route matches, and no router is configured that could take the packets."""
    if _connected(facts):
        return None
    for address, route in _routes(facts):
        if route.kind is not RouteKind.NONE or any(d.gateway for d in route.defaults):
            continue
        if _interface_at_fault(facts, address, route) is not None:
            continue
        return Finding(
            cause="no-default-route",
            confidence="certain",
            scope="this-machine",
            step="router-configured",
            evidence=(("router-configured", describe.route(route)), *_tried(facts, address)),
            values=values(address=address),
        )
    return None


def _same_conventional_subnet(one: str, other: str) -> bool:
    """Whether two addresses share what is a subnet nearly everywhere: an IPv4 /24, an IPv6 /64."""
    prefix = 24 if family_of(one) == 4 else 64
    network = ipaddress.ip_network(f"{plain(one)}/{prefix}", strict=False)
    return ipaddress.ip_address(plain(other)) in network


@rule("wrong-subnet-mask")
def wrong_subnet_mask(facts: Facts) -> Finding | None:
    """The mask makes a remote address look local, or the router (or a local address) look remote."""
    if _connected(facts):
        return None
    for address, route in _routes(facts):
        if route.kind in (RouteKind.LOCAL, *_FORBIDDING):
            continue
        found = _too_wide(facts, address, route) if route.on_link else _too_narrow(facts, address, route)
        if found is not None:
            return found
    return None


def _own_mask(facts: Facts, route: RouteResult) -> str | None:
    used = next((i for i in facts.machine.interfaces() if i.name == route.interface), None)
    for own in used.addresses if used else ():
        if route.source is None or plain(own.address) == plain(route.source):
            return f"{own.address}/{own.prefix}"
    return None


def _too_wide(facts: Facts, address: str, route: RouteResult) -> Finding | None:
    if not facts.attempts.absent_on_link(address):
        return None
    link = facts.link.on_wire(address)
    way, tried = ("subnet-mask", describe.route(route)), _tried(facts, address)
    found = Finding(
        cause="wrong-subnet-mask",
        confidence="possible",
        scope="this-machine",
        step="subnet-mask",
        evidence=(way, *tried),
        values=values(address=address, interface=route.interface, mask=_own_mask(facts, route)),
    )
    if link is not None and link.mac is None and (link.via_router or link.via_router_icmp is not None):
        shown = (way, ("subnet-mask", describe.link(link)), *tried)
        return replace(found, confidence="certain" if link.via_router else "likely", evidence=shown)
    if link is not None and link.via_router is False:
        return None
    source = route.source or (route.defaults[0].gateway if route.defaults else None)
    if not any(d.gateway for d in route.defaults) or source is None or _same_conventional_subnet(source, address):
        return None
    return found


def _too_narrow(facts: Facts, address: str, route: RouteResult) -> Finding | None:
    link = facts.link.on_wire(address)
    name = route.interface or (link.interface if link else None)
    way, tried = describe.route(route), _tried(facts, address)
    found = Finding(
        cause="wrong-subnet-mask",
        confidence="possible",
        scope="this-machine",
        step="subnet-mask",
        evidence=tried,
        values=values(address=address, interface=name, mask=_own_mask(facts, route) or _any_mask(facts, name)),
        variant="narrow",
    )
    if link is not None and link.mac is not None and link.mac != _router_mac(facts):
        shown = (("subnet-mask", way), ("subnet-mask", describe.link(link)), *tried)
        return replace(found, confidence="certain", evidence=shown)
    router = facts.request.router or route.gateway
    if router is None or family_of(router) == 6:
        return None
    outside = (("subnet-mask", note("fact.router-outside", router=router)), ("router-configured", way), *tried)
    if route.kind is RouteKind.NONE and facts.request.router is not None and not _in_a_subnet(facts, router):
        near = any(
            a.family == family_of(router) and _same_conventional_subnet(a.address, router)
            for i in facts.machine.interfaces()
            for a in i.addresses
        )
        return replace(found, confidence="likely" if near else "possible", evidence=outside)
    if route.gateway is not None and route.gateway_on_link is False:
        # A router outside every subnet is also how some providers hand out single addresses: it has to be dead, or
        # the target where a usual mask would make it local, before the mask is suspected.
        dead = neighbour_dead(facts.link.neighbour(gateway_of(route) or route.gateway))
        near = route.source is not None and _same_conventional_subnet(route.source, address)
        if not dead and not (near and facts.attempts.blocked()):
            return None
        outside = (("subnet-mask", note("fact.router-outside", router=route.gateway)), *tried)
        return replace(found, confidence="likely" if dead else "possible", evidence=outside)
    return None


def _in_a_subnet(facts: Facts, address: str) -> bool:
    return any(_holds(found, address) for found in facts.machine.interfaces())


def _router_mac(facts: Facts) -> str | None:
    """The link address of the router: one that answers for the target too is doing proxy ARP (RFC 1027)."""
    return next((n.mac for r in facts.link.routers if (n := facts.link.peek_neighbour(r)) is not None and n.mac), None)


def _any_mask(facts: Facts, name: str | None) -> str | None:
    for found in facts.machine.interfaces():
        if not found.loopback and (name is None or found.name == name) and found.addresses:
            return f"{found.addresses[0].address}/{found.addresses[0].prefix}"
    return None


@rule("local-firewall")
def local_firewall(facts: Facts) -> Finding | None:
    """This machine's own filter refuses or drops the traffic."""
    if _connected(facts):
        return None
    if facts.names.unresolved():
        return _filtered_questions(facts)
    focus = facts.attempts.focus
    if focus is None or facts.port is None:
        return _filtered_without_port(facts, focus)
    route = facts.link.route(focus.address)
    base: tuple[tuple[str, Note], ...] = (_said(facts, focus),)
    common = {"scope": "this-machine", "step": "connect", "values": values(address=focus.address, port=facts.port)}
    forbidden = route is not None and route.kind in _FORBIDDING
    if (
        focus.reading is Reading.LOCAL
        and focus.failure in (Failure.NOT_PERMITTED, Failure.ACCESS_DENIED)
        and not forbidden
    ):
        sort = facts.machine.kind(focus.address)
        if sort is not AddressKind.BROADCAST:
            return Finding(cause="local-firewall", confidence="certain", evidence=base, **common)  # type: ignore[arg-type]
    if focus.reading is Reading.ICMP and focus.icmp is not None and facts.machine.is_own(focus.icmp.sender):
        refusal = focus.icmp.meaning in (IcmpMeaning.PORT_UNREACHABLE, IcmpMeaning.PROHIBITED)
        if refusal and not (facts.machine.is_local(focus.address) and facts.request.target.transport == "udp"):
            return Finding(cause="local-firewall", confidence="certain", evidence=base, **common)  # type: ignore[arg-type]
    if facts.request.target.transport != "tcp":
        return None
    if facts.machine.is_local(focus.address):
        return _filtered_to_self(facts, focus, base)
    if not facts.attempts.decided_reach(focus.address).failed or focus.reading not in (Reading.SILENT, Reading.RESET):
        return None
    wire = facts.get("wire", WireResult, facts.endpoint(focus.address))
    if wire is not None:
        eaten = wire.answer_in in ("syn-ack", "reset") and not wire.socket_heard
        if (wire.syns_out == 0 and not wire.unresolved) or eaten:
            seen = (*base, ("connect", describe.wire(wire)))
            return Finding(cause="local-firewall", confidence="certain", evidence=seen, **common)  # type: ignore[arg-type]
        return None
    path = facts.path.tcp_path(focus.address)
    trace = facts.path.trace(focus.address)
    if path is None or trace is None or route is None:
        return None
    seen = (*base, ("connect", describe.tcp_path(path)), ("traceroute", describe.trace(trace)))
    counted = facts.get("own-filter", OwnFilterResult, facts.endpoint(focus.address))
    if counted is not None and (facts.path.alive(focus.address) or facts.hops.last_hop(focus.address)):
        stopped = _stopped_here(facts, counted, focus)
        if stopped is not None:
            fact, confidence = stopped
            seen = (*base, ("connect", fact))
            return Finding(cause="local-firewall", confidence=confidence, evidence=seen, **common)  # type: ignore[arg-type]
        if counted.control is not None and counted.control.sent:
            return None
    if route.on_link:
        return None
    first = facts.hops.router_at_by_trace(focus.address, 1)
    vanishes = focus.reading is Reading.SILENT and first is not None and path.passed_ttl == 0 and path.final is None
    reset_at_once = focus.reading is Reading.RESET and path.final is TcpAnswer.RESET and path.final_ttl == 1
    if not vanishes and not reset_at_once:
        return None
    # A SYN with TTL 1 is dropped or refused before the first router could say "time exceeded"; other packets are not.
    also = (("firewall-drop" if vanishes else "firewall-reset", note("verdict.open-first-router")),)
    return Finding(cause="local-firewall", confidence="possible", evidence=seen, also=also, **common)  # type: ignore[arg-type]


def _stopped_here(facts: Facts, counted: OwnFilterResult, focus: Reach) -> tuple[Note, Confidence] | None:
    """What the interface's counters say: SYNs that never left, or answers that came and were not let in."""
    name = counted.interface
    kept_up = counted.control is not None and counted.control.sent > 0
    if kept_up and any(r.sent == 0 for r in counted.attempts):
        # Other traffic can only raise the count: one round without a packet sent is proof.
        return note("fact.wire-nothing-left", interface=name), "certain"
    chance = by_chance(counted) if focus.reading is Reading.SILENT else None
    if kept_up and chance is not None and chance <= facts.threshold("counted_chance"):
        return note("fact.counted-eaten", interface=name), "likely"
    return None


def by_chance(counted: OwnFilterResult) -> float | None:
    """How likely something unrelated arrived in every round with a connect and in no more idle rounds than it did.

    Fisher's exact test (one-sided) on rounds with and without arrivals; ``None`` where some connect was followed by
    nothing, so that no answer arrived.
    """
    tried, idle = len(counted.attempts), len(counted.idle)
    if not tried or any(r.received == 0 for r in counted.attempts):
        return None
    noisy = sum(r.received > 0 for r in counted.idle)
    return math.comb(idle, noisy) / math.comb(tried + idle, tried + noisy)


def _filtered_to_self(facts: Facts, focus: Reach, base: tuple[tuple[str, Note], ...]) -> Finding | None:
    """Silence towards this machine itself: its filter, unless loopback is down or the queue is full."""
    if focus.reading is not Reading.SILENT or facts.machine.loopback_down() or facts.machine.full_queue(facts.port):
        return None
    return Finding(
        cause="local-firewall",
        confidence="likely",
        scope="this-machine",
        step="connect",
        evidence=base,
        values=values(address=focus.address, port=facts.port),
    )


def _filtered_questions(facts: Facts) -> Finding | None:
    """Every question to every name server was stopped on this machine (EPERM: the outgoing filter drops it)."""
    answers = [a for s in facts.names.servers for a in facts.names.answers_of(s)]
    stopped = [a for a in answers if a.errno == "EPERM" and a.icmp_sender is None]
    if not stopped or len(stopped) < len(answers):
        return None
    first = stopped[0]
    return Finding(
        cause="local-firewall",
        confidence="certain",
        scope="this-machine",
        step="check-dns" if "check-dns" in facts.request.steps else "resolve-name",
        evidence=(
            ("check-dns", describe.server_answer(first)),
            ("check-dns", note("fact.stopped-here", errno="EPERM")),
        ),
        values=values(address=first.server, port=first.port),
    )


def _filtered_without_port(facts: Facts, focus: Reach | None) -> Finding | None:
    if focus is None or focus.failure is not Failure.NOT_PERMITTED:
        return None
    return Finding(
        cause="local-firewall",
        confidence="possible",
        scope="this-machine",
        step="ping-remote",
        evidence=(_said(facts, focus),),
        values=values(address=focus.address),
    )


@rule("stale-hosts-entry")
def stale_hosts_entry(facts: Facts) -> Finding | None:
    """The hosts file leads to an address that fails, and the name service gives another."""
    if not facts.names.has_name or not facts.names.hosts_override() or not facts.attempts.blocked():
        return None
    result = facts.names.resolved()
    hosts = facts.names.hosts_file()
    if result is None or hosts is None:
        return None
    listed = {plain(e.address) for e in hosts.entries}
    known = {plain(a) for answer in result.answers if answer.answer is Answer.ADDRESSES for a in answer.addresses}
    used = [a for a in facts.targets if plain(a) in listed]
    if not known or not used or any(plain(a) in known for a in used):
        return None
    tried = [facts.attempts.decided_reach(a) for a in facts.names.extra_targets]
    living = [r for r in tried if r.reading is Reading.CONNECTED]
    entry = next(e for e in hosts.entries if plain(e.address) == plain(used[0]))
    expected = (
        living[0].address if living else facts.names.extra_targets[0] if facts.names.extra_targets else min(known)
    )
    return Finding(
        cause="stale-hosts-entry",
        confidence="certain" if living else "likely",
        scope="this-machine",
        step="hosts-file" if "hosts-file" in facts.request.steps else "resolve-name",
        evidence=(
            (
                "hosts-file",
                note("fact.hosts-entry", path=hosts.path, line=entry.line, address=entry.address, name=result.name),
            ),
            ("resolve-name", note("fact.dns-says", name=result.name, addresses=", ".join(sorted(known)))),
            *((_said(facts, facts.attempts.reach(used[0])),)),
            *(_said(facts, r) for r in living[:1]),
        ),
        values=values(name=result.name, found=entry.address, expected=expected, line=entry.line, file=hosts.path),
        address=entry.address,
    )


@rule("services-entry-wrong")
def services_entry_wrong(facts: Facts) -> Finding | None:
    """The services file gives the service a port that is not the registered one, and that port fails."""
    registered, service = facts.request.service_port, facts.request.target.service
    file = facts.names.services_file()
    if service is None or registered is None or file is None or file.resolved_port in (None, registered):
        return None
    if facts.names.unresolved() or not facts.attempts.blocked():
        return None
    tried = [facts.attempts.decided_reach(a, registered) for a in facts.attempts.usable[:2]]
    living = [r for r in tried if r.reading is Reading.CONNECTED]
    focus = facts.attempts.focus
    entry = next((e for e in file.entries if e.port == file.resolved_port), None)
    return Finding(
        cause="services-entry-wrong",
        confidence="certain" if living else "likely",
        scope="this-machine",
        step="services-file" if "services-file" in facts.request.steps else "connect",
        evidence=(
            (
                "services-file",
                note(
                    "fact.services-entry",
                    path=file.path,
                    line=entry.line if entry else "?",
                    service=service,
                    port=file.resolved_port,
                ),
            ),
            *(((_said(facts, focus)),) if focus else ()),
            *(("connect", describe.reach(r, registered)) for r in living[:1]),
        ),
        values=values(service=service, found=file.resolved_port, expected=registered, file=file.path),
    )


def _listeners(facts: Facts) -> tuple[SocketEntry, ...]:
    result = facts.get("sockets", SocketsResult, str(facts.port))
    states = ("listen",) if facts.request.target.transport == "tcp" else ("unconnected", "close", "bound", "listen")
    return tuple(e for e in result.entries if e.state in states) if result is not None else ()


@rule("listener-on-other-address")
def listener_on_other_address(facts: Facts) -> Finding | None:
    """The target is this machine and the service listens, but on another address or family."""
    focus = facts.attempts.focus
    if focus is None or facts.port is None or not facts.machine.is_local(focus.address) or not facts.attempts.blocked():
        return None
    if focus.reading not in (Reading.RESET, Reading.ICMP):
        return None
    elsewhere = [e for e in _listeners(facts) if plain(e.local_address) != plain(focus.address)]
    if not elsewhere:
        return None
    found = ", ".join(dict.fromkeys(place(e) for e in elsewhere))
    owner = next((o for e in elsewhere for o in e.owners), None)
    process = describe.process(owner.name, owner.pid) if owner else None
    return Finding(
        cause="listener-on-other-address",
        confidence="certain",
        scope="this-machine",
        step="listeners" if "listeners" in facts.request.steps else "connect",
        evidence=(("listeners", note("fact.listening", where=found, process=process or "?")), _said(facts, focus)),
        values=values(address=focus.address, port=facts.port, found=found),
        address=focus.address,
    )


@rule("router-down")
def router_down(facts: Facts) -> Finding | None:
    """The router that the packets need does not answer at link level."""
    if _connected(facts):
        return None
    for address, route in _routes(facts):
        if route.gateway is None or route.kind is not RouteKind.UNICAST:
            continue
        if facts.targets and (facts.path.alive(address) or facts.hops.last_hop(address)):
            continue  # something came back by way of it
        neighbour = facts.link.neighbour(gateway_of(route) or route.gateway)
        if neighbour is None or not neighbour_dead(neighbour):
            continue
        used = next((i for i in facts.machine.interfaces() if i.name == route.interface), None)
        if used is not None and used.carrier is False:
            continue
        return Finding(
            cause="router-down",
            confidence="certain",
            scope="local-network",
            step="ping-router" if "ping-router" in facts.request.steps else "connect",
            evidence=(
                ("ping-router", describe.neighbour(neighbour)),
                ("router-configured", describe.route(route)),
                *_tried(facts, address),
            ),
            values=values(router=route.gateway, interface=route.interface),
            hop=1,
            address=route.gateway,
        )
    return None
