"""The transmit queues of interfaces (tc(8)) and how full the neighbour tables are.

Layouts: <linux/rtnetlink.h>, <linux/pkt_sched.h>, <linux/gen_stats.h>; ``/proc/net/stat`` as net/core/neighbour.c
writes it.
"""

from __future__ import annotations

import struct

import msgspec

from probes.base import Context
from probes.system.linux.netlink import DUMP, ask, attributes, whole

_RTM_GETQDISC = 38
_TCMSG = struct.Struct("=BxxxiIII")
_TCA_KIND, _TCA_STATS2, _TCA_STATS_BASIC, _TCA_STATS_QUEUE = 1, 7, 1, 3
_BASIC = struct.Struct("=QI")
_QUEUE = struct.Struct("=IIIII")
_TABLES = ((4, "arp_cache", "ipv4"), (6, "ndisc_cache", "ipv6"))


class Discipline(msgspec.Struct, frozen=True):
    """One queueing discipline: bytes that wait, packets dropped and packets sent since it was made."""

    index: int
    handle: int
    parent: int
    kind: str
    waiting: int
    dropped: int
    sent: int


class Table(msgspec.Struct, frozen=True):
    """A neighbour table: entries, the most that it holds, and how often it had no room."""

    family: int
    entries: int
    limit: int | None
    refused: int


def disciplines(context: Context) -> tuple[Discipline, ...]:
    """Return those of every interface; raises ``OSError`` where netlink is denied."""
    return tuple(_discipline(m) for m in ask(context, _RTM_GETQDISC, DUMP, _TCMSG.pack(0, 0, 0, 0, 0)))


@whole
def _discipline(message: bytes) -> Discipline:
    _family, index, handle, parent, _info = _TCMSG.unpack_from(message)
    found = attributes(message, _TCMSG.size)
    figures = attributes(found.get(_TCA_STATS2, b""), 0)
    _bytes, sent = _BASIC.unpack_from(figures.get(_TCA_STATS_BASIC, b"").ljust(_BASIC.size, b"\0"))
    queue = figures.get(_TCA_STATS_QUEUE, b"").ljust(_QUEUE.size, b"\0")
    _length, waiting, dropped, _again, _over = _QUEUE.unpack_from(queue)
    kind = found.get(_TCA_KIND, b"").rstrip(b"\0").decode("ascii", "replace")
    return Discipline(index, handle, parent, kind, waiting, dropped, sent)


def neighbour_tables(context: Context) -> tuple[Table, ...]:
    """Return the tables that the kernel shows here: those of the first network namespace alone."""
    found = []
    for family, name, folder in _TABLES:
        try:
            head, *rows = context.read_text(f"/proc/net/stat/{name}").splitlines()
            columns = [dict(zip(head.split(), (int(w, 16) for w in row.split()), strict=False)) for row in rows]
        except (OSError, ValueError):
            continue
        if columns:
            entries, refused = columns[0].get("entries", 0), sum(row.get("table_fulls", 0) for row in columns)
            found.append(Table(family, entries, _limit(context, folder), refused))
    return tuple(found)


def _limit(context: Context, folder: str) -> int | None:
    try:
        return int(context.read_text(f"/proc/sys/net/{folder}/neigh/default/gc_thresh3"))
    except (OSError, ValueError):
        return None
