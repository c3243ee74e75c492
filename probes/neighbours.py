"""Read the neighbour table (ARP and IPv6 neighbour discovery), after giving the kernel a reason to fill it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class NeighbourState(enum.StrEnum):
    """The kernel's states (arp(7), RFC 4861); ``absent`` where it knows nothing of the address."""

    INCOMPLETE = "incomplete"
    REACHABLE = "reachable"
    STALE = "stale"
    DELAY = "delay"
    PROBE = "probe"
    FAILED = "failed"
    NOARP = "noarp"
    PERMANENT = "permanent"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class NeighboursRequest:
    """``addresses`` are on-link addresses to be resolved; empty to read the table only.

    For each a single UDP datagram to the discard port makes the kernel resolve it; the probe then watches the
    entry until it is confirmed, failed, or ``wait_s`` ends (the kernel gives up after about 3.05 s).
    """

    addresses: tuple[str, ...] = ()
    wait_s: float = 3.4


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry; ``confirmed`` where it answered during this probe or the kernel holds it reachable."""

    address: str
    interface: str | None
    state: NeighbourState
    mac: str | None
    router: bool = False
    confirmed: bool = False
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class NeighboursResult:
    """``asked`` holds one entry for each requested address, in order; ``table`` the rest of the table."""

    asked: tuple[Neighbour, ...]
    table: tuple[Neighbour, ...]
