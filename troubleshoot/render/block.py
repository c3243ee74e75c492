"""The block of at most twelve lines that matters: code and target, the verdict, where, why, what to do first.

It stands at the end of a terminal's screen and at the beginning of piped output. Whatever a report holds (long names,
letters of double width), the block keeps to its lines and to the width: a part that has no room is cut, and stands
whole in the rest of the screen.
"""

from __future__ import annotations

import msgspec

from troubleshoot.render.layout import cells, cut, wrap
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style
from troubleshoot.render.way import draw
from troubleshoot.report import Report, Verdict

#: The lines of a block.
MOST = 12
#: How many actions stand in the block.
ACTIONS = 2
_OUTCOME_SGR = {"fault": "1;31", "healthy": "1;32", "inconclusive": "1;33"}
PLATFORMS = {"linux": "Linux", "windows": "Windows", "darwin": "macOS"}
_MOST_WAYS = 2


class Block(msgspec.Struct, frozen=True):
    """The lines, and how many of the actions stand whole in them, counted from the first."""

    lines: tuple[str, ...]
    actions: int


class _Part(msgspec.Struct):
    """A piece of the block: all its lines, how many of them are wanted most, how it is painted."""

    lines: list[str]
    room: int
    most: int
    sgr: str = ""


def block(report: Report, lexicon: Lexicon, style: Style) -> Block:
    """Return the block of a report."""
    verdict, width = report.verdict, style.width
    head = wrap(safe(f"{code(report)}, {report.target.input}"), width, rest="  ")
    parts = [_Part(head, 1, 2, "1")]
    title, summary = titled(verdict, lexicon)
    parts.append(_Part(wrap(safe(title), width, rest="  "), 1, 2, _OUTCOME_SGR[verdict.outcome]))
    if report.interrupted:
        parts.append(_Part(wrap(lexicon.ui("interrupted"), width, "  "), 1, 1))
    if summary:
        parts.append(_Part(wrap(safe(summary), width, "  "), 1, 4))
    place = where(report, lexicon)
    if place:
        parts.append(_Part(wrap(safe(place), width, "  "), 1, 2))
    drawn = (draw(way, lexicon, style, width - 2) for way in verdict.ways[:_MOST_WAYS])
    parts += [_Part([f"  {line}"], 1, 1) for line in drawn]
    if verdict.elsewhere:
        caller = wrap(safe(verdict.elsewhere), width, "  ")
        parts.append(_Part(caller, min(len(caller), 3), 3))  # ends in a command, which must be whole
    first = len(parts)
    for number, action in enumerate(verdict.actions[:ACTIONS], 1):
        parts.append(_Part(wrap(safe(action), width, f"  {number}. "), 1, 4))
    _share(parts)
    lines = [style.paint(line, part.sgr) for part in parts for line in _shown(part, style)]
    whole = [part.room >= len(part.lines) for part in parts[first:]]
    return Block(tuple(lines), next((n for n, ok in enumerate(whole) if not ok), len(whole)))


def _share(parts: list[_Part]) -> None:
    """Give each part its lines: one each, then one more to each in turn while there are some."""
    left = MOST - sum(part.room for part in parts)
    while left > 0:
        wanting = [part for part in parts if part.room < min(len(part.lines), part.most)]
        if not wanting:
            return
        for part in wanting[:left]:
            part.room += 1
        left -= len(wanting[:left])


def _shown(part: _Part, style: Style) -> list[str]:
    shown = part.lines[: part.room]
    if len(part.lines) > part.room:
        dots = "…" if style.unicode else "..."
        kept = _without_half_a_command(shown)
        last = cut(kept[-1], style.width - cells(dots), "")
        if last != kept[-1] and " " in last.strip():
            last = last.rpartition(" ")[0]  # no half of a word either
        shown = [*kept[:-1], last + dots]
    return shown


def _without_half_a_command(lines: list[str]) -> list[str]:
    """Leave out a command that is opened and not closed: half of one must not be typed."""
    if sum(line.count("`") for line in lines) % 2 == 0:
        return lines
    at = next(number for number in range(len(lines) - 1, -1, -1) if "`" in lines[number])
    last = lines[at].rpartition("`")[0].rstrip(" (")
    return [*lines[:at], last] if last.strip() or at == 0 else lines[:at]


def code(report: Report) -> str:
    """Return the code as people say it."""
    return f"{report.error.number} {report.error.name}"


def titled(verdict: Verdict, lexicon: Lexicon) -> tuple[str, str]:
    """Return the verdict's line, and the sentence below it (empty where the line says all)."""
    outcome = lexicon.ui(f"outcome-{verdict.outcome}")
    if verdict.outcome == "fault":
        outcome = f"{outcome} ({lexicon.ui(f'confidence-{verdict.confidence}')})"
    title, summary = verdict.title, verdict.summary
    if title is None and verdict.cause:
        title = lexicon.cause(verdict.cause)
    if title is None:
        title, summary = (summary or lexicon.ui(verdict.outcome)), ""
    return f"{outcome}: {title}", summary


def where(report: Report, lexicon: Lexicon) -> str:
    """Return where the fault lies, and from where that was seen where ``verdict.elsewhere`` does not say it."""
    vantage, location = report.vantage, report.verdict.location
    system = PLATFORMS.get(vantage.platform, vantage.platform)
    told = bool(report.verdict.elsewhere)
    if location is None:
        return "" if told else lexicon.ui("seen-from-alone", host=vantage.hostname, system=system)
    place = lexicon.ui(f"scope-{location.scope}")
    if location.hop:  # 0 is this machine itself
        place += f", {lexicon.ui('hop', hop=str(location.hop))}"
    if location.address:
        place += f" ({location.address})"
    if told:
        return f"{lexicon.ui('where')}: {place}"
    return f"{lexicon.ui('where')}: {place}; {lexicon.ui('seen-from', host=vantage.hostname, system=system)}"
