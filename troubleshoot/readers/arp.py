"""``arp -a`` of Windows and wine, ``arp -an`` of macOS and Linux.

Sources: arp(8), Microsoft's page on it, recorded outputs.
"""

from __future__ import annotations

import re

from probes.neighbours import Neighbour, NeighbourState
from troubleshoot.knowledge.kinds import System
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Neighbours, Reading, Walk
from troubleshoot.readers.words import address, first_address, mac

COMMANDS = ("arp",)
_HEAD = re.compile(r"^\S{1,20}\s?: (?P<own>[0-9.]{7,15}) --- 0x[0-9a-f]+\s*$")
_WINDOWS = re.compile(r"^\s+(?P<address>[0-9.]{7,15})\s+(?P<mac>(?:[0-9a-f]{2}-){5}[0-9a-f]{2})\s+(?P<kind>\S+)\s*$")
_BSD = re.compile(r"^(?:\S{1,253}) \((?P<address>[0-9.]{7,15})\) at (?P<mac>\S{1,40})(?P<rest>.*)$")
_TABLE = re.compile(
    r"^(?P<address>[0-9.]{7,15})\s+(?:ether\s+(?P<mac>\S{17})\s+(?P<flags>\w+)|(?P<none>\(incomplete\)))\s+(?P<dev>\S+)\s*$"
)


def starts(line: str, labels: Labels) -> bool:
    """Whether the output begins with this line."""
    return bool(_HEAD.match(line) or _BSD.match(line)) or labels.says(line, "no-arp-entries")


def read(block: Block, labels: Labels) -> Reading:
    """Read the table of neighbours. What Windows calls dynamic may be old: it is no proof of life."""
    walk, found = Walk(block), list[Neighbour]()
    system: System | None = None
    interface: str | None = None
    for line in walk:
        head, windows, bsd, table = (p.match(line) for p in (_HEAD, _WINDOWS, _BSD, _TABLE))
        if head is not None:
            system, interface = "windows", head["own"]
        elif windows is not None and (where := address(windows["address"])) is not None:
            system = "windows"
            fixed = labels.label(windows["kind"], ("static",)) is not None
            held = mac(windows["mac"])
            gone = held == "00:00:00:00:00:00"
            state = NeighbourState.INCOMPLETE if gone else NeighbourState.NOARP if fixed else NeighbourState.STALE
            found.append(Neighbour(where, interface, state, None if gone else held))
        elif bsd is not None and (where := address(bsd["address"])) is not None:
            found.append(_of_bsd(where, bsd))
            system = "linux" if "[ether]" in line or "<incomplete>" in line else "macos"
        elif table is not None and (where := first_address(table["address"])) is not None:
            system = "linux"
            state = NeighbourState.INCOMPLETE if table["none"] else NeighbourState.STALE
            found.append(Neighbour(where, table["dev"], state, mac(table["mac"] or "")))
        elif not labels.says(line, "arp-columns", "no-arp-entries") and not line.startswith("Entries:"):
            walk.leave()
    return walk.reading(system, (Neighbours(table=tuple(found)),) if found else ())


def _of_bsd(where: str, bsd: re.Match[str]) -> Neighbour:
    held = mac(bsd["mac"])
    on = re.search(r"\bon (\S{1,30})", bsd["rest"])
    fixed = "permanent" in bsd["rest"] or "PERM" in bsd["rest"]
    state = NeighbourState.INCOMPLETE if held is None else NeighbourState.NOARP if fixed else NeighbourState.STALE
    return Neighbour(where, on[1] if on else None, state, held)
