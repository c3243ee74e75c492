"""``lsof -iTCP``, ``lsof -i``: sockets and who holds them. Source: lsof(8), recorded outputs."""

from __future__ import annotations

import re

from probes.sockets import Owner, SocketEntry
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Reading, Sockets, Walk
from troubleshoot.readers.words import endpoint

COMMANDS = ("lsof",)
_HEAD = re.compile(r"^COMMAND\s+PID\s+(?:TID\s+\S+\s+)?USER\s+FD\s+TYPE\s+DEVICE")
_LINE = re.compile(
    r"^(?P<command>\S{1,60})\s+(?P<pid>\d{1,10})\s+(?P<user>\S{1,60})\s+\d+\w*\s+(?P<type>IPv[46])\s+\S+\s+\S+\s+(?P<proto>TCP|UDP)\s+"
    r"(?P<local>[^\s>]{1,80}?)(?:->(?P<remote>\S{1,80}))?(?:\s+\((?P<state>[A-Z_0-9]+)\))?\s*$"
)
_STATES = {
    "LISTEN": "listen", "ESTABLISHED": "established", "TIME_WAIT": "time-wait", "SYN_SENT": "syn-sent",
    "SYN_RCDV": "syn-recv", "SYN_RECV": "syn-recv", "FIN_WAIT_1": "fin-wait-1", "FIN_WAIT1": "fin-wait-1",
    "FIN_WAIT_2": "fin-wait-2", "FIN_WAIT2": "fin-wait-2", "CLOSE_WAIT": "close-wait", "LAST_ACK": "last-ack",
    "CLOSING": "closing", "CLOSED": "close", "CLOSE": "close",
}  # fmt: skip


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line."""
    return bool(_HEAD.match(line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read the table: never all sockets, for an ordinary user is shown his own."""
    walk, entries = Walk(block), list[SocketEntry]()
    for line in walk:
        found = _LINE.match(line)
        entry = _entry(found) if found is not None else None
        if entry is not None:
            entries.append(entry)
        elif not _HEAD.match(line):
            walk.leave()
    macos = any(re.search(r"\s0x[0-9a-f]{8,}\s", line) for line in block.lines[:40])
    transports = tuple(sorted({one.transport for one in entries}))
    seen = (Sockets(entries=tuple(entries), whole=False, transports=transports),) if entries else ()
    return walk.reading("macos" if macos else None, seen)


def _entry(found: re.Match[str]) -> SocketEntry | None:
    here, there = endpoint(found["local"]), endpoint(found["remote"] or "*:*")
    transport = found["proto"].lower()
    state = (
        _STATES.get(found["state"] or "") if transport == "tcp" else "established" if found["remote"] else "unconnected"
    )
    if here is None or here[1] is None or there is None or state is None:
        return None
    v6 = found["type"] == "IPv6"
    return SocketEntry(
        family=6 if v6 else 4,
        transport=transport,
        state=state,
        local_address=here[0] or ("::" if v6 else "0.0.0.0"),
        local_port=here[1],
        remote_address=there[0] or None,
        remote_port=there[1] if there[0] else None,
        owners=(Owner(int(found["pid"]), found["command"], found["user"]),),
    )
