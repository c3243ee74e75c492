"""Packets vanish and nobody says why: ``firewall-drop``, ``path-broken``."""

from __future__ import annotations

from probes.base import Note, Status, note
from probes.drop_point import DropPointResult
from probes.own_filter import OwnFilterResult
from probes.ping import PingResult
from probes.tcp_path import TcpAnswer
from probes.wire import WireResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, describe, gateway_of, neighbour_dead, watched
from troubleshoot.judge import forwarded, one_machine, one_way, way_to_servers
from troubleshoot.judge.evidence.attempt import attempt_evidence, failing, path_evidence, step_of
from troubleshoot.judge.evidence.counters import taken_by_chance
from troubleshoot.judge.evidence.icmp import hop_of_sender, late_report, router_error, told_alike
from troubleshoot.judge.evidence.loop import ring_of
from troubleshoot.judge.evidence.syns import passed_ttl
from troubleshoot.judge.model import Finding, first_step, rule, values
from troubleshoot.judge.queue import queue_full_there
from troubleshoot.report import Confidence


@rule(
    "firewall-drop",
    asks=(
        asks.failed.drop_point,
        asks.failed.own_filter,
        asks.failed.wire,
        asks.failed.stray_ack,
        asks.failed.second_look,
        asks.around.subnet,
        asks.connected.flows,
        asks.connected.losses,
        asks.connected.service,
        asks.connected.large_packets,
    ),
)
def firewall_drop(facts: Facts) -> Finding | None:
    """This port vanishes silently while other traffic reaches the host: always, or on one of several ways."""
    return one_way.drops(facts) or one_machine.silent(facts) or _drops(facts)


def _drops(facts: Facts) -> Finding | None:
    reach = failing(facts)
    if reach is None or reach.reading is not Reading.SILENT or facts.port is None:
        return None
    if not facts.path.alive(reach.address):
        facts.path.wait_for_ping(reach.address)
        facts.wait_for("traceroute", reach.address)
    neighbour = facts.path.remote_neighbour_alive(reach.address)
    if not facts.path.alive(reach.address):
        return _stealth(facts, reach, neighbour)
    if facts.request.target.transport == "udp":
        return _silent_datagrams(facts, reach)
    path = facts.path.tcp_path(reach.address)
    if path is None and _not_walked(facts, reach.address):
        return _unplaced(facts, reach) if router_error(facts, reach) is None else None
    if path is None or path.final in (TcpAnswer.RESET, TcpAnswer.ACCEPTED) or queue_full_there(facts) is not None:
        return None
    if router_error(facts, reach) is not None:
        return None  # somebody said no to a SYN of the walk: no silence
    facts.wait_for("traceroute", reach.address)
    distance = facts.hops.distance(reach.address)
    point = facts.get("drop-point", DropPointResult, facts.endpoint(reach.address))
    passed = passed_ttl(facts, reach.address, path)
    if forwarded.by_host(facts, reach.address):
        return forwarded.drops(facts, reach, passed)
    # The walk goes on while the point is looked for: what came farther in the end was not dropped there.
    settled = point is not None and point.settled and point.passed_ttl >= path.passed_ttl
    located = distance is not None and (passed >= distance - 1 or settled)
    hop = passed if located and passed else None
    router = facts.hops.router_at(reach.address, hop) if hop else None
    behind = distance is not None and passed >= distance - 1
    thrown = _segments_came(facts, reach.address)
    sure = located and not behind and not watched.reached(facts, reach.address)
    variant = "host" if behind else "default"
    return Finding(
        cause="firewall-drop",
        confidence="certain" if sure and not thrown else "likely",
        scope="remote-host" if behind else "path",
        step=step_of(facts),
        evidence=(
            attempt_evidence(facts, reach),
            (step_of(facts), describe.vanishing(facts.port, passed)),
            *path_evidence(facts, reach.address),
        ),
        values=values(router=router, address=reach.address),
        variant=variant if router else {"host": "host-unlocated", "default": "unlocated"}[variant],
        hop=hop,
        address=router,
        also=(*(() if sure else _same_silence(facts, reach.address)), *thrown),
    )


