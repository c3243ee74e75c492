"""Count open descriptors and sockets of a process against its limit, and of the system against its own."""

from __future__ import annotations

import msgspec

from probes.base import Probe, sends_nothing
from probes.system.late import body_of


class DescriptorsRequest(msgspec.Struct, frozen=True):
    """``pid`` of the process to look at; ``None`` picks the one that uses most of its limit.

    ``watch_s`` is how long its number of descriptors is watched, in seconds; ``transport`` (``tcp`` or ``udp``) whose
    outgoing ports are counted.
    """

    pid: int | None = None
    watch_s: float = 1.0
    transport: str = "tcp"


class PeerCount(msgspec.Struct, frozen=True):
    """How many connections in a state lead to one remote address, and ``remote_port`` where it is the same."""

    state: str
    remote_address: str
    count: int
    remote_port: int | None = None


class ProcessPorts(msgspec.Struct, frozen=True):
    """How many outgoing ports the sockets of a process hold; ``pid`` ``None``: of none that can be seen."""

    pid: int | None
    name: str | None
    count: int


class HeldSocket(msgspec.Struct, frozen=True):
    """One socket of the process that was asked for, by its ``descriptor``.

    ``protocol`` is the kernel's word (``TCP``, ``UDPv6``, ``UNIX-STREAM``), ``state`` a word as ss(8) has them:
    ``unconnected`` is a TCP socket that is neither bound nor listening nor connected, or a UDP socket without a
    peer; ``None`` where the kind has no state that is looked up. ``unread`` is bytes, for a listener the connections
    that wait. ``non_blocking`` is O_NONBLOCK of the descriptor.

    The rest is kernel memory in bytes, ``None`` where the kind of socket is not asked about it: ``memory`` all of it,
    ``received`` of ``receive_buffer`` what the program has not read, ``unsent`` of ``send_buffer`` what has not left
    or was not acknowledged, with their overhead. ``dropped`` counts datagrams that came and found no room.
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
    memory: int | None = None
    received: int | None = None
    receive_buffer: int | None = None
    unsent: int | None = None
    send_buffer: int | None = None
    dropped: int | None = None


class ProcessCount(msgspec.Struct, frozen=True):
    """How many descriptors a process has open, and its soft limit (``None``: unlimited)."""

    pid: int
    name: str | None
    count: int
    limit: int | None


class DescriptorsResult(msgspec.Struct, frozen=True):
    """``open_at_end`` minus ``open_at_start`` over ``watched_s`` is the trend.

    ``limit`` is the soft limit (``None``: unlimited, or no such process was found). ``sockets`` and what follows
    from it are ``None`` and empty where the descriptors of the process may be counted and not looked at.
    ``socket_states`` counts the process's sockets by state, those without one by kind (``udp``, ``unix-stream``;
    ``unconnected`` is a TCP socket that was only opened, ``other`` one whose kind is not known);
    ``waiting_close`` those in CLOSE_WAIT by peer (most first, at most 10). ``system_used`` and ``system_limit``
    are ``/proc/sys/fs/file-nr``; ``busiest`` are the processes with most descriptors, looked for where the whole system
    is near its limit. ``hidden`` counts processes whose descriptors may not be read; ``unlisted`` tells that there are
    others that are not even listed (``/proc`` mounted with ``hidepid=``).

    ``ephemeral_range`` are the first and last local port that the kernel picks for outgoing connections, but for
    ``ephemeral_reserved`` of them that ``ip_local_reserved_ports`` keeps back;
    ``ephemeral_used`` how many of the others any socket of the transport holds on this machine, and
    ``ephemeral_busiest`` the destinations with most of them (a port can be shared by connections to different
    destinations, so that one destination can run out of ports while others can be reached).
    ``ephemeral_states`` counts the sockets on those ports by state; ``ephemeral_processes`` by process, and is empty
    while less than half of the ports are used.

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
    ephemeral_reserved: int = 0
    busiest: tuple[ProcessCount, ...] = ()
    unlisted: bool = False


PROBE: Probe[DescriptorsRequest, DescriptorsResult] = Probe(
    name="descriptors",
    request=DescriptorsRequest,
    result=DescriptorsResult,
    observe=body_of(__name__),
    request_for=lambda target: DescriptorsRequest(pid=target.pid, transport=target.transport),
    subject=lambda request: "" if request.pid is None else str(request.pid),
    deadline_s=5.0,
    most_packets=sends_nothing,
)
