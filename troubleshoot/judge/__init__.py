"""Judge what the observations mean. Pure: the same facts always give the same judgement."""

from __future__ import annotations

import msgspec

from troubleshoot.errors import bug_text
from troubleshoot.facts import Facts, Key, NotYet
from troubleshoot.judge import (  # noqa: F401 - importing them fills the table
    absent,
    certificate,
    conflict,
    destination,
    ephemeral,
    false_answers,
    files,
    ftp,
    handshake,
    hangs_up,
    holders,
    limited,
    limits,
    loop,
    loopback,
    mask,
    misuse,
    mtu,
    names,
    other_route,
    own_filter,
    policy,
    proxies,
    queue,
    refused,
    resolver,
    routes,
    said,
    service,
    several,
    silence,
    stack,
    told,
    unfitting,
    way_back,
)
from troubleshoot.judge.healthy import works
from troubleshoot.judge.model import DECLARED, RULES, Finding, Standing
from troubleshoot.knowledge.catalogue import Judgement as Order
from troubleshoot.report import Outcome

__all__ = ["Conclusion", "judge"]


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence comes to so far.

    ``final`` tells that no running probe can change outcome or cause any more; ``complete`` that none can add a
    second fault that would be worth waiting for. ``standings`` has an entry for every cause with a rule. ``unseen``
    names the probes that were wanted, left no whole result and could have changed the verdict. ``broken`` pairs the
    causes whose rule failed, a bug of ours, with where and why: they are not ruled out. ``told`` is whether outputs
    that somebody pasted stand for what would have been seen: then nothing is certain.
    """

    outcome: Outcome
    finding: Finding | None
    others: tuple[Finding, ...]
    standings: dict[str, Standing]
    final: bool
    complete: bool
    unseen: tuple[Key, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()
    told: bool = False


class _Answers(msgspec.Struct, frozen=True):
    """What the rules said: ``findings`` by rank, where each cause stands, and the rules that failed."""

    findings: list[Finding]
    standings: dict[str, Standing]
    broken: list[tuple[str, str]]

    @property
    def open_causes(self) -> list[str]:
        """The causes whose rules still wait for a probe, by rank."""
        return [cause for cause, standing in self.standings.items() if standing is Standing.NOT_EVALUATED]

    def come_to(self, outcome: Outcome, finding: Finding | None, *, final: bool, complete: bool) -> Conclusion:
        """Return the conclusion, with whatever else was found beside ``finding``."""
        return Conclusion(
            outcome=outcome,
            finding=finding,
            others=tuple(f for f in self.findings if f is not finding),
            standings=self.standings,
            final=final,
            complete=complete,
            broken=tuple(self.broken),
        )


def judge(facts: Facts, order: Order) -> Conclusion:
    """Ask every rule, rank what is supported, and say whether anything still running could change it."""
    answers = _ask(facts, order)
    open_causes = answers.open_causes
    first = next((f for f in answers.findings if not f.warning and f.confidence != "possible"), None)
    if first is not None:
        better = order.order[: order.order.index(first.cause)]
        final = not any(cause in better for cause in open_causes)
        further = any(DECLARED[cause].holds_up == "complete" for cause in open_causes)
        return answers.come_to("fault", first, final=final, complete=final and not further)
    healthy = _works(facts)
    if healthy and not any(f.unsettles for f in answers.findings):
        # A warning of the name service is not worth keeping a user with a working target waiting for.
        doubted = [cause for cause in open_causes if DECLARED[cause].holds_up == "healthy"]
        done = not (open_causes if facts.request.kind == "name-service" else doubted)
        return answers.come_to("healthy", None, final=done, complete=done)
    done = healthy is not None and not open_causes
    return answers.come_to("inconclusive", None, final=done, complete=done)


def _ask(facts: Facts, order: Order) -> _Answers:
    """Ask the rule of every cause, by rank."""
    answers = _Answers([], {}, [])
    for cause in order.order:
        rule = RULES.get(cause)
        if rule is None:
            continue
        try:
            finding = rule(facts)
        except NotYet:
            answers.standings[cause] = Standing.NOT_EVALUATED
            continue
        except Exception as bug:  # noqa: BLE001 - a bug in one rule never harms the others
            answers.broken.append((cause, bug_text(bug)))
            answers.standings[cause] = Standing.BROKEN
            continue
        answers.standings[cause] = Standing.SUPPORTED if finding is not None else Standing.CONTRADICTED
        if finding is not None:
            answers.findings.append(finding)
    return answers


def _works(facts: Facts) -> bool | None:
    """Tell whether the target works; ``None`` while that is open."""
    try:
        return works(facts)
    except NotYet:
        return None
