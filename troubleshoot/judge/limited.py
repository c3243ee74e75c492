"""The first connections pass and no further one does: ``rate-limited``."""

from __future__ import annotations

from probes.base import note
from probes.flows import FlowsResult
from probes.ping import PingMethod, PingResult
from probes.transfer import TransferOutcome, TransferResult
from troubleshoot import asks
from troubleshoot.facts import Facts, NotYet, Reach, Reading, flows, losses, plain, trials
from troubleshoot.judge.evidence.attempt import attempt_evidence, step_of
from troubleshoot.judge.model import Finding, rule, values

#: Silence in a row that a loss brings more often than this may be one.
_BY_LOSS = 0.02


@rule(
    "rate-limited",
    asks=(
        asks.connected.flows,
        asks.connected.losses,
        asks.connected.service,
        asks.connected.large_packets,
        asks.failed.wire,
    ),
    holds_up="healthy",
)
def rate_limited(facts: Facts) -> Finding | None:
    """Connections are made, then all are refused or meet silence, whatever port they come from."""
    for reach in facts.attempts.reaches():
        if reach.reading is Reading.CONNECTED and (found := _limits(facts, reach)) is not None:
            return found
    return None


def _limits(facts: Facts, reach: Reach) -> Finding | None:
    address = reach.address
    watched = ("service", facts.service.subject(address)) in facts.running
    talked = ("transfer", facts.endpoint(address)) in facts.running
    if trials.pending(facts, address, watched=watched, talked=talked):
        raise NotYet("connections")
    spread = facts.get("flows", FlowsResult, facts.endpoint(address))
    limit = trials.limit(facts, address)
    if spread is None or limit is None or flows.split(facts, address) is not None:
        return None
    by_loss = limit.silent and (_else_lost(facts, address) or _by_loss(facts, address, limit.count) > _BY_LOSS)
    sure = limit.enough and limit.alike and not by_loss
    sender = spread.refused_by.sender if spread.refused_by is not None else None
    on_the_way = sender is not None and plain(sender) != plain(address)
    hop = facts.hops.hop_of(address, sender) if on_the_way else facts.hops.distance(address)
    rival = "firewall-drop" if limit.silent else "no-listener"
    return Finding(
        cause="rate-limited",
        confidence="likely" if sure else "possible",
        scope="path" if on_the_way else "remote-host",
        step=step_of(facts),
        evidence=(attempt_evidence(facts, reach), (step_of(facts), trials.told(limit, facts.port))),
        values=values(address=address, made=limit.made, count=limit.count),
        variant="silent" if limit.silent else "default",
        hop=None if limit.silent else hop,
        address=sender if on_the_way else address,
        unsettles=not sure,
        also=((rival, note("verdict.open-several-machines")),),
    )


def _by_loss(facts: Facts, address: str, count: int) -> float:
    """How often a loss as large as it may be, by what was counted, makes so many connections fail in a row."""
    return min(1.0, 2 * losses.at_most(facts, address)) ** count


def _else_lost(facts: Facts, address: str) -> bool:
    """Whether something else was lost, too, or may have been.

    An ordinary user has no echoes that could be counted, but datagrams whose refusals a host limits, too: three are
    fewer than most hosts allow at once.
    """
    ping = facts.path.peek_ping(address)
    talk = facts.peek("transfer", TransferResult, facts.endpoint(address))
    made = [t for t in talk.trials if t.outcome is not TransferOutcome.NOT_CONNECTED] if talk is not None else []
    sent_again = any(trial.retransmitted for trial in made)
    return sent_again or facts.service.syn_lost(address) or (ping is not None and _lost_some(facts, ping))


def _lost_some(facts: Facts, ping: PingResult) -> bool:
    unheard = ping.method is PingMethod.UDP and 0 < ping.received < ping.sent
    return facts.path.patchy(ping) or (unheard and facts.path.overdue(ping) > 0)
