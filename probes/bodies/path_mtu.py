"""The search for the largest packet: pings or datagrams that may not be fragmented, halved until one gets through."""

from __future__ import annotations

import contextlib
import errno as errno_module
import os
import socket
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from probes.base import Context
from probes.failure import IcmpError, IcmpMeaning, classify, errno_name
from probes.path_mtu import LEAST, MtuStep, PathMtuRequest, PathMtuResult
from probes.system import chance, need_linux
from probes.system.endpoint import Endpoint, endpoint
from probes.system.linux import constants, errqueue
from probes.system.linux.icmp import OVERHEAD, EchoSocket
from probes.system.watch import Watch

#: MTUs met in practice: Ethernet, PPPoE, tunnels (GRE, IPsec, WireGuard), cloud networks, old links.
COMMON: Final = (9000, 4352, 1500, 1492, 1480, 1476, 1472, 1460, 1454, 1450, 1440, 1430, 1420, 1412, 1400)
COMMON_LOW: Final = (1390, 1380, 1360, 1350, 1340, 1320, 1300, 1280, 1240, 1006)
#: The longest IP packet.
LONGEST: Final = 65535
#: A host that answers no more for now owes at least one *port unreachable* after this long, seconds.
REFILL_S: Final = 1.1
#: A router whose limit others use up too has had its turn after this long, seconds.
PATIENCE_S: Final = 2.2
#: Of so many pairs of a large and a small datagram so many must show a hole: one may by chance.
_PAIRS, _SHOWN = 3, 2


class _EchoLane:
    """Echo requests; replies are not rate-limited."""

    name: Final = "icmp"

    def __init__(self, context: Context, target: Endpoint, *, raw: bool) -> None:
        self._overhead = OVERHEAD[target.version] - 8
        self._echo = EchoSocket(context, target, raw=raw)
        errqueue.never_fragment(self.socket)

    @property
    def socket(self) -> socket.socket:
        return self._echo.socket

    def send(self, number: int, size: int) -> None:
        self._echo.send(number, size=size - self._overhead)

    def heard(self) -> list[tuple[int, IcmpError | None]]:
        return [(answer.sequence, answer.icmp) for answer in self._echo.answers()]


class _UdpLane:
    """Datagrams, each to a closed port of its own; *port unreachable* from the address shows that one arrived."""

    name: Final = "udp"

    def __init__(self, context: Context, target: Endpoint) -> None:
        self._target = target
        self._queue = errqueue.QueuedSocket(context.socket(target.family, socket.SOCK_DGRAM))
        self._base = 33434 + 100 + chance.below(1000)
        self._cookie = os.urandom(8)
        errqueue.never_fragment(self.socket)

    @property
    def socket(self) -> socket.socket:
        return self._queue.socket

    def send(self, number: int, size: int) -> None:
        payload = self._cookie + bytes(max(0, size - OVERHEAD[self._target.version] - len(self._cookie)))
        self._queue.send(payload, to=self._target.at(self._base + number))

    def heard(self) -> list[tuple[int, IcmpError | None]]:
        told = self._queue.about(self._cookie, self._target.sent)
        found = [(error.port - self._base, icmp) for error, icmp in told]
        found.extend(
            (datagram.port - self._base, None)
            for datagram in self._queue.received()
            if self._target.sent(datagram.source)
        )
        return found


class _Spent(Exception):  # noqa: N818 - no failure, the bound of the request
    """No packet is left."""