def _not_walked(facts: Facts, address: str) -> bool:
    """Whether this system cannot have a router tell where the SYNs end."""
    record = facts.observation("tcp-path", facts.endpoint(address))
    return record is not None and record.status is Status.NOT_APPLICABLE


def _unplaced(facts: Facts, reach: Reach) -> Finding:
    """The host answers others and not these SYNs; where they end, and whether they leave this machine, is not seen."""
    own = ("local-firewall", note("verdict.open-own-filter"))
    return Finding(
        cause="firewall-drop",
        confidence="likely",
        scope="path",
        step=step_of(facts),
        evidence=(attempt_evidence(facts, reach), *path_evidence(facts, reach.address)),
        values=values(address=reach.address),
        variant="unlocated",
        also=(("accept-queue-full", _queue_open(facts)), own),
    )


def _segments_came(facts: Facts, address: str) -> tuple[tuple[str, Note], ...]:
    """What else it may be where TCP got a segment in or after each round with a connect: other traffic may bring it.

    As root the segments themselves were seen.
    """
    counted = facts.peek("own-filter", OwnFilterResult, facts.endpoint(address))
    if facts.peek("wire", WireResult, facts.endpoint(address)) is not None or counted is None:
        return ()
    rounds = zip(counted.attempts, counted.idle, strict=False)
    came = bool(counted.idle) and all(tried.segments or then.segments for tried, then in rounds)
    return (("unfitting-answers", note("verdict.open-thrown")),) if came else ()


def _same_silence(facts: Facts, address: str) -> tuple[tuple[str, Note], ...]:
    """What else leaves the SYNs that reach the host without an answer."""
    counted = facts.peek("own-filter", OwnFilterResult, facts.endpoint(address))
    came = counted is not None and taken_by_chance(counted) is not None
    queue = ("accept-queue-full", _queue_open(facts))
    return (queue, ("local-firewall", note("verdict.open-own-filter"))) if came else (queue,)


def _queue_open(facts: Facts) -> Note:
    """Say that a full queue looks the same, and what settles it: as root a stray segment has been sent already."""
    if facts.request.privileged:
        return note("verdict.open-queue", port=facts.port)
    return note("verdict.open-queue-root", port=facts.port)


def _silent_datagrams(facts: Facts, reach: Reach) -> Finding:
    """UDP that is not answered while the host lives: a filter, or a service that has nothing to say."""
    return Finding(
        cause="firewall-drop",
        confidence="possible",
        scope="remote-host",
        step=step_of(facts),
        evidence=(attempt_evidence(facts, reach), *path_evidence(facts, reach.address)),
        values=values(address=reach.address),
        variant="udp",
    )


def _stealth(facts: Facts, reach: Reach, neighbour: PingResult | None) -> Finding | None:
    """Nothing of the host answers at all, and its network does: it is off, or it filters everything."""
    if neighbour is None:
        return None
    hop = facts.hops.last_hop(reach.address) or None
    router = facts.hops.router_at(reach.address, hop) if hop else None
    return Finding(
        cause="firewall-drop",
        confidence="possible" if _unheard(facts, reach.address) else "likely",
        scope="remote-host",
        step=step_of(facts),
        evidence=(
            attempt_evidence(facts, reach),
            *path_evidence(facts, reach.address),
            ("ping-remote-subnet", describe.ping(neighbour)),
        ),
        values=values(router=router, address=reach.address),
        variant="all" if router else "all-unlocated",
        hop=hop,
        address=router,
        also=(("host-down", note("verdict.open-host-down")),),
    )


def _unheard(facts: Facts, address: str) -> bool:
    """Whether the silence of an address is none: others were to be reported first, or this machine did not look."""
    return facts.path.withheld(address) or facts.path.missed(address)


