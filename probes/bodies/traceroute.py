"""Paced probes of every TTL, and what each router says of them."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from probes.base import Context
from probes.failure import IcmpError, IcmpMeaning, classify, errno_name
from probes.system import chance, need_linux, platform_name
from probes.system.endpoint import Endpoint, endpoint
from probes.system.ladder import Ladder
from probes.system.linux import errqueue
from probes.system.linux.icmp import EchoSocket, open_echo
from probes.system.watch import Watch
from probes.traceroute import Hop, HopAnswer, TracerouteRequest, TracerouteResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from probes.system.windows.echoes import Echoes

#: The port that hosts seldom use and filters often let through for this very purpose.
BASE_PORT: Final = 33434
_MARK: Final = struct.Struct("!8sBB")


#: How often silence is reported, seconds.
PROGRESS_S: Final = 0.15
#: Silent hops kept behind the last answer.
TRAILING_KEPT: Final = 3


class _Heard(msgspec.Struct, frozen=True):
    """One answer: to which TTL and try (``ttl`` 0 where the quotation is too short to tell), and what it is."""

    ttl: int
    number: int
    answer_from: str | None
    icmp: IcmpError | None
    received_s: float | None
    reply_ttl: int | None = None


class _Lane(Protocol):
    """One kind of packet."""

    def send(self, ttl: int, number: int) -> None: ...

    def heard(self) -> list[_Heard]: ...


class _UdpLane:
    """Datagrams of one flow, so that routers with several equal routes choose the same one each time.

    An answer is matched by our payload that it quotes. Routers that quote only the 8 bytes that RFC 792 asks
    for give the destination port alone: once one of those has answered, each TTL gets a port of its own.
    """

    def __init__(self, context: Context, target: Endpoint) -> None:
        self._target = target
        self._queue = errqueue.QueuedSocket(context.socket(target.family, socket.SOCK_DGRAM))
        self._cookie = os.urandom(8)
        self._flow = BASE_PORT + chance.below(40)
        self.short_quotes = False

    @property
    def socket(self) -> socket.socket:
        return self._queue.socket

    def send(self, ttl: int, number: int) -> None:
        port = self._flow + ttl if self.short_quotes else self._flow
        self._queue.send(_MARK.pack(self._cookie, ttl, number) + bytes(22), ttl=ttl, to=self._target.at(port))

    def heard(self) -> list[_Heard]:
        found: list[_Heard] = []
        for error in self._queue.errors():
            if error.icmp is None:
                continue
            if len(error.payload) >= _MARK.size:
                cookie, ttl, number = _MARK.unpack_from(error.payload)
                if cookie != self._cookie:
                    continue
            elif error.port > self._flow:
                ttl, number = error.port - self._flow, -1
            else:
                self.short_quotes = True
                continue
            found.append(_Heard(ttl, number, error.icmp.sender, error.icmp, error.received_s, error.ttl))
        # data came back: something listens there, so the packets do arrive, but it is not told at which TTL
        found.extend(
            _Heard(0, -1, datagram.source, None, datagram.received_s, datagram.ttl)
            for datagram in self._queue.received()
            if self._target.sent(datagram.source)
        )
        return found


class _EchoLane:
    """Echo requests: many hosts that drop stray datagrams answer these."""

    def __init__(self, target: Endpoint, echo: EchoSocket | Echoes) -> None:
        self._target = target
        self._echo = echo

    def send(self, ttl: int, number: int) -> None:
        self._echo.send((number & 0xFF) << 8 | ttl, ttl=ttl, size=40)

    def heard(self) -> list[_Heard]:
        return [
            _Heard(
                answer.sequence & 0xFF,
                answer.sequence >> 8,
                self._target.text if answer.icmp is None else answer.icmp.sender,
                answer.icmp,
                answer.received_s,
                answer.ttl,
            )
            for answer in self._echo.answers()
        ]


class _Trace:
    """What is known of the path, from both kinds of packets."""

    def __init__(self, request: TracerouteRequest, target: Endpoint) -> None:
        self.request = request
        self.target = target
        self.answers: dict[int, list[HopAnswer]] = {}
        self.sent: dict[int, int] = {}
        self.packets = 0
        self.heard = 0
        self.reached: tuple[int, str] | None = None
        self.ended: tuple[int, IcmpError] | None = None
        self.errno: int | None = None

    def reach(self, ttl: int, method: str) -> None:
        """Take note that the target itself answered."""
        if self.reached is None or ttl < self.reached[0]:
            self.reached = (ttl, method)

    def result(self) -> TracerouteResult:
        """Return all of it as it stands."""
        last = max(self.answers, default=0)
        end = last + TRAILING_KEPT
        if self.reached is not None:
            end = self.reached[0]
        elif self.ended is not None:
            end = max(self.ended[0], last)
        top = min(end, max((ttl for ttl in self.sent if ttl <= end), default=0))
        hops = tuple(Hop(ttl, self.sent.get(ttl, 0), tuple(self.answers.get(ttl, ()))) for ttl in range(1, top + 1))
        ended = None if self.reached is not None else self.ended
        return TracerouteResult(
            self.request.address,
            self.reached[1] if self.reached is not None else "udp",
            hops,
            None if self.reached is None else self.reached[0],
            self.packets,
            ended_by=None if ended is None else ended[1],
            ended_ttl=None if ended is None else ended[0],
            failure=None if self.errno is None else classify(self.errno),
            errno=None if self.errno is None else errno_name(self.errno),
        )


class _Walk:
    """One kind of packet on its way up the TTLs."""

    def __init__(self, trace: _Trace, lane: _Lane, method: str, first: int, context: Context) -> None:
        request = trace.request
        self.trace = trace
        self.lane = lane
        self.method = method
        self.context = context
        self.ladder = Ladder(min(request.max_ttl, 255), max(1, request.tries), request.wait_s, first=first)
        self._stamps: dict[tuple[int, int], errqueue.Stamp] = {}
        self._tries: dict[int, int] = {}

    async def run(self, watch: Watch, look: Callable[[_Walk], None]) -> None:
        """Walk until the plan is done; ``look``, called after every step, may tell the plan of what others found."""
        while True:
            self._listen()
            look(self)
            now = errqueue.now().monotonic_s
            self.ladder.spent = self.trace.packets >= self.trace.request.most
            turn = self.ladder.turn(now)
            if turn.ttl is not None and not self._may_ask(turn.ttl):
                self.ladder.sent(turn.ttl, now)  # its router would say nothing now: asked at the next try, if then
            elif turn.ttl is not None:
                self.trace.packets += 1  # now, so that the other lane knows before it sends the last one
                await self.context.sending()
                if not self._send(turn.ttl):
                    return
            elif turn.wait_s is not None:
                await watch.wait(min(turn.wait_s, PROGRESS_S))
            else:
                return

    def _may_ask(self, ttl: int) -> bool:
        target = self.trace.target.text
        if self.context.may_ask(target, ttl, end_limited=self.method == "udp"):
            return True
        if self.context.at_end(target, ttl):
            self.ladder.found_elsewhere(ttl, ())  # to ask farther would make the way seem longer than it is
        return False

    def _send(self, ttl: int) -> bool:
        number = self._tries.get(ttl, 0)
        self._tries[ttl] = number + 1
        stamp = errqueue.now()
        try:
            self.lane.send(ttl, number)
        except OSError as error:
            self.trace.packets -= 1
            if self.trace.packets == 0:
                self.trace.errno = error.errno
            return False
        self._stamps[ttl, number] = stamp
        self.trace.sent[ttl] = self.trace.sent.get(ttl, 0) + 1
        self.ladder.sent(ttl, stamp.monotonic_s)
        return True

    def _listen(self) -> None:
        for heard in self.lane.heard():
            if heard.ttl == 0:
                self._arrived(heard)
                continue
            number = heard.number if heard.number >= 0 else self._tries.get(heard.ttl, 1) - 1
            stamp = self._stamps.pop((heard.ttl, number), None)
            if stamp is None:
                continue  # a duplicate, or nothing that we sent
            self._take(heard, errqueue.elapsed_ms(stamp, heard.received_s))

    def _arrived(self, heard: _Heard) -> None:
        """Place data that a service sent: it is not told which TTL they answer, so the least possible one counts."""
        ttl = self.ladder.last + 1
        stamp = next((s for (t, _n), s in sorted(self._stamps.items()) if t >= ttl), None)
        if stamp is not None and self.trace.reached is None:
            placed = replace(heard, ttl=ttl, number=0)
            self._take(placed, errqueue.elapsed_ms(stamp, heard.received_s))

    def _take(self, heard: _Heard, rtt_ms: float) -> None:
        ttl, icmp = heard.ttl, heard.icmp
        exceeded = icmp is not None and icmp.meaning is IcmpMeaning.TIME_EXCEEDED
        self.ladder.answered(ttl, rtt_ms / 1000, heard.answer_from, final=not exceeded)
        answers = self.trace.answers.setdefault(ttl, [])
        answers.append(HopAnswer(heard.answer_from, icmp, rtt_ms, heard.reply_ttl))
        self.trace.heard += 1
        if heard.answer_from is not None:
            self.context.reported(self.trace.target.text, ttl, heard.answer_from, limited=icmp is not None)
        if exceeded:
            return
        if self.trace.target.sent(heard.answer_from):
            self.trace.reach(ttl, self.method)
        elif icmp is not None and (self.trace.ended is None or ttl < self.trace.ended[0]):
            self.trace.ended = (ttl, icmp)


async def observe(
    request: TracerouteRequest, context: Context, progress: Callable[[TracerouteResult], None]
) -> TracerouteResult:
    """Walk the path with datagrams, and with echo requests where those find no end and ICMP sockets are allowed.

    Raises :class:`NotApplicable` for an address that is no literal.
    """
    if platform_name() == "windows":
        return await _of_windows(request, context, progress)
    need_linux("traceroute")
    return await _Both(request, context, progress).walk()


async def _of_windows(
    request: TracerouteRequest, context: Context, progress: Callable[[TracerouteResult], None]
) -> TracerouteResult:
    """Walk the path with Windows' own echo requests, the only kind there whose errors are told."""
    from probes.system.windows import echoes  # noqa: PLC0415 - Windows alone has it

    both = _Both(request, context, progress)
    if not echoes.possible(both.trace.target):
        need_linux("traceroute")
    async with context.budget.slot():
        with Watch() as watch, echoes.Echoes(both.trace.target, watch.wake) as opened:
            await _Walk(both.trace, _EchoLane(both.trace.target, opened), "icmp", 1, context).run(watch, both.look)
    return both.trace.result()


