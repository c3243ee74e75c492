"""Is every connection made, and does that depend on the source port? Connects from several ports, some of them again.

Routers with several ways of equal cost choose one for each flow, by addresses and ports (RFC 2992), and so does what
spreads connections over several machines. Where one of those ways or machines is at fault, the same source ports fail
again and again while others get through; a loss that strikes at random does not care for ports. Works without root.

Hosts that allow one address only so many new connections look the same at first. So where the port has accepted one
connection follows the other, the row ends with the first that fares worse than one before it, and a few more from
other ports tell whether any is made after it. Only where one is are ports that failed tried again.

A flow is kept the same where the kernel allows it: a port that failed is bound again. One that was connected cannot be,
for the kernel keeps it back for a minute (RFC 9293, section 3.6.1), and one port cannot be used for two attempts at a
time. So an attempt follows the other, and what is walked hop by hop is a port that fails. Linux routers choose by the
addresses alone unless told otherwise (``fib_multipath_hash_policy``); then all ports share one way, and nothing is seen
here. IPv6 flow labels are left out, because the kernel draws one for each socket and routers may choose by it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

import msgspec

from probes.base import endpoint_probe
from probes.failure import IcmpError
from probes.system.late import body_of


class FlowOutcome(enum.StrEnum):
    """What a SYN brought. ``time-exceeded`` comes from a router, for a SYN with a small TTL."""

    ACCEPTED = "accepted"
    RESET = "reset"
    ICMP = "icmp"
    SILENCE = "silence"
    TIME_EXCEEDED = "time-exceeded"
    LOCAL_FAILURE = "local-failure"


class FlowsRequest(msgspec.Struct, frozen=True):
    """``count`` ports at first; where they fare differently, no more than ``most`` SYNs in all tell whether it lasts.

    A SYN is waited for ``wait_s``, less than a retransmission takes. ``hops`` is how far the walk goes at most.
    ``accepted`` tells that the port has accepted a connection already.
    """

    address: str
    port: int
    count: int = 8
    wait_s: float = 0.5
    interval_s: float = 0.01
    hops: int = 16
    most: int = 64
    accepted: bool = False


class Flow(msgspec.Struct, frozen=True):
    """One source port and what each of its SYNs brought, in their order."""

    source_port: int
    tries: tuple[FlowOutcome, ...]


class FlowHop(msgspec.Struct, frozen=True):
    """What a SYN of the walked port with this TTL brought, and the ICMP error behind it."""

    ttl: int
    outcome: FlowOutcome
    icmp: IcmpError | None = None


class FlowsResult(msgspec.Struct, frozen=True):
    """``flows`` in the order of their first try. ``walked`` is the port whose SYNs were sent hop by hop, if any was.

    ``fresh_last`` tells what ports brought that were tried for the first time after others had failed.
    ``row`` is what one connection after the other brought, from ports that the system chose, until it was known
    whether any is made after one that failed. ``parted`` tells of those that were made whether their first FIN was
    acknowledged in time, and ``refused_by`` is the last ICMP error that refused one.
    """

    address: str
    port: int
    flows: tuple[Flow, ...]
    fresh_last: tuple[FlowOutcome, ...] = ()
    walked: int | None = None
    walk: tuple[FlowHop, ...] = ()
    complete: bool = True
    row: tuple[FlowOutcome, ...] = ()
    parted: tuple[bool | None, ...] = ()
    refused_by: IcmpError | None = None


#: After so many failures in a row, once a connection was made, a limit has set in: where one of two ways or machines is
#: at fault that many are met one time in eight, ...
UNTIL_A_LIMIT: Final = 4
#: ... and so many resets, which cost no waiting, one time in 256.
UNTIL_A_LIMIT_RESETS: Final = 9


def enough_for_a_limit(outcome: FlowOutcome, count: int) -> bool:
    """Whether ``count`` connections in a row that failed with ``outcome`` are those of a limit."""
    return count >= (UNTIL_A_LIMIT_RESETS if outcome is FlowOutcome.RESET else UNTIL_A_LIMIT)


#: A chance of less than this that ports fail again only by chance is small enough.
CHANCE: Final = 0.005


def by_chance(failed: int, first_tries: int, again: int) -> float:
    """Return how likely ``again`` repetitions all fail where ports do not matter and ``failed`` of the first did."""
    return float(((failed + 1) / (first_tries + 2)) ** again)


def repetitions(tries: Sequence[FlowOutcome]) -> int:
    """Return how many of a port's tries after the first are news.

    A host whose SYN-ACK was lost keeps half a connection. The port's next SYN, of another sequence number, brings an
    ACK that only has this cleared away (RFC 9293, section 3.10.7.4), and not more than two a second: each port that
    met a loss is likelier to meet silence again, so that of silences every second counts.
    """
    again = len(tries) - 1
    return again // 2 if tries[0] is FlowOutcome.SILENCE else again


PROBE = endpoint_probe(
    "flows",
    FlowsRequest,
    FlowsResult,
    body_of(__name__),
    deadline_s=8.0,
    most_packets=lambda request: request.most,
)
