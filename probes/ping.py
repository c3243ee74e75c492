"""Ping an address: raw or datagram ICMP, or without either a UDP datagram whose refusal proves life.

The UDP way needs the error queue of Linux; elsewhere the echoes go through :mod:`probes.system.windows.echoes` and
:mod:`probes.system.portable_ping`.
"""

from __future__ import annotations

import enum
import errno as errno_module
import math
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from probes.base import Context, address_probe
from probes.failure import Failure, IcmpError, classify, errno_name
from probes.system import chance, on_linux, platform_name
from probes.system.endpoint import Endpoint, endpoint
from probes.system.linux import errqueue
from probes.system.linux.icmp import EchoAnswer, EchoSocket
from probes.system.watch import Watch

#: How often silence is reported, seconds.
PROGRESS_S: Final = 0.15
#: Where traceroute sends, too: seldom used, and often let through by filters on purpose.
UDP_BASE_PORT: Final = 33434
#: A host answers about six of one sender's datagrams with *port unreachable*, then one a second.
UDP_MOST: Final = 3
#: Who has not answered for so long is taken to be silent, seconds.
_SILENT_S: Final = 0.5
#: Refusals of the local stack that may be over at the next try: a filter's rate limit, a full queue.
_PASSING: Final = frozenset({errno_module.EPERM, errno_module.ENOBUFS, errno_module.EAGAIN})


class PingMethod(enum.StrEnum):
    """How the echo was asked for; ``udp`` sends to a closed high port and takes *port unreachable* as reply."""

    ICMP_RAW = "icmp-raw"
    ICMP_DATAGRAM = "icmp-datagram"
    UDP = "udp"


class PingRequest(msgspec.Struct, frozen=True):
    """``count`` echoes, ``interval_s`` apart; ``wait_s`` is how long the last one is waited for.

    While every echo is answered, the next one follows ``answered_s`` after the answer, if that is sooner; not where
    the answers are ICMP errors, of which others need some too.
    The probe ends as soon as every echo is answered. Where none is answered it waits ``silent_wait_s`` in all,
    because a router reports a dead host only after about 3.05 s.
    """

    address: str
    count: int = 3
    interval_s: float = 0.1
    wait_s: float = 1.0
    silent_wait_s: float = 3.4
    answered_s: float = 0.02


class Echo(msgspec.Struct, frozen=True):
    """One request: answered after ``rtt_ms`` with ``reply_ttl``, or an ICMP error, or a local failure.

    ``icmp_ttl`` is the TTL (hop limit) with which the ICMP error arrived.
    """

    sequence: int
    rtt_ms: float | None = None
    reply_ttl: int | None = None
    icmp: IcmpError | None = None
    failure: Failure | None = None
    errno: str | None = None
    icmp_ttl: int | None = None


