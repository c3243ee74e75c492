"""The final verdict: what was seen, weighed against what was called for and not seen, and what each step came to."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from probes.base import Status, note
from troubleshoot.facts import Facts, Key, NotYet
from troubleshoot.judge import Conclusion
from troubleshoot.judge.certainty import weigh
from troubleshoot.judge.model import Finding
from troubleshoot.knowledge.catalogue import Judgement as Order
from troubleshoot.run.plan import wanted
from troubleshoot.steps import StepView, view_of

#: How the vantage of a record begins that a pasted output stands for.
PASTED: Final = "pasted"


def conclude(facts: Facts, order: Order) -> Conclusion:
    """Judge once no probe runs any more: no verdict is certain of what was not looked at, or was only told."""
    conclusion = weigh(facts, order, unseen(facts))
    if not any(record.vantage.startswith(PASTED) for record in facts.observations.values()):
        return conclusion
    finding = conclusion.finding
    return replace(
        conclusion,
        finding=_told(finding) if finding is not None else None,
        others=tuple(map(_told, conclusion.others)),
        told=True,
    )


def _told(finding: Finding) -> Finding:
    """Return a finding as sure as it may be of a paste: nobody here saw how it came about, and when."""
    return replace(finding, confidence="likely") if finding.confidence == "certain" else finding


def unseen(facts: Facts) -> frozenset[Key]:
    """Return the probes that the facts call for and that have no whole result: not run, not possible, or cut short."""
    records = {job.key: facts.observation(*job.key) for job in wanted(facts)}
    return frozenset(
        key
        for key, record in records.items()
        if record is None or record.result is None or record.status is Status.CUT_SHORT
    )


def views_of(facts: Facts, conclusion: Conclusion) -> dict[str, StepView]:
    """Return the view of every step of the checklist; one whose probe did not end says so."""
    views = {}
    cut = note("reason.not-finished" if conclusion.final else "reason.time-up")
    for identifier in facts.request.steps:
        try:
            views[identifier] = view_of(facts, identifier)
        except NotYet:
            views[identifier] = StepView("skipped" if conclusion.final else "unavailable", cut, cut)
    return views
