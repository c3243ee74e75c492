"""Follow one TCP port along the path: SYNs with TTL 1, 2, 3, … and who answers each (tcp(7), IP_RECVERR).

Works without root. A router answers *time exceeded* for each SYN that it would have forwarded no further; the
least TTL that brings a RST or a SYN-ACK is the distance of whoever sent it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from probes.failure import IcmpError


class TcpAnswer(enum.StrEnum):
    """What a SYN of a given TTL brought."""

    TIME_EXCEEDED = "time-exceeded"
    RESET = "reset"
    ACCEPTED = "accepted"
    ICMP = "icmp"
    LOCAL_FAILURE = "local-failure"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class TcpPathRequest:
    """SYNs for TTL 1 to ``max_ttl``; a silent TTL is tried ``tries`` times before it counts."""

    address: str
    port: int
    max_ttl: int = 30
    tries: int = 2
    wait_s: float = 0.8


@dataclass(frozen=True, slots=True)
class TcpHop:
    """One TTL. ``icmp`` carries the sender for *time exceeded* and other ICMP errors; ``sent`` counts SYNs."""

    ttl: int
    answer: TcpAnswer
    sent: int
    rtt_ms: float | None = None
    icmp: IcmpError | None = None
    errno: str | None = None


@dataclass(frozen=True, slots=True)
class TcpPathResult:
    """``hops`` up to the first final answer, or to the last TTL that matters (three silent ones kept).

    ``final_ttl`` is the least TTL that brought a RST, a SYN-ACK or an ICMP *unreachable*; ``final`` which.
    ``passed_ttl`` is the greatest TTL whose SYN still brought *time exceeded* (0 for none).
    """

    address: str
    port: int
    hops: tuple[TcpHop, ...]
    final_ttl: int | None
    final: TcpAnswer | None
    passed_ttl: int
    packets: int