class PingResult(msgspec.Struct, frozen=True):
    """``received`` counts answers of the address itself; the RTT figures are ``None`` without any.

    ``waited_ms`` is how long the longest unanswered echo has been waited for. ``refusers`` is the greatest number of
    addresses that answered one and the same request with an ICMP error. ``withheld`` tells that silence is no answer:
    the router before the address had to report others that were asked for at the same time.
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
    refusers: int = 0
    withheld: bool = False


class _Channel(Protocol):
    """A way to ask for echoes."""

    def send(self, sequence: int) -> None: ...

    def answers(self) -> list[EchoAnswer]: ...


class _UdpChannel:
    """Datagrams to closed high ports, one port for each request; a refusal by the address itself is a reply."""

    def __init__(self, context: Context, target: Endpoint) -> None:
        self._target = target
        self._queue = errqueue.QueuedSocket(context.socket(target.family, socket.SOCK_DGRAM))
        self._base = UDP_BASE_PORT + chance.below(80)
        self._cookie = os.urandom(8)

    @property
    def socket(self) -> socket.socket:
        return self._queue.socket

    def send(self, sequence: int) -> None:
        self._queue.send(self._cookie + bytes(24), to=self._target.at(self._base + sequence))

    def answers(self) -> list[EchoAnswer]:
        told = self._queue.about(self._cookie, self._target.sent)
        found = [EchoAnswer(error.port - self._base, error.received_s, error.ttl, icmp) for error, icmp in told]
        # a service that happens to live there answers in its own way: the host is alive, whichever it was for
        found.extend(
            EchoAnswer(int(datagram.port) - self._base, datagram.received_s, datagram.ttl)
            for datagram in self._queue.received()
            if self._target.sent(datagram.source)
        )
        return found


def _open(context: Context, target: Endpoint) -> tuple[PingMethod, EchoSocket | _UdpChannel]:
    """Open the best way that is allowed here. Raises ``OSError`` where the local stack knows no way at all."""
    for method, raw in ((PingMethod.ICMP_DATAGRAM, False), (PingMethod.ICMP_RAW, True)):
        try:
            return method, EchoSocket(context, target, raw=raw)
        except PermissionError:
            continue
    return PingMethod.UDP, _UdpChannel(context, target)


def _elsewhere(target: Endpoint, watch: Watch, stack: ExitStack) -> tuple[_Channel, PingMethod]:
    """Open the best way on a system other than Linux: Windows' own calls where they know the address."""
    if platform_name() == "windows":
        from probes.system.windows import echoes  # noqa: PLC0415 - Windows alone has it

        if echoes.possible(target):
            return stack.enter_context(echoes.Echoes(target, watch.wake)), PingMethod.ICMP_RAW
    from probes.system.portable_ping import PortableEcho  # noqa: PLC0415 - not needed on Linux

    echo = stack.enter_context(PortableEcho(target, watch.wake))
    return echo, PingMethod.ICMP_RAW if echo.raw else PingMethod.ICMP_DATAGRAM


class _Series:
    """The echoes of one run."""

    def __init__(self, request: PingRequest, method: PingMethod, context: Context, target: str) -> None:
        self.request = request
        self.method = method
        self.context = context
        self.target = target
        self.count = max(1, request.count)
        if method is PingMethod.UDP:
            self.count = min(self.count, UDP_MOST)
        self.stamps: list[errqueue.Stamp] = []
        self.echoes: list[Echo] = []
        self.refusers: dict[int, set[str | None]] = {}

    def send(self, channel: _Channel) -> None:
        """Ask for the next echo."""
        sequence = len(self.echoes)
        self.stamps.append(errqueue.now())
        try:
            channel.send(sequence)
        except OSError as error:
            self.refuse(error)
        else:
            self.echoes.append(Echo(sequence))

    def refuse(self, error: OSError) -> None:
        """Take note that the local stack would not send; no further request where that will not change."""
        number = error.errno or 0
        if len(self.stamps) == len(self.echoes):
            self.stamps.append(errqueue.now())
        self.echoes.append(Echo(len(self.echoes), failure=classify(number), errno=errno_name(number)))
        if number not in _PASSING:
            self.count = len(self.echoes)

    def listen(self, channel: _Channel) -> bool:
        """Take in what has come; true where there was anything new."""
        news = False
        for answer in channel.answers():
            if not 0 <= answer.sequence < len(self.echoes):
                continue
            echo = self.echoes[answer.sequence]
            if answer.icmp is not None:
                self.refusers.setdefault(answer.sequence, set()).add(answer.icmp.sender)
            if echo.rtt_ms is not None and (echo.icmp is None or answer.icmp is not None):
                continue  # a duplicate
            rtt_ms = errqueue.elapsed_ms(self.stamps[answer.sequence], answer.received_s)
            self.echoes[answer.sequence] = replace(
                echo,
                rtt_ms=rtt_ms,
                reply_ttl=answer.ttl if answer.icmp is None else None,
                icmp=answer.icmp,
                icmp_ttl=answer.ttl if answer.icmp is not None else None,
            )
            news = True
            if answer.icmp is not None and answer.icmp.sender is not None:
                self.context.reported(self.target, None, answer.icmp.sender)
        if self.unheard and self.stamps and errqueue.elapsed_ms(self.stamps[0]) >= 1000 * _SILENT_S:
            self.context.unanswered(self.target)
        return news

    @property
    def unheard(self) -> bool:
        """Whether the address itself has not answered anything."""
        return not any(echo.rtt_ms is not None and echo.icmp is None for echo in self.echoes)

    @property
    def finished(self) -> bool:
        """Whether every echo has come to something."""
        return len(self.echoes) >= self.count and not any(_outstanding(echo) for echo in self.echoes)

    @property
    def may_hurry(self) -> bool:
        """Whether the address itself has answered every echo so far, in a way that is not limited to a few at once."""
        return self.method is not PingMethod.UDP and all(
            echo.rtt_ms is not None and echo.icmp is None for echo in self.echoes
        )

    def end_s(self) -> float:
        """Return until when outstanding echoes are waited for, on the monotonic clock."""
        heard = [echo.rtt_ms for echo in self.echoes if echo.rtt_ms is not None]
        if not heard:
            return self.stamps[0].monotonic_s + self.request.silent_wait_s
        return self.stamps[-1].monotonic_s + max(self.request.wait_s, 3 * max(heard) / 1000)

    def result(self) -> PingResult:
        """Return all of it as it stands."""
        times = [echo.rtt_ms for echo in self.echoes if echo.rtt_ms is not None and echo.icmp is None]
        mean = sum(times) / len(times) if times else None
        waiting = [
            errqueue.elapsed_ms(stamp)
            for stamp, echo in zip(self.stamps, self.echoes, strict=False)
            if _outstanding(echo)
        ]
        return PingResult(
            self.request.address,
            self.method,
            sent=len(self.echoes),
            received=len(times),
            echoes=tuple(self.echoes),
            waited_ms=max(waiting, default=0.0),
            rtt_min_ms=min(times, default=None),
            rtt_mean_ms=mean,
            rtt_max_ms=max(times, default=None),
            rtt_deviation_ms=None if mean is None else math.sqrt(sum((t - mean) ** 2 for t in times) / len(times)),
            refusers=max(map(len, self.refusers.values()), default=0),
        )


