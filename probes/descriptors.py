"""Count open descriptors and sockets of a process against its limit, and of the system against its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from probes.base import Context, NotApplicable, NotPermitted, Probe, sends_nothing
from probes.system.linux import holders, sockdiag

#: How many peers and destinations are named, the busiest first.
MAX_PEERS = 10
#: How many sockets of a named process are described one by one.
MAX_HELD = 100
#: From this share of the outgoing ports on it is worth the time to find out who holds them.
_CROWDED = 0.5


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
class ProcessPorts:
    """How many outgoing ports the sockets of a process hold; ``pid`` ``None``: of none that can be seen."""

    pid: int | None
    name: str | None
    count: int


@dataclass(frozen=True, slots=True)
class HeldSocket:
    """One socket of the process that was asked for, by its ``descriptor``.

    ``protocol`` is the kernel's word (``TCP``, ``UDPv6``, ``UNIX-STREAM``), ``state`` a word as ss(8) has them:
    ``unconnected`` is a TCP socket that is neither bound nor listening nor connected, or a UDP socket without a
    peer; ``None`` where the kind has no state that is looked up. ``unread`` is bytes, for a listener the connections
    that wait. ``non_blocking`` is O_NONBLOCK of the descriptor.
    """

    descriptor: int
    protocol: str | None
    state: str | None
    local_address: str | None = None
    local_port: int | None = None
    remote_address: str | None = None
    remote_port: int | None = None
    non_blocking: bool | None = None
    unread: int | None = None


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
    one destination can run out of ports while others can be reached). ``ephemeral_states`` counts the sockets on
    those ports by state; ``ephemeral_processes`` by process, and is empty while less than half of the ports are used.

    ``held`` describes the sockets of a process that was named by its ``pid`` (at most 100); it is empty where
    the heaviest process was looked for, and where the process may not be looked into (``sockets`` is ``None`` then).
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
    ephemeral_states: tuple[tuple[str, int], ...] = ()
    ephemeral_processes: tuple[ProcessPorts, ...] = ()
    held: tuple[HeldSocket, ...] = ()


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


def _udp(context: Context, process: Path) -> list[sockdiag.DiagSocket]:
    """Return the UDP sockets of the network namespace that ``process`` is in."""
    if context.root == Path("/") and _same_network(process):
        with contextlib.suppress(OSError), sockdiag.open_channel(context) as channel:
            return [one for family in (4, 6) for one in sockdiag.dump(channel, family, "udp")]
    with contextlib.suppress(OSError):
        return list(sockdiag.read_proc_net(process, "udp"))
    return []


def _held(context: Context, pid: int, here: list[sockdiag.DiagSocket]) -> tuple[HeldSocket, ...]:
    proc = context.root / "proc"
    process = proc / str(pid)
    try:
        descriptors = sorted(holders.socket_descriptors(proc, pid))
    except OSError:
        return ()
    if not descriptors:
        return ()
    known = here if _same_network(process) else _tcp(context, process)
    by_inode = {one.inode: one for one in (*known, *_udp(context, process)) if one.inode}
    found = []
    for descriptor, inode in descriptors[:MAX_HELD]:
        protocol = holders.protocol_of(proc, pid, descriptor)
        one = by_inode.get(inode)
        peer = one is not None and one.remote_port != 0
        bare = protocol is not None and protocol.removesuffix("v6") in ("TCP", "UDP")
        found.append(
            HeldSocket(
                descriptor=descriptor,
                protocol=protocol,
                state=one.state if one is not None else "unconnected" if bare else None,
                local_address=one.local_address if one is not None else None,
                local_port=one.local_port if one is not None else None,
                remote_address=one.remote_address if one is not None and peer else None,
                remote_port=one.remote_port if one is not None and peer else None,
                non_blocking=holders.non_blocking(proc, pid, descriptor),
                unread=one.receive_queue if one is not None else None,
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Ephemeral:
    range: tuple[int, int] | None = None
    used: int | None = None
    busiest: tuple[PeerCount, ...] = ()
    states: tuple[tuple[str, int], ...] = ()
    processes: tuple[ProcessPorts, ...] = ()


def _ephemeral(context: Context, here: list[sockdiag.DiagSocket]) -> _Ephemeral:
    try:
        first, last = (int(word) for word in context.read_text("/proc/sys/net/ipv4/ip_local_port_range").split())
    except (OSError, ValueError):
        return _Ephemeral()
    used: set[int] = set()
    towards: Counter[tuple[str, str, int]] = Counter()
    states: Counter[str] = Counter()
    inodes: list[int] = []
    for one in here:
        if first <= one.local_port <= last:
            used.add(one.local_port)
            states[one.state] += 1
            inodes.append(one.inode)
            if one.remote_port:
                towards[one.state, one.remote_address, one.remote_port] += 1
    busiest = tuple(
        PeerCount(state, address, count, port) for (state, address, port), count in towards.most_common(MAX_PEERS)
    )
    crowded = len(inodes) >= (last - first + 1) * _CROWDED
    return _Ephemeral(
        (first, last),
        len(used),
        busiest,
        tuple(states.most_common()),
        _by_process(context, inodes) if crowded else (),
    )


def _by_process(context: Context, inodes: list[int]) -> tuple[ProcessPorts, ...]:
    proc = context.root / "proc"
    try:
        held = holders.find(proc, inodes)
    except OSError:
        return ()
    counts: Counter[int | None] = Counter()
    for inode in inodes:
        if inode:  # a connection that waits for its end belongs to nobody
            counts.update(held.by_inode.get(inode, (None,)))
    return tuple(
        ProcessPorts(pid, None if pid is None else _name(context, pid), count)
        for pid, count in counts.most_common(MAX_PEERS)
    )


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
    ports = _ephemeral(context, here)
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
        ephemeral_range=ports.range,
        ephemeral_used=ports.used,
        ephemeral_busiest=ports.busiest,
        ephemeral_states=ports.states,
        ephemeral_processes=ports.processes,
        held=_held(context, request.pid, here) if request.pid is not None and sockets.count is not None else (),
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
    most_packets=sends_nothing,
)