class _Both:
    """Two walks of one path: datagrams, and echo requests from where those lead no further."""

    def __init__(
        self, request: TracerouteRequest, context: Context, progress: Callable[[TracerouteResult], None]
    ) -> None:
        self.request = request
        self.context = context
        self.progress = progress
        self.trace = _Trace(request, endpoint(request.address))
        self.udp: _Walk | None = None
        self.start_echo = asyncio.Event()
        self.told, self.told_s = 0, errqueue.now().monotonic_s

    async def walk(self) -> TracerouteResult:
        """Do both, and return what came of them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.with_datagrams())
            group.create_task(self.with_echoes())
        return self.trace.result()

    def look(self, walk: _Walk) -> None:
        """Report news, and hold what one walk has found against what the other may still find."""
        trace, now = self.trace, errqueue.now().monotonic_s
        if trace.heard != self.told or now - self.told_s >= PROGRESS_S:
            self.told, self.told_s = trace.heard, now
            self.progress(trace.result())
        if trace.reached is not None:
            walk.ladder.found_elsewhere(trace.reached[0], trace.answers)
            return
        # datagrams lead no further: time for echo requests
        if walk is self.udp and (trace.ended or walk.ladder.end is not None or walk.ladder.quiet_beyond(now)):
            self.start_echo.set()

    async def with_datagrams(self) -> None:
        """Walk from the first router on."""
        try:
            async with self.context.budget.slot():
                with Watch() as watch:
                    try:
                        lane = _UdpLane(self.context, self.trace.target)
                    except OSError as error:
                        self.trace.errno = error.errno
                        return
                    watch.add(lane.socket)
                    self.udp = _Walk(self.trace, lane, "udp", 1, self.context)
                    await self.udp.run(watch, self.look)
        finally:
            self.start_echo.set()

    async def with_echoes(self) -> None:
        """Walk on from the last hop that datagrams found, once they lead no further."""
        await self.start_echo.wait()
        trace, udp, most = self.trace, self.udp, self.request.max_ttl
        if trace.reached is not None or trace.errno is not None or udp is None or udp.ladder.looping:
            return
        async with self.context.budget.slot():
            with Watch() as watch:
                try:
                    echo = open_echo(self.context, trace.target)
                except OSError:
                    return  # not permitted: what the datagrams tell is all
                watch.add(echo.socket)
                lane = _EchoLane(trace.target, echo)
                first = min(udp.ladder.last + 1, trace.ended[0] if trace.ended else most, most)
                walk = _Walk(trace, lane, "icmp", max(1, first), self.context)
                walk.ladder.trailing_tries = 1  # datagrams have been there twice
                await walk.run(watch, self.look)
