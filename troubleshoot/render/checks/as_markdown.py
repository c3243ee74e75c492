"""Markdown (GitHub's flavour), as a step summary or a ticket takes it."""

from __future__ import annotations

from troubleshoot.check.model import CheckReport, Status
from troubleshoot.render.checks.words import Words, group_of
from troubleshoot.render.escape import markdown, row


def render(report: CheckReport, words: Words) -> str:
    """Return the sums, a table of what did not plainly pass, and what to do about each group."""
    lines = [f"**{markdown(words.summary(report))}**", ""]
    open_ = [outcome for outcome in report.outcomes if outcome.status is not Status.PASSED]
    if open_:
        lines += ["| target | status | |", "| --- | --- | --- |"]
        for outcome in open_:
            cells = outcome.check.name, words.say(str(outcome.status)), words.reason(outcome, group_of(outcome, report))
            lines.append(row(cells))
    for group in report.groups:
        verdict = group.report.verdict
        heading = words.cause(group.cause) or verdict.summary
        lines += ["", f"### {markdown(heading)} ({group.targets})", "", markdown(verdict.summary), ""]
        lines += [f"{number}. {markdown(action)}" for number, action in enumerate(verdict.actions, 1)]
    return "\n".join(lines) + "\n"
