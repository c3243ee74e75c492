"""Read how much memory the stack's sockets use, against the kernel's limits, and how much is left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BuffersRequest:
    """Nothing to ask for: the whole machine is read."""


@dataclass(frozen=True, slots=True)
class BuffersResult:
    """Pages as in ``/proc/net/sockstat``; limits are (low, pressure, high) of tcp(7) and udp(7), in pages.

    Memory figures are bytes. ``default_send`` and ``default_receive`` are the default socket buffers in bytes.
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
