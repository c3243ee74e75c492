"""How sure a verdict may be: what was not looked at bars certainty.

A rule that reads an observation which was never made, was not possible here or was cut short cannot tell whether its
cause is at work. So the facts are judged a second time, with those observations as though they were still to come: a
rule that rests on one of them then has no answer. Where such a rule could have outranked the verdict, or the verdict
itself rests on one, the verdict is likely at most and names what was not seen.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from probes.service import ServiceResult
from troubleshoot.facts import Facts, Key
from troubleshoot.judge import Conclusion, judge
from troubleshoot.knowledge.catalogue import Judgement as Order


def weigh(facts: Facts, order: Order, unseen: Iterable[Key]) -> Conclusion:
    """Return the conclusion with its confidence held down by the observations in ``unseen`` that could change it.

    ``unseen`` are the probes that these facts call for and that left no whole result.
    """
    conclusion, missing = judge(facts, order), frozenset(unseen)
    if conclusion.outcome == "inconclusive":
        return conclusion
    if _could_be_another(conclusion, order) or elsewhere(facts):
        conclusion = _less_sure(conclusion)
    if not missing or _stands(conclusion, facts, order, missing):
        return conclusion
    if conclusion.outcome == "healthy" and _beside_the_point(facts, missing):
        conclusion = replace(conclusion, outcome="inconclusive")
    decisive = tuple(key for key in sorted(missing) if not _stands(conclusion, facts, order, frozenset({key})))
    return replace(_less_sure(conclusion), unseen=decisive or tuple(sorted(missing)))


def _beside_the_point(facts: Facts, missing: frozenset[Key]) -> bool:
    """Whether only the opening of a connection was seen, where the code is one that open connections bring."""
    watched = any(isinstance(record.result, ServiceResult) for record in facts.of("service"))
    return facts.service.established and not watched and any(probe == "service" for probe, _ in missing)


def elsewhere(facts: Facts) -> bool:
    """Whether the network may say another thing where the failing program stands, which was not looked from."""
    return facts.request.kind in ("network", "name-service") and bool(facts.program.apart())


def _less_sure(conclusion: Conclusion) -> Conclusion:
    finding = conclusion.finding
    if finding is None or finding.confidence != "certain":
        return conclusion
    return replace(conclusion, finding=replace(finding, confidence="likely"))


def _could_be_another(conclusion: Conclusion, order: Order) -> bool:
    """Whether a rule that failed might have named a cause that outranks the verdict."""
    ranks = [order.order.index(cause) for cause, _ in conclusion.broken]
    named = conclusion.finding
    return bool(ranks) and (named is None or min(ranks) < order.order.index(named.cause))


def _stands(conclusion: Conclusion, facts: Facts, order: Order, missing: frozenset[Key]) -> bool:
    """Whether the conclusion is the same, and final, whatever the missing observations would have shown."""
    doubted = judge(facts.awaiting(missing), order)
    if doubted.outcome != conclusion.outcome or not doubted.final:
        return False
    before, after = conclusion.finding, doubted.finding
    return before is None or (
        after is not None and (before.cause, before.confidence) == (after.cause, after.confidence)
    )
