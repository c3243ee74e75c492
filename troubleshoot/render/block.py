"""The block of at most twelve lines that matters: code and target, the verdict, where, why, what to do first.

It stands at the end of a terminal's screen and at the beginning of piped output. Whatever a report holds (long names,
letters of double width), the block keeps to its lines and to the width: a part that has no room is cut, and stands
whole in the rest of the screen.
"""

from __future__ import annotations

import re

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
#: Where a text may end that has no room to go on.
_SENTENCE_ENDS = re.compile(r"(?<=[.?!;]) (?=\S)")


class Block(msgspec.Struct, frozen=True):
    """The lines, and how many of the actions stand whole in them, counted from the first."""

    lines: tuple[str, ...]
    actions: int


class _Part(msgspec.Struct):
    """A piece of the block, how it is painted, and how it may be shown: shortest first, whole at the end."""

    forms: list[list[str]]
    sgr: str = ""
    shown: int = 0
    kept: int = 0  # how many lines longer than another it may be before it is cut
    spare: bool = False  # whether it is left out before anything is cut

    @property
    def lines(self) -> list[str]:
        """The lines of the form that is shown."""
        return self.forms[self.shown]


def block(report: Report, lexicon: Lexicon, style: Style) -> Block:
    """Return the block of a report."""
    verdict, width = report.verdict, style.width
    title, summary = titled(verdict, lexicon)
    head = _sentences(f"{code(report)}, {report.target.input}", width, "", rest="  ")
    parts = [_Part(head, "1"), _Part(_sentences(title, width, "", rest="  "), _OUTCOME_SGR[verdict.outcome])]
    if report.interrupted:
        parts.append(_Part(_sentences(lexicon.ui("interrupted"), width, "  ")))
    if summary:
        parts.append(_Part(_sentences(summary, width, "  ")))
    place = where(report, lexicon, width - 2)
    if place:
        parts.append(_Part(_sentences(place, width, "  "), spare=bool(verdict.elsewhere and verdict.ways)))
    parts += [_Part([[f"  {draw(way, lexicon, style, width - 2)}"]]) for way in verdict.ways[:_MOST_WAYS]]
    if verdict.elsewhere:
        parts.append(_Part(_sentences(verdict.elsewhere, width, "  ")[-1:], kept=2))
    todo = [_Part(_sentences(action, width, f"  {n}. ")) for n, action in enumerate(verdict.actions[:ACTIONS], 1)]
    parts = _shared([*parts, *todo], style)
    lines = [style.paint(line, part.sgr) for part in parts for line in part.lines]
    whole = [part.shown == len(part.forms) - 1 for part in todo]
    return Block(tuple(lines), next((n for n, ok in enumerate(whole) if not ok), len(whole)))


def _sentences(text: str, width: int, first: str, rest: str | None = None) -> list[list[str]]:
    """Return the lines of the first sentence of a text, of the first two, and so on; a command is not broken in two.

    What is longer than a block has no room in any; one such form stands for all that go on.
    """
    forms: list[list[str]] = []
    sentences: list[str] = []
    opened = False
    for sentence in _SENTENCE_ENDS.split(safe(text)):
        sentences.append(sentence)
        opened ^= sentence.count("`") % 2 == 1
        if not opened:
            kept = " ".join(sentences).lstrip()
            forms.append(wrap(f"{kept[:-1]}." if kept.endswith(";") else kept, width, first, rest)[: MOST + 1])
            if len(forms[-1]) > MOST:
                break
    return forms or [wrap(" ".join(sentences).lstrip(), width, first, rest)[: MOST + 1]]


def _shared(parts: list[_Part], style: Style) -> list[_Part]:
    """Let each part begin with its first sentence, then show as many more as there are lines for, the why first.

    Where there is no room even for first sentences, a part that can be spared goes, and then the longest is cut as
    often as it must be.
    """
    if sum(len(part.lines) for part in parts) > MOST:
        parts = [part for part in parts if not part.spare]
    while sum(len(part.lines) for part in parts) > MOST:
        longest = max(reversed(parts), key=lambda part: len(part.lines) - part.kept)
        longest.forms.insert(0, _cut(longest.lines, len(longest.lines) - 1, style))
    for part in parts:
        for longer in range(part.shown + 1, len(part.forms)):
            others = sum(len(other.lines) for other in parts if other is not part)
            if others + len(part.forms[longer]) <= MOST:
                part.shown = longer
    return parts


def _cut(lines: list[str], room: int, style: Style) -> list[str]:
    dots = "…" if style.unicode else "..."
    kept = lines[:room]
    while True:
        kept = _without_half_a_command(kept)
        last = cut(kept[-1], style.width - cells(dots), "")
        if last == kept[-1]:
            return [*kept[:-1], last.removesuffix(dots) + dots]
        kept = [*kept[:-1], last.rpartition(" ")[0] if " " in last.strip() else last]  # no half of a word either


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


def where(report: Report, lexicon: Lexicon, room: int | None = None) -> str:
    """Return where the fault lies, and from where that was seen where ``verdict.elsewhere`` does not say it.

    An address for which one line of ``room`` cells is too short is left to the way and the sentence above.
    """
    vantage, location = report.vantage, report.verdict.location
    system = PLATFORMS.get(vantage.platform, vantage.platform)
    told = bool(report.verdict.elsewhere)
    if location is None:
        return "" if told else lexicon.ui("seen-from-alone", host=vantage.named, system=system)
    place = lexicon.ui(f"scope-{location.scope}")
    if location.hop:  # 0 is this machine itself
        place += f", {lexicon.ui('hop', hop=str(location.hop))}"
    seen = "" if told else f"; {lexicon.ui('seen-from', host=vantage.named, system=system)}"
    short, address = f"{lexicon.ui('where')}: {place}", f" ({location.address})" if location.address else ""
    whole = f"{short}{address}{seen}"
    return whole if room is None or cells(whole) <= room else f"{short}{seen}"
