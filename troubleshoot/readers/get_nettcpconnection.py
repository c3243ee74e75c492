"""``Get-NetTCPConnection``: sockets of TCP as objects. Source: Microsoft's page on it, recorded outputs."""

from __future__ import annotations

import re

from probes.sockets import Owner, SocketEntry
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Reading, Sockets, Walk
from troubleshoot.readers.powershell import objects
from troubleshoot.readers.words import address

COMMANDS = ("get-nettcpconnection",)
_STATES = {
    "listen": "listen", "established": "established", "timewait": "time-wait", "closewait": "close-wait",
    "synsent": "syn-sent", "synreceived": "syn-recv", "finwait1": "fin-wait-1", "finwait2": "fin-wait-2",
    "lastack": "last-ack", "closing": "closing", "bound": "bound", "closed": "close",
}  # fmt: skip


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the property names are English everywhere
    """Whether the output begins with this line."""
    return bool(re.match(r"^LocalAddress\s+(?:LocalPort\s+Remote|: \S)", line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read the table, written either way."""
    walk, entries = Walk(block), list[SocketEntry]()
    for one in objects(walk):
        here, there = address(one.get("LocalAddress", "")), address(one.get("RemoteAddress", ""))
        state = _STATES.get(one.get("State", "").casefold())
        ports = [one.get(name, "") for name in ("LocalPort", "RemotePort")]
        if here is None or state is None or not all(p.isdigit() and int(p[:6]) < 65536 for p in ports):
            continue
        far = None if ports[1] == "0" else there
        pid = one.get("OwningProcess", "")
        entries.append(
            SocketEntry(
                family=6 if ":" in here else 4,
                transport="tcp",
                state=state,
                local_address=here,
                local_port=int(ports[0]),
                remote_address=far,
                remote_port=int(ports[1]) if far is not None else None,
                owners=(Owner(int(pid)),) if pid.isdigit() and int(pid[:10]) else (),
            )
        )
    chosen = block.filtered or bool(block.arguments) or not walk.clean
    seen = (Sockets(entries=tuple(entries), whole=not chosen, transports=("tcp",)),) if entries else ()
    return walk.reading("windows", seen)
