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
    """``width`` in cells. ``unicode`` is whether marks beyond ASCII can be written, ``colour`` whether ANSI may be."""

    width: int = 80
    unicode: bool = True
    colour: bool = False

    def paint(self, text: str, sgr: str) -> str:
        """Return ``text`` under the SGR parameters ``sgr`` (``1;31``), or as it is."""
        return f"\x1b[{sgr}m{text}\x1b[0m" if self.colour and text else text

    def heading(self, text: str) -> str:
        """Return ``text`` as a heading."""
        return self.paint(text, "1")

    def dim(self, text: str) -> str:
        """Return ``text`` as an aside."""
        return self.paint(text, "2")

    def mark(self, status: str) -> tuple[str, str]:
        """Return the mark of a step's status and its SGR parameters."""
        sign, plain, sgr = _MARKS[status]
        return sign if self.unicode else plain, sgr


def style_of(stream: TextIO, environment: Mapping[str, str]) -> Style:
    """Return the style for ``stream``: colour only on a terminal, without NO_COLOR (no-color.org) or TERM=dumb.

    A screen is 80 columns wide, and narrower where the terminal is.
    """
    terminal = stream.isatty()
    width = 80
    if terminal:
        try:
            width = max(40, min(80, os.get_terminal_size(stream.fileno()).columns or 80))
        except (OSError, ValueError):
            width = 80
    try:
        "✓✗·…→".encode(stream.encoding or "ascii")
        letters = True
    except (UnicodeEncodeError, LookupError):
        letters = False
    colour = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return Style(width=width, unicode=letters, colour=colour)
