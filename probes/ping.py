"""Ping an address: raw or datagram ICMP, or without either a UDP datagram whose refusal proves life."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from probes.failure import Failure, IcmpError


class PingMethod(enum.StrEnum):
    """How the echo was asked for; ``udp`` sends to a closed high port and takes *port unreachable* as reply."""

    ICMP_RAW = "icmp-raw"
    ICMP_DATAGRAM = "icmp-datagram"
    UDP = "udp"


@dataclass(frozen=True, slots=True)
class PingRequest:
    """``count`` echoes, ``interval_s`` apart; ``wait_s`` is how long the last one is waited for.

    The probe ends as soon as every echo is answered. Where none is answered it waits ``silent_wait_s`` in all,
    because a router reports a dead host only after about 3.05 s.
    """

    address: str
    count: int = 3
    interval_s: float = 0.1
    wait_s: float = 1.0
    silent_wait_s: float = 3.4


@dataclass(frozen=True, slots=True)
class Echo:
    """One request: answered after ``rtt_ms`` with ``reply_ttl``, or an ICMP error, or a local failure."""

    sequence: int
    rtt_ms: float | None = None
    reply_ttl: int | None = None
    icmp: IcmpError | None = None
    failure: Failure | None = None
    errno: str | None = None


@dataclass(frozen=True, slots=True)
class PingResult:
    """``received`` counts answers of the address itself; the RTT figures are ``None`` without any.

    ``waited_ms`` is how long the longest unanswered echo has been waited for.
    """

    address: str
    method: PingMethod
    sent: int
    received: int
    echoes: tuple[Echo, ...]
    waited_ms: float
    rtt_min_ms: float | None = None
    rtt_mean_ms: float | None = None
    rtt_max_ms: float | None = None
    rtt_deviation_ms: float | None = None
