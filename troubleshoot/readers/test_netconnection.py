"""``Test-NetConnection`` (``tnc``): a connection, a ping and the way out, in one object.

A failed test of TCP does not say with what error. Source: Microsoft's page on it, recorded outputs.
"""

from __future__ import annotations

import re
from typing import Any

from probes.ping import Echo, PingMethod, PingResult
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Connection, LookUp, Reading, Walk
from troubleshoot.readers.powershell import objects
from troubleshoot.readers.words import address

COMMANDS = ("test-netconnection", "tnc")
_WARNING = re.compile(r"^[^\s:]{2,12}\s?: (?P<what>(?:TCP connect|Name resolution|Ping to) .{1,400})$")
_FAILED = re.compile(r"TCP connect to \(?(?P<address>[0-9A-Fa-f:.]+?) : (?P<port>\d{1,5})\)? failed")
_NAME = re.compile(r"Name resolution of (?P<name>\S{1,253}) failed")


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the property names are English everywhere
    """Whether the output begins with this line."""
    warned = _WARNING.match(line)
    if warned is not None:
        return bool(_FAILED.search(warned["what"]) or _NAME.search(warned["what"]))
    return bool(re.match(r"^ComputerName\s+: \S", line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read the object, and the warnings before it."""
    kept, seen = list[str](), list[Any]()
    for line in block.lines:
        warned = _WARNING.match(line)
        if warned is not None and (gone := _NAME.search(warned["what"])) is not None:
            seen.append(LookUp(name=gone["name"].rstrip("."), eai="EAI_NONAME"))
        known = warned is not None and (
            _FAILED.search(warned["what"]) or _NAME.search(warned["what"]) or "Ping to" in line
        )
        kept.append("" if known else line)
    walk = Walk(Block(command=block.command, lines=tuple(kept), first=block.first, typed=block.typed))
    for one in objects(walk):
        seen += _of(one)
    return walk.reading("windows", seen)


def _of(one: dict[str, str]) -> list[Any]:
    name, where = one.get("ComputerName"), address(one.get("RemoteAddress", ""))
    found: list[Any] = []
    if name and where is not None and address(name) is None:
        found.append(LookUp(name=name.rstrip("."), addresses=(where,)))
    pinged = one.get("PingSucceeded", "").casefold()
    if where is not None and pinged in ("true", "false"):
        round_trip = re.match(r"(\d+)\s*ms", one.get("PingReplyDetails (RTT)", ""))
        rtt_ms = float(round_trip[1]) if round_trip and pinged == "true" else None
        if rtt_ms is not None or pinged == "false":  # without its time an answer is no echo
            answered = int(rtt_ms is not None)
            waited_ms = 0.0 if answered else 4000.0
            times = (rtt_ms, rtt_ms, rtt_ms)
            found.append(
                PingResult(where, PingMethod.ICMP_RAW, 1, answered, (Echo(0, rtt_ms=rtt_ms),), waited_ms, *times)
            )
    port = one.get("RemotePort", "")
    tested = one.get("TcpTestSucceeded", "").casefold()
    if port.isdigit() and int(port[:6]) < 65536 and tested in ("true", "false"):
        source = address(one.get("SourceAddress", ""))
        found.append(Connection(name=name, address=where, port=int(port), connected=tested == "true", source=source))
    return found
