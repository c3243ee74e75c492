"""List the sockets on a local port: listeners of every address and family, their queues and owners."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SocketsRequest:
    """``port`` and ``transport`` (``tcp`` or ``udp``) to look for; ``port`` ``None`` lists all listeners."""

    port: int | None = None
    transport: str = "tcp"


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that holds a socket; fields that may not be seen are ``None``. ``started`` is epoch seconds."""

    pid: int
    name: str | None = None
    user: str | None = None
    command: str | None = None
    started: float | None = None


@dataclass(frozen=True, slots=True)
class SocketEntry:
    """One socket. ``state`` is the kernel's word in lower case (``listen``, ``time-wait``, ``established``, …).

    For a listener ``queue`` is how many connections wait to be accepted and ``queue_limit`` the backlog.
    ``v6_only`` tells whether an IPv6 listener leaves IPv4 alone (``None``: cannot be seen).
    ``time_left_s`` is the remaining time of a closing state. ``owners`` is empty where none may be seen;
    ``owner_hidden`` says that the owner exists and cannot be seen without privilege.
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


@dataclass(frozen=True, slots=True)
class SocketsResult:
    """``entries`` are all sockets on the port (listeners first); ``truncated`` where there are over 200."""

    port: int | None
    transport: str
    entries: tuple[SocketEntry, ...]
    truncated: bool = False
