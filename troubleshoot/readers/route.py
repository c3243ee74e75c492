"""Routing tables: ``route print`` of Windows, ``route -n`` and ``netstat -rn`` of Linux and macOS, ``route -n get``.

Formats: Windows and Linux' net-tools write destination and mask, macOS a prefix without its trailing zeros; IPv6 on
Windows begins with interface number and metric. Sources: Microsoft's page on ``route``, route(8) and netstat(1) of
FreeBSD, route(8) of net-tools, recorded outputs.
"""

from __future__ import annotations

import re
from typing import Any

from probes.failure import Failure
from probes.route import RouteKind, RouteResult
from troubleshoot.knowledge.kinds import System
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Reading, RouteEntry, Routes, Walk
from troubleshoot.readers.words import address, family, network, prefix_of

COMMANDS = ("route",)
_V4 = re.compile(
    r"^\s+(?P<to>(?:\d{1,3}\.){3}\d{1,3})\s+(?P<mask>(?:\d{1,3}\.){3}\d{1,3})\s+(?P<via>\S.{0,40}?)\s+(?P<own>(?:\d{1,3}\.){3}\d{1,3})\s+(?P<metric>\d{1,9})\s*$"
)
_KEPT_V4 = re.compile(
    r"^\s+(?P<to>(?:\d{1,3}\.){3}\d{1,3})\s+(?P<mask>(?:\d{1,3}\.){3}\d{1,3})\s+(?P<via>(?:\d{1,3}\.){3}\d{1,3})\s+\S.*$"
)
_V6 = re.compile(
    r"^\s*(?P<index>\d{1,6})\s+(?P<metric>\d{1,9})\s+(?P<to>[0-9A-Fa-f:.]{2,45})/(?P<length>\d{1,3})(?:\s+(?P<via>\S.*?))?\s*$"
)
_LISTED = re.compile(r"^\s*(?P<index>\d{1,6})\s?\.{2,}(?P<mac>[0-9a-f ]{0,40})\s?\.{2,}\s*(?P<name>\S.*)$")
_LINUX = re.compile(
    r"^(?P<to>default|(?:\d{1,3}\.){3}\d{1,3})\s+(?P<via>\*|-|(?:\d{1,3}\.){3}\d{1,3})\s+(?P<mask>(?:\d{1,3}\.){3}\d{1,3})\s+"
    r"(?P<flags>[A-Z!]{1,8})\s+(?P<rest>.*?)\s(?P<dev>\S{1,30})\s*$"
)
_MACOS = re.compile(
    r"^(?P<to>default|[0-9A-Fa-f:.]{1,45}(?:%\w+)?(?:/\d{1,3})?)\s+(?P<via>\S{1,60})\s+(?P<flags>[A-Za-z]{1,14})\s+(?:\d+\s+\d+\s+)?(?P<dev>[a-z]\w*\d\S*)(?:\s+\S+)?\s*$"
)
_GET = re.compile(r"^\s*(?P<key>route to|destination|mask|gateway|interface|flags|if address)\s*: ?(?P<value>.*)$")
_GET_HEADS = re.compile(r"^\s*(?:recvpipe|\d+\s+\d+\s+\d+)")
_NOT_IN_TABLE = re.compile(r"^route: (?:writing to routing socket: )?not in table")
_HEADS = re.compile(r"^(?:Destination\s|Internet6?:|\s*If\s+Metric|=+\s*$|-+\s*$)")

#: The command line of a whole table: any other word chooses from it.
_COMMAND = re.compile(r"(?:^|[\\/])(?:route|netstat)(?:\.exe)?\"?$")
_EVERY = re.compile(r"print|-4|-6|-[rnewv]+|-(?:a|f)|inet6?|--(?:inet6?|route|numeric)")
#: What Windows' tables hold whatever the machine is connected to.
_ALWAYS = {4: "127.0.0.0/8", 6: "::1/128"}


def starts(line: str, labels: Labels) -> bool:
    """Whether the output begins with this line."""
    known = labels.says(line, "interface-list", "route-table") and len(line) < 60
    return known or bool(re.match(r"^\s+route to: \S", line) or _NOT_IN_TABLE.match(line))


def read(block: Block, labels: Labels) -> Reading:
    """Read the table, or the answer about one destination."""
    walk, table = Walk(block), _Table(block)
    for line in walk:
        if not table.take(line, labels):
            walk.leave()
    return walk.reading(table.system, table.seen(clean=walk.clean))


