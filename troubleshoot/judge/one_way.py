"""Causes on one of several ways: some source ports meet them, always the same ones, and others do not."""

from __future__ import annotations

from probes.base import Note, note
from probes.flows import FlowOutcome
from troubleshoot.facts import Facts, NotYet, describe
from troubleshoot.facts.flows import Split, split
from troubleshoot.judge.evidence.attempt import attempt_evidence, path_evidence, step_of
from troubleshoot.judge.model import Finding, values


def found(facts: Facts, outcome: FlowOutcome) -> Split | None:
    """Return what some source ports of the target meet again and again; :class:`NotYet` while they are tried."""
    still: NotYet | None = None
    for reach in facts.attempts.reaches():
        try:
            known = split(facts, reach.address)
        except NotYet as waiting:
            still = waiting
            continue
        if known is not None and known.outcome is outcome:
            return known
    if still is not None:
        raise still
    return None


def _evidence(facts: Facts, known: Split) -> tuple[tuple[str, Note], ...]:
    passed, router = known.passed
    walk: list[Note] = []
    if known.outcome is FlowOutcome.SILENCE and passed:
        walk = [note("fact.flow-passes", hop=passed, router=router or "?")]
    elif known.outcome is FlowOutcome.RESET and known.final is not None:
        walk = [note("fact.flow-reset", ttl=known.final.ttl)]
    return (
        (step_of(facts), describe.split(known)),
        *((step_of(facts), fact) for fact in walk),
        attempt_evidence(facts, facts.attempts.reach(known.address)),
        *path_evidence(facts, known.address),
    )


def _behind(facts: Facts, known: Split, cause: str, scope: str) -> Finding:
    """Return ``cause``, behind the last device that answered on the way of the ports that fail."""
    hop, router = known.passed
    return Finding(
        cause=cause,
        confidence="likely" if known.proven else "possible",
        unsettles=not known.proven,
        scope=scope,
        step=step_of(facts),
        evidence=_evidence(facts, known),
        values=values(router=router, address=known.address),
        variant="some-flows" if hop and router else "some-flows-unlocated",
        hop=hop or None,
        address=router,
        also=(("no-listener", note("verdict.open-one-of-several")),),
    )


def drops(facts: Facts) -> Finding | None:
    """Return ``firewall-drop`` where some source ports always meet silence."""
    known = found(facts, FlowOutcome.SILENCE)
    if known is None:
        return None
    distance = facts.hops.distance(known.address)
    beyond = distance is not None and known.passed[0] >= distance - 1
    return _behind(facts, known, "firewall-drop", "remote-host" if beyond else "path")


def resets(facts: Facts) -> Finding | None:
    """Return ``firewall-reset`` where some source ports are always refused, by a device nearer than the host."""
    known = found(facts, FlowOutcome.RESET)
    if known is None or not _nearer(facts, known):
        return None
    return _behind(facts, known, "firewall-reset", "path")


def rejects(facts: Facts) -> Finding | None:
    """Return ``firewall-reject`` where some source ports are always refused by an ICMP error."""
    known = found(facts, FlowOutcome.ICMP)
    error = known.final.icmp if known is not None and known.final is not None else None
    if known is None or error is None or facts.machine.is_own(error.sender):
        return None
    hop = facts.hops.hop_of(known.address, error.sender)
    return Finding(
        cause="firewall-reject",
        confidence="likely" if known.proven else "possible",
        unsettles=not known.proven,
        scope="path",
        step=step_of(facts),
        evidence=_evidence(facts, known),
        values=values(router=error.sender, address=known.address, found=describe.icmp(error)),
        variant="some-flows",
        hop=hop,
        address=error.sender,
    )


def refuses(facts: Facts) -> Finding | None:
    """Return ``no-listener`` where some source ports are always refused from as far away as the host is."""
    known = found(facts, FlowOutcome.RESET)
    if known is None or _nearer(facts, known):
        return None
    return Finding(
        cause="no-listener",
        confidence="likely" if known.proven else "possible",
        unsettles=not known.proven,
        step=step_of(facts),
        evidence=_evidence(facts, known),
        variant="some-flows",
        hop=facts.hops.distance(known.address),
        address=known.address,
        also=(("firewall-reset", note("verdict.open-one-way")),),
    )


def _nearer(facts: Facts, known: Split) -> bool:
    distance = facts.hops.distance(known.address)
    return known.final is not None and distance is not None and known.final.ttl < distance


def explained(facts: Facts, address: str) -> bool:
    """Whether it is known by now that the source port decides what becomes of a connection to an address."""
    try:
        known = split(facts, address)
    except NotYet:
        return False
    return known is not None and known.proven
