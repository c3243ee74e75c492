"""Rules for a port that accepts connections: what happens to them then, and who it was that accepted.

A working target is not held up for long by them, because what they need ends soon where nothing is wrong; but it is
held up: that a connection is made is the beginning of a program's exchange, and not the end.
"""

from __future__ import annotations

from collections.abc import Callable

from probes.answer_ttl import AnswerTtlResult, TtlAnswer
from probes.base import Note, note
from probes.service import ServiceOutcome, ServiceResult
from probes.transfer import TransferResult
from troubleshoot import asks
from troubleshoot.facts import Facts, NotYet, Reach, Reading, describe, family_of, flows, loss_series, losses
from troubleshoot.facts.chance import interval
from troubleshoot.facts.losses import Kind
from troubleshoot.judge import forwarded, one_way
from troubleshoot.judge.evidence.attempt import attempt_evidence, path_evidence, step_of
from troubleshoot.judge.evidence.distance import reply_ttl, rewritten, routers_back, same_way_back, start_of
from troubleshoot.judge.model import Finding, first_step, rule, values
from troubleshoot.report import Confidence

#: Alerts that say what the handshake lacked: a client's certificate, or a name that the target did not have.
_LACKING = frozenset({"certificate_required", "bad_certificate", "unknown_ca", "unrecognized_name"})


def first_of_each(reaches: tuple[Reach, ...]) -> tuple[Reach, ...]:
    """Return the first address of each family that answers."""
    found: dict[int, Reach] = {}
    for reach in reaches:
        if reach.reading is Reading.CONNECTED:
            found.setdefault(family_of(reach.address), reach)
    return tuple(found.values())


def on_any(
    facts: Facts, look: Callable[[Facts, Reach], Finding | None], reaches: tuple[Reach, ...] | None = None
) -> Finding | None:
    """Return the finding for the first address that has one; :class:`NotYet` where one may still come."""
    still: NotYet | None = None
    for reach in first_of_each(facts.attempts.connected() if reaches is None else reaches):
        try:
            finding = look(facts, reach)
        except NotYet as waiting:
            still = waiting
            continue
        if finding is not None:
            return finding
    if still is not None:
        raise still
    return None


# -- who accepts -----------------------------------------------------------------------------------------------


@rule("connection-intercepted", asks=(asks.connected.accepted_ttl, asks.connected.flows), holds_up="healthy")
def connection_intercepted(facts: Facts) -> Finding | None:
    """A device nearer than the host accepts the connection in its name."""
    return on_any(facts, _accepted_by_another)


def _accepted_by_another(facts: Facts, reach: Reach) -> Finding | None:
    return _intercepted(facts, reach) or forwarded.intercepted(facts, reach) or forwarded.absent(facts, reach)


def _intercepted(facts: Facts, reach: Reach) -> Finding | None:
    """SYNs are accepted at a TTL at which other packets die: then the answer's own TTL has to fit that distance.

    Ways of different length to one host show the same at first sight; but the host's answers then have the TTL of
    its other answers.
    """
    address = reach.address
    hop = facts.hops.accepted_early(address)
    if hop is None:
        return None
    measured = facts.get("answer-ttl", AnswerTtlResult, facts.endpoint(address))
    if measured is None or measured.ttl is None or measured.answer is not TtlAnswer.ACCEPTED:
        return None
    if not measured.confirmed or measured.follows or measured.varies:
        return None
    confidence = _by_answer(facts, address, hop, measured.ttl)
    if confidence is None:
        return None
    router = facts.hops.router_at(address, hop)
    path = facts.path.tcp_path(address)
    reply = reply_ttl(facts, address)
    return Finding(
        cause="connection-intercepted",
        confidence=confidence,
        step=step_of(facts),
        evidence=(
            attempt_evidence(facts, reach),
            *(((step_of(facts), describe.tcp_path(path)),) if path is not None else ()),
            (step_of(facts), note("fact.accept-ttl", ttl=measured.ttl)),
            *((("ping-remote", note("fact.reply-ttl", ttl=reply)),) if reply is not None else ()),
            *path_evidence(facts, address),
        ),
        values=values(router=router, address=address),
        variant="default" if router else "unnamed",
        hop=hop,
        address=router,
    )


