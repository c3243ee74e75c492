"""Drawings of a report as SVG inside the page: the path with its break, when each probe ran, RTT and loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from troubleshoot.render.escape import markup
from troubleshoot.render.layout import cut
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.report import Report, Way

_WIDTH, _ROW, _LEFT, _RIGHT = 800, 24, 260, 160
#: A chart of more rows than this is unreadable; JSON holds all of them.
_MOST_ROWS = 80
_LONGEST = 60


def path(way: Way, lexicon: Lexicon) -> str:
    """Return the way as a picture from top to bottom: this machine first, a cross where it breaks."""
    nodes = [lexicon.ui("way-here"), *way.nodes]
    if way.kind == "name-server":
        nodes[1:] = [lexicon.ui("way-name-server", server=node) for node in way.nodes]
    broken = None if way.broken is None else way.broken + 1
    parts, height = [], 44 * len(nodes)
    for n, node in enumerate(nodes):
        y = 44 * n + 18
        lost = broken is not None and n >= broken
        if n:
            parts.append(f'<line class="{"cut" if lost else "wire"}" x1="20" y1="{y - 36}" x2="20" y2="{y - 8}"/>')
        parts.append(f'<circle class="node{" lost" if lost else ""}" cx="20" cy="{y}" r="8"/>')
        parts.append(painted_text(40, y + 4, cut(node, _LONGEST, "…"), "soft" if lost else ""))
        if n == broken:
            parts.append(_cross(20, y - 22))
            parts.append(painted_text(40, y - 18, lexicon.ui("path-broken-here"), "bad"))
    if broken is None and way.end is not None:
        said = way.said or lexicon.ui(f"way-{way.end}")
        parts.append(_cross(20, height - 26) + painted_text(40, height - 8, said, "bad"))
    return picture(parts, height + 6, lexicon.ui("picture-path"), " → ".join(nodes))


def timeline(report: Report, lexicon: Lexicon) -> str:
    """Return a bar for each probe from its start to its end, the first started on top; empty without any."""
    spans = sorted(
        (_number(r.get("started")), max(_number(r.get("duration_ms")), 0.0), _name(r)) for r in report.probes
    )
    if not spans:
        return ""
    first = spans[0][0]
    rows = [(name, (start - first) * 1000, (start - first) * 1000 + took) for start, took, name in spans]
    return _bars(rows, lexicon.ui("picture-timeline"), "ms")


def _span(record: Mapping[str, Any]) -> tuple[float, float, str]:
    return _number(record.get("started")), max(0.0, _number(record.get("duration_ms"))), _name(record)


def round_trips(report: Report, lexicon: Lexicon) -> str:
    """Return the range of the round-trip times that each address answered with; empty without any."""
    rows = []
    for record, result in _results(report, "ping"):
        times = [_number(e.get("rtt_ms")) for e in _list(result.get("echoes")) if e.get("rtt_ms") is not None]
        if times:
            rows.append((str(record.get("subject", "")), min(times), max(times)))
    return _bars(rows, lexicon.ui("picture-rtt"), "ms") if rows else ""


def losses(report: Report, lexicon: Lexicon) -> str:
    """Return the share of the packets that no answer came to, for each address asked; empty without any."""
    rows = []
    for record, result in _results(report, "ping"):
        sent, received = _number(result.get("sent")), _number(result.get("received"))
        if sent > 0:
            rows.append((_name(record), 0.0, 100 * min(1.0, max(0.0, 1 - received / sent))))
    for record, result in _results(report, "tcp-loss"):
        told = [one for one in result.get("answered") or () if isinstance(one, bool)]
        if told:
            rows.append((_name(record), 0.0, 100 * told.count(False) / len(told)))
    return _bars(rows, lexicon.ui("picture-loss"), "%", whole=100.0, look="spoilt") if rows else ""


def _results(report: Report, probe: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for record in report.probes:
        result = record.get("result")
        if record.get("probe") == probe and isinstance(result, Mapping):
            yield record, result


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []


def _number(value: Any) -> float:
    """Return a number of a report, which anybody may have written, as one that can be drawn."""
    plain = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if plain else 0.0


def _name(record: Mapping[str, Any]) -> str:
    return f"{record.get('probe', '')} {record.get('subject', '')}".strip()


def _bars(
    rows: list[tuple[str, float, float]], title: str, unit: str, *, whole: float | None = None, look: str = "bar"
) -> str:
    """Return a chart of horizontal bars, each from one value to another on the same scale."""
    most = whole or max(1.0, *(end for _, _, end in rows))
    room = _WIDTH - _LEFT - _RIGHT
    parts = []
    for n, (name, start, end) in enumerate(rows[:_MOST_ROWS]):
        y, x = n * _ROW, _LEFT + room * start / most
        width = max(room * (end - start) / most, 2.0 if end > 0 or whole is None else 0.0)
        parts.append(painted_text(0, y + 16, cut(name, 38, "…"), ""))
        parts.append(f'<rect class="track" x="{_LEFT}" y="{y + 4}" width="{room}" height="16"/>')
        parts.append(f'<rect class="{look}" x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="16"/>')
        shown = f"{end:.1f} {unit}" if start <= 0 else f"{start:.1f} to {end:.1f} {unit}"
        parts.append(painted_text(_LEFT + room + 8, y + 16, shown, "soft"))
    told = "; ".join(f"{name}: {start:.1f} to {end:.1f} {unit}" for name, start, end in rows[:_MOST_ROWS])
    return picture(parts, _ROW * len(rows[:_MOST_ROWS]) + 4, title, told)


def picture(parts: list[str], height: int, title: str, told: str) -> str:
    """Return a drawing with its name and, for those who do not see it, what it says."""
    head = f'<svg role="img" viewBox="0 0 {_WIDTH} {height}"><title>{markup(title)}</title><desc>{markup(told)}</desc>'
    return head + "".join(parts) + "</svg>"


def painted_text(x: int, y: int, text: str, look: str) -> str:
    """Return a text of a picture; ``look`` is a class of the sheet, or empty."""
    painted = f' class="{look}"' if look else ""
    return f'<text x="{x}" y="{y}"{painted}>{markup(text)}</text>'


def _cross(x: int, y: int) -> str:
    lines = ((x - 7, y - 7, x + 7, y + 7), (x - 7, y + 7, x + 7, y - 7))
    return "".join(f'<line class="cross" x1="{a}" y1="{b}" x2="{c}" y2="{d}"/>' for a, b, c, d in lines)
