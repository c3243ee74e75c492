"""Foreign text that means nothing but itself in the language of a document: Markdown, HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from troubleshoot.render.safe import safe

#: What means something wherever it stands; an underscore within a word does not.
_SPECIAL = re.compile(r"([\\`*\[\]<#|~&$@]|(?<![^\W_])_|_(?![^\W_]))")
#: What GitHub makes a link of without being asked: ``www.`` and ``https://``.
_LINKED = re.compile(r"(?i)\b(www)\.|(://)")
#: What means something at the beginning of a line: a quotation, a list, a line under a heading, a numbered list.
_FIRST = re.compile(r"^(?:\d{1,9}(?=[.)](?:\s|$))|(?=[>=+-]))")


def markdown(text: str, *, cell: bool = False) -> str:
    """Return text that means nothing to a renderer of Markdown (GitHub's flavour) but itself, in one line.

    What stands in backticks becomes code, which means nothing else either; not in a ``cell`` of a table that a bar or a
    backslash there would end.
    """
    parts = safe(text).strip().split("`")
    codes = parts[1::2]
    ends_cell = cell and any("|" in code or "\\" in code for code in codes)
    if len(parts) % 2 == 0 or ends_cell or not all(map(str.strip, codes)):
        return _escaped("`".join(parts), first=True)
    words = [_escaped(part, first=not number) for number, part in enumerate(parts[::2])]
    return words[0] + "".join(f"`{code}`{word}" for code, word in zip(codes, words[1:], strict=True))


def row(cells: Iterable[str]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(markdown(each, cell=True) for each in cells)} |"


def _escaped(text: str, *, first: bool) -> str:
    escaped = _SPECIAL.sub(r"\\\1", text)
    escaped = _LINKED.sub(lambda found: f"{found[1]}\\." if found[1] else r"\://", escaped)
    return _FIRST.sub(r"\g<0>\\", escaped) if first else escaped


def markup(text: str) -> str:
    """Return text for the content of an element or for an attribute in double quotes."""
    return html.escape(safe(text), quote=True)
