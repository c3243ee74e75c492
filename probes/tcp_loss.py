"""Count how many of some spaced connections lose their first SYN or their FIN, or the answer to it (RFC 6298, tcp(7)).

Works without root, and where ICMP is filtered or limited. An attempt whose first SYN or whose SYN-ACK is lost is
answered only after the retransmission a second later; attempts are given up before that, so that each counts one
exchange of two packets. A connection that was made is closed at once, and whether its FIN had to be sent again counts
one more: what stops new connections, a limit or a filter on one of several ways, leaves these alone, a loss does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from probes.base import Context, endpoint_probe
from probes.system.dial import Dial, give_up, syns_in
from probes.system.endpoint import endpoint


class TcpLossRequest(msgspec.Struct, frozen=True):
    """``count`` connects, ``interval_s`` apart; each is waited for ``wait_s``, less than a retransmission takes."""

    address: str
    port: int
    count: int = 10
    interval_s: float = 0.02
    wait_s: float = 0.6


class TcpLossResult(msgspec.Struct, frozen=True):
    """``answered`` tells for each attempt, in the order of sending, whether its first SYN was answered in time.

    ``None`` stands for one that has not been waited for long enough yet, in progress reports and cut runs. ``parted``
    tells the same of each one's FIN, ``None`` where there was no connection to be closed.
    """

    address: str
    port: int
    answered: tuple[bool | None, ...]
    rtt_max_ms: float | None = None
    complete: bool = True
    parted: tuple[bool | None, ...] = ()


#: An attempt whose SYN was sent again is not waited for: its answer no longer tells about the first one.
_RETRANSMISSIONS: Final = 1


async def observe(
    request: TcpLossRequest, context: Context, progress: Callable[[TcpLossResult], None]
) -> TcpLossResult:
    """Connect again and again, and close at once, until one is refused after others were made.

    Raises :class:`NotApplicable` for an address that is no literal.
    """
    target = endpoint(request.address, request.port)
    dials: list[Dial] = []
    tasks: list[asyncio.Task[None]] = []
    over: set[int] = set()

    async def attempt(number: int) -> None:
        await dials[number].run(context, request.wait_s)
        over.add(number)
        progress(result(complete=False))

    def result(*, complete: bool) -> TcpLossResult:
        times = [dial.duration_ms for dial in dials if dial.connected and dial.syns <= 1]
        return TcpLossResult(
            request.address,
            request.port,
            tuple(_answered(dial) if number in over else None for number, dial in enumerate(dials)),
            max(times, default=None),
            complete,
            tuple(dial.parted for dial in dials),
        )

    try:
        for number in range(max(1, request.count)):
            if number:
                await asyncio.sleep(request.interval_s)
            refused = any(dial.answered and not dial.connected for dial in dials)
            if refused and any(dial.connected for dial in dials):
                break  # a limit has set in, and is not to be prolonged
            dials.append(Dial(target, retransmissions=_RETRANSMISSIONS, part_s=request.wait_s))
            tasks.append(asyncio.create_task(attempt(number)))
        for task in tasks:
            await task
    finally:
        await give_up(tasks)
    return result(complete=True)


def _answered(dial: Dial) -> bool:
    return dial.answered and not dial.at_once and dial.syns <= 1


PROBE = endpoint_probe(
    "tcp-loss",
    TcpLossRequest,
    TcpLossResult,
    observe,
    deadline_s=4.0,
    most_packets=lambda request: max(1, request.count) * (1 + syns_in(request.wait_s)),
)