def _by_answer(facts: Facts, address: str, hop: int, measured: int) -> Confidence | None:
    """How sure it is that an answer with TTL ``measured`` comes from ``hop`` and not from the host."""
    reply = reply_ttl(facts, address)
    fits = routers_back(measured) == hop - 1 and same_way_back(facts, address)
    if reply is None:
        return "likely" if fits and not flows.differ(facts, address) else None
    if reply == measured or rewritten(facts, address, facts.hops.distance(address), reply):
        return None
    if start_of(reply) == start_of(measured):
        if measured < reply:
            return None
        return "certain" if fits and facts.hops.dies_at(address, hop) else "likely"
    return "likely" if fits and not flows.differ(facts, address) else None


# -- what the service does -------------------------------------------------------------------------------------


def _hop(facts: Facts, address: str) -> int | None:
    return 0 if facts.machine.is_local(address) else facts.hops.distance(address)


def _witnessed(facts: Facts, reach: Reach, result: ServiceResult) -> tuple[tuple[str, Note], ...]:
    return (attempt_evidence(facts, reach), (step_of(facts), describe.service(result)))


def _weight(facts: Facts) -> Confidence:
    """How much it says that a service ends a connection before anything was exchanged.

    A service that greets has no reason to; of another one only a code about established connections makes it odd. A
    TLS service may do so to a client that does not name it.
    """
    named = not facts.request.tls or not facts.names.is_literal
    return "likely" if facts.service.established or (facts.request.speaks_first and named) else "possible"


@rule("service-resets", asks=(asks.connected.service,), holds_up="healthy")
def service_resets(facts: Facts) -> Finding | None:
    """The connection is made and then reset, perhaps so fast that it shows in connect() itself."""
    if facts.port is None or facts.request.target.transport != "tcp":
        return None
    tried = not facts.names.unresolved() and bool(facts.targets)
    cut = facts.attempts.focus if tried and facts.attempts.blocked() else None
    if cut is not None and cut.reading is Reading.CUT:
        return Finding(
            cause="service-resets",
            confidence="likely",
            step=step_of(facts),
            evidence=(attempt_evidence(facts, cut),),
            hop=_hop(facts, cut.address),
            address=cut.address,
            also=(("firewall-reset", note("verdict.open-cut")),),
        )
    return on_any(facts, _resets)


def _resets(facts: Facts, reach: Reach) -> Finding | None:
    result = facts.service.seen(reach.address)
    if result is None or not result.ended_by_reset or result.connect_ms is None:
        return None
    if result.outcome is not ServiceOutcome.RESETS and not facts.service.established:
        return None  # it had said something before
    return Finding(
        cause="service-resets",
        confidence=_weight(facts),
        step=step_of(facts),
        evidence=_witnessed(facts, reach, result),
        hop=_hop(facts, reach.address),
        address=reach.address,
        also=(("firewall-reset", note("verdict.open-cut")),),
    )


@rule("service-closes", asks=(asks.connected.service,), holds_up="healthy")
def service_closes(facts: Facts) -> Finding | None:
    """The connection is made and then closed before anything is exchanged; or TLS is refused with an alert."""
    return on_any(facts, _closes)


def _closes(facts: Facts, reach: Reach) -> Finding | None:
    result = facts.service.seen(reach.address)
    if result is None or result.outcome not in (ServiceOutcome.CLOSES, ServiceOutcome.TLS_ALERT):
        return None
    alert = result.tls.alert if result.tls is not None else None
    confidence = _weight(facts)
    if alert in _LACKING:
        confidence = "possible"
    return Finding(
        cause="service-closes",
        confidence=confidence,
        step=step_of(facts),
        evidence=_witnessed(facts, reach, result),
        values=values(found=alert),
        variant="tls" if alert is not None else "default",
        hop=_hop(facts, reach.address),
        address=reach.address,
    )


@rule(
    "service-silent",
    asks=(asks.connected.service, asks.connected.large_packets, asks.machine.listeners),
    holds_up="healthy",
)
def service_silent(facts: Facts) -> Finding | None:
    """The connection is made, and the service does not take it up, or stays silent though it ought to speak."""
    left = on_any(facts, unattended)
    if left is not None:
        return left
    if not facts.request.speaks_first and not facts.request.tls:
        return None
    return on_any(facts, _silent)


#: What a process does that no signal but SIGCONT, or no signal at all, wakes up (proc_pid_stat(5)).
_STANDS = frozenset({"stopped", "tracing-stop", "disk-sleep", "zombie", "dead"})


