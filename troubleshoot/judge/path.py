"""Rules of the path and of the far end: who answered, who did not, and from where."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from probes.base import Note, note
from probes.drop_point import DropPointResult
from probes.failure import Failure, IcmpError, IcmpMeaning
from probes.own_filter import OwnFilterResult
from probes.ping import PingResult
from probes.route import RouteKind
from probes.stray_ack import StrayAckResult
from probes.tcp_path import TcpAnswer, TcpPathResult
from probes.traceroute import TracerouteResult
from troubleshoot.facts import (
    UNREACHABLE,
    Facts,
    Reach,
    Reading,
    describe,
    family_of,
    gateway_of,
    is_loopback,
    neighbour_alive,
    neighbour_dead,
    plain,
)
from troubleshoot.judge import forwarded, one_way
from troubleshoot.judge.distance import routers_back, same_way_back
from troubleshoot.judge.here import by_chance
from troubleshoot.judge.model import Finding, rule, values
from troubleshoot.judge.witness import failing, path_said, said, step_of
from troubleshoot.report import Confidence


def _general_icmp(facts: Facts, address: str, error: IcmpError) -> bool | None:
    """Whether other packets than the port's meet the same refusal: ``None`` where nothing else was heard."""
    ping = facts.path.ping(address)
    trace = facts.path.peek_trace(address)
    if ping is not None and ping.received:
        return False
    if trace is not None and trace.reached_ttl is not None:
        return False
    others = [e.icmp for e in (ping.echoes if ping else ()) if e.icmp is not None]
    if trace is not None and trace.ended_by is not None:
        others.append(trace.ended_by)
    if any(o.meaning in UNREACHABLE and o.sender == error.sender for o in others):
        return True
    return None


def _router_error(facts: Facts, found: Reach) -> IcmpError | None:
    """The ICMP error behind the failure, where another machine than this one sent it."""
    error = found.icmp or _told_to_syn(facts, found)
    return error if error is not None and not facts.machine.is_own(error.sender) else None


def _told_to_syn(facts: Facts, found: Reach) -> IcmpError | None:
    """What a SYN of the walk up the TTLs was told where the attempts met silence: routers limit their answers."""
    if found.reading is not Reading.SILENT or facts.port is None or facts.request.target.transport != "tcp":
        return None
    path = facts.path.tcp_path(found.address)
    if path is None or path.final is not TcpAnswer.ICMP:
        return None
    return next((hop.icmp for hop in path.hops if hop.answer is TcpAnswer.ICMP), None)


def _told_to_others(facts: Facts, found: Reach) -> IcmpError | None:
    """What pings or traceroute were told early where the port itself met silence and the host answers nothing."""
    if found.reading is not Reading.SILENT or facts.path.alive(found.address):
        return None
    facts.wait_for("traceroute", found.address)
    told = facts.path.unreachables(found.address) if facts.path.unreachable_early(found.address) else ()
    return told[0][1] if len({error.sender for _, error in told}) == 1 else None


def _hop(facts: Facts, address: str, sender: str | None) -> int | None:
    if sender is not None and plain(sender) == plain(address):
        return facts.hops.distance(address) or facts.hops.last_hop(address) + 1
    known, trace = facts.hops.hop_of(address, sender), facts.path.peek_trace(address)
    if known is not None and sender is not None and plain(facts.hops.router_at(address, known) or "") == plain(sender):
        return known
    path = facts.peek("tcp-path", TcpPathResult, facts.endpoint(address))
    told = next((h for h in path.hops if h.answer is TcpAnswer.ICMP), None) if path is not None else None
    if told is not None and told.icmp is not None and told.icmp.sender == sender:
        known = min(known or told.ttl, told.ttl)
    if known is not None:
        # it refuses packets of any greater TTL as well: behind a silent one it may be that one
        if known == 1 or facts.hops.router_at(address, known - 1) is not None:
            return known
        ping = facts.path.peek_ping(address)
        told_from = [(a.address, a.reply_ttl) for hop in (trace.hops if trace is not None else ()) for a in hop.answers]
        told_from += [(e.icmp.sender, e.icmp_ttl) for e in (ping.echoes if ping is not None else ()) if e.icmp]
        back = {routers_back(ttl) + 1 for told_by, ttl in told_from if told_by == sender and ttl is not None}
        return back.pop() if len(back) == 1 and max(back) <= known and same_way_back(facts, address) else None
    # A router that has no way for a packet says so before it looks at the TTL, and it says so rarely: it is then
    # the first silent one behind a row of routers that all answered.
    last = facts.hops.last_hop(address)
    unbroken = last and all(facts.hops.router_at(address, ttl) is not None for ttl in range(1, last + 1))
    return last + 1 if unbroken and sender is not None else None


