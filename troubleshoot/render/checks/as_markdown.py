"""Markdown (GitHub's flavour), as a step summary or a ticket takes it."""

from __future__ import annotations

import re

from troubleshoot.check.model import CheckReport, Status
from troubleshoot.render.checks.words import Words, group_of
from troubleshoot.render.safe import safe

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$@-])")


def render(report: CheckReport, words: Words) -> str:
    """Return the sums, a table of what did not plainly pass, and what to do about each group."""
    lines = [f"**{_plain(words.summary(report))}**", ""]
    open_ = [outcome for outcome in report.outcomes if outcome.status is not Status.PASSED]
    if open_:
        lines += ["| target | status | |", "| --- | --- | --- |"]
        for outcome in open_:
            cells = outcome.check.name, words.say(str(outcome.status)), words.reason(outcome, group_of(outcome, report))
            lines.append(f"| {' | '.join(map(_plain, cells))} |")
    for group in report.groups:
        verdict = group.report.verdict
        heading = words.cause(group.cause) or verdict.summary
        lines += ["", f"### {_plain(heading)} ({group.targets})", "", _plain(verdict.summary), ""]
        lines += [f"{number}. {_plain(action)}" for number, action in enumerate(verdict.actions, 1)]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return text that means nothing to a renderer of Markdown but itself."""
    return _SPECIAL.sub(r"\\\1", safe(text))