class _Table:
    """The output as it is read."""

    def __init__(self, block: Block) -> None:
        self.system: System | None = None
        self.entries: list[RouteEntry] = []
        self.got: dict[str, str] = {}
        self.filtered = block.filtered
        self.kept = False
        self.none = False
        self.typed = block.typed
        self.v6 = False

    def take(self, line: str, labels: Labels) -> bool:
        """Take a line; false where it says nothing of routes."""
        if labels.says(line, "persistent-routes"):
            self.kept = True
            return True
        if labels.says(line, "interface-list", "route-table") and len(line) < 60:
            self.kept = False
            return True
        if _NOT_IN_TABLE.match(line):
            self.none, self.system = True, "macos"
            return True
        if _HEADS.match(line):
            self.v6 = line.startswith("Internet6") or (self.v6 and not line.startswith("Internet:"))
            return True
        got = _GET.match(line)
        if got is not None:
            self.system = "macos"
            self.got[got["key"]] = got["value"].strip()
            return True
        if self.got and _GET_HEADS.match(line):
            return True
        if self._windows(line, labels) or self._unix(line):
            return True
        said = line.strip().casefold()
        return labels.says(line, "route-columns") or labels.label(said, ("none",)) is not None

    def _windows(self, line: str, labels: Labels) -> bool:
        listed = _LISTED.match(line)
        if listed is not None:
            self.system = "windows"
            return True
        if self.kept and (_KEPT_V4.match(line) or _V6.match(line)):
            return True  # it stands in the active table, too, where it is at work
        v4, v6 = _V4.match(line), _V6.match(line)
        if v4 is not None and (length := prefix_of(v4["mask"])) is not None:
            prefix, via = network(v4["to"], length), address(v4["via"])
            if prefix is None:
                return False
            self.system = "windows"
            on_link = via is None or labels.says(v4["via"], "on-link")
            entry = RouteEntry(
                prefix=prefix,
                gateway=None if on_link else via,
                interface=v4["own"],
                source=v4["own"],
                metric=int(v4["metric"]),
            )
            self.entries.append(entry)
            return True
        if v6 is not None and (prefix := network(v6["to"], int(v6["length"]))) is not None:
            via = address(v6["via"] or "")
            self.system = "windows"
            self.entries.append(RouteEntry(prefix=prefix, gateway=via, interface=v6["index"], metric=int(v6["metric"])))
            return True
        # A long prefix has its gateway on the next line.
        alone = address(line)
        if alone is not None and self.system == "windows" and self.entries and self.entries[-1].gateway is None:
            last = self.entries.pop()
            self.entries.append(
                RouteEntry(prefix=last.prefix, gateway=alone, interface=last.interface, metric=last.metric)
            )
            return True
        return alone is not None and self.system == "windows"

    def _unix(self, line: str) -> bool:
        linux, macos = _LINUX.match(line), _MACOS.match(line)
        if linux is not None and (length := prefix_of(linux["mask"])) is not None:
            prefix = network("0.0.0.0" if linux["to"] == "default" else linux["to"], length)
            if prefix is None:
                return False
            via = address(linux["via"])
            words = linux["rest"].split()
            metric = int(words[0]) if words and words[0].isdigit() and len(words) > 2 else 0
            kind = "unreachable" if "!" in linux["flags"] else "unicast"
            gateway = via if "G" in linux["flags"] and via != "0.0.0.0" else None
            self.system = "linux"
            self.entries.append(
                RouteEntry(prefix=prefix, gateway=gateway, interface=linux["dev"], metric=metric, kind=kind)
            )
            return True
        if macos is None:
            return False
        prefix = _whole(macos["to"], v6=self.v6 or ":" in macos["via"])
        if prefix is None:
            return False
        via = address(macos["via"])
        kind = {"R": "unreachable", "B": "blackhole"}.get(next((f for f in macos["flags"] if f in "RB"), ""), "unicast")
        self.system = "macos"
        gateway = via if "G" in macos["flags"] and via is not None else None
        self.entries.append(RouteEntry(prefix=prefix, gateway=gateway, interface=macos["dev"], kind=kind))
        return True

    def seen(self, *, clean: bool) -> list[Any]:
        """Return what was read; a table is not the whole one where a line of it was not understood."""
        where = address(self.got.get("route to", "")) or next(
            (found for word in self.typed.split()[1:] if (found := address(word)) is not None), None
        )
        if self.none and where is not None:
            return [
                RouteResult(
                    where, family(where), RouteKind.NONE, failure=Failure.NETWORK_UNREACHABLE, errno="ENETUNREACH"
                )
            ]
        if self.got and where is not None:
            return [_answer(where, self.got)]
        if not self.entries:
            return []
        families = tuple(sorted({family(entry.prefix) for entry in self.entries}))
        whole = clean and not self.filtered and self._every(families)
        return [Routes(entries=tuple(self.entries), families=families, whole=whole)]

    def _every(self, families: tuple[int, ...]) -> bool:
        """Whether the command asked for the whole table; without it, whether the networks are there that always are."""
        words = self.typed.casefold().split()
        asked = next((n for n, word in enumerate(words) if _COMMAND.search(word)), None)
        if asked is not None:
            return all(_EVERY.fullmatch(word) for word in words[asked + 1 :])
        held = {entry.prefix for entry in self.entries}
        return self.system != "windows" or all(_ALWAYS[version] in held for version in families)


def _answer(where: str, got: dict[str, str]) -> RouteResult:
    via = address(got.get("gateway", ""))
    flags = got.get("flags", "").strip("<>").split(",")
    kinds = {"REJECT": RouteKind.UNREACHABLE, "BLACKHOLE": RouteKind.BLACKHOLE, "LOCAL": RouteKind.LOCAL}
    kind = next((kinds[flag] for flag in flags if flag in kinds), RouteKind.UNICAST)
    return RouteResult(
        where,
        family(where),
        kind,
        interface=got.get("interface") or None,
        gateway=via if "GATEWAY" in flags else None,
        on_link="GATEWAY" not in flags and kind is RouteKind.UNICAST,
    )


def _whole(written: str, *, v6: bool) -> str | None:
    """Return the prefix that macOS writes short: ``default``, ``192.0.2``, ``10/8``, ``fe80::%en0/64``."""
    if written == "default":
        return "::/0" if v6 else "0.0.0.0/0"
    where, _, length = written.partition("/")
    if ":" in where:
        return network(where, int(length) if length else 128)
    parts = where.split(".")
    if not all(part.isdigit() for part in parts) or len(parts) > 4:
        return None
    bits = int(length) if length else 8 * len(parts)
    return network(".".join((parts + ["0"] * 4)[:4]), bits)
