"""How a stream wants to be written to: width, letters, colour. Plain ANSI (ECMA-48), which costs no import."""

from __future__ import annotations

import os

from troubleshoot.knowledge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

_MARKS = {
    "passed": ("✓", "ok", "32"),
    "failed": ("✗", "XX", "1;31"),
    "warning": ("!", "!!", "33"),
    "skipped": ("·", "--", "2"),
    "unavailable": ("?", "??", "36"),
}


class Style(Record):
    """``width`` in cells. ``unicode`` is whether marks beyond ASCII can be written, ``colour`` whether ANSI may be.

    ``last`` is whether the last lines are read first: on a terminal. ``when`` is the moment of what is shown as the
    reader's clock has it; where it is empty, it is shown in UTC.
    """

    width: int = 80
    unicode: bool = True
    colour: bool = False
    last: bool = False
    when: str = ""

    def paint(self, text: str, sgr: str) -> str:
        """Return ``text`` under the SGR parameters ``sgr`` (``1;31``), or as it is."""
        return f"\x1b[{sgr}m{text}\x1b[0m" if self.colour and text else text

    def heading(self, text: str) -> str:
        """Return ``text`` as a heading."""
        return self.paint(text, "1")

    def dim(self, text: str) -> str:
        """Return ``text`` as an aside."""
        return self.paint(text, "2")

    def moment(self, instant: str) -> str:
        """Return how an instant (RFC 3339) is shown."""
        return self.when or (f"{instant[:10]} {instant[11:19]} UTC" if instant.endswith("Z") else instant)

    def mark(self, status: str) -> tuple[str, str]:
        """Return the mark of a step's status and its SGR parameters."""
        sign, plain, sgr = _MARKS[status]
        return sign if self.unicode else plain, sgr


def style_of(stream: TextIO, environment: Mapping[str, str], when: str = "") -> Style:
    """Return the style for ``stream``: colour only on a terminal, without NO_COLOR (no-color.org) or TERM=dumb.

    Text is 80 columns wide; on a terminal it is as wide as that, from 40 to 100 columns. The console of Linux has a
    font of few characters (console_codes(4)): marks are ASCII there.
    """
    terminal = stream.isatty()
    width = 80
    if terminal:
        try:
            width = max(40, min(100, os.get_terminal_size(stream.fileno()).columns or 80))
        except (OSError, ValueError):
            width = 80
    try:
        "✓✗·…→─".encode(stream.encoding or "ascii")
        letters = not (terminal and environment.get("TERM") == "linux")
    except (UnicodeEncodeError, LookupError):
        letters = False
    colour = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return Style(width=width, unicode=letters, colour=colour, last=terminal, when=when)
