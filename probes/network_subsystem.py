"""Try the stack itself: loopback up, a TCP connection and a datagram through it, its counters readable."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkSubsystemRequest:
    """``wait_s`` bounds each exchange over loopback."""

    wait_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange over loopback: ``transport`` and ``family``; ``errno`` is ``None`` where it worked.

    ``errno`` is ``NO_ANSWER`` where nothing came back in time.
    """

    transport: str
    family: int
    errno: str | None
    duration_ms: float


@dataclass(frozen=True, slots=True)
class NetworkSubsystemResult:
    """``loopback_up`` is the interface's state; ``counters`` whether the stack's counters can be read."""

    loopback_up: bool | None
    exchanges: tuple[Exchange, ...]
    counters: bool
    kernel: str