def unattended(facts: Facts, reach: Reach) -> Finding | None:
    """The kernel of this machine took the connection, and the process that listens does not: its queue only grows."""
    if not facts.machine.is_local(reach.address) or facts.request.target.transport != "tcp":
        return None
    entry = facts.machine.unemptied_queue(facts.port)
    if entry is None or entry.waited_ms is None:
        return None
    owner = next((o for o in entry.owners if o.state in _STANDS), next(iter(entry.owners), None))
    stands = owner is not None and bool(entry.owners) and all(o.state in _STANDS for o in entry.owners)
    step = first_step(facts, "listeners", "connect")
    waited = note("fact.queue-waits", port=facts.port, queue=entry.queue, seconds=f"{entry.waited_ms / 1000:.1f}")
    state = describe.process(owner.name, owner.pid) if owner is not None else None
    return Finding(
        cause="service-silent",
        confidence="certain" if stands else "likely",
        step=step,
        evidence=(
            attempt_evidence(facts, reach),
            (step, waited),
            *(((step, note("fact.process-state", process=state, state=owner.state)),) if owner and owner.state else ()),
        ),
        values=values(process=describe.holder(entry), found=owner.state if owner is not None else None),
        variant="stopped" if stands else "unattended",
        hop=0,
        address=reach.address,
    )


def _silent(facts: Facts, reach: Reach) -> Finding | None:
    result = facts.service.seen(reach.address)
    if result is None or result.outcome is not ServiceOutcome.SILENT or result.connect_ms is None:
        return None
    transfer = facts.peek("transfer", TransferResult, facts.endpoint(reach.address))
    if any(trial.received for trial in (transfer.trials if transfer is not None else ())):
        return None  # it speaks: in shorter packets, or late
    # Both hold at least one round trip, and either may hold more: a ping that met a busy machine, a SYN sent again.
    trip_ms = min(result.connect_ms, facts.path.rtt_ms(reach.address) or result.connect_ms)
    patience_ms = facts.threshold("greeting_ms") + 4 * trip_ms
    return Finding(
        cause="service-silent",
        confidence="likely" if result.waited_ms >= patience_ms else "possible",
        step=step_of(facts),
        evidence=_witnessed(facts, reach, result),
        variant="tls" if facts.request.tls else "default",
        hop=_hop(facts, reach.address),
        address=reach.address,
        unsettles=True,
    )


# -- what the path does to packets -----------------------------------------------------------------------------


@rule("packet-loss", asks=(asks.connected.losses, asks.connected.flows), holds_up="healthy")
def packet_loss(facts: Facts) -> Finding | None:
    """A share of the packets is lost, whatever their kind."""
    return on_any(facts, _loses, facts.attempts.reaches())


def _loses(facts: Facts, reach: Reach) -> Finding | None:
    address, port = reach.address, facts.port
    confidence = loss_series.weight(facts, address)
    if confidence is None or one_way.explained(facts, address):
        return None
    found = losses.told(facts, address)
    connects = Kind.SYN in (*found.losing, *(s.kind for s in found.limited if s.lost))
    place = loss_series.search(facts, address) if confidence != "possible" else None
    place = place if isinstance(place, loss_series.Place) else None
    low, high = interval(found.lost, found.sent)
    share = {"count": found.lost, "sent": found.sent, "low": round(100 * low), "high": round(100 * high)}
    echoed = Kind.ECHO in found.losing and "ping-remote" in facts.request.steps
    lost = [(describe.loss(s, address, port), s.kind) for s in found.telling]
    return Finding(
        cause="packet-loss",
        confidence=confidence,
        step="ping-remote" if echoed else step_of(facts),
        evidence=(
            *(("ping-remote" if kind is Kind.ECHO else step_of(facts), fact) for fact, kind in lost),
            *(("traceroute", describe.hop_loss(*router)) for router in loss_series.asked(facts, address)),
            attempt_evidence(facts, reach),
        ),
        values=values(
            share=f"{round(100 * found.lost / found.sent)} %",
            **share,
            address=address,
            interface=facts.link.interface(address),
            router=place.router if place is not None else None,
        ),
        variant="connects"
        if not losses.lossy(facts, found)
        else "default"
        if place is None
        else "placed"
        if place.hop
        else "near",
        hop=place.hop or None if place is not None else None,
        address=place.router if place is not None else None,
        unsettles=confidence == "possible" and connects,
    )
