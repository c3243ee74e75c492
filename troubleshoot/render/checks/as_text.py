"""The check as a person reads it: what did not pass, why, what to do, and the sums last."""

from __future__ import annotations

from troubleshoot.check.model import Basis, CheckReport, Group, Outcome, Status
from troubleshoot.render.checks.words import Words
from troubleshoot.render.layout import wrap
from troubleshoot.render.safe import safe

_WIDTH = 100
#: So many targets of one group are named; the formats for programs have them all.
_NAMED = 5


def render(report: CheckReport, words: Words) -> str:
    """Return the groups of failures, the other targets that did not plainly pass, and the line of sums."""
    lines: list[str] = []
    for group in report.groups:
        lines += _group(group, [o for o in report.outcomes if o.group == group.id], words)
    for outcome in report.outcomes:
        if outcome.group is None and outcome.status is not Status.PASSED:
            lines.append(_line(outcome, words))
    if report.interrupted:
        lines += ["", words.say("interrupted")]
    return "\n".join([*lines, words.summary(report)]) + "\n"


def _line(outcome: Outcome, words: Words) -> str:
    reason = words.reason(outcome, None)
    return f"{words.say(str(outcome.status))}  {safe(outcome.check.name)}" + (f"  {safe(reason)}" if reason else "")


def _group(group: Group, members: list[Outcome], words: Words) -> list[str]:
    lines = [_line(outcome, words) for outcome in members[:_NAMED]]
    if len(members) > _NAMED:
        lines.append(f"  … +{len(members) - _NAMED}")
    verdict = group.report.verdict
    title = words.cause(group.cause)
    lines += wrap(safe(f"{title} ({verdict.confidence})" if title else verdict.summary), _WIDTH, "  ")
    if title:
        lines += wrap(safe(verdict.summary), _WIDTH, "  ")
    for basis in (Basis.ASKED, Basis.INFERRED):
        those = [outcome for outcome in members if outcome.basis is basis]
        if title and those:
            levels = "/".join(sorted({str(outcome.confidence) for outcome in those}))
            said = words.say(f"basis-{basis}", count=len(those), total=len(members), confidence=levels)
            lines += wrap(said, _WIDTH, "  ")
    for number, action in enumerate(verdict.actions[:2], 1):
        lines += wrap(safe(action), _WIDTH, f"  {number}. ", "     ")
    return [*lines, ""]
