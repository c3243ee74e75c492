"""``netstat``: sockets of Windows (``-ano``, ``-anob``, of wine too), Linux and macOS, and routes with ``-r``.

Formats: Windows writes protocol, two endpoints, a state (in German a German word) and the process number; Linux two
queues before the endpoints; macOS a point before the port. Sources: netstat(8) of Linux and of FreeBSD, netstat(1),
Microsoft's page on it, recorded outputs.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from probes.sockets import Owner, SocketEntry
from troubleshoot.knowledge.kinds import System
from troubleshoot.readers import route
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Reading, Sockets, Walk
from troubleshoot.readers.words import endpoint

COMMANDS = ("netstat",)
_WINDOWS = re.compile(
    r"^\s{1,4}(?P<proto>TCP|UDP)\s+(?P<local>\S{1,60})\s+(?P<remote>\S{1,60})(?:\s+(?P<state>[^\s\d][^\s]*))?(?:\s+(?P<pid>\d{1,10}))?(?:\s+\S+)?\s*$"
)
_LINUX = re.compile(
    r"^(?P<proto>tcp6?|udp6?|udplite6?|raw6?)\s+(?P<received>\d+)\s+(?P<sent>\d+)\s+(?P<local>\S{1,60})\s+(?P<remote>\S{1,60})"
    r"(?:\s+(?P<state>[A-Z_0-9]+))?(?:\s+\d+\s+\d+)?(?:\s+(?P<pid>\d+)/(?P<name>.{1,60}?)|\s+-)?(?:\s+\S+\s*\(.*\))?\s*$"
)
_MACOS = re.compile(
    r"^(?P<proto>tcp4|tcp6|tcp46|udp4|udp6|udp46)\s+(?P<received>\d+)\s+(?P<sent>\d+)\s+(?P<local>\S{1,60}\.(?:\d{1,5}|\*))\s+(?P<remote>\S{1,60})"
    r"(?:\s+(?P<state>[A-Z_0-9]+))?(?:\s+\d.*)?\s*$"
)
_OWNER = re.compile(r"^ ?\[(?P<name>[^\]]{1,100})\]\s*$")
_STATES = (
    *("listening", "established", "time-wait", "close-wait", "syn-sent", "fin-wait-1", "fin-wait-2", "last-ack"),
)
#: The states of netstat(8) that are no Windows words.
_WORDS = {
    "LISTEN": "listen", "SYN_RECV": "syn-recv", "SYN_RECEIVED": "syn-recv", "CLOSING": "closing", "CLOSED": "close",
    "CLOSE": "close", "BOUND": "bound", "UNKNOWN": "close",
}  # fmt: skip
#: The options that are spelled out; any other one of them may choose.
_LONG = {"--all": "a", "--tcp": "t", "--udp": "u", "--listening": "l", "--numeric": "n", "--program": "p"}
_KEEP = 20_000


def starts(line: str, labels: Labels) -> bool:
    """Whether the output begins with this line."""
    if labels.says(line, "active-connections") and len(line) < 80:
        return True
    return (labels.says(line, "socket-columns") and ":" not in line) or line.startswith("Routing tables")


def read(block: Block, labels: Labels) -> Reading:
    """Read the table of sockets; with ``-r`` (or where routes are what stands there) that of routes."""
    words = block.arguments
    if any(re.fullmatch(r"-\w*r\w*", word) for word in words) or any(
        labels.says(line, "route-table", "interface-list") for line in block.lines[:5]
    ):
        return route.read(block, labels)
    walk, entries = Walk(block), list[SocketEntry]()
    system: System | None = None
    for line in walk:
        windows, linux, macos = _WINDOWS.match(line), _LINUX.match(line), _MACOS.match(line)
        entry = None
        if windows is not None and (entry := _of_windows(windows, labels)) is not None:
            system = "windows"
        elif macos is not None and (entry := _of_unix(macos, labels)) is not None:
            system = "macos"
        elif linux is not None and (entry := _of_unix(linux, labels)) is not None:
            system = "linux"
        if entry is not None:
            entries += [entry] if len(entries) < _KEEP else []
        elif not _passed(line, entries, labels):
            walk.leave()
    seen = [_table(block, words, entries, system, clean=walk.clean)] if entries else []
    return walk.reading(
        system
        or (
            "windows"
            if labels.says(block.lines[0] if block.lines else "", "active-connections")
            and not block.lines[0].startswith("Active Internet")
            else None
        ),
        seen,
    )


def _table(
    block: Block, words: list[str], entries: list[SocketEntry], system: System | None, *, clean: bool
) -> Sockets:
    """Return the table: only where all states were asked for are listeners in it at all."""
    words = [word.casefold() for word in words]
    flags = "".join(_LONG.get(word, word[1:]) for word in words if word.startswith(("-", "/")))
    protocols = [one for word, one in pairwise(words) if word[1:].endswith("p") and one[:3] in ("tcp", "udp")]
    transports = tuple(sorted({one[:3] for one in protocols}))
    if system == "linux":
        transports = tuple(name for name in ("tcp", "udp") if name[0] in flags)
    if not transports:
        transports = ("tcp", "udp") if block.typed else tuple(sorted({one.transport for one in entries}))
    chosen = any(one in flags for one in "l46f-") or (system == "windows" and bool(protocols))
    return Sockets(
        entries=tuple(entries),
        whole=clean and len(entries) < _KEEP and not (block.filtered or chosen),
        listening="a" in flags or "l" in flags or any(one.state == "listen" for one in entries),
        transports=transports,
    )


def _passed(line: str, entries: list[SocketEntry], labels: Labels) -> bool:
    """Take the name below a socket (``-b``), and what is a heading."""
    named = _OWNER.match(line)
    if named is not None and entries:
        last = entries[-1]
        pid = last.owners[0].pid if last.owners else 0
        entries[-1] = _with_owner(last, Owner(pid, named["name"]))
        return True
    if re.match(r"^\s{1,4}[\w-]{1,60}$", line) and entries and entries[-1].owners:
        return True  # the service or library between socket and program
    return labels.says(line, "active-connections", "socket-columns", "owner-unknown") or line.startswith(
        ("(Not all processes", "(No info could", " will not be shown", "unix ", "Proto RefCnt")
    )


def _with_owner(entry: SocketEntry, owner: Owner) -> SocketEntry:
    return replace(entry, owners=(owner,))


def _entry(proto: str, local: str, remote: str, state: str, **more: Any) -> SocketEntry | None:
    here, there = endpoint(local), endpoint(remote)
    if here is None or here[1] is None or there is None:
        return None
    v6 = ("6" in proto and "46" not in proto) or ":" in here[0]
    everywhere = "::" if v6 or proto.endswith("46") else "0.0.0.0"
    nobody = there[1] in (None, 0) or there[0] == ""
    return SocketEntry(
        family=6 if ":" in (here[0] or everywhere) else 4,
        transport=proto[:3].lower(),
        state=state,
        local_address=here[0] or everywhere,
        local_port=here[1],
        remote_address=None if nobody else there[0],
        remote_port=None if nobody else there[1],
        **more,
    )


def _state(word: str | None, transport: str, labels: Labels) -> str | None:
    if word is None:
        return "unconnected" if transport == "udp" else None
    known = _WORDS.get(word.upper()) or labels.label(word, _STATES)
    return {"listening": "listen"}.get(known or "", known)


def _of_windows(found: re.Match[str], labels: Labels) -> SocketEntry | None:
    transport = found["proto"].lower()
    state = _state(found["state"], transport, labels)
    if state is None:
        return None
    owners = (Owner(int(found["pid"])),) if found["pid"] and int(found["pid"]) else ()
    return _entry(found["proto"].lower(), found["local"], found["remote"], state, owners=owners)


def _of_unix(found: re.Match[str], labels: Labels) -> SocketEntry | None:
    transport = found["proto"][:3]
    if transport == "raw":
        return None
    state = _state(found["state"], transport, labels)
    if state is None:
        return None
    groups = found.groupdict()
    owners = (Owner(int(groups["pid"]), groups["name"].strip()),) if groups.get("pid") and groups.get("name") else ()
    queue = int(found["received"][:9])
    entry = _entry(found["proto"], found["local"], found["remote"], state, queue=queue, owners=owners)
    if entry is None or entry.local_address != "::" or not found["local"].startswith("*."):
        return entry
    return replace(entry, v6_only=not found["proto"].endswith("46"))  # macOS tells them apart
