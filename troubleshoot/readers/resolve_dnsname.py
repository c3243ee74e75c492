"""``Resolve-DnsName``: what Windows' own client says of a name. Source: Microsoft's page on it, recorded outputs."""

from __future__ import annotations

import re
from typing import Any

from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, LookUp, Reading, Walk
from troubleshoot.readers.powershell import objects
from troubleshoot.readers.words import address

COMMANDS = ("resolve-dnsname",)
_TABLE = re.compile(r"^Name\s+Type\s+TTL\s+Section\s")
_ERROR = re.compile(r"^Resolve-DnsName : (?P<name>[\w.-]{1,253}) : (?P<why>.{1,300})$")


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the property names are English everywhere
    """Whether the output begins with this line."""
    return bool(_TABLE.match(line) or _ERROR.match(line))


def read(block: Block, labels: Labels) -> Reading:
    """Read the records, or the complaint that there are none."""
    walk, found, aliases = Walk(block), dict[str, list[str]](), list[str]()
    errors: list[Any] = []
    kept: list[str] = []
    for line in block.lines:
        error = _ERROR.match(line)
        if error is not None:
            eai = "EAI_NONAME" if labels.says(error["why"], "nxdomain") else "EAI_AGAIN"
            errors.append(LookUp(name=error["name"], eai=eai))
        kept.append("" if error is not None or line.startswith(("At line:", "+ ", "    + ")) else line)
    walk = Walk(Block(command=block.command, lines=tuple(kept), first=block.first, typed=block.typed))
    asked = next((w for w in block.arguments if not w.startswith("-")), None)
    for one in objects(walk):
        where = address(one.get("IPAddress", one.get("IP4Address", one.get("IP6Address", ""))))
        if where is not None:
            found.setdefault(one.get("Name", asked or ""), []).append(where)
        elif one.get("Type") == "CNAME" and one.get("Name"):
            aliases.append(one["Name"])
    seen = list(errors)
    name = asked or (aliases[0] if aliases else next(iter(found), None))
    everything = tuple(where for some in found.values() for where in some)
    if name and everything:
        seen.append(LookUp(name=name.rstrip("."), addresses=everything, aliases=tuple(aliases)))
    return walk.reading("windows", seen)