@rule("routing-loop")
def routing_loop(facts: Facts) -> Finding | None:
    """The same routers come round again."""
    found = failing(facts)
    if found is None:
        return None
    expired = found.icmp is not None and found.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
    if not expired and found.reading is not Reading.SILENT:
        return None
    trace = facts.path.trace(found.address)
    ring = _ring(trace) if trace is not None else None
    if ring is None and not expired:
        return None
    hop, router = ring if ring is not None else (None, found.icmp.sender if found.icmp else None)
    return Finding(
        cause="routing-loop",
        confidence="certain" if ring is not None and expired else "likely",
        scope="path",
        step="traceroute" if "traceroute" in facts.request.steps else step_of(facts),
        evidence=(said(facts, found), *path_said(facts, found.address)),
        values=values(router=router, hop=hop, address=found.address),
        variant="default" if hop else "unlocated",
        hop=hop,
        address=router,
    )


def _ring(trace: TracerouteResult) -> tuple[int, str] | None:
    """The first router that comes round: at three TTLs, with another one in between."""
    seen: list[tuple[int, str]] = []
    for hop in trace.hops:
        names = {a.address for a in hop.answers if a.address is not None}
        if len(names) == 1:
            seen.append((hop.ttl, names.pop()))
    counts = Counter(name for _, name in seen)
    for ttl, name in seen:
        places = [t for t, n in seen if n == name]
        if counts[name] >= 3 and all(b - a > 1 for a, b in pairwise(places)):
            return ttl, name
    return None


@rule("firewall-reject")
def firewall_reject(facts: Facts) -> Finding | None:
    """A device answers with an ICMP refusal: to every connection, or to those that take one of several ways."""
    return one_way.rejects(facts) or _rejects(facts)


def _rejects(facts: Facts) -> Finding | None:
    found = failing(facts)
    error = _router_error(facts, found) if found is not None else None
    if found is None or error is None:
        return None
    by_host = error.sender is not None and plain(error.sender) == plain(found.address)
    confidence: Confidence = "certain"
    if error.meaning is IcmpMeaning.PORT_UNREACHABLE:
        if by_host and facts.request.target.transport == "udp":
            return None
    elif error.meaning is IcmpMeaning.PROHIBITED:
        pass
    elif error.meaning in UNREACHABLE:
        if by_host:
            facts.wait_for("tcp-path", facts.endpoint(found.address))
            if forwarded.refused_by_name(facts, found):
                return None
            confidence = "certain" if _refuses_there(facts, found) else "likely"
        else:
            general = _general_icmp(facts, found.address, error)
            if general is True:
                return None
            if general is None:
                if _late(facts, found):
                    return None
                confidence = "possible"
    else:
        return None
    trace = facts.path.trace(found.address)
    hop = _hop(facts, found.address, error.sender)
    return Finding(
        cause="firewall-reject",
        confidence=confidence,
        scope="remote-host" if by_host else "path",
        step=step_of(facts),
        evidence=(said(facts, found), *((("traceroute", describe.trace(trace)),) if trace else ())),
        values=values(router=error.sender, hop=hop, address=found.address, found=describe.icmp(error), port=facts.port),
        variant="host" if by_host else "default" if hop else "unlocated",
        hop=hop,
        address=error.sender,
        also=(("host-down", note("verdict.open-forwarded-down")),) if by_host and confidence == "likely" else (),
    )


