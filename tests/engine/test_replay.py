"""Reports that the lab saved, judged again: the same evidence gives the same verdict, anywhere, without a network.

``python tests/lab/run.py --only NAME --save DIR`` writes such reports; a bug report becomes a test by adding its file
to ``tests/data/reports``. (The typed results behind the steps are left out of these files: ``probes`` holds them.)
"""

from __future__ import annotations

from pathlib import Path

import pytest

from troubleshoot.report import Report, from_json, to_json
from troubleshoot.run.engine import replay

REPORTS = sorted((Path(__file__).parent.parent / "data" / "reports").glob("*.json"))


@pytest.fixture(params=REPORTS, ids=lambda path: path.stem)
def saved(request: pytest.FixtureRequest) -> Report:
    return from_json(request.param.read_bytes())


def test_there_are_reports() -> None:
    assert len(REPORTS) > 20


def test_the_verdict_is_the_same(saved: Report) -> None:
    again = replay(saved, "en")
    assert again.verdict == saved.verdict
    assert again.reproduction == saved.reproduction
    assert [(s.id, s.status, s.summary) for s in again.steps] == [(s.id, s.status, s.summary) for s in saved.steps]


def test_judging_twice_changes_nothing(saved: Report) -> None:
    once = replay(saved, "en")
    assert replay(from_json(to_json(once)), "en") == once


def test_korean_says_the_same(saved: Report) -> None:
    korean = replay(saved, "ko")
    assert (korean.verdict.outcome, korean.verdict.cause) == (saved.verdict.outcome, saved.verdict.cause)
    assert (korean.verdict.location, korean.verdict.confidence) == (saved.verdict.location, saved.verdict.confidence)
    assert any("가" <= letter <= "힣" for letter in korean.verdict.summary)
    assert "<" not in korean.verdict.summary
