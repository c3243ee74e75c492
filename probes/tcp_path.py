"""Follow one TCP port along the path: SYNs with TTL 1, 2, 3, … and who answers each (tcp(7), IP_RECVERR).

Works without root. A router answers *time exceeded* for each SYN that it would have forwarded no further; the
least TTL that brings a RST or a SYN-ACK is the distance of whoever sent it.
"""

from __future__ import annotations

import enum

import msgspec

from probes.base import endpoint_probe
from probes.failure import IcmpError
from probes.system.dial import syns_in
from probes.system.late import body_of


class TcpAnswer(enum.StrEnum):
    """What a SYN of a given TTL brought."""

    TIME_EXCEEDED = "time-exceeded"
    RESET = "reset"
    ACCEPTED = "accepted"
    ICMP = "icmp"
    LOCAL_FAILURE = "local-failure"
    SILENCE = "silence"


class TcpPathRequest(msgspec.Struct, frozen=True):
    """SYNs for TTL ``first_ttl`` to ``max_ttl``; a silent TTL is tried ``tries`` times before it counts.

    Those behind the last answer are tried twice at most: there is probably nobody. No more than ``most`` are sent.
    """

    address: str
    port: int
    max_ttl: int = 30
    tries: int = 3
    wait_s: float = 0.8
    most: int = 48
    first_ttl: int = 1


class TcpHop(msgspec.Struct, frozen=True):
    """One TTL. ``icmp`` carries the sender for *time exceeded* and other ICMP errors; ``sent`` counts SYNs."""

    ttl: int
    answer: TcpAnswer
    sent: int
    rtt_ms: float | None = None
    icmp: IcmpError | None = None
    errno: str | None = None


class TcpPathResult(msgspec.Struct, frozen=True):
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


PROBE = endpoint_probe(
    "tcp-path",
    TcpPathRequest,
    TcpPathResult,
    body_of(__name__),
    deadline_s=8.0,
    most_packets=lambda request: request.most * syns_in(request.wait_s),
)
