"""After which router do a port's SYNs vanish? SYNs and datagrams with the same TTL, side by side.

A router that answers *time exceeded* for a datagram and never for a SYN of the same TTL does not get to see the SYN.
Silence for the SYN alone proves nothing: routers limit such answers (RFC 1812, section 4.3.2.8), and the datagrams
show whether the router had one left.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from probes.base import Context, ProbeTarget, endpoint_probe
from probes.failure import IcmpMeaning
from probes.system import need_linux
from probes.system.dial import Dial
from probes.system.endpoint import Endpoint, endpoint
from probes.system.linux import errqueue


class DropPointRequest(msgspec.Struct, frozen=True):
    """TTLs ``first`` to ``last`` are tried upwards; ``rtt_ms`` is the longest round trip seen so far.

    ``most`` is how many SYNs and datagrams are sent in all.
    """

    address: str
    port: int
    first: int
    last: int
    rtt_ms: float = 1.0
    patience_s: float = 3.0
    most: int = 40


class DropPointHop(msgspec.Struct, frozen=True):
    """How many SYNs and datagrams of one TTL were sent, and how many of each brought *time exceeded*."""

    ttl: int
    syns: int
    syn_answers: int
    datagrams: int
    datagram_answers: int


class DropPointResult(msgspec.Struct, frozen=True):
    """``passed_ttl`` is the greatest TTL whose SYN was answered by a router, ``first`` - 1 where none was.

    ``settled`` is true where the router one TTL further answered datagrams and no SYN, or where none is left.
    """

    address: str
    port: int
    hops: tuple[DropPointHop, ...]
    passed_ttl: int
    settled: bool


#: So many datagrams must be answered while as many SYNs are not, before a TTL counts as the one without SYNs.
_ENOUGH: Final = 2
#: Pauses between rounds: the first within a router's usual burst, the later ones as its limit of one a second asks.
_PAUSES_S: Final = (0.05, 0.05, 0.55)


#: How often it is looked whether a router that has said too much to others may speak again, seconds.
_ASK_AGAIN_S: Final = 0.1


class _Search:
    def __init__(self, request: DropPointRequest, context: Context) -> None:
        self.request = request
        self.context = context
        self.target = endpoint(request.address, request.port)
        self.wait_s = min(0.6, max(0.05, 3 * request.rtt_ms / 1000))
        self.hops: list[DropPointHop] = []
        self.passed = request.first - 1
        self.settled = False

    def result(self) -> DropPointResult:
        return DropPointResult(self.request.address, self.request.port, tuple(self.hops), self.passed, self.settled)

    def _left(self) -> int:
        return self.request.most - sum(hop.syns + hop.datagrams for hop in self.hops)

    async def run(self, progress: Callable[[DropPointResult], None]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self.request.patience_s
        for ttl in range(self.request.first, self.request.last + 1):
            hop = DropPointHop(ttl, 0, 0, 0, 0)
            self.hops.append(hop)
            rounds = 0
            while loop.time() < end and not hop.syn_answers and self._left() >= 2:
                if not self.context.may_ask(self.target.text, ttl):
                    await asyncio.sleep(_ASK_AGAIN_S)  # its silence would tell nothing now
                    continue
                syn = await _syn(self.target, ttl, self.context, self.wait_s)
                datagram = 0 if syn else await _datagram(self.target, ttl, self.context, self.wait_s)
                hop = DropPointHop(
                    ttl, hop.syns + 1, hop.syn_answers + syn, hop.datagrams + (not syn), hop.datagram_answers + datagram
                )
                self.hops[-1] = hop
                progress(self.result())
                if hop.datagram_answers >= _ENOUGH and hop.syns > _ENOUGH:
                    self.settled = True
                    return
                if not syn:
                    await asyncio.sleep(_PAUSES_S[min(rounds, len(_PAUSES_S) - 1)])
                rounds += 1
            if not hop.syn_answers:
                return
            self.passed = ttl
        self.settled = True


async def _syn(target: Endpoint, ttl: int, context: Context, wait_s: float) -> int:
    """Send one SYN; 1 where a router answered *time exceeded*."""
    dial = Dial(target, ttl=ttl, retransmissions=1)
    await dial.run(context, wait_s)
    return int(dial.icmp is not None and dial.icmp.meaning is IcmpMeaning.TIME_EXCEEDED)


async def _datagram(target: Endpoint, ttl: int, context: Context, wait_s: float) -> int:
    """Send one datagram to a closed high port; 1 where a router answered *time exceeded*."""
    async with context.budget.slot():
        await context.sending()
        queue = errqueue.QueuedSocket(context.socket(target.family, socket.SOCK_DGRAM))
        with queue.socket:
            try:
                queue.send(os.urandom(16), ttl=ttl, to=target.at(33434))
            except OSError:
                return 0
            loop = asyncio.get_running_loop()
            end = loop.time() + wait_s
            while loop.time() < end:
                await asyncio.sleep(min(0.01, wait_s / 4))
                for error in queue.errors():
                    if error.icmp is not None and error.icmp.meaning is IcmpMeaning.TIME_EXCEEDED:
                        context.reported(target.text, ttl, error.icmp.sender or target.text)
                        return 1
    return 0


async def observe(
    request: DropPointRequest, context: Context, progress: Callable[[DropPointResult], None]
) -> DropPointResult:
    """Go up the TTLs until one answers datagrams and no SYN, all are passed, or ``patience_s`` ends.

    Raises :class:`NotApplicable` for an address that is no literal.
    """
    need_linux("drop-point")
    search = _Search(request, context)
    await search.run(progress)
    return search.result()


def request_for(target: ProbeTarget) -> DropPointRequest:
    """Point the probe at an address and port, from the first router on."""
    address, port = target.endpoint("drop-point")
    return DropPointRequest(address, port, 1, 30)


PROBE = endpoint_probe(
    "drop-point",
    DropPointRequest,
    DropPointResult,
    observe,
    deadline_s=5.0,
    most_packets=lambda request: request.most,
    request_for=request_for,
)
