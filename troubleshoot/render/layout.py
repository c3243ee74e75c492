"""Lay text out in terminal cells: Korean and other wide letters take two, combining marks none (UAX 11)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def cells(text: str) -> int:
    """Return how many terminal cells ``text`` fills."""
    if text.isascii():
        return len(text)
    return sum(_cell(c) for c in text)


def _cell(letter: str) -> int:
    import unicodedata  # noqa: PLC0415 - a page of ASCII costs none of it

    if unicodedata.category(letter) in ("Mn", "Me") or "\u1160" <= letter <= "\u11ff":
        return 0  # combining marks; the vowels and finals of conjoining Hangul
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def pad(text: str, width: int) -> str:
    """Return ``text`` filled up with spaces to ``width`` cells."""
    return text + " " * max(0, width - cells(text))


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """Return ``text`` cut to ``width`` cells, with an ellipsis where something was lost."""
    if cells(text) <= width:
        return text
    return _head(text, max(0, width - cells(ellipsis))) + ellipsis


def _head(text: str, width: int) -> str:
    used = 0
    for index, letter in enumerate(text):
        used += _cell(letter)
        if used > width:
            return text[:index]
    return text


def _words(text: str, width: int) -> Iterator[str]:
    """Give the words of ``text``, one that is longer than ``width`` in pieces."""
    for word in text.split(" "):
        rest = word
        while cells(rest) > width:
            piece = _head(rest, width) or rest[:1]
            yield piece
            rest = rest[len(piece) :]
        if rest:
            yield rest


def wrap(text: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    """Break ``text`` at spaces into lines of at most ``width`` cells.

    ``first`` stands before the first line and ``rest`` before the others (as many spaces as ``first`` is wide
    where it is not given). An empty text gives the one line ``first``.
    """
    rest = " " * cells(first) if rest is None else rest
    room = max(8, width - max(cells(first), cells(rest)))
    lines: list[str] = []
    line = ""
    used = 0
    for word in _words(text, room):
        length = cells(word)
        if line and used + 1 + length > room:
            lines.append(line)
            line, used = word, length
        else:
            line, used = (f"{line} {word}", used + 1 + length) if line else (word, length)
    lines.append(line)
    return [f"{first if n == 0 else rest}{line}".rstrip() for n, line in enumerate(lines)]
