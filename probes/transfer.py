"""Move real data over two kinds of connections, with long segments and with short ones (RFC 9293, RFC 6691).

Both sides of a TCP connection keep to the segment size that the other one advertised, so that a connection with a
small ``TCP_MAXSEG`` needs no packet that a path could be too narrow for, in neither direction. Where the same dialogue
comes to its end over such a connection and not over an ordinary one, it is the size of the packets that stops it.

Nothing is said but what the caller gives, which must be what the service expects; or a TLS hello; or nothing at all.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from probes.base import endpoint_probe
from probes.system.late import body_of


class Dialogue(enum.StrEnum):
    """What is said once connected: nothing, certain bytes, or a TLS hello."""

    LISTEN = "listen"
    SAY = "say"
    TLS = "tls"


class TransferOutcome(enum.StrEnum):
    """How a connection fared. ``whole``: the answer came to its end; ``ended``: the service ended it before that.

    ``stalled``: neither, while it was watched. ``not-connected``: no connection was made.
    """

    WHOLE = "whole"
    ENDED = "ended"
    STALLED = "stalled"
    NOT_CONNECTED = "not-connected"


class TransferRequest(msgspec.Struct, frozen=True):
    """``say_hex`` is said with :attr:`Dialogue.SAY`; a TLS hello names ``server_name``.

    ``quiet_s`` is how long an ordinary connection may stand still before one with short segments is made beside it,
    ``stall_s`` how long it must stand still in the end where what was said is lost, and ``answer_s`` where the answer
    is; ``wait_s`` is how long both are waited for where neither gets on. Each goes with some round trips of ``rtt_ms``.
    Routers report one packet a second where they are strict, and have others to report as well; a server sends again
    after 0.2, 0.6, 1.4 and 3.0 seconds (RFC 6298).
    """

    address: str
    port: int
    dialogue: Dialogue = Dialogue.LISTEN
    say_hex: str = ""
    server_name: str | None = None
    rtt_ms: float = 0.0
    quiet_s: float = 0.3
    stall_s: float = 2.6
    answer_s: float = 3.4
    wait_s: float = 2.5


class Trial(msgspec.Struct, frozen=True):
    """One connection. Bytes are those of TCP's payload; times count from the moment when it was made.

    ``mss`` is the longest segment that this side said it takes; ``bound`` is the length of the IP packets to which it
    was bounded on purpose, 0 where it was not.
    ``said`` bytes were handed to the stack, ``acknowledged`` of them were acknowledged, ``received`` came in order.
    ``out_of_order`` segments came behind a gap, ``retransmitted`` of ours were sent again. ``first_hex`` are the first
    bytes of a greeting, at most :data:`KEPT`, where nothing was said.
    """

    outcome: TransferOutcome
    bound: int = 0
    mss: int = 0
    said: int = 0
    acknowledged: int = 0
    received: int = 0
    out_of_order: int = 0
    retransmitted: int = 0
    connect_ms: float | None = None
    watched_ms: float = 0.0
    errno: str | None = None
    first_hex: str = ""


class TransferResult(msgspec.Struct, frozen=True):
    """The connections in the order in which they were made, the first one with ordinary segments."""

    address: str
    port: int
    dialogue: Dialogue
    trials: tuple[Trial, ...]
    complete: bool = True


#: So many bytes of a greeting are kept.
KEPT: Final = 256
#: Two pairs and a search among the sizes; each connects, speaks in a few segments, and repeats some of them.
_CONNECTIONS: Final = 9
_PACKETS: Final = 10


PROBE = endpoint_probe(
    "transfer",
    TransferRequest,
    TransferResult,
    body_of(__name__),
    deadline_s=8.0,
    most_packets=lambda _request: _CONNECTIONS * _PACKETS,
)