def _refuses_there(facts: Facts, found: Reach) -> bool:
    """Whether SYNs are refused as soon as they reach the host: it does not pass them on to a machine that is off."""
    path = facts.path.tcp_path(found.address)
    distance = facts.hops.distance(found.address)
    return path is not None and path.final is TcpAnswer.ICMP and distance is not None and path.final_ttl == distance


def _late(facts: Facts, found: Reach) -> bool:
    """Whether a router took its time to report the host: it tried to resolve the neighbour's address first.

    A routing decision is reported within the round trip, to whichever packet; a failed address resolution to all
    that waited for it, after up to 3 s. TCP may learn late of an early report (the socket was busy), so that pings
    and traceroute count first.
    """
    waits = [wait_ms for wait_ms, _ in facts.path.unreachables(found.address)]
    heard_ms = found.heard_ms if found.icmp is not None else 0.0  # a walk's SYN is not waited for so long
    return max(waits, default=heard_ms) - facts.path.rtt_ms(found.address) >= facts.threshold("neighbour_wait_ms")


@rule("network-unreachable")
def network_unreachable(facts: Facts) -> Finding | None:
    """A router answers that it cannot reach the network or host, for every kind of packet."""
    found = failing(facts)
    if found is None:
        return None
    to_port = _router_error(facts, found)
    error = to_port or _told_to_others(facts, found)
    if error is None or error.meaning not in UNREACHABLE:
        return None
    if error.sender is not None and plain(error.sender) == plain(found.address):
        return None
    if to_port is not None and error.meaning is IcmpMeaning.HOST_UNREACHABLE and _late(facts, found):
        return None
    general = _general_icmp(facts, found.address, error)
    if general is False:
        return None
    facts.wait_for("traceroute", found.address)
    hop = _hop(facts, found.address, error.sender)
    walk = facts.path.tcp_path(found.address) if found.icmp is None and to_port is not None else None
    shown = (*(((step_of(facts), describe.tcp_path(walk)),) if walk else ()), *path_said(facts, found.address))
    if found.icmp is not None:
        shown = shown[:1]  # the attempt was told itself, and traceroute where
    return Finding(
        cause="network-unreachable",
        confidence="certain" if general and to_port is not None else "likely",
        scope="path",
        step="traceroute" if "traceroute" in facts.request.steps else step_of(facts),
        evidence=(said(facts, found), *shown),
        values=values(router=error.sender, hop=hop, address=found.address, found=describe.icmp(error)),
        variant="default" if hop else "unlocated",
        hop=hop,
        address=error.sender,
    )


@rule("host-down")
def host_down(facts: Facts) -> Finding | None:
    """The target's own link (or its last router) says that it is absent."""
    found = failing(facts)
    if found is None:
        return None
    facts.wait_for("tcp-path", facts.endpoint(found.address))
    if (behind := forwarded.down(facts, found)) is not None:
        return behind
    route = facts.link.route(found.address)
    if route is not None and route.on_link and route.kind is RouteKind.UNICAST:
        return _absent_here(facts, found)
    error = _router_error(facts, found)
    if error is None:
        ping = facts.path.ping(found.address) if found.reading is Reading.SILENT else None
        echo = next((e for e in (ping.echoes if ping else ()) if e.icmp is not None), None)
        error = echo.icmp if echo is not None else None
        late = echo is not None and (echo.rtt_ms or 0.0) >= facts.threshold("neighbour_wait_ms")
        if error is None or not late or facts.machine.is_own(error.sender):
            return None
    elif not _late(facts, found):
        return None
    if error.meaning is not IcmpMeaning.HOST_UNREACHABLE or facts.path.alive(found.address):
        return None
    hop = _hop(facts, found.address, error.sender)
    trace = facts.path.peek_trace(found.address)
    return Finding(
        cause="host-down",
        confidence="certain" if hop is not None and hop == facts.hops.last_hop(found.address) else "likely",
        scope="remote-host",
        step="ping-remote" if "ping-remote" in facts.request.steps else step_of(facts),
        evidence=(said(facts, found), *((("traceroute", describe.trace(trace)),) if trace else ())),
        values=values(address=found.address, router=error.sender),
        variant="remote",
        hop=hop + 1 if hop is not None else None,
        address=found.address,
    )


