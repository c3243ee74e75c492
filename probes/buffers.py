"""Read how much memory the stack's sockets use, against the kernel's limits, and how much is left."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from probes.base import Context, NotApplicable, Probe, sends_nothing
from probes.system import identity
from probes.system.blocking import aside
from probes.system.linux import holders, sockdiag

#: How many processes are named, those with most socket memory first.
MAX_PROCESSES = 5


class BuffersRequest(msgspec.Struct, frozen=True):
    """The whole machine is read; the process ``pid`` is named even where others take more."""

    pid: int | None = None


class ProcessMemory(msgspec.Struct, frozen=True):
    """Kernel memory in bytes that the TCP and UDP sockets of a process take; ``pid`` ``None``: of no visible one."""

    pid: int | None
    name: str | None
    sockets: int
    memory: int


class BuffersResult(msgspec.Struct, frozen=True):
    """Pages as in ``/proc/net/sockstat``; limits are (low, pressure, high) of tcp(7) and udp(7), in pages.

    Memory figures are bytes. ``default_send`` and ``default_receive`` are the default socket buffers in bytes,
    ``maximum_send`` and ``maximum_receive`` the most that ``SO_SNDBUF`` and ``SO_RCVBUF`` may ask for without
    privilege; ``tcp_send`` and ``tcp_receive`` the (least, first, most) bytes of TCP's own tuning.
    The limits are the whole machine's and cannot be read inside a network namespace. ``orphans`` are connections
    that no program holds any more. ``processes`` are those with most socket memory, and the one that was asked for; a
    socket that several share counts for each.
    """

    tcp_pages: int | None
    tcp_limits: tuple[int, int, int] | None
    udp_pages: int | None
    udp_limits: tuple[int, int, int] | None
    memory_total: int
    memory_available: int
    default_send: int | None = None
    default_receive: int | None = None
    maximum_send: int | None = None
    maximum_receive: int | None = None
    tcp_sockets: int | None = None
    orphans: int | None = None
    orphan_limit: int | None = None
    page_size: int = 4096
    udp_sockets: int | None = None
    time_wait: int | None = None
    tcp_send: tuple[int, int, int] | None = None
    tcp_receive: tuple[int, int, int] | None = None
    processes: tuple[ProcessMemory, ...] = ()


def _numbers(context: Context, path: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in context.read_text(path).split())
    except (OSError, ValueError):
        return ()


def _one(context: Context, path: str) -> int | None:
    found = _numbers(context, path)
    return found[0] if found else None


def _three(context: Context, path: str) -> tuple[int, int, int] | None:
    found = _numbers(context, path)
    return (found[0], found[1], found[2]) if len(found) == 3 else None


def _pairs(context: Context, path: str) -> dict[tuple[str, str], int]:
    """Read lines such as ``TCP: inuse 3 mem 7`` and, under the empty word, ``MemTotal: 16 kB`` in bytes."""
    try:
        text = context.read_text(path)
    except OSError:
        return {}
    found: dict[tuple[str, str], int] = {}
    for line in text.splitlines():
        head, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB" and words[0].isdecimal():
            found[head, ""] = int(words[0]) * 1024
            continue
        for key, value in zip(words[::2], words[1::2], strict=False):
            if value.isdecimal():
                found[head, key] = int(value)
    return found


def _default(context: Context, name: str, option: int) -> int | None:
    # Older kernels keep the setting from the view of a network namespace; a fresh socket tells it anywhere.
    known = _one(context, f"/proc/sys/net/core/{name}")
    if known is not None or context.root != Path("/"):
        return known
    try:
        with context.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            return opened.getsockopt(socket.SOL_SOCKET, option)
    except OSError:
        return None


def _processes(context: Context, asked: int | None) -> tuple[ProcessMemory, ...]:
    by_inode: dict[int, int] = {}
    if context.root != Path("/"):
        return ()
    try:
        with sockdiag.open_channel(context) as channel:
            for transport in ("tcp", "udp"):
                for family in (4, 6):
                    for one in sockdiag.dump(channel, family, transport, memory=True):
                        if one.memory is not None and one.memory.total:
                            by_inode[one.inode] = by_inode.get(one.inode, 0) + one.memory.total
        held = holders.find(Path("/proc"), by_inode)
    except OSError:
        return ()
    totals: dict[int | None, tuple[int, int]] = {}
    for inode, memory in by_inode.items():
        for pid in held.by_inode.get(inode, (None,)):
            count, total = totals.get(pid, (0, 0))
            totals[pid] = (count + 1, total + memory)
    ranked = sorted(totals.items(), key=lambda item: -item[1][1])
    heaviest = ranked[:MAX_PROCESSES] + [item for item in ranked[MAX_PROCESSES:] if item[0] == asked]
    return tuple(
        ProcessMemory(pid, None if pid is None else identity.identify(pid).name, count, total)
        for pid, (count, total) in heaviest
    )


async def observe(
    request: BuffersRequest,
    context: Context,
    progress: Callable[[BuffersResult], None],  # noqa: ARG001
) -> BuffersResult:
    """Read the figures; nothing is sent, and no privilege is needed.

    Raises :class:`NotApplicable` where ``/proc/meminfo`` is missing. Source: proc(5), socket(7), tcp(7), udp(7).
    """
    return await aside(_read, request, context)


def _read(request: BuffersRequest, context: Context) -> BuffersResult:
    memory = _pairs(context, "/proc/meminfo")
    total = memory.get(("MemTotal", ""))
    if total is None:
        raise NotApplicable("reason.memory-unreadable")
    use, use6 = _pairs(context, "/proc/net/sockstat"), _pairs(context, "/proc/net/sockstat6")

    def in_use(transport: str) -> int | None:
        four = use.get((transport, "inuse"))
        return None if four is None else four + use6.get((f"{transport}6", "inuse"), 0)

    return BuffersResult(
        tcp_pages=use.get(("TCP", "mem")),
        tcp_limits=_three(context, "/proc/sys/net/ipv4/tcp_mem"),
        udp_pages=use.get(("UDP", "mem")),
        udp_limits=_three(context, "/proc/sys/net/ipv4/udp_mem"),
        memory_total=total,
        memory_available=memory.get(("MemAvailable", ""), memory.get(("MemFree", ""), 0)),
        default_send=_default(context, "wmem_default", socket.SO_SNDBUF),
        default_receive=_default(context, "rmem_default", socket.SO_RCVBUF),
        maximum_send=_one(context, "/proc/sys/net/core/wmem_max"),
        maximum_receive=_one(context, "/proc/sys/net/core/rmem_max"),
        tcp_sockets=in_use("TCP"),
        orphans=use.get(("TCP", "orphan")),
        orphan_limit=_one(context, "/proc/sys/net/ipv4/tcp_max_orphans"),
        page_size=os.sysconf("SC_PAGE_SIZE"),
        udp_sockets=in_use("UDP"),
        time_wait=use.get(("TCP", "tw")),
        tcp_send=_three(context, "/proc/sys/net/ipv4/tcp_wmem"),
        tcp_receive=_three(context, "/proc/sys/net/ipv4/tcp_rmem"),
        processes=_processes(context, request.pid),
    )


PROBE: Probe[BuffersRequest, BuffersResult] = Probe(
    name="buffers",
    request=BuffersRequest,
    result=BuffersResult,
    observe=observe,
    request_for=lambda target: BuffersRequest(target.pid),
    deadline_s=3.0,
    most_packets=sends_nothing,
)