@rule("path-broken", asks=(asks.failed.second_look, asks.around.routers, asks.around.subnet, asks.connected.flows))
def path_broken(facts: Facts) -> Finding | None:
    """Packets of every protocol die after a hop, and nobody says why."""
    return way_to_servers.broken(facts) or _next_hop(facts) or _broken(facts)


def _next_hop(facts: Facts) -> Finding | None:
    """A router has looked for its next hop in vain, for the target and for other machines behind it."""
    reach = failing(facts)
    error = late_report(facts, reach) if reach is not None else None
    if reach is None or error is None or facts.path.alive(reach.address):
        return None
    alike = told_alike(facts, reach, error)
    if not alike:
        return None
    hop = hop_of_sender(facts, reach.address, error.sender)
    return Finding(
        cause="path-broken",
        confidence="likely",
        step=first_step(facts, "traceroute", step_of(facts)),
        evidence=(
            attempt_evidence(facts, reach),
            *path_evidence(facts, reach.address),
            *(("ping-remote-subnet", describe.ping(ping)) for ping in alike[:2]),
        ),
        values=values(router=error.sender, address=reach.address, found=alike[0].address),
        variant="next-hop",
        hop=hop,
        address=error.sender,
        also=(("host-down", note("verdict.open-both-off")),),
    )


def _broken(facts: Facts) -> Finding | None:
    reach = failing(facts)
    if reach is None or reach.reading is not Reading.SILENT:
        return None
    route = facts.link.route(reach.address)
    if route is None or route.on_link or facts.path.alive(reach.address):
        return None
    ping, trace = facts.path.ping(reach.address), facts.path.trace(reach.address)
    path = facts.path.tcp_path(reach.address) if facts.port and facts.request.target.transport == "tcp" else None
    if facts.path.alive(reach.address) or (path is not None and path.final is not None):
        return None
    errors = [e.icmp for e in (ping.echoes if ping else ()) if e.icmp is not None]
    if errors or (trace is not None and (trace.ended_by is not None or ring_of(trace) is not None)):
        return None
    if facts.path.remote_neighbour_alive(reach.address) is not None:
        return None
    gateway = gateway_of(route)
    router_state = facts.link.neighbour(gateway) if gateway else None
    if neighbour_dead(router_state):
        return None
    hop = facts.hops.last_hop(reach.address)
    router = facts.hops.router_at(reach.address, hop) if hop else None
    gateway_ping = facts.path.ping(gateway) if gateway and not hop else None
    if gateway_ping is not None and gateway_ping.received:
        hop, router = 1, route.gateway  # it has no words about the target's packets, but it answers for itself
    beyond = facts.path.remote_neighbour_asked(reach.address)
    told = hop and beyond and route.gateway_on_link is not False and not _unheard(facts, reach.address)
    confidence: Confidence = "likely" if told else "possible"
    return Finding(
        cause="path-broken",
        confidence=confidence,
        step=first_step(facts, "traceroute", step_of(facts)),
        evidence=(
            attempt_evidence(facts, reach),
            *path_evidence(facts, reach.address),
            *((("ping-router", describe.ping(gateway_ping)),) if gateway_ping is not None else ()),
            *(("ping-remote-subnet", describe.ping(p)) for p in beyond[:2]),
        ),
        values=values(hop=hop, router=router or route.gateway, address=reach.address)
        if hop
        else values(address=reach.address),
        variant="default" if hop and router else "nothing-answered",
        hop=hop or None,
        address=router,
        also=(
            ("host-down", note("verdict.open-host-down")),
            ("firewall-drop", note("verdict.open-stealth")),
            *_router_claimed(facts, router if hop == 1 else None),
        ),
    )


def _router_claimed(facts: Facts, router: str | None) -> tuple[tuple[str, Note], ...]:
    """What else it may be where nothing is heard beyond the next hop: as root it is asked who has its address."""
    if router is None or facts.request.privileged:
        return ()
    return (("address-conflict", note("verdict.open-claimed", router=router)),)