def _absent_here(facts: Facts, found: Reach) -> Finding | None:
    if not facts.attempts.absent_on_link(found.address):
        return None
    route = facts.link.route(found.address)
    link = facts.link.on_wire(found.address)
    if link is not None and (link.mac is not None or link.via_router or link.via_router_icmp):
        return None
    neighbour = facts.link.peek_neighbour(found.address)
    name = route.interface if route else None
    used = next((i for i in facts.machine.interfaces() if i.name == name), None)
    if used is not None and (used.carrier is False or not used.up):
        return None
    routers = [n for r in facts.link.routers if (n := facts.link.peek_neighbour(r)) is not None and r != found.address]
    works = any(neighbour_alive(n) for n in routers) or facts.link.other_neighbour_alive(found.address)
    mask_doubtful = link is None and facts.link.mask_doubtful(found.address)
    confidence: Confidence = "possible" if mask_doubtful else "certain" if works else "likely"
    return Finding(
        cause="host-down",
        confidence=confidence,
        scope="local-network",
        step="ping-remote" if "ping-remote" in facts.request.steps else step_of(facts),
        evidence=(
            said(facts, found),
            *((("ping-remote", describe.neighbour(neighbour)),) if neighbour else ()),
            *(("ping-router", describe.neighbour(n)) for n in routers[:1]),
        ),
        values=values(address=found.address, interface=name),
        variant="local",
        hop=1,
        address=found.address,
    )


@rule("firewall-drop")
def firewall_drop(facts: Facts) -> Finding | None:
    """This port vanishes silently while other traffic reaches the host: always, or on one of several ways."""
    return one_way.drops(facts) or _drops(facts)


def _drops(facts: Facts) -> Finding | None:
    found = failing(facts)
    if found is None or found.reading is not Reading.SILENT or facts.port is None:
        return None
    if not facts.path.alive(found.address):
        facts.path.wait_for_ping(found.address)
        facts.wait_for("traceroute", found.address)
    neighbour = facts.path.remote_neighbour_alive(found.address)
    if not facts.path.alive(found.address):
        return _stealth(facts, found, neighbour)
    if facts.request.target.transport == "udp":
        return _silent_datagrams(facts, found)
    path = facts.path.tcp_path(found.address)
    if path is None or path.final in (TcpAnswer.RESET, TcpAnswer.ACCEPTED) or _queue_full_there(facts) is not None:
        return None
    if _router_error(facts, found) is not None:
        return None  # somebody said no to a SYN of the walk: no silence
    facts.wait_for("traceroute", found.address)
    distance = facts.hops.distance(found.address)
    point = facts.get("drop-point", DropPointResult, facts.endpoint(found.address))
    passed = _passed(facts, found.address, path)
    if forwarded.by_host(facts, found.address):
        return forwarded.drops(facts, found, passed)
    located = distance is not None and (passed >= distance - 1 or (point is not None and point.settled))
    hop = passed if located and passed else None
    router = facts.hops.router_at(found.address, hop) if hop else None
    behind = distance is not None and passed >= distance - 1
    variant = "host" if behind else "default"
    return Finding(
        cause="firewall-drop",
        confidence="certain" if located and not behind else "likely",
        scope="remote-host" if behind else "path",
        step=step_of(facts),
        evidence=(
            said(facts, found),
            (step_of(facts), describe.vanishing(facts.port, passed)),
            *path_said(facts, found.address),
        ),
        values=values(hop=hop, router=router, address=found.address, port=facts.port),
        variant=variant if router else {"host": "host-unlocated", "default": "unlocated"}[variant],
        hop=hop,
        address=router,
        also=_same_silence(facts, found.address) if behind else (),
    )


