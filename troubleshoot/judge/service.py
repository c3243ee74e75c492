"""Rules for a port that accepts connections: who it was that accepted, and what is lost of the packets.

A working target is not held up for long by them, because what they need ends soon where nothing is wrong; but it is
held up: that a connection is made is the beginning of a program's exchange, and not the end.
"""

from __future__ import annotations

from collections.abc import Callable

from probes.answer_ttl import AnswerTtlResult, TtlAnswer
from probes.base import note
from troubleshoot import asks
from troubleshoot.facts import Facts, NotYet, Reach, Reading, describe, family_of, flows, loss_series, losses
from troubleshoot.facts.chance import interval
from troubleshoot.facts.losses import Kind
from troubleshoot.judge import forwarded, one_way
from troubleshoot.judge.evidence.attempt import attempt_evidence, path_evidence, step_of
from troubleshoot.judge.evidence.distance import reply_ttl, rewritten, routers_back, same_way_back, start_of
from troubleshoot.judge.model import Finding, rule, values
from troubleshoot.report import Confidence


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
