"""Packets go round in a circle: ``routing-loop``."""

from __future__ import annotations

from probes.failure import IcmpMeaning
from troubleshoot import asks
from troubleshoot.facts import Facts, Reading
from troubleshoot.judge.evidence.attempt import attempt_evidence, failing, path_evidence, step_of
from troubleshoot.judge.evidence.loop import ring_of
from troubleshoot.judge.model import Finding, first_step, rule, values


@rule("routing-loop", asks=(asks.connected.flows,))
def routing_loop(facts: Facts) -> Finding | None:
    """The same routers come round again."""
    reach = failing(facts)
    if reach is None:
        return None
    expired = reach.icmp is not None and reach.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
    if not expired and reach.reading is not Reading.SILENT:
        return None
    trace = facts.path.trace(reach.address)
    ring = ring_of(trace) if trace is not None else None
    if ring is None and not expired:
        return None
    hop, router = ring if ring is not None else (None, reach.icmp.sender if reach.icmp else None)
    return Finding(
        cause="routing-loop",
        confidence="certain" if ring is not None and expired else "likely",
        step=first_step(facts, "traceroute", step_of(facts)),
        evidence=(attempt_evidence(facts, reach), *path_evidence(facts, reach.address)),
        values=values(router=router, address=reach.address),
        variant="default" if hop else "unlocated",
        hop=hop,
        address=router,
    )
