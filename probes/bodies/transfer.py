"""Dialogues with a service in ordinary and in short segments, one after the other."""

from __future__ import annotations

import asyncio
import errno as errno_module
import re
import socket
import struct
from collections.abc import Callable
from typing import Final

from probes.base import Context
from probes.failure import errno_name
from probes.system import need_linux
from probes.system.endpoint import Endpoint, endpoint
from probes.system.hello import client_hello
from probes.system.linux import tcp_info
from probes.transfer import KEPT, Dialogue, TransferOutcome, TransferRequest, TransferResult, Trial

#: What every path must carry (RFC 791, RFC 8200), and the headers of IP and TCP without options, bytes.
_LEAST: Final = {4: 576, 6: 1280}
_HEADERS: Final = {4: 40, 6: 60}
#: Packet sizes met in practice, among which the one that works is looked for: tunnels, PPPoE, VPNs, cloud networks.
_SIZES: Final = (1280, 1300, 1340, 1360, 1380, 1400, 1420, 1440, 1454, 1460, 1476, 1480, 1492)
#: A TLS hello is padded to this length, more than one segment of an Ethernet, bytes. One that is longer by itself (the
#: hello of OpenSSL 3.5 takes 1,554, to which the name may add 240) serves as well and is left as it is.
SAID: Final = 1800
#: So much of an answer shows that long segments pass, bytes.
_ENOUGH: Final = 16384
_CHUNK: Final = 8192
#: An answer whose end is not marked is over when nothing came for this long.
_SETTLE_S: Final = 0.1
_CONNECT_S: Final = 1.5
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d{1,18})\r\n", re.IGNORECASE)
_TLS_RECORD: Final = struct.Struct("!BHH")
_RESETS: Final = frozenset({errno_module.ECONNRESET, errno_module.EPIPE, errno_module.ECONNABORTED})


