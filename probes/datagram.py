"""Send UDP datagrams to one address and port: an answer, an ICMP refusal with its sender, or silence."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from probes.base import Context, endpoint_probe
from probes.failure import Failure, IcmpError, IcmpMeaning, classify, errno_name, number_of
from probes.system import need_linux
from probes.system.endpoint import endpoint
from probes.system.linux import errqueue
from probes.system.watch import Watch

#: How often silence is reported, seconds.
PROGRESS_S: Final = 0.15
#: For so long after an ICMP error it is watched whether others refuse the same datagram, seconds.
REFUSERS_S: Final = 0.05


class DatagramRequest(msgspec.Struct, frozen=True):
    """``payload_hex`` is what is sent (a question that the service would answer, where one is known)."""

    address: str
    port: int
    payload_hex: str = ""
    attempts: int = 3
    interval_s: float = 0.3
    wait_s: float = 1.0
    silent_wait_s: float = 3.4


class DatagramResult(msgspec.Struct, frozen=True):
    """``answered`` where the service sent anything back; ``icmp`` is the first ICMP error.

    Silence of UDP proves nothing by itself. ``duration_ms`` is until the answer, the error or the end. ``refusers``
    counts the addresses that sent ICMP errors: with more of them than datagrams one was refused by several.
    """

    address: str
    port: int
    answered: bool
    sent: int
    duration_ms: float
    icmp: IcmpError | None = None
    failure: Failure | None = None
    errno: str | None = None
    reply_bytes: int = 0
    refusers: int = 0


class _Exchange:
    """What has been sent and heard so far."""

    def __init__(self, request: DatagramRequest) -> None:
        self.request = request
        self.start = errqueue.now()
        self.sent = 0
        self.ended_ms: float | None = None
        self.icmp: IcmpError | None = None
        self.errno: int | None = None
        self.reply_bytes: int | None = None
        self.refusers: set[str | None] = set()

    def end(self, received_s: float | None = None) -> None:
        """Take the time of what decided."""
        self.ended_ms = errqueue.elapsed_ms(self.start, received_s)

    def result(self) -> DatagramResult:
        """Return all of it as it stands."""
        silent = self.reply_bytes is None and self.errno is None
        failure = None if silent or self.errno is None else classify(self.errno)
        return DatagramResult(
            self.request.address,
            self.request.port,
            answered=self.reply_bytes is not None,
            sent=self.sent,
            duration_ms=errqueue.elapsed_ms(self.start) if self.ended_ms is None else self.ended_ms,
            icmp=self.icmp,
            failure=failure,
            errno=None if self.errno is None else errno_name(self.errno),
            reply_bytes=self.reply_bytes or 0,
            refusers=len(self.refusers),
        )

    def listen(self, queue: errqueue.QueuedSocket) -> bool:
        """Take in what has come; true where it decides. An answer outweighs an error that came with it."""
        for error in queue.errors():
            if error.icmp is not None and error.icmp.meaning is not IcmpMeaning.TOO_BIG:
                self.refusers.add(error.icmp.sender)
            if self.errno is None and error.icmp is not None and error.icmp.meaning is not IcmpMeaning.TOO_BIG:
                self.icmp, self.errno = error.icmp, error.errno
                self.end(error.received_s)
        for datagram in queue.received(65535):
            if self.reply_bytes is None:
                self.reply_bytes = len(datagram.data)
                self.icmp = self.errno = None
                self.end(datagram.received_s)
        return self.errno is not None or self.reply_bytes is not None

    def refuse(self, error: OSError) -> None:
        """Take note that the local stack would not send."""
        self.errno = number_of(error)
        self.end()


async def observe(
    request: DatagramRequest, context: Context, progress: Callable[[DatagramResult], None]
) -> DatagramResult:
    """Send the payload until something comes back, at most ``attempts`` times.

    Ends at the first answer or ICMP error, at a refusal of the local stack, or after ``silent_wait_s`` of
    silence. Raises :class:`NotApplicable` for an address that is no literal.
    """
    need_linux("datagram")
    target = endpoint(request.address, request.port)
    payload = bytes.fromhex(request.payload_hex)
    exchange = _Exchange(request)
    async with context.budget.slot():
        with Watch() as watch:
            try:
                opened = context.socket(target.family, socket.SOCK_DGRAM)
                watch.add(opened)
                queue = errqueue.QueuedSocket(opened)
                opened.connect(target.sockaddr)
            except OSError as error:
                exchange.refuse(error)
                return exchange.result()
            exchange.start = errqueue.now()
            start = exchange.start.monotonic_s
            end = start + max(request.silent_wait_s, request.wait_s)
            next_send = start
            while True:
                now = errqueue.now().monotonic_s
                if exchange.sent < request.attempts and now >= next_send:
                    await context.sending()
                    try:
                        queue.send(payload)
                    except OSError as error:
                        exchange.refuse(error)
                        break
                    exchange.sent += 1
                    next_send = now + request.interval_s
                if exchange.listen(queue) or now >= end:
                    if exchange.icmp is not None:
                        await asyncio.sleep(REFUSERS_S)
                        exchange.listen(queue)
                    break
                progress(exchange.result())
                more = exchange.sent < request.attempts
                pause = min(end - now, PROGRESS_S, next_send - now if more else PROGRESS_S)
                await watch.wait(max(0.0, pause))
    return exchange.result()


PROBE = endpoint_probe(
    "datagram",
    DatagramRequest,
    DatagramResult,
    observe,
    deadline_s=5.0,
    most_packets=lambda request: request.attempts,
)
