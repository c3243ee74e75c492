"""Find the path to an address: all TTLs in flight at once, paced under the routers' ICMP limits."""

from __future__ import annotations

import msgspec

from probes.base import address_probe
from probes.failure import Failure, IcmpError
from probes.system.late import body_of


class TracerouteRequest(msgspec.Struct, frozen=True):
    """``max_ttl`` bounds the path; silent TTLs are tried ``tries`` times before they count as silent.

    ``wait_s`` is how long an answer to the last packet of a TTL is waited for, ``most`` how many packets are sent.
    """

    address: str
    max_ttl: int = 30
    tries: int = 3
    wait_s: float = 0.8
    most: int = 56


class HopAnswer(msgspec.Struct, frozen=True):
    """One answer: from whom, which ICMP message (``None`` for an echo reply), after how long.

    ``reply_ttl`` is the TTL (hop limit) with which the answer itself arrived, ``None`` where the system is mute.
    """

    address: str | None
    icmp: IcmpError | None
    rtt_ms: float
    reply_ttl: int | None = None


class Hop(msgspec.Struct, frozen=True):
    """One TTL: how many packets were sent, and every answer (none for a hop that keeps silent).

    Where none was sent its router was not asked: it had said to others what it may say.
    """

    ttl: int
    sent: int
    answers: tuple[HopAnswer, ...]


class TracerouteResult(msgspec.Struct, frozen=True):
    """``method`` is ``icmp`` or ``udp``; ``hops`` go up to the target, or to the last TTL tried that matters.

    Trailing silent hops beyond the last answer are kept up to three. ``reached_ttl`` is the least TTL at which
    the target itself answered. ``ended_by`` is an ICMP *unreachable* that ended the path before it, with
    ``ended_ttl``. ``packets`` counts everything sent. ``failure`` and ``errno`` tell that the local stack
    refused to send.
    """

    address: str
    method: str
    hops: tuple[Hop, ...]
    reached_ttl: int | None
    packets: int
    ended_by: IcmpError | None = None
    ended_ttl: int | None = None
    failure: Failure | None = None
    errno: str | None = None


PROBE = address_probe(
    "traceroute",
    TracerouteRequest,
    TracerouteResult,
    body_of(__name__),
    deadline_s=8.0,
    most_packets=lambda request: request.most,
)
