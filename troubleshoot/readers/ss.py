"""``ss``: sockets with their queues and processes. Source: ss(8), recorded outputs."""

from __future__ import annotations

import re

from probes.sockets import Owner, SocketEntry
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Reading, Sockets, Walk
from troubleshoot.readers.words import endpoint

COMMANDS = ("ss",)
_HEAD = re.compile(r"^\s*(?:Netid\s+)?State\s+Recv-Q\s+Send-Q\s+Local Address:Port")
_LINE = re.compile(
    r"^\s*(?:(?P<proto>tcp|udp|mptcp|u_\w+|nl|p_\w+|icmp6|raw|\?\?\?|v_\w+|sctp|tipc|xdp)\s+)?(?P<state>[A-Z][A-Z0-9-]*)\s+(?P<received>\d+)\s+(?P<sent>\d+)\s+"
    r"(?P<local>\S{1,80})\s+(?P<remote>\S{1,80})(?P<rest>.*)$"
)
_OWNER = re.compile(r'\("(?P<name>[^"]{1,60})",pid=(?P<pid>\d{1,10}),')
_STATES = {
    "LISTEN": "listen", "ESTAB": "established", "TIME-WAIT": "time-wait", "SYN-SENT": "syn-sent",
    "UNCONN": "unconnected",
    "SYN-RECV": "syn-recv", "FIN-WAIT-1": "fin-wait-1", "FIN-WAIT-2": "fin-wait-2", "CLOSE-WAIT": "close-wait",
    "LAST-ACK": "last-ack", "CLOSING": "closing", "CLOSED": "close",
}  # fmt: skip
_OTHERS = ("u_", "nl", "p_", "v_", "???", "raw", "icmp6", "xdp", "sctp", "tipc", "mptcp")
#: Options that are spelled out; any other one of them may choose.
_LONG = {
    "--all": "a", "--tcp": "t", "--udp": "u", "--listening": "l", "--numeric": "n", "--processes": "p", "--ipv4": "4",
    "--ipv6": "6", "--extended": "e", "--info": "i", "--memory": "m", "--options": "o",
}  # fmt: skip
_KEEP = 20_000


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line."""
    return bool(_HEAD.match(line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read the table."""
    walk, entries = Walk(block), list[SocketEntry]()
    words = block.arguments
    flags = "".join(_LONG.get(w, w[1:]) for w in words if re.fullmatch(r"-[a-zA-Z046]+|--[a-z0-9-]+", w))
    only = "udp" if "u" in flags and "t" not in flags else "tcp"
    for line in walk:
        found = _LINE.match(line)
        if _HEAD.match(line):
            continue
        if found is None or (entry := _entry(found, only)) is None:
            other = found is not None and (found["proto"] or "").startswith(_OTHERS)
            if not other and not line.startswith(("\t", "      ")):
                walk.leave()
            continue
        entries += [entry] if len(entries) < _KEEP else []
    chosen = any(not w.startswith("-") for w in words) or any(one in flags for one in "l46DFKNf-")
    whole = walk.clean and len(entries) < _KEEP and not block.filtered and not chosen and "a" in flags
    listening = "a" in flags or "l" in flags or any(e.state == "listen" for e in entries)
    asked = any(_HEAD.match(line) for line in block.lines[:3])
    transports = tuple(name for name in ("tcp", "udp") if name[0] in flags)
    if not transports:
        told = {entry.transport for entry in entries}
        transports = ("tcp", "udp") if "a" in flags and not set(flags) & set("xw0SM") else tuple(sorted(told))
    table = Sockets(entries=tuple(entries), whole=whole, listening=listening, transports=transports)
    seen = (table,) if entries or asked else ()
    return walk.reading("linux", seen)


def _entry(found: re.Match[str], only: str) -> SocketEntry | None:
    transport, state = found["proto"] or only, _STATES.get(found["state"])
    here, there = endpoint(found["local"]), endpoint(found["remote"])
    if state is None or transport not in ("tcp", "udp") or here is None or here[1] is None or there is None:
        return None
    star = found["local"].startswith("*:")  # :: that takes IPv4 as well
    local = here[0] or ("::" if star else "0.0.0.0")
    nobody = there[1] is None or not there[0]
    listens = state == "listen"
    return SocketEntry(
        family=6 if ":" in local else 4,
        transport=transport,
        state=state,
        local_address=local,
        local_port=here[1],
        remote_address=None if nobody else there[0],
        remote_port=None if nobody else there[1],
        queue=int(found["received"][:9]),
        queue_limit=int(found["sent"][:9]) if listens else None,
        v6_only=(not star) if local == "::" else None,
        owners=tuple(Owner(int(o["pid"]), o["name"]) for o in _OWNER.finditer(found["rest"]))[:8],
    )
