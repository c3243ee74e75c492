"""Count and describe a process's descriptors and the machine's outgoing ports: proc(5), sock_diag(7)."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from probes.base import Context, NotApplicable, NotPermitted
from probes.descriptors import DescriptorsRequest, DescriptorsResult, HeldSocket, PeerCount, ProcessCount, ProcessPorts
from probes.system.blocking import aside
from probes.system.linux import holders, local_ports, sockdiag
from probes.system.rights import TO_LOOK, using

#: How many peers and destinations are named, the busiest first.
MAX_PEERS = 10
#: How many sockets of a named process are described one by one.
MAX_HELD = 100
#: From this share of the outgoing ports, or of the system's descriptors, on it is worth the time to find out who
#: holds them.
_CROWDED = 0.5
#: How many processes are named that hold most descriptors.
_MAX_BUSIEST = 5


class _Process(msgspec.Struct, frozen=True):
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


def _counted(context: Context) -> tuple[list[_Process], int]:
    """Return every process whose descriptors can be counted, and the number of those that cannot."""
    found: list[_Process] = []
    hidden = 0
    for pid in holders.processes(context.root / "proc"):
        if pid == os.getpid():
            continue  # whatever failed, it was not this run
        try:
            found.append(_weigh(context, pid))
        except PermissionError:
            hidden += 1
        except (OSError, ValueError):
            continue  # gone since
    return found, hidden


def _share(process: _Process) -> float:
    return process.count / process.limit if process.limit else 0.0


def _given(context: Context, pid: int) -> _Process:
    try:
        return _weigh(context, pid)
    except PermissionError:
        raise NotPermitted("reason.process-hidden", pid=pid) from None
    except (FileNotFoundError, ProcessLookupError):
        if context.root == Path("/") and _exists(pid):  # a /proc mounted with hidepid= keeps it to itself
            raise NotPermitted("reason.process-hidden", pid=pid) from None
        raise NotApplicable("reason.no-such-process", pid=pid) from None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _name(context: Context, pid: int) -> str | None:
    try:
        return holders.tame(context.read_text(f"/proc/{pid}/comm").rstrip("\n"))
    except OSError:
        return None


def _table(context: Context, process: Path, transport: str, *, memory: bool = False) -> list[sockdiag.DiagSocket]:
    """Return the sockets of the network namespace that ``process`` (``/proc/PID``) is in."""
    if context.root == Path("/") and _same_network(process):
        with contextlib.suppress(OSError), sockdiag.open_channel(context) as channel:
            return [one for family in (4, 6) for one in sockdiag.dump(channel, family, transport, memory=memory)]
    with contextlib.suppress(OSError):
        return list(sockdiag.read_proc_net(process, transport))
    return []


def _same_network(process: Path) -> bool:
    try:
        with using(*TO_LOOK):
            return (process / "ns/net").stat().st_ino == Path("/proc/thread-self/ns/net").stat().st_ino
    except OSError:
        return True  # may not be seen: then neither may its sockets


class _Sockets(msgspec.Struct, frozen=True):
    count: int | None
    states: tuple[tuple[str, int], ...]
    waiting_close: tuple[PeerCount, ...]


def _sockets(context: Context, pid: int, here: list[sockdiag.DiagSocket]) -> _Sockets:
    process = context.root / "proc" / str(pid)
    try:
        by_inode = {inode: number for number, inode in holders.socket_descriptors(context.root / "proc", pid)}
    except OSError:
        return _Sockets(None, (), ())
    states: Counter[str] = Counter()
    peers: dict[str, Counter[int]] = {}
    count = len(by_inode)
    for one in here if not by_inode or _same_network(process) else _table(context, process, "tcp"):
        if one.inode and by_inode.pop(one.inode, None) is not None:
            states[one.state] += 1
            if one.state == "close-wait":
                peers.setdefault(one.remote_address, Counter())[one.remote_port] += 1
    for number in by_inode.values():
        states[_kind(context, pid, number)] += 1
    closed = sorted(peers.items(), key=lambda peer: -peer[1].total())[:MAX_PEERS]
    return _Sockets(
        count,
        tuple(states.most_common()),
        tuple(
            PeerCount("close-wait", address, ports.total(), next(iter(ports)) if len(ports) == 1 else None)
            for address, ports in closed
        ),
    )


def _kind(context: Context, pid: int, descriptor: int) -> str:
    """Return what a socket is that has no TCP state: its protocol in lower case."""
    protocol = (holders.protocol_of(context.root / "proc", pid, descriptor) or "other").lower().removesuffix("v6")
    return "unconnected" if protocol == "tcp" else protocol


def _held(context: Context, pid: int, here: list[sockdiag.DiagSocket]) -> tuple[HeldSocket, ...]:
    proc = context.root / "proc"
    process = proc / str(pid)
    try:
        descriptors = sorted(holders.socket_descriptors(proc, pid))
    except OSError:
        return ()
    if not descriptors:
        return ()
    known = here if _same_network(process) else _table(context, process, "tcp")
    udp = _table(context, process, "udp", memory=True)
    by_inode = {one.inode: one for one in (*known, *udp) if one.inode}
    # Where there are too many, those that hold most memory are the ones worth a look.
    descriptors.sort(key=lambda pair: -_total(by_inode.get(pair[1])))
    found = []
    for descriptor, inode in sorted(descriptors[:MAX_HELD]):
        protocol = holders.protocol_of(proc, pid, descriptor)
        one = by_inode.get(inode)
        peer = one is not None and one.remote_port != 0
        memory = one.memory if one is not None else None
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
                memory=memory.total if memory is not None else None,
                received=memory.received if memory is not None else None,
                receive_buffer=memory.receive_buffer if memory is not None else None,
                unsent=memory.unsent if memory is not None else None,
                send_buffer=memory.send_buffer if memory is not None else None,
                dropped=memory.dropped if memory is not None else None,
            )
        )
    return tuple(found)


def _total(one: sockdiag.DiagSocket | None) -> int:
    return one.memory.total if one is not None and one.memory is not None else 0


class _Ephemeral(msgspec.Struct, frozen=True):
    range: tuple[int, int] | None = None
    reserved: int = 0
    used: int | None = None
    busiest: tuple[PeerCount, ...] = ()
    states: tuple[tuple[str, int], ...] = ()
    processes: tuple[ProcessPorts, ...] = ()


def _ephemeral(context: Context, here: list[sockdiag.DiagSocket]) -> _Ephemeral:
    picked = local_ports.read(context)
    if picked is None:
        return _Ephemeral()
    used: set[int] = set()
    towards: Counter[tuple[str, str, int]] = Counter()
    states: Counter[str] = Counter()
    inodes: list[int] = []
    for one in here:
        if one.local_port in picked:
            used.add(one.local_port)
            states[one.state] += 1
            inodes.append(one.inode)
            if one.remote_port:
                towards[one.state, one.remote_address, one.remote_port] += 1
    busiest = tuple(
        PeerCount(state, address, count, port) for (state, address, port), count in towards.most_common(MAX_PEERS)
    )
    crowded = len(inodes) >= (picked.last - picked.first + 1 - picked.kept_back) * _CROWDED
    return _Ephemeral(
        (picked.first, picked.last),
        picked.kept_back,
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
    full = used >= limit * _CROWDED
    counted: list[_Process] = []
    if request.pid is None or full:
        counted, hidden = _counted(context)
    process = max(counted, key=_share, default=None) if request.pid is None else _given(context, request.pid)
    here = _table(context, context.root / "proc/self", "tcp", memory=request.pid is not None)
    sockets = _Sockets(None, (), ()) if process is None else _sockets(context, process.pid, here)
    if process is not None and sockets.count is None:
        hidden += 1
    ports = _ephemeral(
        context, _table(context, context.root / "proc/self", "udp") if request.transport == "udp" else here
    )
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
        ephemeral_reserved=ports.reserved,
        busiest=tuple(
            ProcessCount(one.pid, _name(context, one.pid), one.count, one.limit)
            for one in sorted(counted if full else (), key=lambda one: -one.count)[:_MAX_BUSIEST]
        ),
        # every PID namespace has a process 1
        unlisted=context.root == Path("/") and not Path("/proc/1").exists(),
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
    found = await aside(_look, request, context)
    started = loop.time()
    progress(found)
    if found.pid is None:
        return found
    await asyncio.sleep(request.watch_s)
    try:
        end = await aside(holders.descriptor_count, context.root / "proc", found.pid)
    except OSError:
        return found  # gone since: there is no trend
    return replace(found, open_at_end=end, watched_s=loop.time() - started)