class _Line:
    """One connection, and how the dialogue has gone over it."""

    def __init__(
        self, request: TransferRequest, target: Endpoint, say: bytes, bound: int, heard: Callable[[], None]
    ) -> None:
        self.request = request
        self.target = target
        self.say = say
        self.bound = bound
        self.heard = heard
        self.loop = asyncio.get_running_loop()
        self.begun_s = self.loop.time()
        self.made_s: float | None = None
        self.over_s: float | None = None
        self.opened: socket.socket | None = None
        self.said = 0
        self.data = bytearray()
        self.outcome = TransferOutcome.NOT_CONNECTED
        self.errno = 0
        self.info = tcp_info.TcpInfo()
        self.connected = asyncio.Event()

    @property
    def whole(self) -> bool:
        return self.outcome is TransferOutcome.WHOLE

    async def run(self, context: Context) -> None:
        """Connect, say what is to be said, and read until the answer is over; the caller bounds the time."""
        try:
            async with context.budget.slot():
                await self._connect(context)
                if self.made_s is not None:
                    await self._talk(context)
        except OSError as error:
            self.errno = error.errno or errno_module.EIO
            if self.made_s is not None:
                self.outcome = TransferOutcome.ENDED
        finally:
            self.over_s = self.loop.time()
            self._close(context)
            self.connected.set()

    async def _connect(self, context: Context) -> None:
        await context.sending()
        self.begun_s = self.loop.time()
        self.opened = context.socket(self.target.family, socket.SOCK_STREAM)
        if self.bound:
            segment = self.bound - _HEADERS[self.target.version]
            self.opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self.loop.sock_connect(self.opened, self.target.sockaddr)
        except TimeoutError:
            return
        self.made_s = self.loop.time()
        self.outcome = TransferOutcome.STALLED
        self.connected.set()

    async def _talk(self, context: Context) -> None:
        assert self.opened is not None  # noqa: S101 - it was connected
        if self.say:
            self.info = tcp_info.read(self.opened)
            await context.sending(-(-len(self.say) // max(1, self.info.advertised_mss)))
            await self.loop.sock_sendall(self.opened, self.say)
            self.said = len(self.say)
        settle_s = _SETTLE_S + 2 * (self.made_s or 0.0) - 2 * self.begun_s
        while len(self.data) < _ENOUGH and not self._marked_end():
            try:
                async with asyncio.timeout(settle_s if self._may_be_over() else None):
                    data = await self.loop.sock_recv(self.opened, _CHUNK)
            except TimeoutError:
                break
            if not data:
                if not self.data:
                    self.outcome = TransferOutcome.ENDED
                    return
                break
            self.data += data
            self.heard()
        self.outcome = TransferOutcome.WHOLE

    def _marked_end(self) -> bool:
        """Whether what came says itself that it is all (HTTP, RFC 9112)."""
        head, separator, body = bytes(self.data).partition(b"\r\n\r\n")
        if self.request.dialogue != Dialogue.SAY or not separator or not head.startswith(b"HTTP/"):
            return False
        length = _LENGTH.search(head + b"\r\n")
        return length is not None and len(body) >= int(length[1])

    def _may_be_over(self) -> bool:
        """Whether what came may be all, although nothing marks its end: a greeting, a row of TLS records."""
        if self.request.dialogue == Dialogue.TLS:
            at = 0
            while at + _TLS_RECORD.size <= len(self.data):
                at += _TLS_RECORD.size + int(_TLS_RECORD.unpack_from(self.data, at)[2])
            return 0 < at == len(self.data)
        return self.request.dialogue == Dialogue.LISTEN and bool(self.data)

    def _close(self, context: Context) -> None:
        if self.opened is None:
            return
        self.info = tcp_info.read(self.opened)
        context.packets_sent += self.info.retransmitted
        if not self.whole:
            # What could not be delivered is not to be sent again for minutes.
            self.opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.opened.close()
        self.opened = None

    def trial(self) -> Trial:
        """Return how it stands."""
        if self.opened is not None and self.made_s is not None:
            self.info = tcp_info.read(self.opened)
        since = self.made_s
        return Trial(
            self.outcome,
            self.bound,
            mss=self.info.advertised_mss,
            said=self.said,
            acknowledged=min(self.said, max(0, self.info.acknowledged - 1)),
            received=len(self.data),
            out_of_order=self.info.out_of_order,
            retransmitted=self.info.retransmitted,
            connect_ms=None if since is None else (since - self.begun_s) * 1000,
            watched_ms=0.0 if since is None else ((self.over_s or self.loop.time()) - since) * 1000,
            errno=errno_name(self.errno) if self.errno else None,
            first_hex=self.data[:KEPT].hex() if self.request.dialogue == Dialogue.LISTEN else "",
        )


class _Pairs:
    """An ordinary connection; where it stands still, one with short segments; both once more; then sizes between."""

    def __init__(self, request: TransferRequest, context: Context, progress: Callable[[TransferResult], None]) -> None:
        self.request = request
        self.context = context
        self.progress = progress
        self.target = endpoint(request.address, request.port)
        self.loop = asyncio.get_running_loop()
        self.begun_s = self.loop.time()
        self.rtts_s = 4 * request.rtt_ms / 1000
        self.say = self._said()
        self.lines: list[_Line] = []
        self.tasks: list[asyncio.Task[None]] = []

    def _said(self) -> bytes:
        if self.request.dialogue == Dialogue.TLS:
            return client_hello(self.request.server_name, SAID)
        return bytes.fromhex(self.request.say_hex) if self.request.dialogue == Dialogue.SAY else b""

    def result(self, *, complete: bool) -> TransferResult:
        trials = tuple(line.trial() for line in self.lines)
        return TransferResult(self.request.address, self.request.port, self.request.dialogue, trials, complete)

    async def run(self) -> None:
        least = _LEAST[self.target.version]
        for again in (False, True):
            ordinary = await self._start()
            if ordinary is None:
                return
            if await self._over(-1, until_s=self.request.quiet_s):
                if again:  # the kernel may have learnt a smaller size meanwhile, and the first is still where it was
                    await self._over(0, until_s=self._patience_s(0))
                return
            small = await self._start(least)
            if small is None or not await self._either() or not small.whole or self.tasks[0].done():
                if not again:
                    await self._over(0, until_s=self.request.wait_s)
                return
        await self._sizes(least)
        for number, line in enumerate(self.lines):
            if not line.bound:
                await self._over(number, until_s=self._patience_s(number))
        # whoever may rarely say that a packet is too big has said so by now
        if not self.tasks[0].done() and await self._start() is not None:
            await self._over(-1, until_s=self.request.quiet_s)

    async def _sizes(self, low: int) -> None:
        """Look for the greatest size that works, while the ordinary connections prove that they stay where they are."""
        sizes = [size for size in _SIZES if size > low]
        while sizes and not self.tasks[0].done():
            middle = sizes[len(sizes) // 2]
            line = await self._start(middle)
            if line is None:
                return
            works = await self._over(-1, until_s=self.request.quiet_s) and line.whole
            sizes = [size for size in sizes if (size > middle if works else size < middle)]

    def _patience_s(self, number: int) -> float:
        trial = self.lines[number].trial()
        return self.request.stall_s if trial.acknowledged < trial.said else self.request.answer_s

    async def _start(self, bound: int = 0) -> _Line | None:
        """Begin one more connection; ``None`` where it is not made."""
        line = _Line(self.request, self.target, self.say, bound, lambda: self.progress(self.result(complete=False)))
        self.lines.append(line)
        self.tasks.append(asyncio.create_task(line.run(self.context)))
        await line.connected.wait()
        if line.made_s is not None:  # the caller's round trip may hold what happens but once, as address resolution
            self.rtts_s = min(self.rtts_s, 4 * (line.made_s - line.begun_s)) if self.rtts_s else 0.0
        self.progress(self.result(complete=False))
        return line if line.made_s is not None else None

    async def _over(self, number: int, *, until_s: float) -> bool:
        """Wait until a connection is over, at most until it is so many seconds and some round trips old."""
        line, task = self.lines[number], self.tasks[number]
        left_s = (line.made_s or line.begun_s) + until_s + self.rtts_s - self.loop.time()
        if left_s > 0 and not task.done():
            await asyncio.wait({task}, timeout=left_s)
        self.progress(self.result(complete=False))
        return task.done()

    async def _either(self) -> bool:
        """Wait until the first connection or the last one is over; false where neither is in time."""
        last = self.lines[-1].made_s or self.begun_s
        end_s = max(self.begun_s + self.request.wait_s, last + 3 * self.request.quiet_s)
        left_s = end_s + self.rtts_s - self.loop.time()
        pair = {self.tasks[0], self.tasks[-1]}
        done, _ = await asyncio.wait(pair, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED)
        self.progress(self.result(complete=False))
        return bool(done)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def observe(
    request: TransferRequest, context: Context, progress: Callable[[TransferResult], None]
) -> TransferResult:
    """Hold the dialogue over an ordinary connection, and over others where that one stands still.

    At most nine connections are made. Raises :class:`NotApplicable` for an address that is no literal.
    """
    need_linux("transfer")
    pairs = _Pairs(request, context, progress)
    try:
        await pairs.run()
    finally:
        await pairs.close()
    return pairs.result(complete=True)