class _Search:
    """The search with one kind of packet."""

    def __init__(
        self,
        *,
        request: PathMtuRequest,
        target: Endpoint,
        context: Context,
        lane: _EchoLane | _UdpLane,
        watch: Watch,
        progress: Callable[[PathMtuResult], None],
        result: PathMtuResult,
    ) -> None:
        self.request = request
        self.target = target
        self.version = target.version
        self.context = context
        self.lane = lane
        self.watch = watch
        self.progress = progress
        self.found = replace(result, method=lane.name)
        self._packets = 0
        self._sizes: dict[int, int] = {}
        self._rtt_s: float | None = None
        self._answered_s: float | None = None
        self._silent_s = 0.0
        self._late: set[int] = set()

    async def run(self, largest: int) -> PathMtuResult:
        """Search, and return all that was found."""
        try:
            await self._search(largest)
        except _Spent:
            self.found = replace(self.found, exact=False)
        except OSError as error:
            number = error.errno or 0
            self.found = replace(self.found, failure=classify(number), errno=errno_name(number))
        return self.found

    async def _search(self, largest: int) -> None:
        size = largest
        while True:
            step = await self._ask(size)
            if step.answer == "reached":
                self._reached(size)
                return
            # where a router may say little, others may have been told what we were not
            smaller = self._known() if step.answer == "silence" else step.mtu
            if step.answer in ("reached", "unreachable") or smaller is None or not 68 <= smaller < size:
                break
            size = smaller
        if step.answer == "unreachable":
            return
        least = min(LEAST[self.version], size)
        if least == size or (await self._ask(least)).answer != "reached":
            return
        self._reached(least)
        silent = step.answer == "silence"
        if silent and self.lane.name == "udp":
            # the host may have answered others of our probes often enough: ask again when it owes an answer
            await self._wait_until((self._answered_s or 0.0) + REFILL_S)
            if (await self._ask(size)).answer == "reached":
                self._reached(size)
                return
        self.found = replace(self.found, black_hole=silent, exact=False)
        low, high = await self._narrow(least, size)
        told = self._told()
        self.found = replace(self.found, exact=high - low == 1, black_hole=silent and low < size and not told)
        if self.found.black_hole:
            await self._wait_until(self._silent_s + PATIENCE_S)
            if (await self._ask(size)).answer == "reached":
                self._reached(size)
            told = self._told()
            black_hole = self.found.mtu == low and not told
            if black_hole and self.lane.name == "udp":
                self.found = replace(self.found, black_hole=False)  # where the packets do not last
                black_hole = await self._swallowed(size, low)
            self.found = replace(self.found, black_hole=black_hole)

    async def _swallowed(self, large: int, small: int) -> bool:
        """Whether a large datagram stays silent and a small one right behind it, which limits would hit, does not."""
        shown = 0
        for _ in range(_PAIRS):
            await self._wait_until((self._answered_s or 0.0) + REFILL_S)
            await self._send(large)
            shown += (await self._once(small)).answer == "reached"
            if large in self._late:
                self._reached(large)
                return False
            if shown == _SHOWN:
                return True
        return False

    def _told(self) -> bool:
        """Whether a router has said that packets are too big: once is enough, of one that limits its reports."""
        known = self._known()
        smallest = min((step.size for step in self.found.steps if step.answer == "silence"), default=0)
        if known is not None and known < smallest:
            return True
        return any(step.answer == "too-big" for step in self.found.steps)

    def _known(self) -> int | None:
        """Return what the kernel has learnt of the path by now."""
        with contextlib.suppress(OSError):
            self.found = replace(self.found, known_mtu=_known_mtu(self.context, self.target))
        return self.found.known_mtu

    async def _narrow(self, low: int, high: int) -> tuple[int, int]:
        """Halve the gap between a size that arrives and one that does not, sizes met in practice first."""
        likely = {*COMMON, *COMMON_LOW}
        while high - low > 1:
            between = sorted(size for size in likely if low < size < high)
            # a likely size that arrived is probably the largest one
            next_size = low + 1 if low in likely else (low + high) // 2
            size = between[len(between) // 2] if between else next_size
            step = await self._ask(size)
            if step.answer == "reached":
                low = size
                self._reached(size)
                continue
            high = size
            if step.mtu is not None and low < step.mtu < high:
                likely = {step.mtu}
        return low, high

    def _reached(self, size: int) -> None:
        if self.found.mtu is None or size > self.found.mtu:
            self.found = replace(self.found, mtu=size, largest_udp_payload=size - OVERHEAD[self.version])

    async def _ask(self, size: int) -> MtuStep:
        """Send one size, a second time where the first stays silent, and record what came.

        A host that answered a datagram a moment ago may have reached its limit. Its silence counts only where
        it owed an answer: one more datagram is sent when that is so.
        """
        begun_s = errqueue.now().monotonic_s
        step = await self._once(size)
        if step.answer == "silence" and (known := self._known()) is not None and known < size:
            return self._note(step)
        if step.answer == "silence":
            step = await self._once(size)
        limited = self._answered_s is not None and begun_s < self._answered_s + REFILL_S
        if step.answer == "silence" and self._silent_s == 0.0:
            self._silent_s = begun_s
        if step.answer == "silence" and self.lane.name == "udp" and limited:
            await self._wait_until((self._answered_s or 0.0) + REFILL_S)
            step = await self._once(size)
        return self._note(step)

    def _note(self, step: MtuStep) -> MtuStep:
        self.found = replace(self.found, steps=(*self.found.steps, step))
        self.progress(self.found)
        return step

    async def _send(self, size: int) -> MtuStep | None:
        """Send one packet; what the local stack says of it, where it does not take it."""
        if self._packets >= self.request.packets:
            raise _Spent
        number = self._packets
        self._packets += 1
        self._sizes[number] = size
        await self.context.sending()
        try:
            self.lane.send(number, size)
        except OSError as error:
            if error.errno == errno_module.EMSGSIZE:
                return MtuStep(size, "local", mtu=self.found.interface_mtu)
            if error.errno != errno_module.ENOBUFS:  # the interface dropped it: lost like any other (send(2))
                raise
        return None

    async def _once(self, size: int) -> MtuStep:
        """Send one packet and wait for what comes of it."""
        if (refused := await self._send(size)) is not None:
            return refused
        sent = errqueue.now()
        patience = self.request.wait_s
        if self._rtt_s is not None:
            patience = min(patience, max(0.15, 4 * self._rtt_s))
        end = sent.monotonic_s + patience
        while True:
            for answered, icmp in self.lane.heard():
                if self._sizes.get(answered) != size:
                    if icmp is None:
                        self._late.add(self._sizes.get(answered, 0))
                    continue  # for another size
                self._answered_s = errqueue.now().monotonic_s
                self._rtt_s = max(self._rtt_s or 0.0, errqueue.elapsed_ms(sent) / 1000)
                return _step(size, icmp)
            left = end - errqueue.now().monotonic_s
            if left <= 0:
                return MtuStep(size, "silence")
            await self.watch.wait(left)

    async def _wait_until(self, end: float) -> None:
        """Wait until a limit must allow an answer again."""
        while (left := end - errqueue.now().monotonic_s) > 0:
            await self.watch.wait(left)
            self.lane.heard()


def _open_echo(context: Context, target: Endpoint) -> _EchoLane:
    try:
        return _EchoLane(context, target, raw=False)
    except PermissionError:
        return _EchoLane(context, target, raw=True)


def _step(size: int, icmp: IcmpError | None) -> MtuStep:
    if icmp is None:
        return MtuStep(size, "reached")
    if icmp.meaning is IcmpMeaning.TOO_BIG:
        return MtuStep(size, "too-big", mtu=icmp.info or None, sender=icmp.sender)
    return MtuStep(size, "unreachable", sender=icmp.sender)


def _mtu_of(opened: socket.socket) -> int:
    """Return what the kernel takes for the MTU of a connected socket's path, bytes (ip(7), IP_MTU)."""
    if opened.family == socket.AF_INET6:
        return opened.getsockopt(socket.IPPROTO_IPV6, constants.IPV6_MTU)
    return opened.getsockopt(socket.IPPROTO_IP, constants.IP_MTU)


def _known_mtu(context: Context, target: Endpoint) -> int:
    """Return what the kernel has learnt by now; nothing is sent. ``OSError`` where there is no way."""
    with context.socket(target.family, socket.SOCK_DGRAM) as opened:
        opened.connect(target.at(9))
        return _mtu_of(opened)


def _interface_mtu(context: Context, target: Endpoint) -> int:
    """Return the MTU of the interface that leads to the target, bytes.

    The kernel itself tells it: a datagram that fits no interface is refused with that MTU in the error queue,
    and none is sent. Where an interface takes even that one (loopback), it is not sent either: its path MTU
    is read. Raises ``OSError`` where there is no way to the target.
    """
    opened = context.socket(target.family, socket.SOCK_DGRAM)
    with opened:
        errqueue.enable(opened, stamps=False)
        errqueue.never_fragment(opened)
        opened.connect(target.at(9))
        known = _mtu_of(opened)
        if known >= LONGEST:
            return known
        try:
            opened.send(bytes(LONGEST - OVERHEAD[target.version]))
        except OSError as error:
            if error.errno != errno_module.EMSGSIZE:
                raise
            for entry in errqueue.drain(opened):
                if entry.icmp is None and entry.errno == errno_module.EMSGSIZE and entry.info:
                    return entry.info
        return known


async def observe(
    request: PathMtuRequest, context: Context, progress: Callable[[PathMtuResult], None]
) -> PathMtuResult:
    """Search for the path MTU, with echo requests where they are allowed and answered, else with datagrams.

    Silence counts only after a second packet, and with datagrams only after the host's limit for ICMP errors
    has had time to recover. Raises :class:`NotApplicable` for an address that is no literal.
    """
    need_linux("path-mtu")
    target = endpoint(request.address)
    result = PathMtuResult(request.address, None, None, black_hole=False, steps=())
    async with context.budget.slot():
        try:
            interface = _interface_mtu(context, target)
        except OSError as error:
            number = error.errno or 0
            return replace(result, failure=classify(number), errno=errno_name(number))
        result = replace(result, interface_mtu=interface)
        largest = min(LONGEST, request.largest or interface)
        for open_lane in (_open_echo, _UdpLane):
            try:
                lane = open_lane(context, target)
            except PermissionError:
                continue
            except OSError as error:
                number = error.errno or 0
                return replace(result, failure=classify(number), errno=errno_name(number))
            with Watch() as watch:
                watch.add(lane.socket)
                result = await _Search(
                    request=request,
                    target=target,
                    context=context,
                    lane=lane,
                    watch=watch,
                    progress=progress,
                    result=replace(result, failure=None, errno=None),
                ).run(largest)
            if result.mtu is not None:
                break
        return result
