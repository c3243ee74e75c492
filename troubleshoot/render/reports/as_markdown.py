"""A ticket in Markdown (GitHub's flavour), whole enough to be acted on by somebody who was not there."""

from __future__ import annotations

from collections.abc import Iterator

from troubleshoot.render.block import titled, where
from troubleshoot.render.escape import markdown, row
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.render.reports import head
from troubleshoot.render.style import Style
from troubleshoot.render.way import draw
from troubleshoot.report import Report

_STYLE = Style(width=500)


def render(report: Report, lexicon: Lexicon) -> str:
    """Return the ticket: facts, verdict, evidence, checklist, owner."""
    title, summary = titled(report.verdict, lexicon)
    lines = [f"# {markdown(title)}", "", "| | |", "| --- | --- |"]
    lines += [
        f"| {markdown(label, cell=True)} | {markdown(value, cell=True)} |"
        for label, value in head.facts(report, lexicon)
    ]
    lines += [""] if not report.interrupted else ["", markdown(lexicon.ui("interrupted")), ""]
    lines += [markdown(summary), ""] if summary else []
    place = where(report, lexicon)
    lines += [markdown(place), ""] if place else []
    for way in report.verdict.ways:
        lines += [markdown(draw(way, lexicon, _STYLE, _STYLE.width)), ""]
    if report.verdict.explanation:
        lines += [markdown(report.verdict.explanation), ""]
    lines += _list(lexicon.ui("actions"), report.verdict.actions, numbered=True)
    if report.verdict.elsewhere:
        lines += [markdown(report.verdict.elsewhere), ""]
    lines += _list(lexicon.ui("evidence"), _evidence(report, lexicon))
    lines += _list(lexicon.ui("alternatives"), _alternatives(report, lexicon))
    lines += _list(lexicon.ui("not-checked"), report.verdict.not_checked)
    lines += _checklist(report, lexicon)
    lines += _owner(lexicon)
    return "\n".join(lines).rstrip() + "\n"


def _list(heading: str, entries: Iterator[str] | tuple[str, ...], *, numbered: bool = False) -> list[str]:
    lines = [f"{f'{n}.' if numbered else '-'} {markdown(entry)}" for n, entry in enumerate(entries, 1)]
    return [f"## {markdown(heading)}", "", *lines, ""] if lines else []


def _evidence(report: Report, lexicon: Lexicon) -> Iterator[str]:
    titles = {**lexicon.steps, **{step.id: step.title for step in report.steps}}
    return (f"{titles.get(piece.step, piece.step)}: {piece.fact}" for piece in report.verdict.evidence)


def _alternatives(report: Report, lexicon: Lexicon) -> Iterator[str]:
    for other in report.verdict.alternatives:
        named = f"{lexicon.cause(other.cause)} ({lexicon.ui(f'confidence-{other.confidence}')})"
        yield f"{named}: {other.why}" if other.why else named


def _checklist(report: Report, lexicon: Lexicon) -> list[str]:
    lines = [f"## {markdown(lexicon.ui('checklist'))}", "", "| | | |", "| --- | --- | --- |"]
    for step in report.steps:
        sign, _ = _STYLE.mark(step.status)
        cells = f"{sign} {lexicon.ui(f'mark-{step.status}')}", step.title, step.summary or step.why
        lines.append(row(cells))
    return [*lines, ""] if report.steps else []


def _owner(lexicon: Lexicon) -> list[str]:
    rows = head.owner(lexicon)
    lines = [f"- {markdown(label)}: {markdown(value)}" for label, value in rows]
    return [f"## {markdown(rows[0][0])}", "", *lines, ""] if rows else []
