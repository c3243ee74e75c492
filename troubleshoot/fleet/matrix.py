"""How often it fails and works, by everything that can set reports apart: the numbers behind the verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from troubleshoot.fleet.model import View
from troubleshoot.fleet.state import Fleet

#: More rows than this tell nothing at a glance: those with most failures come first, and screens stop there.
MOST_ROWS = 24
#: Into so many equal parts the time between first and last report is cut, where it is longer than this, seconds.
_PARTS, _SPAN_S = 12, 120.0


class Row(msgspec.Struct, frozen=True):
    """How many reports (addresses tried, by family and address) fail, work and are open."""

    key: str
    fails: int
    works: int
    open: int


class Table(msgspec.Struct, frozen=True):
    """The rows by one thing: ``site``, ``resolver``, ``family``, ``address``, ``time``, ``router`` or ``cause``."""

    by: str
    rows: tuple[Row, ...]


def tables(fleet: Fleet) -> tuple[Table, ...]:
    """Return a table by everything in which the reports differ."""
    views = fleet.views
    made = (
        ("site", _rows((view.site, view.outcome) for view in views)),
        ("resolver", _rows((", ".join(view.servers), view.outcome) for view in views if view.servers)),
        ("family", _rows((cell.family, _of(cell.works)) for view in views for cell in view.cells)),
        ("address", _rows((cell.address, _of(cell.works)) for view in views for cell in view.cells)),
        ("time", _rows(_by_time(views))),
        ("router", _telling(_rows((node, view.outcome) for view in views for node in set(view.routers)))),
        ("cause", _rows((view.title or view.cause or "", view.outcome) for view in views if view.fails)),
    )
    return tuple(Table(by, tuple(rows)) for by, rows in made if len(rows) > 1 or (rows and by in ("site", "cause")))


def _of(works: bool) -> str:
    return "healthy" if works else "fault"


def _rows(came: Iterable[tuple[str, str]]) -> list[Row]:
    """Return the rows; those with most failures first where there are too many, else in their own order."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for key, outcome in came:
        counts[key][outcome] += 1
    rows = [Row(key, held["fault"], held["healthy"], held["inconclusive"]) for key, held in counts.items()]
    if len(rows) > MOST_ROWS:
        return sorted(rows, key=lambda row: (-row.fails, row.key))
    return sorted(rows, key=lambda row: row.key)


def _telling(rows: list[Row]) -> list[Row]:
    """Return the routers that only failing ways pass, else nothing: those that all pass tell nothing."""
    return rows if any(row.fails and not row.works for row in rows) and any(row.works for row in rows) else []


def _by_time(views: Iterable[View]) -> Iterator[tuple[str, str]]:
    """Yield each report with the part of the whole time that it lies in."""
    dated = [view for view in views if view.moment > 0]
    if not dated:
        return
    first, last = min(view.moment for view in dated), max(view.moment for view in dated)
    if last - first < _SPAN_S:
        return
    step = (last - first) / _PARTS
    for view in dated:
        start = first + step * min(_PARTS - 1, int((view.moment - first) / step))
        yield f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d %H:%M} UTC", view.outcome
