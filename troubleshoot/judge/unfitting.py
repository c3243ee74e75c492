"""What answers is no answer: ``unfitting-answers``.

Segments that acknowledge nothing of ours, come from another address or are damaged are thrown away by every system
(RFC 9293, 3.10.7.3), and one packet that several machines refuse was refused by none of them for sure. A peer with an
old connection, a broken device and a forger look alike from here, so that this is never certain.
"""

from __future__ import annotations

from probes.base import Note, note
from probes.failure import Unfitting
from probes.own_filter import OwnFilterResult
from probes.wire import WireResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, watched
from troubleshoot.judge.evidence.attempt import attempt_evidence, failing, step_of
from troubleshoot.judge.evidence.counters import thrown_by_chance
from troubleshoot.judge.evidence.icmp import refusers
from troubleshoot.judge.model import Evidence, Finding, rule, values
from troubleshoot.report import Confidence


@rule("unfitting-answers", asks=(asks.failed.wire, asks.failed.own_filter))
def unfitting_answers(facts: Facts) -> Finding | None:
    """A connection meets silence while segments come that are no answer, or one packet is refused by several."""
    reach = failing(facts)
    if reach is None:
        return None
    if reach.reading is Reading.ICMP:
        return _refused_by_many(facts, reach)
    if reach.reading is not Reading.SILENT or facts.port is None or facts.request.target.transport != "tcp":
        return None
    wire = watched.wire(facts, reach.address)
    if wire is not None:
        return _seen(facts, reach, wire)
    counted = facts.get("own-filter", OwnFilterResult, facts.endpoint(reach.address))
    chance = thrown_by_chance(counted) if counted is not None else None
    if counted is None or chance is None or chance > facts.threshold("counted_chance"):
        return None
    return _finding(facts, reach, "likely", "counted", seen=((step_of(facts), note("fact.counted-thrown")),))


def _seen(facts: Facts, reach: Reach, wire: WireResult) -> Finding | None:
    if not wire.unfitting or wire.answer_in is not None:
        return None
    most = max(wire.unfitting, key=lambda one: one.count)
    # One that does not come for each SYN may be a stray of the past.
    confidence: Confidence = "likely" if sum(one.count for one in wire.unfitting) >= wire.syns_out > 0 else "possible"
    seen = tuple((step_of(facts), _fact(one)) for one in wire.unfitting[:3])
    if most.why in ("address", "port"):
        return _finding(facts, reach, confidence, "address", seen=seen, sender=most.source)
    variant = "damaged" if most.why == "checksum" else "number"
    return _finding(facts, reach, confidence, variant, seen=seen, sender=most.source)


def _fact(one: Unfitting) -> Note:
    return note(f"fact.unfitting-{one.why}", count=one.count, answer=one.kind, sender=one.source)


def _refused_by_many(facts: Facts, reach: Reach) -> Finding | None:
    count = refusers(facts, reach)
    if count < 2:
        return None
    seen = ((step_of(facts), note("fact.several-refuse", count=count)),)
    return _finding(facts, reach, "possible", "refusals", seen=seen)


def _finding(
    facts: Facts, reach: Reach, confidence: Confidence, variant: str, *, seen: Evidence, sender: str | None = None
) -> Finding:
    return Finding(
        cause="unfitting-answers",
        confidence=confidence,
        step=step_of(facts),
        evidence=(attempt_evidence(facts, reach), *seen),
        values=values(address=reach.address, found=sender),
        variant=variant,
        address=sender,
        also=(("nat-loopback", note("verdict.open-hairpin")),) if variant in ("counted", "address") else (),
    )
