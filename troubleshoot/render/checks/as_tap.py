"""The Test Anything Protocol, version 14 (testanything.org)."""

from __future__ import annotations

import json

from troubleshoot.check.model import CheckReport, Outcome, Status
from troubleshoot.render.checks.words import Words, group_of
from troubleshoot.render.safe import safe


def render(report: CheckReport, words: Words) -> str:
    """Return a test point a target, with a YAML block of what was found for those that did not pass."""
    lines = ["TAP version 14", f"1..{len(report.outcomes)}"]
    for number, outcome in enumerate(report.outcomes, 1):
        lines += _point(number, outcome, report, words)
    if report.interrupted:
        lines.append(f"Bail out! {words.say('interrupted')}")
    return "\n".join(lines) + "\n"


def _point(number: int, outcome: Outcome, report: CheckReport, words: Words) -> list[str]:
    good = outcome.status in (Status.PASSED, Status.FLAKY)
    name = safe(outcome.check.name).replace("\\", "\\\\").replace("#", "\\#")
    line = f"{'ok' if good else 'not ok'} {number} - {name}"
    if outcome.status is Status.UNDECIDED:
        line += " # SKIP undecided"
    if outcome.status is Status.PASSED:
        return [line]
    told = {
        "status": str(outcome.status),
        "message": safe(words.reason(outcome, group_of(outcome, report))),
        "cause": outcome.cause,
        "confidence": outcome.confidence,
    }
    # A JSON string is a YAML string (YAML 1.2, section 1.3).
    return [line, "  ---", *(f"  {key}: {json.dumps(value)}" for key, value in told.items()), "  ..."]
