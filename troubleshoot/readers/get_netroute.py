"""``Get-NetRoute``: the routing table as objects. Source: Microsoft's page on it, recorded outputs."""

from __future__ import annotations

import re

from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Reading, RouteEntry, Routes, Walk
from troubleshoot.readers.powershell import objects
from troubleshoot.readers.words import address, family, network

COMMANDS = ("get-netroute",)


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the property names are English everywhere
    """Whether the output begins with this line."""
    return bool(re.match(r"^(?:ifIndex\s+DestinationPrefix\s|DestinationPrefix\s*: \S)", line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read the table, written either way."""
    walk, entries = Walk(block), list[RouteEntry]()
    for one in objects(walk):
        where, _, length = one.get("DestinationPrefix", "").partition("/")
        prefix = network(where, int(length)) if length.isdigit() else None
        if prefix is None:
            continue
        via = address(one.get("NextHop", ""))
        metric = "".join(re.findall(r"\d+", one.get("RouteMetric", one.get("InterfaceMetric", "")))[:1])
        entries.append(
            RouteEntry(
                prefix=prefix,
                gateway=None if via in ("0.0.0.0", "::") else via,
                interface=one.get("InterfaceAlias") or one.get("ifIndex") or one.get("InterfaceIndex"),
                metric=int(metric[:9] or 0),
            )
        )
    chosen = block.filtered or bool(block.arguments) or not walk.clean
    families = tuple(sorted({family(entry.prefix) for entry in entries}))
    seen = (Routes(entries=tuple(entries), families=families, whole=not chosen),) if entries else ()
    return walk.reading("windows", seen)
