"""Objects as PowerShell writes them: lists of ``Name : value`` and tables below a line of dashes.

The property names are English on every Windows; values such as ``True`` and the states of TCP are, too. Source:
Microsoft's pages on ``Format-List`` and ``Format-Table``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from troubleshoot.readers.model import Walk

_FIELD = re.compile(r"^(?P<key>[A-Za-z][\w ()]{0,60}?)\s*: ?(?P<value>.*)$")
_RULE = re.compile(r"^\s*-+(?:\s+-+)*\s*$")


def objects(walk: Walk) -> Iterator[dict[str, str]]:
    """Yield each object as property → text; lines that belong to none are left."""
    current: dict[str, str] = {}
    columns: list[tuple[str, int, int | None]] = []
    last, heads = "", ""
    previous = -1
    for line in walk:
        if walk.at != previous + 1:  # an empty line lies between
            if current:
                yield current
                current = {}
            columns = columns if heads and walk.at == previous + 2 else []
        previous = walk.at
        if _RULE.match(walk.peek()) and not _RULE.match(line):
            heads = line
            continue
        if _RULE.match(line) and heads:
            columns, heads = list(_columns(heads, line)), ""
            continue
        if columns:
            cells = _cells(line, columns)
            if cells:
                yield cells
                continue
        field = _FIELD.match(line)
        if field is not None and not line.startswith(" "):
            last = field["key"].strip()
            if last in current:
                yield current
                current = {}
            current[last] = field["value"].strip()
        elif last and line.startswith("   ") and current:
            current[last] = f"{current[last]} {line.strip()}"  # a long value goes on
        else:
            walk.leave()
    if current:
        yield current


def _columns(heads: str, rule: str) -> Iterator[tuple[str, int, int | None]]:
    """Name each column with where it begins and ends: its dashes stand below its head, whatever side it is set to."""
    spans = [match.span() for match in re.finditer("-+", rule)]
    for index, (begin, end) in enumerate(spans):
        after = spans[index + 1][0] if index + 1 < len(spans) else None
        yield heads[begin:end].strip(), begin, after


def _cells(line: str, columns: list[tuple[str, int, int | None]]) -> dict[str, str]:
    words = line.split()
    if len(words) == len(columns):  # unambiguous, however the columns are set
        return dict(zip((name for name, _, _ in columns), words, strict=True))
    return {name: line[begin:end].strip() for name, begin, end in columns if name}
