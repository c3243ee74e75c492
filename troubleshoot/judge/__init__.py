"""Judge what the observations mean. Pure: the same facts always give the same judgement."""

from __future__ import annotations

import msgspec

from probes.address import AddressKind
from troubleshoot.facts import Facts, NotYet, Reading, is_loopback
from troubleshoot.judge import (
    absent,
    destination,
    ephemeral,
    files,
    holders,
    limits,
    loop,
    mask,
    misuse,
    mtu,
    names,
    own_filter,
    queue,
    refused,
    routes,
    service,
    several,
    silence,
    stack,
    told,
)
from troubleshoot.judge.model import DECLARED, RULES, Finding, Standing
from troubleshoot.knowledge.catalogue import Judgement as Order
from troubleshoot.report import Outcome

__all__ = ["Conclusion", "judge"]

#: Importing them fills the table.
MODULES = (
    absent,
    destination,
    ephemeral,
    files,
    holders,
    limits,
    loop,
    mask,
    misuse,
    mtu,
    names,
    own_filter,
    queue,
    refused,
    routes,
    service,
    several,
    silence,
    stack,
    told,
)


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence comes to so far.

    ``final`` tells that no running probe can change outcome or cause any more; ``complete`` that none can add a
    second fault that would be worth waiting for. ``standings`` has an entry for every cause with a rule.
    """

    outcome: Outcome
    finding: Finding | None
    others: tuple[Finding, ...]
    standings: dict[str, Standing]
    final: bool
    complete: bool


def judge(facts: Facts, order: Order) -> Conclusion:
    """Ask every rule, rank what is supported, and say whether anything still running could change it."""
    standings: dict[str, Standing] = {}
    findings: list[Finding] = []
    open_causes: set[str] = set()
    for cause in order.order:
        rule = RULES.get(cause)
        if rule is None:
            continue
        try:
            finding = rule(facts)
        except NotYet:
            open_causes.add(cause)
            standings[cause] = Standing.NOT_EVALUATED
            continue
        standings[cause] = Standing.SUPPORTED if finding is not None else Standing.CONTRADICTED
        if finding is not None:
            findings.append(finding)
    rank = {cause: position for position, cause in enumerate(order.order)}
    faults = [f for f in findings if not f.warning and f.confidence != "possible"]
    first = min(faults, key=lambda f: rank[f.cause], default=None)
    others = tuple(f for f in findings if f is not first)
    incomplete = any(DECLARED[c].holds_up == "complete" for c in open_causes)
    if first is not None:
        final = not any(rank[c] < rank[first.cause] for c in open_causes)
        return Conclusion(
            outcome="fault",
            finding=first,
            others=others,
            standings=standings,
            final=final,
            complete=final and not incomplete,
        )
    try:
        healthy = _healthy(facts)
        undecided = False
    except NotYet:
        healthy, undecided = False, True
    if healthy and not any(f.unsettles for f in findings):
        # A warning of the name service is not worth keeping a user with a working target waiting for.
        doubted = {c for c in open_causes if DECLARED[c].holds_up == "healthy"}
        blocking = open_causes if facts.request.kind == "name-service" else doubted
        return Conclusion(
            outcome="healthy",
            finding=None,
            others=others,
            standings=standings,
            final=not blocking,
            complete=not blocking,
        )
    done = not undecided and not open_causes
    return Conclusion(
        outcome="inconclusive", finding=None, others=others, standings=standings, final=done, complete=done
    )


def _healthy(facts: Facts) -> bool:
    """Whether the target works now and nothing on the checklist is at fault."""
    request = facts.request
    if request.kind in ("network", "name-service"):
        return _reached(facts)
    if request.kind == "api-misuse":
        return False
    if facts.running:
        raise NotYet("local checks")
    if "connect" in request.steps and facts.targets and not facts.machine.is_local(facts.targets[0]):
        everywhere = facts.machine.kind(facts.targets[0]) is AddressKind.UNSPECIFIED
        return not facts.machine.hidden() if everywhere else _reached(facts)
    return not facts.machine.hidden() and not any(r.reading is Reading.LOCAL for r in facts.attempts.reaches())


def _reached(facts: Facts) -> bool:
    if facts.request.kind == "name-service" and facts.port is None:
        return facts.names.is_literal or (facts.names.resolved() is not None and not facts.names.unresolved())
    reaches = facts.attempts.reaches()
    if not reaches:
        if facts.names.resolving or ("services-file", facts.request.target.service or "") in facts.running:
            raise NotYet("resolve")
        return False
    if facts.port is None and any(facts.path.alive(r.address) for r in reaches):
        return True
    for reach in reaches:
        facts.attempts.wait_for(reach.address)
        facts.wait_for("flows", facts.endpoint(reach.address))
    if all(is_loopback(r.address) for r in reaches):
        return any(r.reading is Reading.CONNECTED for r in reaches)
    return all(r.reading is Reading.CONNECTED for r in reaches)
