"""Ports that an address passes on to another machine: port forwarding, published containers, transparent proxies.

A machine that passes packets on looks at their TTL, and where address translation is at work every ICMP error from
behind it comes in the name of the address that was asked (RFC 5508, section 4). So *time exceeded* from the very
address that a SYN was sent to says that it, or somebody in its name, passes that SYN on: a host that is there itself
takes what is addressed to it, whatever its TTL.
"""

from __future__ import annotations

from probes.base import Note, note
from probes.failure import IcmpMeaning
from probes.tcp_path import TcpPathResult
from troubleshoot.facts import UNREACHABLE, Facts, Reach, Reading, describe, early_look, plain
from troubleshoot.judge.evidence.attempt import attempt_evidence, path_evidence, step_of
from troubleshoot.judge.model import Finding, values


def by_host(facts: Facts, address: str) -> bool:
    """Whether the host itself passes the port on, and not a device nearer than it."""
    ttl, distance = facts.hops.passes_on(address), facts.hops.distance(address)
    return ttl is not None and distance is not None and ttl >= distance


def shown(facts: Facts, reach: Reach) -> tuple[tuple[str, Note], ...]:
    """What says that a port is passed on."""
    passed = note("fact.passed-on", address=reach.address, ttl=facts.hops.passes_on(reach.address), port=facts.port)
    path = facts.path.tcp_path(reach.address)
    walk = ((step_of(facts), describe.tcp_path(path)),) if path is not None and path.final is not None else ()
    return (attempt_evidence(facts, reach), (step_of(facts), passed), *walk, *path_evidence(facts, reach.address))


def down(facts: Facts, reach: Reach) -> Finding | None:
    """Return ``host-down`` where the machine to which a port is passed on is reported absent."""
    error = reach.icmp
    if reach.reading is not Reading.ICMP or error is None or error.sender is None or not by_host(facts, reach.address):
        return None
    if error.meaning is not IcmpMeaning.HOST_UNREACHABLE or plain(error.sender) != plain(reach.address):
        return None
    return Finding(
        cause="host-down",
        confidence="likely",
        scope="remote-host",
        step=step_of(facts),
        evidence=shown(facts, reach),
        variant="forwarded",
        address=reach.address,
        also=(("firewall-reject", note("verdict.open-forwarded-reject")),),
    )


def refused_by_name(facts: Facts, reach: Reach) -> bool:
    """Whether an address that passes the port on says that a machine behind it cannot be reached."""
    meaning = reach.icmp.meaning if reach.icmp is not None else None
    return meaning in UNREACHABLE and by_host(facts, reach.address)


def drops(facts: Facts, reach: Reach, passed: int) -> Finding:
    """Return ``firewall-drop`` where SYNs are passed on and then vanish."""
    return Finding(
        cause="firewall-drop",
        confidence="likely",
        scope="remote-host",
        step=step_of(facts),
        evidence=shown(facts, reach),
        variant="forwarded",
        hop=passed,
        address=reach.address,
        also=(("host-down", note("verdict.open-forwarded-down")),),
    )


def intercepted(facts: Facts, reach: Reach) -> Finding | None:
    """Return ``connection-intercepted`` where a device nearer than the host passes connections on elsewhere."""
    address = reach.address
    ttl = facts.hops.passes_on(address)
    if ttl is None or not facts.hops.dies_at(address, ttl):
        return None
    distance = facts.hops.distance(address)
    if distance is not None and ttl >= distance:
        return None
    # The error in the host's name may come from the device itself or from the next one: the device is this one, or
    # the one before it, whose own packets still bore its name.
    router = facts.hops.router_at_by_trace(address, ttl)
    return Finding(
        cause="connection-intercepted",
        confidence="likely",
        step=step_of(facts),
        evidence=shown(facts, reach),
        values=values(router=router, address=address),
        variant="elsewhere",
        hop=ttl,
        address=router,
    )


def absent(facts: Facts, reach: Reach) -> Finding | None:
    """Return ``connection-intercepted`` where a router reports the host absent that accepts connections.

    Such a report takes three seconds: only where the code is about connections that open and then fail are pings
    waited for that nobody has answered yet.
    """
    address = reach.address
    route = facts.link.peek_route(address)
    if facts.machine.is_local(address) or route is None or route.on_link or facts.path.alive(address):
        return None
    if facts.service.stalls(address):
        facts.path.wait_for_ping(address)
        facts.wait_for("traceroute", address)
    waited_ms = facts.threshold("neighbour_wait_ms") + facts.path.rtt_ms(address)
    late = [
        (ms, error)
        for ms, error in facts.path.unreachables(address)
        if ms >= waited_ms and error.meaning is IcmpMeaning.HOST_UNREACHABLE
    ]
    senders = {error.sender for _, error in late}
    if not late or len(senders) != 1 or facts.path.alive(address):
        return None
    router = senders.pop()
    subjects = [facts.endpoint(look) for look in (address, early_look(address))]
    paths = [facts.get("tcp-path", TcpPathResult, subject) for subject in subjects]
    hops = [hop for path in paths if path is not None for hop in path.hops]
    met = [hop.ttl for hop in hops if hop.icmp is not None and hop.icmp.sender == router]
    if router is None or not met:
        return None  # connections may take another way, on which the host is there
    reported = note("fact.host-absent", address=address, router=router, seconds=f"{late[0][0] / 1000:.1f}")
    return Finding(
        cause="connection-intercepted",
        confidence="likely",
        step=step_of(facts),
        evidence=(attempt_evidence(facts, reach), ("ping-remote", reported), *path_evidence(facts, address)),
        values=values(router=router, address=address),
        variant="absent",
        also=(("host-down", note("verdict.open-other-way")),),
    )
