"""Reports that the lab saved, judged again: the same evidence gives the same verdict, anywhere, without a network.

``python tests/lab/run.py --only NAME --save DIR`` writes such reports; a bug report becomes a test by adding its file
to ``tests/data/reports``. (The typed results behind the steps are left out of these files: ``probes`` holds them.)
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import get_args

import pytest

from tests.plan.table import moments
from troubleshoot.report import Confidence, Report, from_json, to_json
from troubleshoot.run.engine import replay
from troubleshoot.run.plan import wanted

#: From the least sure.
SURENESS = get_args(Confidence)[::-1]
REPORTS = sorted((Path(__file__).parent.parent / "data" / "reports").glob("*.json"))


@pytest.fixture(params=REPORTS, ids=lambda path: path.stem)
def saved(request: pytest.FixtureRequest) -> Report:
    return from_json(request.param.read_bytes())


@functools.cache
def recorded() -> frozenset[str]:
    """The probes that some saved report has a record of."""
    return frozenset(record["probe"] for path in REPORTS for record in from_json(path.read_bytes()).probes)


def asked_since(report: Report) -> set[str]:
    """The probes that would be asked now and came after all saved reports."""
    *_, (_, facts) = moments(report)
    return {job.probe for job in wanted(facts)} - recorded()


def test_there_are_reports() -> None:
    assert len(REPORTS) > 20


def judged(report: Report) -> list[object]:
    """Return what was judged, without the words in which it is told: those change with the catalogue."""
    verdict = report.verdict
    others = [(other.cause, other.confidence, other.relation) for other in verdict.alternatives]
    named = [verdict.outcome, verdict.cause, verdict.failed_step, verdict.location]
    return [*named, others, [piece.step for piece in verdict.evidence]]


def test_the_verdict_is_the_same(saved: Report) -> None:
    again = replay(saved, "en")
    now, then = again.verdict, saved.verdict
    assert judged(again) == judged(saved)
    # What was not asked for then is named, and the verdict may be less sure for it: nothing else changes.
    sure, was = SURENESS.index(now.confidence), SURENESS.index(then.confidence)
    assert sure <= was if asked_since(saved) else sure == was
    met, had_met = again.reproduction, saved.reproduction
    assert (met.outcome, met.observed) == (had_met.outcome, had_met.observed)
    had = {step.id for step in saved.steps}
    assert [(s.id, s.status) for s in again.steps if s.id in had] == [(s.id, s.status) for s in saved.steps]
    # A step that came since cannot have been carried out.
    assert {step.status for step in again.steps if step.id not in had} <= {"unavailable"}


def test_judging_twice_changes_nothing(saved: Report) -> None:
    once = replay(saved, "en")
    assert replay(from_json(to_json(once)), "en") == once


def test_korean_says_the_same(saved: Report) -> None:
    korean = replay(saved, "ko")
    assert (korean.verdict.outcome, korean.verdict.cause) == (saved.verdict.outcome, saved.verdict.cause)
    english = replay(saved, "en").verdict
    assert (korean.verdict.location, korean.verdict.confidence) == (saved.verdict.location, english.confidence)
    assert any("가" <= letter <= "힣" for letter in korean.verdict.summary)
    assert "<" not in korean.verdict.summary
