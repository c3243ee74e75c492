"""Count open descriptors and sockets of a process against its limit, and of the system against its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from probes.base import Context, NotApplicable, NotPermitted, Probe
from probes.system.linux import holders, sockdiag

#: How many peers and destinations are named, the busiest first.
MAX_PEERS = 10


@dataclass(frozen=True, slots=True)
class DescriptorsRequest:
    """``pid`` of the process to look at; ``None`` picks the one that uses most of its limit.

    ``watch_s`` is how long its number of descriptors is watched, in seconds.
    """

    pid: int | None = None
    watch_s: float = 1.0


@dataclass(frozen=True, slots=True)
class PeerCount:
    """How many connections in a state lead to one remote address, and ``remote_port`` where it is the same."""

    state: str
    remote_address: str
    count: int
    remote_port: int | None = None


@dataclass(frozen=True, slots=True)
class DescriptorsResult:
    """``open_at_end`` minus ``open_at_start`` over ``watched_s`` is the trend.

    ``limit`` is the soft limit (``None``: unlimited, or no such process was found). ``sockets`` and what follows
    from it are ``None`` and empty where the descriptors of the process may be counted and not looked at.
    ``socket_states`` counts the process's sockets by state (UDP and others as ``udp`` and ``other``);
    ``waiting_close`` those in CLOSE_WAIT by peer (most first, at most 10). ``system_used`` and ``system_limit``
    are ``/proc/sys/fs/file-nr``. ``hidden`` counts processes whose descriptors may not be read.

    ``ephemeral_range`` are the first and last local port that TCP picks for outgoing connections,
    ``ephemeral_used`` how many of them any TCP socket of the machine holds, and ``ephemeral_busiest`` the
    destinations with most of them (a port can be shared by connections to different destinations, so that
    one destination can run out of ports while others can be reached).
    """

    pid: int | None
    name: str | None
    limit: int | None
    open_at_start: int | None
    open_at_end: int | None
    sockets: int | None
    watched_s: float
    system_used: int
    system_limit: int
    socket_states: tuple[tuple[str, int], ...] = ()
    waiting_close: tuple[PeerCount, ...] = ()
    hidden: int = 0
    ephemeral_range: tuple[int, int] | None = None
    ephemeral_used: int | None = None
    ephemeral_busiest: tuple[PeerCount, ...] = ()


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    limit: int | None
    count: int


def _limit(context: Context, pid: int) -> int | None:
    for line in context.read_text(f"/proc/{pid}/limits").splitlines():
        if line.startswith("Max open files"):
            soft = line.split()[3]
            return int(soft) if soft.isdecimal() else None
    return None


def _weigh(context: Context, pid: int) -> _Process:
    return _Process(pid, _limit(context, pid), holders.descriptor_count(context.root / "proc", pid))


def _heaviest(context: Context) -> tuple[_Process | None, int]:
    """Return the process that uses most of its limit, and how many could not be counted."""
    best: _Process | None = None
    best_share = -1.0
    hidden = 0
    for pid in holders.processes(context.root / "proc"):
        try:
            process = _weigh(context, pid)
        except PermissionError:
            hidden += 1
            continue
        except (OSError, ValueError):
            continue  # gone since
        share = process.count / process.limit if process.limit else 0.0
        if share > best_share:
            best, best_share = process, share
    return best, hidden


def _given(context: Context, pid: int) -> _Process:
    try:
        return _weigh(context, pid)
    except PermissionError:
        raise NotPermitted("reason.process-hidden", pid=pid) from None
    except (FileNotFoundError, ProcessLookupError):
        raise NotApplicable("reason.no-such-process", pid=pid) from None


def _name(context: Context, pid: int) -> str | None:
    try:
        return holders.tame(context.read_text(f"/proc/{pid}/comm").rstrip("\n"))
    except OSError:
        return None


def _tcp(context: Context, process: Path) -> list[sockdiag.DiagSocket]:
    """Return the TCP sockets of the network namespace that ``process`` (``/proc/PID``) is in."""
    if context.root == Path("/") and _same_network(process):
        with contextlib.suppress(OSError), sockdiag.open_channel(context) as channel:
            return [one for family in (4, 6) for one in sockdiag.dump(channel, family, "tcp")]
    with contextlib.suppress(OSError):
        return list(sockdiag.read_proc_net(process, "tcp"))
    return []


def _same_network(process: Path) -> bool:
    try:
        return (process / "ns/net").stat().st_ino == Path("/proc/thread-self/ns/net").stat().st_ino
    except OSError:
        return True  # may not be seen: then neither may its sockets


def _udp_inodes(process: Path) -> set[int]:
    try:
        return {one.inode for one in sockdiag.read_proc_net(process, "udp")}
    except OSError:
        return set()


@dataclass(frozen=True, slots=True)
class _Sockets:
    count: int | None
    states: tuple[tuple[str, int], ...]
    waiting_close: tuple[PeerCount, ...]


def _sockets(context: Context, pid: int, here: list[sockdiag.DiagSocket]) -> _Sockets:
    process = context.root / "proc" / str(pid)
    try:
        inodes = Counter(holders.socket_inodes(context.root / "proc", pid))
    except OSError:
        return _Sockets(None, (), ())
    states: Counter[str] = Counter()
    peers: Counter[str] = Counter()
    left = set(inodes)
    if left:
        for one in here if _same_network(process) else _tcp(context, process):
            if one.inode in left:
                left.discard(one.inode)
                states[one.state] += 1
                if one.state == "close-wait":
                    peers[one.remote_address] += 1
    if left:
        udp = left & _udp_inodes(process)
        states["udp"] += len(udp)
        states["other"] += len(left - udp)
    return _Sockets(
        len(inodes),
        tuple((state, count) for state, count in states.most_common() if count),
        tuple(PeerCount("close-wait", address, count) for address, count in peers.most_common(MAX_PEERS)),
    )


def _ephemeral(
    context: Context, here: list[sockdiag.DiagSocket]
) -> tuple[tuple[int, int] | None, int | None, tuple[PeerCount, ...]]:
    try:
        first, last = (int(word) for word in context.read_text("/proc/sys/net/ipv4/ip_local_port_range").split())
    except (OSError, ValueError):
        return None, None, ()
    used: set[int] = set()
    towards: Counter[tuple[str, str, int]] = Counter()
    for one in here:
        if first <= one.local_port <= last:
            used.add(one.local_port)
            if one.remote_port:
                towards[one.state, one.remote_address, one.remote_port] += 1
    busiest = tuple(
        PeerCount(state, address, count, port) for (state, address, port), count in towards.most_common(MAX_PEERS)
    )
    return (first, last), len(used), busiest


def _system(context: Context) -> tuple[int, int]:
    try:
        allocated, free, limit = (int(word) for word in context.read_text("/proc/sys/fs/file-nr").split())
    except (OSError, ValueError):
        raise NotApplicable("reason.descriptors-unreadable") from None
    return allocated - free, limit


def _look(request: DescriptorsRequest, context: Context) -> DescriptorsResult:
    used, limit = _system(context)
    hidden = 0
    process: _Process | None
    if request.pid is None:
        process, hidden = _heaviest(context)
    else:
        process = _given(context, request.pid)
    here = _tcp(context, context.root / "proc/self")
    sockets = _Sockets(None, (), ()) if process is None else _sockets(context, process.pid, here)
    if process is not None and sockets.count is None:
        hidden += 1
    ephemeral_range, ephemeral_used, busiest = _ephemeral(context, here)
    return DescriptorsResult(
        pid=None if process is None else process.pid,
        name=None if process is None else _name(context, process.pid),
        limit=None if process is None else process.limit,
        open_at_start=None if process is None else process.count,
        open_at_end=None,
        sockets=sockets.count,
        watched_s=0.0,
        system_used=used,
        system_limit=limit,
        socket_states=sockets.states,
        waiting_close=sockets.waiting_close,
        hidden=hidden,
        ephemeral_range=ephemeral_range,
        ephemeral_used=ephemeral_used,
        ephemeral_busiest=busiest,
    )


async def observe(
    request: DescriptorsRequest, context: Context, progress: Callable[[DescriptorsResult], None]
) -> DescriptorsResult:
    """Count, watch for ``watch_s``, and count again. Sends nothing.

    Without privilege the descriptors of other users' processes can be counted (Linux 6.2 and later) and not
    looked at. Raises :class:`NotPermitted` for a ``pid`` that may not even be counted, :class:`NotApplicable`
    for one that does not exist. Source: proc(5), getrlimit(2), ip(7).
    """
    loop = asyncio.get_running_loop()
    found = await asyncio.to_thread(_look, request, context)
    started = loop.time()
    progress(found)
    if found.pid is None:
        return found
    await asyncio.sleep(request.watch_s)
    try:
        end = await asyncio.to_thread(holders.descriptor_count, context.root / "proc", found.pid)
    except OSError:
        return found  # gone since: there is no trend
    return replace(found, open_at_end=end, watched_s=loop.time() - started)


PROBE: Probe[DescriptorsRequest, DescriptorsResult] = Probe(
    name="descriptors",
    request=DescriptorsRequest,
    result=DescriptorsResult,
    observe=observe,
    request_for=lambda target: DescriptorsRequest(pid=target.pid),
    subject=lambda request: "" if request.pid is None else str(request.pid),
    deadline_s=5.0,
)
