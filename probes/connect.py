"""Open a TCP connection to one address and say exactly what came of it, ICMP sender included."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from typing import Final

import msgspec

from probes.base import Context, endpoint_probe
from probes.failure import Failure, IcmpError, classify, errno_name
from probes.system.dial import Dial, give_up, syns_in
from probes.system.endpoint import endpoint
from probes.system.linux import errqueue

#: When silence is reported beside the moment of the first SYN, seconds after the start: early for whatever begins then,
#: about as often as attempts begin, and shortly after the first SYN was sent again (after a second, RFC 6298). Then
#: every so often.
TOLD_S: Final = (0.05, 0.15, 0.35, 0.45, 0.65, 0.85, 1.0, 1.055, 1.07, 1.09, 1.12, 1.16)
PROGRESS_S: Final = 0.15


class ConnectOutcome(enum.StrEnum):
    """``no-answer`` is our own patience ending; every answer of the network or the kernel is ``failed``."""

    CONNECTED = "connected"
    FAILED = "failed"
    NO_ANSWER = "no-answer"


class ConnectRequest(msgspec.Struct, frozen=True):
    """``patience_s`` is how long silence is waited out; it lies above the 3.05 s of a dead neighbour.

    Silence of one socket may be a lost packet: ``attempts`` sockets, started ``stagger_s`` apart while nothing
    is heard, each with the kernel's own retransmissions.
    """

    address: str
    port: int
    patience_s: float = 7.0
    attempts: int = 3
    stagger_s: float = 0.35


class ConnectAttempt(msgspec.Struct, frozen=True):
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


class ConnectResult(msgspec.Struct, frozen=True):
    """``attempts`` in the order of their start; the first that was answered decided, the others were closed.

    ``outcome`` is ``connected`` where any attempt connected, ``failed`` where any was answered otherwise,
    else ``no-answer``. ``complete`` is false in progress reports, while an answer may still come.
    """

    address: str
    port: int
    outcome: ConnectOutcome
    attempts: tuple[ConnectAttempt, ...]
    complete: bool = True


def _attempt(dial: Dial, start: errqueue.Stamp, *, closed: bool) -> ConnectAttempt | None:
    """Return the record of one socket; ``None`` while it waits for its turn."""
    if dial.begun is None:
        return None
    started_ms = (dial.begun.monotonic_s - start.monotonic_s) * 1000
    if not dial.answered:
        lasted = dial.duration_ms if closed else errqueue.elapsed_ms(dial.begun)
        return ConnectAttempt(
            ConnectOutcome.NO_ANSWER,
            started_ms,
            lasted,
            failure=Failure.NO_ANSWER,
            syns=max(1, dial.syns),
            local_address=dial.local_address,
        )
    if dial.connected:
        return ConnectAttempt(
            ConnectOutcome.CONNECTED,
            started_ms,
            dial.duration_ms,
            syns=dial.syns,
            local_address=dial.local_address,
        )
    return ConnectAttempt(
        ConnectOutcome.FAILED,
        started_ms,
        dial.duration_ms,
        failure=classify(dial.errno),
        errno=errno_name(dial.errno),
        icmp=dial.icmp,
        syns=dial.syns,
        local_address=dial.local_address,
    )


def _result(request: ConnectRequest, dials: list[Dial], start: errqueue.Stamp, *, complete: bool) -> ConnectResult:
    for dial in dials:
        dial.look()  # silence is told as such only after a look
    attempts = tuple(made for dial in dials if (made := _attempt(dial, start, closed=complete)) is not None)
    outcomes = {attempt.outcome for attempt in attempts}
    best = ConnectOutcome.NO_ANSWER
    for better in (ConnectOutcome.CONNECTED, ConnectOutcome.FAILED):
        if better in outcomes:
            best = better
            break
    return ConnectResult(request.address, request.port, best, attempts, complete)


def _untold_s(waited_s: float) -> float:
    """Return how long after ``waited_s`` of silence it is reported next."""
    return next((at_s - waited_s for at_s in TOLD_S if at_s > waited_s), PROGRESS_S)


async def observe(
    request: ConnectRequest, context: Context, progress: Callable[[ConnectResult], None]
) -> ConnectResult:
    """Connect to one address and close again without sending a byte.

    Every attempt is a socket of its own; the next one starts only while all before it are silent. The first
    definite answer ends the probe. Never raises for an answer of the network; :class:`NotApplicable` for an
    address that is no literal.
    """
    target = endpoint(request.address, request.port)
    start = errqueue.now()
    dials: list[Dial] = []
    tasks: list[asyncio.Task[None]] = []
    end = start.monotonic_s + request.patience_s
    next_start = start.monotonic_s
    try:
        while not any(dial.answered for dial in dials):
            now = errqueue.now().monotonic_s
            if now >= end:
                break
            more = len(dials) < max(1, request.attempts)
            if more and now >= next_start:
                dials.append(Dial(target))
                tasks.append(asyncio.create_task(dials[-1].run(context)))
                next_start = now + request.stagger_s
                if len(dials) == 1:
                    await asyncio.sleep(0)
                    if dials[0].begun is not None:
                        progress(_result(request, dials, start, complete=False))
                more = len(dials) < request.attempts
            pause = min(end - now, _untold_s(now - start.monotonic_s))
            if more:
                pause = min(pause, max(0.0, next_start - now))
            done, _waiting = await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a bug of ours comes to light here
            progress(_result(request, dials, start, complete=False))
    finally:
        await give_up(tasks)
    return _result(request, dials, start, complete=True)


PROBE = endpoint_probe(
    "connect",
    ConnectRequest,
    ConnectResult,
    observe,
    deadline_s=8.5,
    most_packets=lambda request: max(1, request.attempts) * syns_in(request.patience_s),
)
