"""Find the path to an address: all TTLs in flight at once, paced under the routers' ICMP limits."""

from __future__ import annotations

from dataclasses import dataclass

from probes.failure import IcmpError


@dataclass(frozen=True, slots=True)
class TracerouteRequest:
    """``max_ttl`` bounds the path; silent TTLs are tried ``tries`` times before they count as silent.

    ``wait_s`` is how long an answer to the last packet of a TTL is waited for.
    """

    address: str
    max_ttl: int = 30
    tries: int = 3
    wait_s: float = 0.8


@dataclass(frozen=True, slots=True)
class HopAnswer:
    """One answer: from whom, which ICMP message (``None`` for an echo reply), after how long."""

    address: str | None
    icmp: IcmpError | None
    rtt_ms: float


@dataclass(frozen=True, slots=True)
class Hop:
    """One TTL: how many packets were sent, and every answer (none for a hop that keeps silent)."""

    ttl: int
    sent: int
    answers: tuple[HopAnswer, ...]


@dataclass(frozen=True, slots=True)
class TracerouteResult:
    """``method`` is ``icmp`` or ``udp``; ``hops`` go up to the target, or to the last TTL tried that matters.

    Trailing silent hops beyond the last answer are kept up to three. ``reached_ttl`` is the least TTL at which
    the target itself answered. ``ended_by`` is an ICMP *unreachable* that ended the path before it, with
    ``ended_ttl``. ``packets`` counts everything sent.
    """

    address: str
    method: str
    hops: tuple[Hop, ...]
    reached_ttl: int | None
    packets: int
    ended_by: IcmpError | None = None
    ended_ttl: int | None = None
