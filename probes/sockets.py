"""List the sockets on a local port: listeners of every address and family, their queues and owners."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from probes.base import Context, NotApplicable, NotPermitted, Probe, ProbeTarget, sends_nothing
from probes.system import identity, on_linux, portable_sockets
from probes.system.blocking import aside
from probes.system.linux import holders, sockdiag

#: No more sockets than this are listed one by one; the counts by state cover all.
MAX_ENTRIES = 200


class SocketsRequest(msgspec.Struct, frozen=True):
    """``port`` and ``transport`` (``tcp`` or ``udp``) to look for; ``port`` ``None`` lists all listeners.

    ``network_of`` is a process whose network namespace is meant: its tables are open to every user (proc_pid_net(5)).
    Where connections wait to be accepted it is looked again after ``watch_s`` seconds, if that is not 0.
    """

    port: int | None = None
    transport: str = "tcp"
    network_of: int | None = None
    watch_s: float = 0.0


class Owner(msgspec.Struct, frozen=True):
    """The process that holds a socket; fields that may not be seen are ``None``. ``started`` is epoch seconds.

    ``state`` is what it does, as psutil has it: ``running``, ``sleeping``, ``stopped``, ``disk-sleep``, …
    """

    pid: int
    name: str | None = None
    user: str | None = None
    command: str | None = None
    started: float | None = None
    state: str | None = None


class SocketEntry(msgspec.Struct, frozen=True):
    """One socket. ``state`` is the kernel's word in lower case (``listen``, ``time-wait``, ``established``, …).

    ``bound`` is a TCP socket that holds the port without listening, ``unconnected`` a UDP socket that takes
    datagrams from anybody. For a listener ``queue`` is how many connections wait to be accepted and
    ``queue_limit`` the backlog (full when ``queue`` exceeds it); for any other socket ``queue`` is the bytes
    that its program has not read yet.
    ``v6_only`` tells whether an IPv6 socket leaves IPv4 alone (``None``: cannot be seen).
    ``time_left_s`` is the remaining time of a closing state. ``owners`` is empty where none may be seen;
    ``owner_hidden`` says that an owner exists and cannot be seen from here: without privilege, or because it
    is in another container or is the kernel itself. A socket with neither belongs to no process: its
    program closed it, or has not accepted it yet. ``device`` is the interface it is bound to. ``user`` is the name of
    the user ``uid``, who owns the socket: that can be seen even where the process cannot. ``waited_ms`` is set for a
    listener for which connections waited at both of two looks, which were so far apart.
    """

    family: int
    transport: str
    state: str
    local_address: str
    local_port: int
    remote_address: str | None = None
    remote_port: int | None = None
    queue: int | None = None
    queue_limit: int | None = None
    v6_only: bool | None = None
    time_left_s: float | None = None
    uid: int | None = None
    owners: tuple[Owner, ...] = ()
    owner_hidden: bool = False
    device: str | None = None
    user: str | None = None
    waited_ms: float | None = None


class SocketsResult(msgspec.Struct, frozen=True):
    """``entries`` are all sockets on the port (listeners first); ``truncated`` where there are over 200.

    ``states`` counts all of them by state, those left out of ``entries`` included; of sockets in a closing state
    the ones with most time left are kept.
    """

    port: int | None
    transport: str
    entries: tuple[SocketEntry, ...]
    truncated: bool = False
    states: tuple[tuple[str, int], ...] = ()


_WAITING = frozenset({"listen", "bound", "unconnected"})


def _kernel_sockets(context: Context, transport: str, port: int | None, states: int) -> Iterator[sockdiag.DiagSocket]:
    with sockdiag.open_channel(context) as channel:
        for family in (4, 6):
            yield from sockdiag.dump(channel, family, transport, port=port, states=states)


def _list(request: SocketsRequest, context: Context) -> list[sockdiag.DiagSocket]:
    states, waiting = sockdiag.ALL_STATES, _WAITING
    if request.port is None:
        states = 1 << (sockdiag.LISTEN if request.transport == "tcp" else sockdiag.CLOSE)
        waiting = _WAITING - {"bound"}
    if context.root == Path("/") and request.network_of is None:
        try:
            return list(_kernel_sockets(context, request.transport, request.port, states))
        except OSError:
            pass  # a sandbox that forbids netlink, or a kernel without inet_diag: the text files are left
    try:
        found = sockdiag.read_proc_net(
            context.root / "proc" / str(request.network_of or "self"), request.transport, port=request.port
        )
        return [one for one in found if request.port is not None or one.state in waiting]
    except PermissionError:
        raise NotPermitted("reason.socket-table-unreadable") from None
    except OSError:
        raise NotApplicable("reason.socket-table-missing") from None


def _order(one: sockdiag.DiagSocket) -> tuple[int, float, int, str]:
    first = {"listen": 0, "unconnected": 0, "bound": 1}.get(one.state, 2)
    return first, -(one.time_left_s or 0.0), one.family, one.local_address


def _describe(one: sockdiag.DiagSocket, transport: str, held: holders.Holders, owners: dict[int, Owner]) -> SocketEntry:
    connected = one.remote_port != 0
    pids = held.by_inode.get(one.inode, ())
    return SocketEntry(
        family=one.family,
        transport=transport,
        state=one.state,
        local_address=one.local_address,
        local_port=one.local_port,
        remote_address=one.remote_address if connected else None,
        remote_port=one.remote_port if connected else None,
        queue=one.receive_queue,
        queue_limit=one.send_queue if one.state == "listen" else None,
        v6_only=one.v6_only,
        time_left_s=one.time_left_s,
        uid=one.uid,
        owners=tuple(owners[pid] for pid in pids),
        owner_hidden=one.inode != 0 and not pids,
        device=_device(one.device),
        user=_user(one.uid),
    )


def _user(uid: int | None) -> str | None:
    if uid is None:
        return None
    import pwd  # noqa: PLC0415 - there is none on Windows

    try:
        return holders.tame(pwd.getpwuid(uid).pw_name)
    except (KeyError, OSError):
        return None


def _device(index: int) -> str | None:
    if not index:
        return None
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"#{index}"


def _look(request: SocketsRequest, context: Context, progress: Callable[[SocketsResult], None]) -> SocketsResult:
    known: holders.Holders | None = None
    if on_linux():
        found = _list(request, context)
    else:
        found, known = portable_sockets.table(request.transport, request.port)
        found = [one for one in found if request.port is not None or one.state in _WAITING]
    found.sort(key=_order)
    kept = found[:MAX_ENTRIES]
    states = tuple(Counter(one.state for one in found).most_common())

    def result(held: holders.Holders, owners: dict[int, Owner]) -> SocketsResult:
        entries = tuple(_describe(one, request.transport, held, owners) for one in kept)
        return SocketsResult(request.port, request.transport, entries, len(found) > len(kept), states)

    early = result(holders.Holders({}, 0), {})  # nobody was looked for so far: nobody is hidden
    progress(replace(early, entries=tuple(replace(entry, owner_hidden=False) for entry in early.entries)))
    try:
        held = known or holders.find(context.root / "proc", {one.inode for one in kept})
    except OSError:
        held = holders.Holders({}, 0)
    pids = {pid for holding in held.by_inode.values() for pid in holding}
    return result(held, {pid: _owner(pid, context) for pid in pids})


def _owner(pid: int, context: Context) -> Owner:
    who = identity.identify(pid, context.masked)
    return Owner(pid, who.name, who.user, who.command, who.started, who.state)


async def observe(
    request: SocketsRequest, context: Context, progress: Callable[[SocketsResult], None]
) -> SocketsResult:
    """List the sockets of the machine (of this network namespace) on a local port, with their owners.

    Sends nothing and needs no privilege; the owners of other users' sockets are hidden without it. Raises
    :class:`NotApplicable` for a transport other than TCP and UDP and where neither netlink nor
    ``/proc/net`` tells. Source: sock_diag(7), proc(5).
    """
    if request.transport not in ("tcp", "udp"):
        raise NotApplicable("reason.transport-unknown", transport=request.transport)
    # Both the table and the search for owners grow with the machine: they must not hold up other probes.
    found = await aside(_look, request, context, progress)
    first = {_listener(entry) for entry in found.entries if entry.state == "listen" and entry.queue}
    if not request.watch_s or not first:
        return found
    loop = asyncio.get_running_loop()
    since = loop.time()
    await asyncio.sleep(request.watch_s)
    again = await aside(_look, request, context, progress)
    waited_ms = (loop.time() - since) * 1000
    entries = tuple(
        replace(e, waited_ms=waited_ms) if e.state == "listen" and e.queue and _listener(e) in first else e
        for e in again.entries
    )
    return replace(again, entries=entries)


def _listener(entry: SocketEntry) -> tuple[object, ...]:
    return entry.family, entry.local_address, entry.local_port, entry.device


def _request_for(target: ProbeTarget) -> SocketsRequest:
    return SocketsRequest(port=target.port, transport=target.transport)


PROBE: Probe[SocketsRequest, SocketsResult] = Probe(
    name="sockets",
    request=SocketsRequest,
    result=SocketsResult,
    observe=observe,
    request_for=_request_for,
    subject=lambda request: "" if request.port is None else f"{request.transport}/{request.port}",
    deadline_s=5.0,
    most_packets=sends_nothing,
)
