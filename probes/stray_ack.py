"""With root: send a segment that belongs to no connection to a port, and see whether the host resets it (RFC 9293).

A host answers a stray ACK with a reset whatever the listener of the port does, also while its queue is full and SYNs
are dropped (section 3.10.7.2: a listener has nothing that could be acknowledged). A filter that drops the port drops
this segment too, unless it looks at SYNs only.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec

from probes.base import Context, NotApplicable, NotPermitted, endpoint_probe
from probes.system import chance, need_linux
from probes.system.endpoint import Endpoint, endpoint
from probes.system.linux import errqueue
from probes.system.linux.icmp import checksum
from probes.system.watch import Watch


class StrayAckRequest(msgspec.Struct, frozen=True):
    """At most ``count`` segments, ``interval_s`` apart; the last one is waited for ``wait_s``."""

    address: str
    port: int
    count: int = 3
    interval_s: float = 0.2
    wait_s: float = 0.6


class StrayAckResult(msgspec.Struct, frozen=True):
    """``reset`` tells whether the address reset one of ``sent`` segments; ``rtt_ms`` is how long that took."""

    address: str
    port: int
    reset: bool
    sent: int
    rtt_ms: float | None = None


_RST: Final = 0x04
_ACK: Final = 0x10
_HEADER: Final = "!HHIIBBHHH"
_LENGTH: Final = 20
#: Segments read before others get their turn.
_BATCH: Final = 64


class _Lane:
    """A raw socket, and a port of our own that nobody else gets meanwhile."""

    def __init__(self, context: Context, target: Endpoint, port: int) -> None:
        self._target = target
        self._port = port
        self._sequence = chance.below(1 << 32)
        self._acknowledged = chance.below(1 << 32)
        with context.socket(target.family, socket.SOCK_DGRAM) as inquirer:
            inquirer.connect(target.at(9))
            name = inquirer.getsockname()
        self._source = str(name[0])
        self.holder = context.socket(target.family, socket.SOCK_STREAM)
        self.raw: socket.socket | None = None
        try:
            self.holder.bind((name[0], 0, *name[2:]))
            self._own = int(self.holder.getsockname()[1])
            self.raw = context.socket(target.family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.holder.close()
        if self.raw is not None:
            self.raw.close()

    def send(self) -> None:
        """Send one ACK that acknowledges what nobody has sent."""
        bare = self._segment(0)
        to: tuple[Any, ...] = self._target.at(0)
        if self.raw is not None:
            self.raw.sendto(self._segment(checksum(self._pseudo() + bare)), to)

    def _segment(self, check: int) -> bytes:
        words = (self._own, self._port, self._sequence, self._acknowledged, 5 << 4, _ACK, 1024, check, 0)
        return struct.pack(_HEADER, *words)

    def _pseudo(self) -> bytes:
        ends = (self._source.partition("%")[0], str(self._target.sockaddr[0]).partition("%")[0])
        packed = b"".join(socket.inet_pton(self._target.family, end) for end in ends)
        if self._target.version == 4:
            return packed + struct.pack("!BBH", 0, socket.IPPROTO_TCP, _LENGTH)
        return packed + struct.pack("!II", _LENGTH, socket.IPPROTO_TCP)

    def was_reset(self) -> bool:
        """Whether a reset of our segment is among what has come."""
        for _ in range(_BATCH):
            try:
                data, source = self.raw.recvfrom(2048) if self.raw is not None else (b"", None)
            except BlockingIOError:
                return False
            if source is None or str(source[0]).partition("%")[0] != str(self._target.sockaddr[0]).partition("%")[0]:
                continue
            body = data[(data[0] & 15) * 4 :] if self._target.version == 4 and data else data
            if len(body) < _LENGTH:
                continue
            sender, own, sequence, _, _, flags, _, _, _ = struct.unpack_from(_HEADER, body)
            if (sender, own, sequence) == (self._port, self._own, self._acknowledged) and flags & _RST:
                return True
        return False


async def observe(
    request: StrayAckRequest, context: Context, progress: Callable[[StrayAckResult], None]
) -> StrayAckResult:
    """Send stray segments until one is reset. Raises :class:`NotPermitted` without the right to raw sockets."""
    del progress
    need_linux("stray-ack")
    target = endpoint(request.address, request.port)
    async with context.budget.slot():
        try:
            lane = _Lane(context, target, request.port)
        except PermissionError:
            raise NotPermitted("reason.needs-raw-sockets") from None
        except OSError:
            raise NotApplicable("reason.no-route", address=request.address[:80]) from None
        try:
            with Watch() as watch:
                if lane.raw is not None:
                    watch.add(lane.raw)
                return await _ask(request, context, lane, watch)
        finally:
            lane.close()


async def _ask(request: StrayAckRequest, context: Context, lane: _Lane, watch: Watch) -> StrayAckResult:
    sent = 0
    start = errqueue.now()
    for number in range(request.count):
        await context.sending()
        try:
            lane.send()
        except OSError:  # the local filter, or no way any more: nothing was asked
            break
        sent += 1
        last = number == request.count - 1
        end_s = errqueue.now().monotonic_s + (request.wait_s if last else request.interval_s)
        while (left_s := end_s - errqueue.now().monotonic_s) > 0:
            if lane.was_reset():
                return StrayAckResult(request.address, request.port, True, sent, errqueue.elapsed_ms(start))
            await watch.wait(left_s)
    return StrayAckResult(request.address, request.port, False, sent)


PROBE = endpoint_probe(
    "stray-ack",
    StrayAckRequest,
    StrayAckResult,
    observe,
    deadline_s=3.0,
    most_packets=lambda request: request.count,
)
