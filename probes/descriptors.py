"""Count open descriptors and sockets of a process against its limit, and of the system against its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DescriptorsRequest:
    """``pid`` of the process to look at; ``None`` picks the one that uses most of its limit."""

    pid: int | None = None
    watch_s: float = 1.0


@dataclass(frozen=True, slots=True)
class PeerCount:
    """How many connections in a state lead to one remote address."""

    state: str
    remote_address: str
    count: int


@dataclass(frozen=True, slots=True)
class DescriptorsResult:
    """``open_at_end`` minus ``open_at_start`` over ``watched_s`` is the trend.

    ``socket_states`` counts the process's sockets by state; ``waiting_close`` those in CLOSE_WAIT by peer (most
    first, at most 10). ``system_used`` and ``system_limit`` are ``/proc/sys/fs/file-nr``. ``hidden`` counts
    processes whose descriptors may not be read.
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
