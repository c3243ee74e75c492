"""GitHub Actions: workflow commands that become annotations (docs.github.com, "Workflow commands")."""

from __future__ import annotations

from troubleshoot.check.model import CheckReport, Outcome, Status
from troubleshoot.render.checks.words import Words, group_of
from troubleshoot.render.safe import safe

_KINDS = {Status.FAILED: "error", Status.ENVIRONMENT: "error", Status.FLAKY: "warning", Status.UNDECIDED: "warning"}


def render(report: CheckReport, words: Words) -> str:
    """Return an annotation for each target that did not plainly pass, then the line of sums."""
    lines = [_annotation(outcome, report, words) for outcome in report.outcomes if outcome.status in _KINDS]
    return "\n".join([*lines, words.summary(report)]) + "\n"


def _annotation(outcome: Outcome, report: CheckReport, words: Words) -> str:
    group = group_of(outcome, report)
    title = f"{outcome.check.name}: {words.say(str(outcome.status))}"
    told = [words.reason(outcome, group if outcome.cause else None)]
    if group is not None:
        told += [group.report.verdict.summary, *group.report.verdict.actions[:2]]
    message = "%0A".join(_data(part) for part in told if part)
    return f"::{_KINDS[outcome.status]} title={_property(title)}::{message}"


def _data(text: str) -> str:
    return safe(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
