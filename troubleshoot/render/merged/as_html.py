"""Merged reports as one HTML page, with the matrix of places and addresses as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from troubleshoot.render.escape import markup
from troubleshoot.render.layout import cut
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.render.merged import words
from troubleshoot.render.reports.page import listed, page
from troubleshoot.render.reports.pictures import painted_text, picture

if TYPE_CHECKING:
    from troubleshoot.fleet import Merged
    from troubleshoot.fleet.model import View

#: A picture of more rows or columns than this is unreadable; JSON holds every report.
_MOST_ROWS, _MOST_COLUMNS, _MOST_ADDRESSES = 400, 12, 6
_LEFT, _ROW = 330, 22
_LOOK = {"fault": "spoilt", "healthy": "well", "inconclusive": "track"}


def render(found: Sequence[Merged], wording: Mapping[str, str], language: str) -> str:
    """Return the page, a part for each target."""
    lexicon = Lexicon(wording=wording)
    outcomes = [one.finding.outcome for one in found]
    worst = next((one for one in ("fault", "inconclusive") if one in outcomes), "healthy")
    title = ", ".join(one.target for one in found)
    return page(
        title=title,
        language=language,
        head=f'<header class="{worst}"><h1>{markup(wording["ui.merge-title"])}</h1></header>',
        parts=[_target(one, n, lexicon) for n, one in enumerate(found)],
        foot="",
    )


def _target(merged: Merged, number: int, lexicon: Lexicon) -> str:
    wording = lexicon.wording
    said = "".join(
        f"<h3>{markup(wording[f'ui.{key}'])}</h3>{listed(sentences)}"
        for key, sentences in words.said(merged, wording)
        if sentences
    )
    tables = "".join(_table(words.table(table, wording)) for table in merged.tables)
    name = f"target-{number}"
    return (
        f'<section class="{merged.finding.outcome}" aria-labelledby="{name}">\n'
        f'<h2 id="{name}">{markup(merged.target)}</h2>\n'
        f"<p><strong>{markup(words.headline(merged, wording))}</strong></p>"
        f"<p>{markup(words.counted(merged, wording))}</p>\n{said}"
        f"<h3>{markup(wording['ui.merge-matrix'])}</h3>\n{_matrix(merged, lexicon)}\n{tables}</section>"
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{markup(cell)}</th>' for cell in rows[0])
    body = "".join(
        f'<tr><th scope="row">{markup(row[0])}</th>' + "".join(f"<td>{markup(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows[1:]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>\n"


def _matrix(merged: Merged, lexicon: Lexicon) -> str:
    """Return a row for each machine, by site: its reports in the order of time, then each address of the target."""
    machines = words.by_machine(merged)
    runs = min(_MOST_COLUMNS, max(len(views) for _, _, views in machines))
    addresses = sorted({cell.address for view in merged.views for cell in view.cells})[:_MOST_ADDRESSES]
    parts, told, y, previous = [], [], 0, None
    for n, address in enumerate(addresses):
        parts.append(painted_text(_column(runs, n), y + 16 + 18 * n, cut(address, 40, "…"), "soft"))
    y += 18 * len(addresses)
    for site, machine, views in machines[:_MOST_ROWS]:
        if site not in (previous, machine):
            parts.append(painted_text(0, y + 16, cut(site, 60, "…"), "soft"))
            y += _ROW
        previous = site
        parts.append(painted_text(10, y + 16, cut(machine, 44, "…"), ""))
        for n, view in enumerate(views[-runs:]):
            parts.append(_box(_LEFT + n * 24, y, view.outcome))
        for n, address in enumerate(addresses):
            outcome = _came(views, address)
            if outcome:
                parts.append(_box(_column(runs, n), y, outcome))
        told.append(f"{site}, {machine}: {' '.join(map(words.sign, views))}")
        y += _ROW
    if len(machines) > _MOST_ROWS:
        parts.append(painted_text(0, y + 16, lexicon.ui("way-more", count=str(len(machines) - _MOST_ROWS)), "soft"))
        y += _ROW
    return picture(parts, y + 6, lexicon.ui("merge-matrix"), "; ".join(told))


def _column(runs: int, number: int) -> int:
    return _LEFT + runs * 24 + 20 + number * 24


def _came(views: Sequence[View], address: str) -> str:
    """Return what the latest report that tried an address says of it."""
    for view in reversed(views):
        for cell in view.cells:
            if cell.address == address:
                return "healthy" if cell.works else "fault"
    return ""


def _box(x: int, y: int, outcome: str) -> str:
    """Return a field with its colour and its sign: colour alone tells not everybody."""
    field = f'<rect class="{_LOOK[outcome]}" x="{x}" y="{y + 2}" width="20" height="18" rx="3"/>'
    return field + painted_text(x + 5, y + 16, words.SIGNS[outcome], "sign" if outcome != "inconclusive" else "")
