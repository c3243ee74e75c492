"""Find with which TTL (hop limit) the answer to a SYN arrives: the RST or the SYN-ACK itself.

Works without root. A socket that is told to ignore small TTLs (``IP_MINTTL``, RFC 5082) hears an answer whose TTL
is large enough and counts one that is too small, so each connect tells on which side of one number the TTL lies.
A search that tries likely numbers first takes two to twelve connects, a few at a time, and up to six confirm it.
"""

from __future__ import annotations

import enum

import msgspec

from probes.base import endpoint_probe
from probes.failure import IcmpError
from probes.system.dial import syns_in
from probes.system.late import body_of


class TtlAnswer(enum.StrEnum):
    """What the SYNs brought; ``mixed`` where not all of them the same."""

    RESET = "reset"
    ACCEPTED = "accepted"
    ICMP = "icmp"
    LOCAL_FAILURE = "local-failure"
    SILENCE = "silence"
    MIXED = "mixed"


class AnswerTtlRequest(msgspec.Struct, frozen=True):
    """``expected`` are TTLs to try first, that of another answer of the host at the head: right guesses save rounds.

    ``wait_s`` is how long an answer is waited for while the round-trip time is not known; ``rtt_ms`` is that
    time where the caller knows it. No more than ``most`` connects are made, whatever happens; 16 do for every TTL
    of an answer that came over less than 25 routers, 6 for the one expected most.
    """

    address: str
    port: int
    rtt_ms: float | None = None
    expected: tuple[int, ...] = ()
    wait_s: float = 0.95
    most: int = 18


class AnswerTtlResult(msgspec.Struct, frozen=True):
    """``ttl`` is the TTL of the answers on arrival; ``None`` where it could not be found, or where it varies.

    ``confirmed`` tells that connects whose SYNs were sent with another TTL met the same ``ttl`` once more.
    ``follows`` is true where the answer's TTL changed by as much as that of our SYN: whoever answers copies it,
    and its distance cannot be told; false with ``confirmed``, ``None`` where it was not found out. ``varies`` is
    true where answers to equal SYNs had different TTLs. For ``icmp``, ``icmp`` is the first error and
    ``icmp_ttl`` the TTL of that error itself. ``errno`` belongs to ``local-failure``. ``rounds`` counts sets of
    connects made side by side; ``rtt_ms`` is the least time to an answer.
    """

    address: str
    port: int
    ttl: int | None
    answer: TtlAnswer
    confirmed: bool
    connects: int
    rounds: int
    duration_ms: float
    follows: bool | None = None
    varies: bool = False
    icmp: IcmpError | None = None
    icmp_ttl: int | None = None
    errno: str | None = None
    rtt_ms: float | None = None


PROBE = endpoint_probe(
    "answer-ttl",
    AnswerTtlRequest,
    AnswerTtlResult,
    body_of(__name__),
    deadline_s=6.0,
    most_packets=lambda request: request.most * syns_in(request.wait_s),
)
