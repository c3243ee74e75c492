"""Rules for a service that ends the connection or keeps silent, where nothing says why."""

from __future__ import annotations

from probes.base import note
from probes.service import ServiceOutcome, ServiceResult
from probes.transfer import TransferResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, describe, rungs
from troubleshoot.facts.rungs import Ending, Rung
from troubleshoot.judge import handshake, said
from troubleshoot.judge.evidence.attempt import attempt_evidence, step_of
from troubleshoot.judge.evidence.ladder import climbed, hop_of, quoted, shown, weight
from troubleshoot.judge.model import Evidence, Finding, first_step, rule, values
from troubleshoot.judge.service import on_any


def _met(facts: Facts, reach: Reach) -> tuple[Rung, ServiceResult] | None:
    """Return the first rung and its result, ``None`` where something else is known to explain it."""
    first = climbed(facts, reach)
    if first is None or first.result is None:
        return None
    nearer = (said.mismatch, said.refuses, handshake.filtered, handshake.wants_certificate, handshake.fails)
    return None if any(look(facts, reach) is not None for look in nearer) else (first, first.result)


def _left(facts: Facts, first: Rung, result: ServiceResult) -> bool:
    """Whether the service hung up right after its greeting, before the client has said a word.

    Some do so once they have answered: those that need no word of the client are known by their port.
    """
    manner = facts.request.manner
    listened = first.name == rungs.LISTEN or (first.name == rungs.TLS and facts.request.speaks_first)
    return listened and bool(first.quote) and result.ended_ms is not None and not (manner is not None and manner.ends)


def _inside(result: ServiceResult) -> bool:
    """Whether a TLS session was open when it happened."""
    return result.outcome is ServiceOutcome.TLS_OK


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
            hop=hop_of(facts, cut.address),
            address=cut.address,
            also=(("firewall-reset", note("verdict.open-cut")),),
        )
    return on_any(facts, _resets)


def _resets(facts: Facts, reach: Reach) -> Finding | None:
    met = _met(facts, reach)
    if met is None or not met[1].ended_by_reset:
        return None
    return _gone("service-resets", facts, reach, met, also=(("firewall-reset", note("verdict.open-cut")),))


@rule("service-closes", asks=(asks.connected.service,), holds_up="healthy")
def service_closes(facts: Facts) -> Finding | None:
    """The connection is made and then closed before anything is exchanged, or right after the greeting."""
    return on_any(facts, _closes)


def _closes(facts: Facts, reach: Reach) -> Finding | None:
    met = _met(facts, reach)
    if met is None or met[1].ended_by_reset:
        return None
    return _gone("service-closes", facts, reach, met)


def _gone(
    cause: str, facts: Facts, reach: Reach, met: tuple[Rung, ServiceResult], also: Evidence = ()
) -> Finding | None:
    """Return the finding of a service that ended the connection: at once, or right after its greeting."""
    first, result = met
    left = _left(facts, first, result)
    if first.ending is not Ending.CUT and not left:
        return None  # it had answered before
    return Finding(
        cause=cause,
        confidence="likely" if left else weight(facts),
        step=step_of(facts),
        evidence=shown(facts, reach, first),
        values=values(said=quoted(first) if left else None),
        variant="greeted" if left else "inside" if _inside(result) else "default",
        hop=hop_of(facts, reach.address),
        address=reach.address,
        also=also,
    )


@rule(
    "service-silent",
    asks=(asks.connected.service, asks.connected.large_packets, asks.machine.listeners),
    holds_up="healthy",
)
def service_silent(facts: Facts) -> Finding | None:
    """The connection is made, and the service does not take it up, or is silent though it ought to speak or answer."""
    left = on_any(facts, unattended)
    if left is not None:
        return left
    return on_any(facts, _silent) if facts.service.known else None


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
    met = _met(facts, reach)
    if met is None or met[0].ending is not Ending.SILENT:
        return None
    first, result = met
    transfer = facts.peek("transfer", TransferResult, facts.endpoint(reach.address))
    turned_away = facts.service.peek_rung(reach.address, rungs.ANNOUNCED).ending is Ending.NO
    if not turned_away and any(trial.received for trial in (transfer.trials if transfer is not None else ())):
        return None  # it speaks: in shorter packets, or late
    # Both hold at least one round trip, and either may hold more: a ping that met a busy machine, a SYN sent again.
    connect_ms = result.connect_ms or 0.0
    patience_ms = facts.threshold("greeting_ms") + 4 * min(connect_ms, facts.path.rtt_ms(reach.address) or connect_ms)
    spoken = _inside(result) or first.name == rungs.SAY
    listened = _inside(result) and facts.request.speaks_first
    due = weight(facts) if spoken else "likely"
    return Finding(
        cause="service-silent",
        confidence=due if result.waited_ms >= patience_ms else "possible",
        step=step_of(facts),
        evidence=shown(facts, reach, first),
        variant="inside" if listened else "spoken" if spoken else "tls" if facts.request.tls else "default",
        hop=hop_of(facts, reach.address),
        address=reach.address,
        unsettles=not spoken or due == "likely",
    )
