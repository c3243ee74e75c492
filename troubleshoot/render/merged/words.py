"""The sentences of a merged verdict, for every form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from probes.base import Note
from troubleshoot.fleet.matrix import MOST_ROWS
from troubleshoot.knowledge.text import fill, say

if TYPE_CHECKING:
    from troubleshoot.fleet import Merged
    from troubleshoot.fleet.matrix import Table
    from troubleshoot.fleet.model import Finding, View

#: So many names stand in a sentence; the others are counted.
_MOST_NAMES = 4
#: By what tables count, and what stands in front of a key that is empty.
SIGNS = {"fault": "✗", "healthy": "✓", "inconclusive": "?"}
_ASCII = {"✗": "X", "✓": "+", "?": "?"}


def ui(wording: Mapping[str, str], key: str, **values: str) -> str:
    """Return a label or sentence of the screen."""
    return fill(wording[f"ui.{key}"], values)


def headline(merged: Merged, wording: Mapping[str, str]) -> str:
    """Return outcome, confidence and what fails from where, in one line."""
    finding = merged.finding
    outcome = wording[f"ui.outcome-{finding.outcome}"]
    sure = f" ({wording[f'ui.confidence-{finding.confidence}']})" if finding.outcome != "inconclusive" else ""
    return f"{outcome}{sure}: {what(finding, wording)}"


def what(finding: Finding, wording: Mapping[str, str]) -> str:
    """Return the sentence of the pattern."""
    return fill(
        wording[f"ui.merge-{finding.kind}"],
        {
            "keys": _names(finding.keys, wording),
            "works": _names(finding.works, wording),
            "router": finding.router or "?",
            "first": finding.keys[0] if finding.keys else "",
            "last": finding.keys[-1] if finding.keys else "",
        },
    )


def said(merged: Merged, wording: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the labels of what stands below the headline, each with its sentences."""
    finding = merged.finding
    told = [say(one, wording) for one in finding.evidence]
    if finding.router is not None and finding.kind not in ("hop", "everywhere", "one-network"):
        told.append(ui(wording, "merge-fact-meet", router=finding.router))
    if finding.beside:
        told.append(ui(wording, "merge-fact-beside", keys=_names(finding.beside, wording)))
    if merged.duplicates:
        told.append(say(_counted("merge-fact-duplicates", merged.duplicates), wording))
    yield "evidence", told
    yield "merge-where-to-look", [wording[f"ui.merge-look-{finding.kind}"]]
    yield "merge-rivals", [wording[f"ui.merge-rival-{rival}"] for rival in finding.rivals]
    yield "settle", [say(one, wording) for one in finding.settle]


def _counted(key: str, count: int) -> Note:
    return Note(f"ui.{key}", (("count", str(count)),))


def _names(names: tuple[str, ...], wording: Mapping[str, str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    left = len(names) - _MOST_NAMES
    return f"{shown} {ui(wording, 'way-more', count=str(left))}" if left > 0 else shown


def counted(merged: Merged, wording: Mapping[str, str]) -> str:
    """Return how many reports there are, of how many machines and sites."""
    views = merged.views
    return ui(
        wording,
        "merge-counted",
        reports=str(len(views)),
        machines=str(len({view.machine for view in views})),
        sites=str(len({view.site for view in views})),
    )


def table(one: Table, wording: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return a table as rows of text, its heading first: what it is by, then how many fail, work and are open.

    Of many rows the first; the others are counted.
    """
    counts = [wording[f"ui.merge-{key}-count"] for key in ("fails", "works", "open")]
    first = (wording[f"ui.merge-by-{one.by}"], *counts)
    shown, left = one.rows[:MOST_ROWS], len(one.rows) - MOST_ROWS
    rows = [(row.key or "-", *(str(n) if n else "" for n in (row.fails, row.works, row.open))) for row in shown]
    more = [(ui(wording, "way-more", count=str(left)), "", "", "")] if left > 0 else []
    return [first, *rows, *more]


def by_machine(merged: Merged) -> list[tuple[str, str, list[View]]]:
    """Return site, machine and its reports, in their order."""
    held: dict[tuple[str, str], list[View]] = {}
    for view in merged.views:
        held.setdefault((view.site, view.machine), []).append(view)
    return [(site, machine, views) for (site, machine), views in held.items()]


def sign(view: View, *, letters: bool = True) -> str:
    """Return the mark of a report's outcome."""
    mark = SIGNS[view.outcome]
    return mark if letters else _ASCII[mark]


def cause(views: list[View]) -> str:
    """Return what most of the failing reports of a machine found."""
    found = Counter(view.title or view.cause or "" for view in views if view.fails)
    return found.most_common(1)[0][0] if found else ""
