"""Open a TCP connection to one address and say exactly what came of it, ICMP sender included."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from probes.failure import Failure, IcmpError


class ConnectOutcome(enum.StrEnum):
    """``no-answer`` is our own patience ending; every answer of the network or the kernel is ``failed``."""

    CONNECTED = "connected"
    FAILED = "failed"
    NO_ANSWER = "no-answer"


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """``patience_s`` is how long silence is waited out; it lies above the 3.05 s of a dead neighbour.

    Silence of one socket may be a lost packet: ``attempts`` sockets, started ``stagger_s`` apart while nothing
    is heard, each with the kernel's own retransmissions.
    """

    address: str
    port: int
    patience_s: float = 3.6
    attempts: int = 3
    stagger_s: float = 0.35


@dataclass(frozen=True, slots=True)
class ConnectAttempt:
    """One socket. ``started_ms`` counts from the probe's start; ``duration_ms`` is until the answer.

    ``icmp`` is the error queue's entry behind a failure, where there is one: a refusal without it was a RST.
    ``syns`` counts SYN segments sent, retransmissions included. ``local_address`` is ``addr`` of the socket.
    """

    outcome: ConnectOutcome
    started_ms: float
    duration_ms: float
    failure: Failure | None = None
    errno: str | None = None
    icmp: IcmpError | None = None
    syns: int = 1
    local_address: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """``attempts`` in the order of their start; the first that was answered decided, the others were closed.

    ``outcome`` is ``connected`` where any attempt connected, ``failed`` where any was answered otherwise,
    else ``no-answer``. ``complete`` is false in progress reports, while an answer may still come.
    """

    address: str
    port: int
    outcome: ConnectOutcome
    attempts: tuple[ConnectAttempt, ...]
    complete: bool = True
