"""``tasklist``: process numbers and names, as a table, a list or CSV. Source: Microsoft's page on it, recordings."""

from __future__ import annotations

import re

from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Processes, Reading, Walk

COMMANDS = ("tasklist",)
_ROW = re.compile(r"^(?P<name>\S.{0,60}?)\s+(?P<pid>\d{1,10})\s+(?:\S+\s+)?(?:\d+\s+)?[\d.,\u00a0]+\s?K?\s*$")
_SERVICE_ROW = re.compile(r"^(?P<name>\S.{0,60}?\.exe)\s+(?P<pid>\d{1,10})\s+\S.*$", re.IGNORECASE)
_CSV = re.compile(r'^"(?P<name>[^"]{1,100})","(?P<pid>\d{1,10})",')
_RULE = re.compile(r"^=+(?: =+)+\s*$")


def starts(line: str, labels: Labels) -> bool:
    """Whether the output begins with this line."""
    return labels.says(line, "task-columns") and "PID" in line


def read(block: Block, labels: Labels) -> Reading:
    """Read the table."""
    walk, names = Walk(block), list[tuple[int, str]]()
    for line in walk:
        row = _CSV.match(line) or _ROW.match(line) or _SERVICE_ROW.match(line)
        if row is not None:
            names.append((int(row["pid"]), row["name"].strip()))
        elif not (_RULE.match(line) or labels.says(line, "task-columns")):
            walk.leave()
    return walk.reading("windows", (Processes(names=tuple(names[:20_000])),) if names else ())