def _same_silence(facts: Facts, address: str) -> tuple[tuple[str, Note], ...]:
    """What else leaves the SYNs that reach the host without an answer."""
    counted = facts.peek("own-filter", OwnFilterResult, facts.endpoint(address))
    came = counted is not None and by_chance(counted) is not None
    queue = ("accept-queue-full", _queue_open(facts))
    return (queue, ("local-firewall", note("verdict.open-own-filter"))) if came else (queue,)


def _queue_open(facts: Facts) -> Note:
    """Say that a full queue looks the same, and what settles it: as root a stray segment has been sent already."""
    if facts.request.privileged:
        return note("verdict.open-queue", port=facts.port)
    return note("verdict.open-queue-root", port=facts.port)


def _passed(facts: Facts, address: str, path: TcpPathResult) -> int:
    """The greatest TTL at which a router is known to have seen the port's SYNs."""
    point = facts.get("drop-point", DropPointResult, facts.endpoint(address))
    return max(path.passed_ttl, point.passed_ttl if point is not None else 0)


def _silent_datagrams(facts: Facts, found: Reach) -> Finding:
    """UDP that is not answered while the host lives: a filter, or a service that has nothing to say."""
    return Finding(
        cause="firewall-drop",
        confidence="possible",
        scope="remote-host",
        step=step_of(facts),
        evidence=(said(facts, found), *path_said(facts, found.address)),
        values=values(address=found.address, port=facts.port),
        variant="udp",
    )


def _stealth(facts: Facts, found: Reach, neighbour: PingResult | None) -> Finding | None:
    """Nothing of the host answers at all, and its network does: it is off, or it filters everything."""
    if neighbour is None:
        return None
    hop = facts.hops.last_hop(found.address) or None
    router = facts.hops.router_at(found.address, hop) if hop else None
    return Finding(
        cause="firewall-drop",
        confidence="likely",
        scope="remote-host",
        step=step_of(facts),
        evidence=(
            said(facts, found),
            *path_said(facts, found.address),
            ("ping-remote-subnet", describe.ping(neighbour)),
        ),
        values=values(hop=hop, router=router, address=found.address, port=facts.port),
        variant="all" if router else "all-unlocated",
        hop=hop,
        address=router,
        also=(("host-down", note("verdict.open-host-down")),),
    )


