"""A packet socket that watches a connection's packets while connects are made."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable

import msgspec

from probes.base import Context, NotApplicable
from probes.failure import IcmpError, classify, errno_name
from probes.system import need_linux
from probes.system.linux import errqueue, frames, packet, rtnetlink
from probes.system.linux.constants import ETH_P_ALL
from probes.system.literal import literal
from probes.wire import WireRequest, WireResult

#: The socket hears what the wire shows within microseconds; so long is waited for it (and for late frames).
_GRACE_S = 0.2


#: After so many unanswered SYNs nothing new is to be expected.
_SYNS = 2
#: Frames read before others get their turn.
_BATCH = 64


class _Seen(msgspec.Struct):
    """What the wire and the socket have shown so far of the attempt from port ``own`` to ``address``:``port``."""

    address: str
    port: int
    own: int
    heard: bool = False
    syns_out: int = 0
    answer: str | None = None
    ttl: int | None = None
    icmp: IcmpError | None = None

    def take(self, frame: packet.Frame) -> None:
        """Count one frame if it belongs to the attempt; the first answer stands."""
        found = frames.read(frame.data)
        if found is None:
            return
        flags = frames.tcp_flags(found)
        ports = frames.ports(found)
        if frame.outgoing:
            ours = found.destination == self.address and ports == (self.own, self.port)
            self.syns_out += ours and flags & (frames.SYN | frames.ACK | frames.RST) == frames.SYN
            return
        if self.answer is not None:
            return
        if found.source == self.address and ports == (self.port, self.own):
            if flags & frames.RST:
                self.answer, self.ttl = "reset", found.ttl
            elif flags & frames.SYN and flags & frames.ACK:
                self.answer, self.ttl = "syn-ack", found.ttl
            return
        about = frames.quoted(found)
        if about and about.packet.destination == self.address and frames.ports(about.packet) == (self.own, self.port):
            family = 6 if ":" in self.address else 4
            self.answer, self.ttl = "icmp", found.ttl
            self.icmp = IcmpError(family, about.type, about.code, found.source, about.info)


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
    del progress
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
        return await _watch(request, context, link, asked.text, route)


async def _watch(
    request: WireRequest, context: Context, link: rtnetlink.Link, address: str, route: rtnetlink.Route
) -> WireResult:
    """Make the attempt and gather what both sockets show until they agree or the time is over."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    scope = route.interface or 0  # heeded for link-local addresses only
    destination = (address, request.port, 0, scope) if family == socket.AF_INET6 else (address, request.port)
    with (
        packet.open_packet_socket(context, link.name, ETH_P_ALL, packet.to_and_from(address)) as wire,
        context.socket(family, socket.SOCK_STREAM) as caller,
    ):
        seen, number = await _attempt(request, context, wire, caller, destination)
    return WireResult(
        address=request.address,
        port=request.port,
        watched=link.name,
        syns_out=seen.syns_out,
        answer_in=seen.answer,
        answer_ttl=seen.ttl,
        socket_heard=seen.heard,
        icmp=seen.icmp,
        failure=classify(number) if number else None,
        errno=errno_name(number) if number else None,
        unresolved=seen.syns_out == 0 and _unresolved(context, link, route.gateway or address),
    )


async def _attempt(
    request: WireRequest,
    context: Context,
    wire: socket.socket,
    caller: socket.socket,
    destination: tuple[str, int] | tuple[str, int, int, int],
) -> tuple[_Seen, int]:
    """Connect and gather until wire and socket agree; return also the attempt's errno, 0 for none or for no end."""
    # without the error queue an ICMP error that meets a busy socket is heard only at the next retransmission
    errqueue.enable(caller, stamps=False)
    with contextlib.suppress(OSError):  # a port of our own that outlives a refusal; else connect() chooses
        caller.bind(("", 0))
    await context.sending()
    ends = asyncio.get_running_loop().time() + request.wait_s
    number = caller.connect_ex(destination)
    seen = _Seen(destination[0], request.port, caller.getsockname()[1])
    seen.heard = number != errno.EINPROGRESS
    await _Gathering(wire, caller, seen).until(ends)
    if number == errno.EINPROGRESS:
        number = _outcome(caller) if seen.heard else 0
    return seen, number


class _Gathering:
    """Takes in what both sockets show."""

    def __init__(self, wire: socket.socket, caller: socket.socket, seen: _Seen) -> None:
        self.wire = wire
        self.caller = caller
        self.seen = seen
        self.loop = asyncio.get_running_loop()
        self.changed = asyncio.Event()

    async def until(self, ends: float) -> None:
        """Return when wire and socket agree, at ``ends`` of the loop's clock, or sooner where nothing is to come."""
        seen = self.seen
        self.loop.add_reader(self.wire.fileno(), self.on_frames)
        if not seen.heard:
            self.loop.add_writer(self.caller.fileno(), self.on_heard)
        try:
            while not (seen.heard and seen.answer):
                if seen.heard or seen.answer or seen.syns_out >= _SYNS:
                    ends = min(ends, self.loop.time() + _GRACE_S)
                self.changed.clear()
                async with asyncio.timeout_at(ends):
                    await self.changed.wait()
        except TimeoutError:
            self.on_frames()  # what came while this process was busy
        finally:
            self.loop.remove_reader(self.wire.fileno())
            self.loop.remove_writer(self.caller.fileno())

    def on_frames(self) -> None:
        """Read the frames that came."""
        try:
            for _ in range(_BATCH):
                frame = packet.receive(self.wire)
                if frame is None:
                    break
                self.seen.take(frame)
        except OSError:  # the interface went down or away
            self.loop.remove_reader(self.wire.fileno())
        self.changed.set()

    def on_heard(self) -> None:
        """Take note that the attempt has ended."""
        self.loop.remove_writer(self.caller.fileno())
        self.seen.heard = True
        self.changed.set()


def _outcome(caller: socket.socket) -> int:
    """Return how the attempt ended, 0 for a connection. ``SO_ERROR`` comes first: draining clears it."""
    number = caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    queued = errqueue.drain(caller)
    if number == 0 and queued:
        number = queued[0].errno
    return number


def _unresolved(context: Context, link: rtnetlink.Link, next_hop: str) -> bool:
    packed = ipaddress.ip_address(next_hop).packed
    waiting = rtnetlink.NUD_INCOMPLETE | rtnetlink.NUD_FAILED
    return any(
        entry.index == link.index and entry.address == packed and bool(entry.state & waiting)
        for entry in rtnetlink.neighbours(context)
    )
