"""Somebody resets the connection, the host or a device in front of it: ``no-listener``, ``firewall-reset``."""

from __future__ import annotations

from probes.base import note
from probes.failure import IcmpMeaning
from probes.own_filter import OwnFilterResult
from probes.sockets import SocketsResult
from probes.tcp_path import TcpPathResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, flows, is_loopback, plain
from troubleshoot.judge import forwarded, one_machine, one_way
from troubleshoot.judge.evidence.attempt import attempt_evidence, failing, step_of
from troubleshoot.judge.evidence.refuser import Place, find
from troubleshoot.judge.model import Finding, first_step, rule, values


@rule(
    "firewall-reset",
    asks=(
        asks.failed.reset_ttl,
        asks.failed.tcp_path_again,
        asks.failed.wire,
        asks.connected.flows,
        asks.connected.losses,
    ),
)
def firewall_reset(facts: Facts) -> Finding | None:
    """A device nearer than the host sends the reset: to every connection, or to those that take one of several ways."""
    return one_way.resets(facts) or _resets(facts)


def _resets(facts: Facts) -> Finding | None:
    reach = failing(facts)
    if reach is None or reach.reading is not Reading.RESET or facts.port is None:
        return None
    if one_way.explained(facts, reach.address):
        return None
    refuser = find(facts, reach)
    if refuser.place is Place.HOST:
        return None
    router = facts.hops.router_at(reach.address, refuser.hop) if refuser.hop else None
    nearer = refuser.place is Place.NEARER
    return Finding(
        cause="firewall-reset",
        confidence=refuser.confidence if nearer else "possible",
        scope="path",
        step=step_of(facts),
        evidence=refuser.evidence,
        values=values(router=router, address=reach.address),
        variant="default" if router else "unnamed" if refuser.hop else "unlocated",
        hop=refuser.hop,
        address=router,
    )


@rule(
    "no-listener",
    asks=(
        asks.failed.reset_ttl,
        asks.failed.tcp_path_again,
        asks.failed.wire,
        asks.failed.stays_here,
        asks.connected.flows,
        asks.connected.losses,
        asks.connected.service,
        asks.connected.large_packets,
        asks.machine.listeners,
    ),
)
def no_listener(facts: Facts) -> Finding | None:
    """The host itself refuses: nothing listens on that port, or not on every machine that shares the address."""
    return _nobody_there(facts) or one_way.refuses(facts) or one_machine.refuses(facts) or _nobody_listens(facts)


def _nobody_there(facts: Facts) -> Finding | None:
    """The program's loopback is that of another network namespace, whose sockets can be seen without joining it."""
    local = bool(facts.targets) and all(is_loopback(a) for a in facts.targets)
    if not facts.program.in_other_network() or not local or facts.request.kind != "network":
        return None
    sockets = facts.program.sockets(facts.port)
    if sockets is None or any(e.state in ("listen", "unconnected", "close") for e in sockets.entries):
        return None
    step = first_step(facts, "listeners", "connect")
    pid, port = facts.request.pid, facts.port
    return Finding(
        cause="no-listener",
        confidence="likely",
        step=step,
        evidence=((step, note("fact.apart-listens-not", port=port, pid=pid)),),
        values=values(pid=pid),
        variant="namespace",
        hop=0,
        address=facts.targets[0],
    )


def _nobody_listens_here(facts: Facts, reach: Reach) -> Finding | None:
    """Return ``no-listener`` for this machine itself, whose sockets can be seen."""
    transport = facts.request.target.transport
    step = first_step(facts, "listeners", "connect")
    if reach.reading not in (Reading.RESET, Reading.ICMP):
        return None
    sockets = facts.get("sockets", SocketsResult, str(facts.port))
    waiting = ("unconnected", "close") if transport == "udp" else ("listen",)  # a bound TCP socket takes nobody
    listening = [e for e in (sockets.entries if sockets else ()) if e.state in waiting]
    if listening:
        return None
    if _leaves(facts, reach.address):
        return _passed_on(facts, reach, step)
    # Whoever met one of these codes may have wanted to bind the port: then nobody listens because of it.
    binding = not facts.request.about.isdisjoint({"permission", "bind-address"})
    return Finding(
        cause="no-listener",
        confidence="possible" if binding else "certain" if sockets is not None else "likely",
        step=step,
        evidence=(
            attempt_evidence(facts, reach),
            *(((step, note("fact.not-listening", port=facts.port)),) if sockets else ()),
        ),
        values=values(pid=facts.request.pid),
        variant="namespace" if facts.program.looks() else "local",
        hop=0,
        address=reach.address,
    )


def _leaves(facts: Facts, address: str) -> bool:
    """Whether loopback did not carry a connection to this machine itself: other traffic could only add to its count."""
    counted = None if is_loopback(address) else facts.get("own-filter", OwnFilterResult, facts.endpoint(address))
    if counted is None or counted.control is None or not counted.control.sent:
        return False
    return any(one.sent == 0 for one in counted.attempts)


def _passed_on(facts: Facts, reach: Reach, step: str) -> Finding:
    """A rule of this machine's own passes the port on, and whoever gets it refuses."""
    return Finding(
        cause="no-listener",
        confidence="likely",
        step=step,
        evidence=(
            attempt_evidence(facts, reach),
            (step, note("fact.not-listening", port=facts.port)),
            ("connect", note("fact.not-over-loopback", address=reach.address)),
        ),
        variant="forwarded",
        hop=0,
        address=reach.address,
    )


def _nobody_listens(facts: Facts) -> Finding | None:
    if facts.names.unresolved() or not facts.targets or not facts.attempts.blocked() or facts.port is None:
        return None
    reach = facts.attempts.focus
    if reach is None:
        return None
    transport = facts.request.target.transport
    if facts.machine.is_local(reach.address):
        return _nobody_listens_here(facts, reach)
    by_host = (
        reach.icmp is not None and reach.icmp.sender is not None and plain(reach.icmp.sender) == plain(reach.address)
    )
    if transport == "udp" and reach.icmp is not None and reach.icmp.meaning is IcmpMeaning.PORT_UNREACHABLE and by_host:
        facts.wait_for("traceroute", reach.address)
        return Finding(
            cause="no-listener",
            confidence="certain",
            step="connect",
            evidence=(attempt_evidence(facts, reach),),
            variant="udp",
            hop=facts.hops.distance(reach.address),
            address=reach.address,
        )
    if reach.reading is not Reading.RESET:
        return None
    return _host_refuses(facts, reach)


def _host_refuses(facts: Facts, reach: Reach) -> Finding | None:
    """Return ``no-listener`` for a remote TCP port whose reset comes from as far away as the host."""
    if one_way.explained(facts, reach.address):
        return None
    refuser = find(facts, reach)
    if refuser.place is Place.NEARER:
        return None
    path = facts.peek("tcp-path", TcpPathResult, facts.endpoint(reach.address))
    told = [d for d in (facts.hops.distance(reach.address), path.final_ttl if path is not None else None) if d]
    # Where the ways of two flows are of two lengths, either number would be one way's.
    uneven = len(set(told)) > 1 and bool(flows.differ(facts, reach.address))
    return Finding(
        cause="no-listener",
        confidence="likely" if refuser.place is Place.HOST else "possible",
        step="connect",
        evidence=refuser.evidence,
        variant="forwarded" if forwarded.by_host(facts, reach.address) else "default",
        hop=told[0] if told and not uneven else None,
        address=reach.address,
        also=(("firewall-reset", note("verdict.open-reset")),),
    )
