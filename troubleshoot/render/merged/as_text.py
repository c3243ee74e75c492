"""Merged reports on the screen: the verdict, where to look, and the matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from troubleshoot.render.layout import cells, cut, pad, wrap
from troubleshoot.render.merged import words
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style

if TYPE_CHECKING:
    from troubleshoot.fleet import Merged

#: So many machines are shown one by one; of more the tables tell.
_MOST_MACHINES = 40
#: So many reports of one machine are shown, the latest.
_MOST_RUNS = 12
_SGR = {"fault": "1;31", "healthy": "32", "inconclusive": "33"}


def render(found: Sequence[Merged], wording: Mapping[str, str], style: Style) -> str:
    """Return the screen, a part for each target."""
    return "\n\n".join("\n".join(_target(one, wording, style)) for one in found) + "\n"


def _target(merged: Merged, wording: Mapping[str, str], style: Style) -> Iterator[str]:
    yield style.heading(safe(f"{merged.target}: {words.counted(merged, wording)}"))
    for line in wrap(safe(words.headline(merged, wording)), style.width):
        yield style.paint(line, _SGR[merged.finding.outcome])
    for key, sentences in words.said(merged, wording):
        if sentences:
            yield safe(wording[f"ui.{key}"])
        for sentence in sentences:
            yield from wrap(safe(sentence), style.width, "  - ", "    ")
    yield from _matrix(merged, wording, style)
    for table in merged.tables:
        rows = words.table(table, wording)
        yield ""
        yield from _columns([tuple(map(safe, row)) for row in rows], style)


def _matrix(merged: Merged, wording: Mapping[str, str], style: Style) -> Iterator[str]:
    """Yield a line for each machine: its reports in the order of time, and what they found."""
    machines = words.by_machine(merged)
    if len(machines) > _MOST_MACHINES:
        return
    runs = min(_MOST_RUNS, max(len(views) for _, _, views in machines))
    widest = min(30, max(cells(safe(machine)) for _, machine, _ in machines))
    yield ""
    previous = None
    for site, machine, views in machines:
        if site not in (previous, machine):
            yield style.heading(safe(f"{wording['ui.merge-by-site']} {site}"))
        previous = site
        marks = "".join(
            style.paint(words.sign(view, letters=style.unicode), _SGR[view.outcome]) for view in views[-_MOST_RUNS:]
        )
        marks += " " * (runs - len(views[-_MOST_RUNS:]))
        name = pad(cut(safe(machine), widest), widest)
        told = cut(safe(words.cause(views)), max(10, style.width - widest - runs - 6))
        yield f"  {name}  {marks}  {told}".rstrip()


def _columns(rows: list[tuple[str, ...]], style: Style) -> Iterator[str]:
    widths = [max(cells(row[n]) for row in rows) for n in range(len(rows[0]))]
    widths[0] = min(widths[0], max(10, style.width - sum(widths[1:]) - 2 * len(widths)))
    for n, row in enumerate(rows):
        first = pad(cut(row[0], widths[0]), widths[0])
        line = "  ".join(
            [first, *(" " * (w - cells(c)) + c for c, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        yield style.heading(line) if n == 0 else line
