"""Rules for a service that ends the connection or keeps silent, where nothing says why."""

from __future__ import annotations

from msgspec.structs import replace

from probes.base import note
from probes.service import ServiceOutcome, ServiceResult
from probes.sockets import SocketsResult
from probes.transfer import TransferResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, describe, rungs
from troubleshoot.facts.rungs import Ending, Rung
from troubleshoot.judge import handshake, said
from troubleshoot.judge.evidence.attempt import attempt_evidence, step_of
from troubleshoot.judge.evidence.ladder import climbed, hop_of, quoted, shown, weight
from troubleshoot.judge.evidence.standing import nearest_owner, state_of
from troubleshoot.judge.model import Finding, first_step, rule, values
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
    greeted = bool(first.quote) or first.ending is Ending.WELL  # some greet in bytes that are no words
    return listened and greeted and result.ended_ms is not None and not (manner is not None and manner.ends)


def _inside(rung: Rung) -> bool:
    """Whether a TLS session was open when it happened."""
    return rung.result is not None and rung.result.outcome is ServiceOutcome.TLS_OK


def _spoken(facts: Facts, reach: Reach) -> Rung | None:
    """Return the connection that an unknown service ended without an answer, where no opening of ours got one."""
    if facts.service.known:
        return None
    hello, page = (facts.service.peek_rung(reach.address, name) for name in (rungs.TLS, rungs.GET))
    return page if page.ending is Ending.CUT and not hello.quote and not hello.tls else None


def _hung_up(facts: Facts, reach: Reach, *, by_reset: bool) -> tuple[str, Rung] | None:
    """Return how the service ended the connection, and the one that shows it; ``None`` where it did otherwise."""
    met = _met(facts, reach)
    if met is None:
        return None
    first, result = met
    spoken = _spoken(facts, reach) if first.ending is Ending.SILENT else None
    if spoken is not None and spoken.result is not None:
        return ("spoken", spoken) if spoken.result.ended_by_reset is by_reset else None
    if result.ended_by_reset is not by_reset:
        return None
    if _left(facts, first, result):
        return "greeted", first
    return ("default", first) if first.ending is Ending.CUT else None  # else it had answered before


@rule(
    "service-resets",
    asks=(asks.connected.service, asks.connected.large_packets, asks.machine.listeners),
    holds_up="healthy",
)
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
    ended = _hung_up(facts, reach, by_reset=True)
    if ended is None:
        return None
    finding = _ended_by_it(facts, reach, "service-resets", ended)
    return replace(finding, also=(("firewall-reset", note("verdict.open-cut")), *finding.also))


@rule(
    "service-closes",
    asks=(asks.connected.service, asks.connected.large_packets, asks.machine.listeners),
    holds_up="healthy",
)
def service_closes(facts: Facts) -> Finding | None:
    """The connection is made and then closed before anything is exchanged, or right after the greeting."""
    return on_any(facts, _closes)


def _closes(facts: Facts, reach: Reach) -> Finding | None:
    ended = _hung_up(facts, reach, by_reset=False)
    return _ended_by_it(facts, reach, "service-closes", ended) if ended is not None else None


def _ended_by_it(facts: Facts, reach: Reach, cause: str, ended: tuple[str, Rung]) -> Finding:
    """Return the finding of a service that ends its connections; who holds the port here may be told beside it."""
    if facts.machine.is_local(reach.address):
        facts.get("sockets", SocketsResult, str(facts.port))
    how, rung = ended
    left, spoken = how == "greeted", how == "spoken"
    return Finding(
        cause=cause,
        confidence="likely" if left else weight(facts),
        step=step_of(facts),
        evidence=shown(facts, reach, rung),
        values=values(said=quoted(rung) if left else None),
        variant="greeted" if left else "spoken" if spoken else "inside" if _inside(rung) else "default",
        hop=hop_of(facts, reach.address),
        address=reach.address,
        also=(("protocol-mismatch", note("verdict.open-opening")),) if spoken else (),
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


def unattended(facts: Facts, reach: Reach) -> Finding | None:
    """The kernel of this machine took the connection, and the process that listens does not: its queue only grows."""
    if not facts.machine.is_local(reach.address) or facts.request.target.transport != "tcp":
        return None
    entry = facts.machine.unemptied_queue(facts.port)
    if entry is None or entry.waited_ms is None:
        return None
    if facts.request.kind == "api-misuse" and any(o.pid == facts.request.pid for o in entry.owners):
        return None  # the program that met the code is the listener itself
    owner, stands = nearest_owner(entry)
    step = first_step(facts, "listeners", "connect")
    waited = note("fact.queue-waits", port=facts.port, queue=entry.queue, seconds=f"{entry.waited_ms / 1000:.1f}")
    return Finding(
        cause="service-silent",
        confidence="certain" if stands else "likely",
        step=step,
        evidence=(
            attempt_evidence(facts, reach),
            (step, waited),
            *((step, fact) for fact in state_of(owner)),
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
    if facts.service.peek_rung(reach.address, rungs.LATE).ending is Ending.WELL:
        return None
    # Both hold at least one round trip, and either may hold more: a ping that met a busy machine, a SYN sent again.
    connect_ms = result.connect_ms or 0.0
    patience_ms = facts.threshold("greeting_ms") + 4 * min(connect_ms, facts.path.rtt_ms(reach.address) or connect_ms)
    spoken = _inside(first) or first.name == rungs.SAY
    listened = _inside(first) and facts.request.speaks_first
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