def _outstanding(echo: Echo) -> bool:
    return echo.rtt_ms is None and echo.failure is None


async def observe(request: PingRequest, context: Context, progress: Callable[[PingResult], None]) -> PingResult:
    """Ask an address for echoes in the best way that is allowed here.

    The time of an echo that brought an ICMP error stands in its ``rtt_ms``, but counts neither as received nor
    in the round-trip figures. Raises :class:`NotApplicable` for an address that is no literal. On systems other
    than Linux a reply's TTL is known from Windows alone, and :class:`NotPermitted` (``reason.needs-raw-sockets``) is
    raised where no ICMP socket may be opened.
    """
    target = endpoint(request.address)
    async with context.budget.slot():
        with Watch() as watch, ExitStack() as stack:
            channel: _Channel
            try:
                if on_linux():
                    method, opened = _open(context, target)
                    watch.add(opened.socket)
                    channel = opened
                else:
                    channel, method = _elsewhere(target, watch, stack)
            except OSError as error:
                method = PingMethod.UDP if on_linux() else PingMethod.ICMP_RAW
                series = _Series(request, method, context, target.text)
                series.refuse(error)
                return series.result()
            series = _Series(request, method, context, target.text)
            next_send = errqueue.now().monotonic_s
            while True:
                now = errqueue.now().monotonic_s
                more = len(series.echoes) < series.count
                if more and now >= next_send:
                    await context.sending()
                    series.send(channel)
                    next_send = now + request.interval_s
                    more = len(series.echoes) < series.count
                if series.listen(channel) and series.may_hurry:
                    next_send = min(next_send, errqueue.now().monotonic_s + request.answered_s)
                if series.finished:
                    break
                end = series.end_s()
                if not more and now >= end:
                    break
                progress(series.result())
                await watch.wait(min(PROGRESS_S, max(0.0, (next_send if more else end) - now)))
    result = series.result()
    silent = not any(echo.rtt_ms is not None or echo.failure is not None for echo in result.echoes)
    return replace(result, withheld=silent and context.crowded(target.text))


PROBE = address_probe(
    "ping",
    PingRequest,
    PingResult,
    observe,
    deadline_s=6.0,
    most_packets=lambda request: max(1, request.count),
)
