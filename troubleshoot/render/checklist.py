"""The checklist: what failed, warned or could not be looked at has its line; what is fine folds into one."""

from __future__ import annotations

from collections.abc import Iterator

from troubleshoot.render.labels import checklist_heading
from troubleshoot.render.layout import cells, cut, pad, wrap
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.render.outline import outline
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style
from troubleshoot.report import Report, Step

_STATUSES = ("passed", "failed", "warning", "skipped", "unavailable")
#: Statuses whose steps fold into one line each.
_FOLDED = ("passed", "skipped")
_SYSTEMS = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
_MOST_LINES = 2


def folded(report: Report, lexicon: Lexicon, style: Style) -> list[str]:
    """Return the checklist in few lines."""
    if not report.steps:
        return []
    shown = [step for step in report.steps if step.status not in _FOLDED]
    column = _column([*(safe(step.title) for step in shown)], style)
    lines = [style.heading(lexicon.ui("checklist"))]
    for step in shown:
        lines += _row(step, style, column, most=_MOST_LINES)
    for status in _FOLDED:
        titles = [safe(step.title) for step in report.steps if step.status == status]
        if titles:
            mark, sgr = style.mark(status)
            key = f"fold-{status}-one" if len(titles) == 1 else f"fold-{status}"
            text = f"{lexicon.ui(key, count=str(len(titles)))}: {', '.join(titles)}"
            sign = pad(mark, cells(style.mark("passed")[0]))
            lines.append(f"  {style.paint(sign, sgr)} {cut(text, style.width - 3 - cells(sign), _dots(style))}")
    used = [status for status in _STATUSES if status not in _FOLDED and any(s.status == status for s in shown)]
    return [*lines, *_legend(used, lexicon, style, lexicon.ui("verbose-hint"))]


def whole(report: Report, lexicon: Lexicon, style: Style) -> Iterator[str]:
    """Yield every step, what it observed, and why it was looked at, below the list that it was taken from."""
    column = _column([safe(step.title) for step in report.steps], style)
    last: str | None = None
    for step in report.steps:
        heading = safe(checklist_heading(step.origin, lexicon.labels, added=step.added))
        if heading != last:
            yield ""
            yield from (style.heading(line) for line in wrap(heading, style.width))
            last = heading
        yield from _row(step, style, column, took=True)
        yield from _details(step, lexicon, style)
    used = [status for status in _STATUSES if any(step.status == status for step in report.steps)]
    yield from _legend(used, lexicon, style)


def _column(titles: list[str], style: Style) -> int:
    return min(max(map(cells, titles), default=0), max(12, style.width * 2 // 5))


def _row(step: Step, style: Style, column: int, *, most: int | None = None, took: bool = False) -> Iterator[str]:
    mark, sgr = style.mark(step.status)
    sign = cells(style.mark("passed")[0])
    title = pad(cut(safe(step.title), column, _dots(style)), column)
    time = f" [{step.duration_ms:.1f} ms]" if took and step.duration_ms is not None else ""
    lines = wrap(safe(step.summary or step.why) + time, style.width, f"  {pad(mark, sign)} {title}  ")
    if most is not None and len(lines) > most:
        lines = lines[:most]
        lines[-1] = cut(lines[-1], style.width - cells(_dots(style)), "") + _dots(style)
    # The mark is painted after the line is laid out: colour takes no cells.
    yield f"  {style.paint(mark, sgr)}{lines[0][2 + len(mark) :]}"
    yield from lines[1:]


def _details(step: Step, lexicon: Lexicon, style: Style) -> Iterator[str]:
    if step.why and step.why != step.summary:
        yield from wrap(safe(f"{lexicon.ui('why')}: {step.why}"), style.width, " " * 6)
    yield from by_hand(step, lexicon.ui("by-hand"), 6)
    for fact in outline(step.observations):
        text = fact.lstrip()
        indent = " " * min(6 + len(fact) - len(text), style.width // 2)
        yield from (style.dim(line) for line in wrap(text, style.width, indent, indent + "  "))


def by_hand(step: Step, label: str, indent: int) -> Iterator[str]:
    """Give the commands that do a step by hand, one a line and unbroken: they are there to be copied."""
    commands = [(name, step.by_hand[key]) for key, name in _SYSTEMS.items() if step.by_hand and step.by_hand.get(key)]
    if commands:
        yield f"{' ' * indent}{label}:"
    for system, command in commands:
        yield f"{' ' * (indent + 2)}{system + ':':8} {safe(command)}"


def _legend(used: list[str], lexicon: Lexicon, style: Style, more: str = "") -> list[str]:
    marks = ", ".join(f"{style.mark(status)[0]} {lexicon.ui(f'mark-{status}')}" for status in used)
    text = "; ".join(filter(None, (marks, more)))
    return [style.dim(line) for line in wrap(f"({text})", style.width, "  ")] if text else []


def _dots(style: Style) -> str:
    return "…" if style.unicode else "..."
