"""SYNs up the TTLs, and who answers each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from probes.base import Context
from probes.failure import IcmpMeaning, errno_name
from probes.system import need_linux
from probes.system.dial import Dial, give_up
from probes.system.endpoint import Endpoint, endpoint
from probes.system.ladder import Ladder
from probes.system.linux import errqueue
from probes.tcp_path import TcpAnswer, TcpHop, TcpPathRequest, TcpPathResult

#: How often silence is reported, seconds.
PROGRESS_S: Final = 0.15
#: Silent TTLs kept behind the last answer.
TRAILING_KEPT: Final = 3


class _Walk:
    """SYNs on their way up the TTLs, each on a socket of its own.

    The sockets have different local ports, so a router with several equal routes may spread them: the price
    of doing it without root and quickly, where one port cannot connect twice to the same place at a time. (Linux
    routers choose by addresses alone unless ``fib_multipath_hash_policy`` is 1, many others by ports as well.) The
    probe ``flows`` walks one port, one SYN after the other, where it matters.

    A connection that is made is closed in the ordinary way. A reset (``SO_LINGER`` 0) would spare this machine
    a TIME_WAIT entry, but many services log it as an error, which one that connects and leaves is not. Sockets
    still silent are simply closed: that sends nothing, and should an answer come later the kernel resets it.
    """

    def __init__(self, request: TcpPathRequest, target: Endpoint, context: Context) -> None:
        self.request = request
        self.target = target
        self.context = context
        most = min(request.max_ttl, 255)
        self.ladder = Ladder(most, max(1, request.tries), request.wait_s, first=request.first_ttl)
        self.hops: dict[int, TcpHop] = {}
        self.sent: dict[int, int] = {}
        self.tasks: dict[asyncio.Task[None], int] = {}
        self.failed_here = False
        self.started = 0

    def start(self, ttl: int) -> None:
        """Send a SYN, and listen for its answer in a task; not where its router would say nothing now anyway."""
        # it counts from now on, so that the plan does not ask for it again while a socket is waited for
        self.ladder.sent(ttl, errqueue.now().monotonic_s)
        if not self.context.may_ask(self.target.text, ttl):
            return
        self.started += 1
        self.ladder.spent = self.started >= self.request.most
        self.tasks[asyncio.create_task(self._syn(ttl))] = ttl

    async def _syn(self, ttl: int) -> None:
        dial = Dial(self.target, ttl=ttl, retransmissions=1)
        try:
            await dial.run(self.context, self.request.wait_s)
        finally:
            self.sent[ttl] = self.sent.get(ttl, 0) + dial.syns
        if dial.answered:
            self._take(ttl, dial)

    def _take(self, ttl: int, dial: Dial) -> None:
        if dial.at_once:
            self.failed_here = True
        answer = _answer(dial)
        final = answer is not TcpAnswer.TIME_EXCEEDED
        if ttl in self.hops and not final:
            return
        self.hops[ttl] = TcpHop(
            ttl,
            answer,
            self.sent.get(ttl, 0),
            rtt_ms=None if dial.at_once else dial.duration_ms,
            icmp=dial.icmp,
            errno=errno_name(dial.errno) if dial.errno else None,
        )
        sender = dial.icmp.sender if dial.icmp is not None else None
        self.ladder.answered(ttl, dial.duration_ms / 1000, sender, final=final)

    def beyond_the_end(self) -> list[asyncio.Task[None]]:
        """Return the tasks whose answer cannot tell anything any more."""
        end = self.ladder.end
        return [] if end is None else [task for task, ttl in self.tasks.items() if ttl >= end]

    def result(self) -> TcpPathResult:
        """Return all of it as it stands."""
        end = self.ladder.end
        last = max((ttl for ttl in self.hops if end is None or ttl <= end), default=0)
        top = min(end if end is not None else last + TRAILING_KEPT, max(self.sent, default=last))
        hops = tuple(
            replace(self.hops[ttl], sent=self.sent.get(ttl, 0))
            if ttl in self.hops
            else TcpHop(ttl, TcpAnswer.SILENCE, self.sent.get(ttl, 0))
            for ttl in range(self.request.first_ttl, max(top, last) + 1)
        )
        final = self.hops[end] if end is not None else None
        passed = [
            hop.ttl
            for hop in self.hops.values()
            if hop.answer is TcpAnswer.TIME_EXCEEDED and (not end or hop.ttl < end)
        ]
        return TcpPathResult(
            self.request.address,
            self.request.port,
            hops,
            final_ttl=None if final is None or final.answer is TcpAnswer.LOCAL_FAILURE else end,
            final=None if final is None else final.answer,
            passed_ttl=max(passed, default=0),
            packets=sum(self.sent.values()),
        )


def _answer(dial: Dial) -> TcpAnswer:
    """Say who answered a SYN and how. A connection reset at once was accepted before."""
    if dial.at_once:
        return TcpAnswer.LOCAL_FAILURE
    if dial.icmp is not None:
        exceeded = dial.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
        return TcpAnswer.TIME_EXCEEDED if exceeded else TcpAnswer.ICMP
    if dial.connected or errno_name(dial.errno) in {"ECONNRESET", "EPIPE"}:
        return TcpAnswer.ACCEPTED
    if errno_name(dial.errno) == "ECONNREFUSED":
        return TcpAnswer.RESET
    return TcpAnswer.LOCAL_FAILURE


async def observe(
    request: TcpPathRequest, context: Context, progress: Callable[[TcpPathResult], None]
) -> TcpPathResult:
    """Send SYNs with rising TTLs until the least one is known that brings a final answer.

    Nothing is sent beyond it once it is known, and every silent TTL before it is tried again. Raises
    :class:`NotApplicable` for an address that is no literal.
    """
    need_linux("tcp-path")
    walk = _Walk(request, endpoint(request.address, request.port), context)
    told, told_s = 0, errqueue.now().monotonic_s
    try:
        while not walk.failed_here:
            turn = walk.ladder.turn(errqueue.now().monotonic_s)
            if turn.ttl is not None:
                walk.start(turn.ttl)
                await asyncio.sleep(0)
                continue
            if turn.wait_s is None:
                break
            pause = min(turn.wait_s, PROGRESS_S)
            if walk.tasks:
                await asyncio.wait(walk.tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(pause)
            await _reap(walk)
            now = errqueue.now().monotonic_s
            if len(walk.hops) != told or now - told_s >= PROGRESS_S:
                told, told_s = len(walk.hops), now
                progress(walk.result())
    finally:
        await give_up(list(walk.tasks))
    return walk.result()


async def _reap(walk: _Walk) -> None:
    """Forget finished tasks, and end those that no longer matter."""
    over = walk.beyond_the_end()
    await give_up([task for task in over if not task.done()])
    for task in [task for task in walk.tasks if task.done()]:
        del walk.tasks[task]
        if not task.cancelled():
            task.result()  # a bug of ours comes to light here
