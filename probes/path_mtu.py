"""Find the largest datagram that the path to an address carries whole (RFC 1191, RFC 8201, ip(7))."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathMtuRequest:
    """Datagrams of ``largest`` bytes (the interface MTU by default) and less, with *do not fragment* set."""

    address: str
    largest: int | None = None
    wait_s: float = 0.5
    packets: int = 16


@dataclass(frozen=True, slots=True)
class MtuStep:
    """One size: ``answer`` is ``reached``, ``too-big`` (with ``mtu`` and ``sender``), ``local`` or ``silence``."""

    size: int
    answer: str
    mtu: int | None = None
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class PathMtuResult:
    """``mtu`` is the largest size that arrived, bytes; ``None`` where nothing answers at any size.

    ``black_hole`` is true where small packets arrive, larger ones vanish, and nobody says why.
    """

    address: str
    interface_mtu: int | None
    mtu: int | None
    black_hole: bool
    steps: tuple[MtuStep, ...]
    largest_udp_payload: int | None = None
