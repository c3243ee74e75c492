"""Judge what the observations mean. Pure: the same facts always give the same judgement."""

from __future__ import annotations

import msgspec

from troubleshoot.errors import bug_text
from troubleshoot.facts import Facts, Key, NotYet
from troubleshoot.judge import (
    absent,
    conflict,
    destination,
    ephemeral,
    false_answers,
    files,
    holders,
    limits,
    loop,
    mask,
    misuse,
    mtu,
    names,
    other_route,
    own_filter,
    queue,
    refused,
    resolver,
    routes,
    service,
    several,
    silence,
    stack,
    told,
    way_back,
)
from troubleshoot.judge.healthy import works
from troubleshoot.judge.model import DECLARED, RULES, Finding, Standing
from troubleshoot.knowledge.catalogue import Judgement as Order
from troubleshoot.report import Outcome

__all__ = ["Conclusion", "judge"]

#: Importing them fills the table.
MODULES = (
    absent,
    conflict,
    destination,
    ephemeral,
    false_answers,
    files,
    holders,
    limits,
    loop,
    mask,
    misuse,
    mtu,
    names,
    other_route,
    own_filter,
    queue,
    refused,
    resolver,
    routes,
    service,
    several,
    silence,
    stack,
    told,
    way_back,
)


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence comes to so far.

    ``final`` tells that no running probe can change outcome or cause any more; ``complete`` that none can add a
    second fault that would be worth waiting for. ``standings`` has an entry for every cause with a rule. ``unseen``
    names the probes that were wanted, left no whole result and could have changed the verdict. ``broken`` pairs the
    causes whose rule failed, a bug of ours, with where and why: they are not ruled out.
    """

    outcome: Outcome
    finding: Finding | None
    others: tuple[Finding, ...]
    standings: dict[str, Standing]
    final: bool
    complete: bool
    unseen: tuple[Key, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()


def judge(facts: Facts, order: Order) -> Conclusion:
    """Ask every rule, rank what is supported, and say whether anything still running could change it."""
    standings: dict[str, Standing] = {}
    findings: list[Finding] = []
    open_causes: set[str] = set()
    broken: list[tuple[str, str]] = []
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
        except Exception as bug:  # noqa: BLE001 - a bug in one rule never harms the others
            broken.append((cause, bug_text(bug)))
            standings[cause] = Standing.BROKEN
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
            broken=tuple(broken),
        )
    try:
        healthy = works(facts)
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
            broken=tuple(broken),
        )
    done = not undecided and not open_causes
    return Conclusion(
        outcome="inconclusive",
        finding=None,
        others=others,
        standings=standings,
        final=done,
        complete=done,
        broken=tuple(broken),
    )