@rule("path-broken")
def path_broken(facts: Facts) -> Finding | None:
    """Packets of every protocol die after a hop, and nobody says why."""
    found = failing(facts)
    if found is None or found.reading is not Reading.SILENT:
        return None
    route = facts.link.route(found.address)
    if route is None or route.on_link or facts.path.alive(found.address):
        return None
    ping, trace = facts.path.ping(found.address), facts.path.trace(found.address)
    path = facts.path.tcp_path(found.address) if facts.port and facts.request.target.transport == "tcp" else None
    if facts.path.alive(found.address) or (path is not None and path.final is not None):
        return None
    errors = [e.icmp for e in (ping.echoes if ping else ()) if e.icmp is not None]
    if errors or (trace is not None and (trace.ended_by is not None or _ring(trace) is not None)):
        return None
    if facts.path.remote_neighbour_alive(found.address) is not None:
        return None
    gateway = gateway_of(route)
    router_state = facts.link.neighbour(gateway) if gateway else None
    if neighbour_dead(router_state):
        return None
    hop = facts.hops.last_hop(found.address)
    router = facts.hops.router_at(found.address, hop) if hop else None
    gateway_ping = facts.path.ping(gateway) if gateway and not hop else None
    if gateway_ping is not None and gateway_ping.received:
        hop, router = 1, route.gateway  # it has no words about the target's packets, but it answers for itself
    beyond = facts.path.remote_neighbour_asked(found.address)
    confidence: Confidence = "likely" if hop and beyond and route.gateway_on_link is not False else "possible"
    return Finding(
        cause="path-broken",
        confidence=confidence,
        scope="path",
        step="traceroute" if "traceroute" in facts.request.steps else step_of(facts),
        evidence=(
            said(facts, found),
            *path_said(facts, found.address),
            *((("ping-router", describe.ping(gateway_ping)),) if gateway_ping is not None else ()),
            *(("ping-remote-subnet", describe.ping(p)) for p in beyond[:2]),
        ),
        values=values(hop=hop, router=router or route.gateway, address=found.address)
        if hop
        else values(address=found.address),
        variant="default" if hop and router else "nothing-answered",
        hop=hop or None,
        address=router,
        also=(("host-down", note("verdict.open-host-down")), ("firewall-drop", note("verdict.open-stealth"))),
    )


@rule("address-family-path-broken")
def address_family_path_broken(facts: Facts) -> Finding | None:
    """Every address of one family meets silence or a router's denial, and every one of the other connects."""
    reaches = facts.attempts.reaches()
    if facts.request.target.transport != "tcp" or facts.port is None or len(reaches) < 2:
        return None
    if not any(r.reading is Reading.CONNECTED for r in reaches) or facts.names.hosts_override():
        return None
    decided = [facts.attempts.decided_reach(r.address) for r in reaches]
    dead = [r for r in decided if r.failed]
    living = [r for r in decided if r.reading is Reading.CONNECTED]
    families = {family_of(r.address) for r in dead}
    if not dead or len(families) != 1 or families & {family_of(r.address) for r in living}:
        return None
    if not all(_lost_on_the_way(facts, r) for r in dead):
        return None
    first = next((r for r in dead if facts.path.peek_trace(r.address) is not None), dead[0])
    hop = facts.hops.last_hop(first.address) or None
    router = facts.hops.router_at(first.address, hop) if hop else None
    route = facts.link.peek_route(first.address)
    gateway = gateway_of(route) if route is not None and not hop else None
    beside = facts.path.peek_ping(gateway) if gateway is not None else None
    if route is not None and beside is not None and beside.received:
        hop, router = 1, route.gateway  # it has no words about the target's packets, but it answers for itself
    return Finding(
        cause="address-family-path-broken",
        confidence="certain" if hop else "likely",
        scope="path",
        step=step_of(facts),
        evidence=(*(said(facts, r) for r in dead[:2]), *path_said(facts, first.address), said(facts, living[0])),
        values=values(family=f"IPv{families.pop()}"),
        hop=hop,
        address=router,
        also=(("some-addresses-dead", note("verdict.open-family-host")),),
    )


def _lost_on_the_way(facts: Facts, found: Reach) -> bool:
    """Whether nothing of the host answers, and nobody says that it is the host that is absent or refuses."""
    if facts.machine.is_local(found.address) or facts.path.alive(found.address):
        return False
    if found.reading is Reading.LOCAL:
        return found.failure in (Failure.HOST_UNREACHABLE, Failure.NETWORK_UNREACHABLE)
    if found.reading not in (Reading.SILENT, Reading.ICMP):
        return False
    facts.wait_for("traceroute", found.address)
    ping = facts.get("ping", PingResult, found.address)
    if facts.path.alive(found.address):
        return False
    errors = [found.icmp, *(e.icmp for e in (ping.echoes if ping else ()))]
    late = [
        e.icmp
        for e in (ping.echoes if ping else ())
        if e.icmp is not None and (e.rtt_ms or 0.0) >= facts.threshold("neighbour_wait_ms")
    ]
    denied = any(e is not None and e.meaning in (IcmpMeaning.PROHIBITED, IcmpMeaning.PORT_UNREACHABLE) for e in errors)
    waited = found.icmp is not None and found.heard_ms >= facts.threshold("neighbour_wait_ms")
    return not denied and not late and not waited


