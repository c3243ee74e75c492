"""A packet socket that watches a connection's packets while connects are made."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress

from probes.base import Context, NotApplicable, NotPermitted
from probes.failure import classify, errno_name
from probes.system import need_linux
from probes.system.linux import errqueue, packet, rtnetlink
from probes.system.linux.constants import ETH_P_ALL
from probes.system.linux.handshake import Attempt
from probes.system.literal import literal
from probes.wire import WireRequest, WireResult

#: The socket hears what the wire shows within microseconds; so long is waited for it (and for late frames).
_GRACE_S = 0.2
#: When silence is told, seconds after the start: about when the second SYN would be answered on a short way, and then
#: more and more rarely.
_TOLD_S = (1.055, 1.07, 1.09, 1.12, 1.16)


#: After so many unanswered SYNs nothing new is to be expected.
_SYNS = 2
#: Frames read before others get their turn.
_BATCH = 64
#: For so long after an ICMP error it is watched whether others refuse the same SYN, seconds.
_REFUSERS_S = 0.05


async def observe(
    request: WireRequest,
    context: Context,
    progress: Callable[[WireResult], None],
) -> WireResult:
    """Connect, and watch the interface that the route names.

    Ends as soon as wire and socket agree, shortly after a second SYN without answer, or with ``wait_s``. Packets
    that leave inside an IPsec tunnel do not show as SYNs. Raises :class:`NotPermitted`
    (``reason.needs-raw-sockets``) without CAP_NET_RAW, and :class:`NotApplicable` without a route
    (``reason.no-route``).
    """
    need_linux("wire")
    asked = literal(request.address)
    links = {link.index: link for link in rtnetlink.links(context)}
    index = asked.interface({number: link.name for number, link in links.items()})
    try:
        route = rtnetlink.route_to(context, asked.text, interface=index)
        link = links[route.interface or 0]
        if route.type == rtnetlink.RTN_LOCAL:  # IPv6 names the interface that holds the address; packets take "lo"
            link = next(link for link in links.values() if link.flags & rtnetlink.IFF_LOOPBACK)
    except (OSError, KeyError, StopIteration):
        raise NotApplicable("reason.no-route", address=request.address[:80]) from None

    async with context.budget.slot():
        return await _watch(request, context, progress, link, route)


async def _watch(
    request: WireRequest,
    context: Context,
    progress: Callable[[WireResult], None],
    link: rtnetlink.Link,
    route: rtnetlink.Route,
) -> WireResult:
    """Make the attempt and gather what both sockets show until they agree or the time is over."""
    address = literal(request.address).text
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    scope = route.interface or 0  # heeded for link-local addresses only
    destination = (address, request.port, 0, scope) if family == socket.AF_INET6 else (address, request.port)
    with context.socket(family, socket.SOCK_STREAM) as caller:
        # without the error queue an ICMP error that meets a busy socket is heard only at the next retransmission
        errqueue.enable(caller, stamps=False)
        try:
            caller.bind(("", 0))  # a port of our own, that is known before the first packet and outlives a refusal
        except OSError as error:
            raise NotPermitted("reason.system-refuses", error=errno_name(error.errno or errno.EIO)) from None
        own = int(caller.getsockname()[1])
        match = packet.about_port(6 if family == socket.AF_INET6 else 4, own)
        with packet.open_packet_socket(context, link.name, ETH_P_ALL, match) as wire:
            await context.sending()
            ends = asyncio.get_running_loop().time() + request.wait_s
            number = caller.connect_ex(destination)
            watched = _Watched(wire, caller, address, request.port, number)
            await watched.gather(ends, lambda: progress(_result(request, context, watched, link, route)))
    return _result(request, context, watched, link, route)


def _result(
    request: WireRequest, context: Context, watched: _Watched, link: rtnetlink.Link, route: rtnetlink.Route
) -> WireResult:
    seen, number, answer = watched.seen, watched.number, watched.seen.answer
    next_hop = route.gateway or literal(request.address).text
    return WireResult(
        address=request.address,
        port=request.port,
        watched=link.name,
        syns_out=seen.syns_out,
        answer_in=answer.kind if answer is not None else None,
        answer_ttl=answer.ttl if answer is not None else None,
        socket_heard=watched.heard,
        icmp=answer.icmp if answer is not None else None,
        unfitting=seen.unfitting,
        refusers=tuple(seen.refusers),
        failure=classify(number) if number else None,
        errno=errno_name(number) if number else None,
        unresolved=seen.syns_out == 0 and _unresolved(context, link, next_hop),
    )


class _Watched:
    """An attempt under way: what the packet socket ``wire`` has shown of it, and whether ``caller`` heard its end."""

    def __init__(self, wire: socket.socket, caller: socket.socket, address: str, port: int, number: int) -> None:
        source, own = caller.getsockname()[:2]
        self.seen = Attempt(address, port, str(source).partition("%")[0], own)
        self.heard = number != errno.EINPROGRESS
        self.number = number
        self._wire = wire
        self._caller = caller
        self._changed = asyncio.Event()

    async def gather(self, ends: float, tell: Callable[[], None]) -> None:
        """Watch until wire and socket agree, shortly after a second SYN, or until the loop's clock reads ``ends``.

        Silence is told on the way.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        loop.add_reader(self._wire.fileno(), self._on_frames)
        if not self.heard:
            loop.add_writer(self._caller.fileno(), self._on_heard)
        try:
            while not (self.heard and self.seen.answer):
                if self.heard or self.seen.answer or self.seen.syns_out >= _SYNS:
                    ends = min(ends, loop.time() + _GRACE_S)
                now = loop.time()
                if now >= ends:
                    self._on_frames()  # what came while this process was busy
                    break
                told = next((begun + after for after in _TOLD_S if begun + after > now), ends)
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(min(told, ends)):
                        await self._changed.wait()
                if told <= loop.time() < ends:
                    self._on_frames()
                    tell()
            else:
                if self.seen.refusers:
                    await asyncio.sleep(_REFUSERS_S)
        finally:
            loop.remove_reader(self._wire.fileno())
            loop.remove_writer(self._caller.fileno())
        if self.number == errno.EINPROGRESS:
            self.number, ended = _outcome(self._caller)
            self.heard = self.heard or ended  # it may have ended while nobody looked

    def _on_frames(self) -> None:
        try:
            for _ in range(_BATCH):
                frame = packet.receive(self._wire)
                if frame is None:
                    break
                self.seen.take(frame)
        except OSError:  # the interface went down or away
            asyncio.get_running_loop().remove_reader(self._wire.fileno())
        self._changed.set()

    def _on_heard(self) -> None:
        asyncio.get_running_loop().remove_writer(self._caller.fileno())
        self.heard = True
        self._changed.set()


def _outcome(caller: socket.socket) -> tuple[int, bool]:
    """Return how the attempt stands: its errno, 0 for none, and whether it has ended.

    ``SO_ERROR`` comes first: draining clears it.
    """
    number = caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    queued = errqueue.drain(caller)
    if number == 0 and queued:
        number = queued[0].errno
    if number == 0:
        try:
            caller.getpeername()
        except OSError:
            return 0, False
    return number, True


def _unresolved(context: Context, link: rtnetlink.Link, next_hop: str) -> bool:
    packed = ipaddress.ip_address(next_hop).packed
    waiting = rtnetlink.NUD_INCOMPLETE | rtnetlink.NUD_FAILED
    return any(
        entry.index == link.index and entry.address == packed and bool(entry.state & waiting)
        for entry in rtnetlink.neighbours(context)
    )
