"""``getent hosts`` and ``getent ahosts``: what the system's own look-up says. Source: getent(1), recorded outputs."""

from __future__ import annotations

import re

from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, LookUp, Reading, Walk
from troubleshoot.readers.words import address

COMMANDS = ("getent",)
_LINE = re.compile(r"^(?P<address>\S{2,60})\s+(?:STREAM|DGRAM|RAW)?\s*(?P<name>\S{1,253})?")


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line: only that of ``ahosts`` looks like nothing else."""
    return bool(re.match(r"^\S+\s+STREAM( |$)", line)) and address(line.split(maxsplit=1)[0]) is not None


def read(block: Block, labels: Labels) -> Reading:
    """Read one look-up. Nothing at all is what getent writes of a name that there is none of."""
    walk, found, said = Walk(block), list[str](), None
    words = [word for word in block.arguments if not word.startswith("-")]
    database = words[0] if words else "ahosts"
    again = False
    for line in walk:
        if labels.says(line, "temporary-failure"):
            again = True
            continue
        matched = _LINE.match(line)
        one = address(matched["address"]) if matched is not None else None
        if one is None or matched is None:
            walk.leave()
            continue
        found.append(one)
        said = said or matched["name"]
    name = words[1] if len(words) > 1 else said
    if not database.startswith(("hosts", "ahosts")) or name is None or address(name) is not None:
        return walk.reading("linux", ())
    empty = not any(line.strip() for line in block.lines)
    if not found and not ((empty or again) and len(words) > 1):
        return walk.reading("linux", ())
    eai = None if found else "EAI_AGAIN" if again else "EAI_NONAME"
    seen = LookUp(name=name.rstrip("."), addresses=tuple(dict.fromkeys(found)), eai=eai)
    return walk.reading("linux", (seen,))