@rule("some-addresses-dead")
def some_addresses_dead(facts: Facts) -> Finding | None:
    """The name has several addresses and only some of them answer."""
    reaches = facts.attempts.reaches()
    if len(reaches) < 2 or not any(r.reading is Reading.CONNECTED for r in reaches):
        return None
    decided = [facts.attempts.decided_reach(r.address) for r in reaches]
    dead = [r for r in decided if r.failed]
    living = [r for r in decided if r.reading is Reading.CONNECTED]
    if not dead or facts.names.hosts_override() or address_family_path_broken(facts) is not None:
        return None
    return Finding(
        cause="some-addresses-dead",
        confidence="certain",
        scope="remote-host",
        step=step_of(facts),
        evidence=tuple(said(facts, r) for r in [*dead[:3], *living[:2]]),
        values=values(
            name=facts.request.target.host,
            found=", ".join(r.address for r in dead),
            expected=", ".join(r.address for r in living),
        ),
        address=dead[0].address,
        # A loopback name stands for both families, and a service listens on one: programs try the other.
        warning=all(is_loopback(r.address) for r in decided),
    )


def _queue_full_there(facts: Facts) -> Finding | None:
    """SYNs reach the host's port in silence while the host itself resets a stray segment to that port (root only)."""
    found = failing(facts)
    if found is None or found.reading is not Reading.SILENT or facts.request.target.transport != "tcp":
        return None
    stray = facts.get("stray-ack", StrayAckResult, facts.endpoint(found.address))
    if stray is None or not stray.reset:
        return None
    path = facts.path.tcp_path(found.address)
    facts.wait_for("traceroute", found.address)
    distance = facts.hops.distance(found.address)
    if path is None or path.final is not None or distance is None or _passed(facts, found.address, path) < distance - 1:
        return None
    return Finding(
        cause="accept-queue-full",
        confidence="likely",
        scope="remote-host",
        step=step_of(facts),
        evidence=(
            said(facts, found),
            (step_of(facts), note("fact.stray-reset", port=facts.port)),
            (step_of(facts), describe.tcp_path(path)),
            *path_said(facts, found.address),
        ),
        values=values(address=found.address, port=facts.port),
        hop=distance,
        address=found.address,
        also=(("firewall-drop", note("verdict.open-syn-filter", port=facts.port)),),
    )


@rule("accept-queue-full")
def accept_queue_full(facts: Facts) -> Finding | None:
    """The listener's accept queue is full: seen where the target is this machine, else told by a stray segment."""
    focus = facts.attempts.focus
    if focus is not None and not facts.machine.is_local(focus.address):
        return _queue_full_there(facts)
    if (
        facts.names.unresolved()
        or focus is None
        or facts.port is None
        or not facts.machine.is_local(focus.address)
        or not facts.attempts.blocked()
    ):
        return None
    entry = facts.machine.full_queue(facts.port) if focus.reading is Reading.SILENT else None
    if entry is None:
        return None
    return Finding(
        cause="accept-queue-full",
        confidence="certain",
        scope="remote-host",
        step="listeners" if "listeners" in facts.request.steps else "connect",
        evidence=(
            ("listeners", note("fact.queue-full", port=facts.port, queue=entry.queue, limit=entry.queue_limit)),
            said(facts, focus),
        ),
        values=values(address=focus.address, port=facts.port),
        variant="local",
        hop=0,
        address=focus.address,
    )
