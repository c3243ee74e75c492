"""With root: is an address reachable on the wire itself, or by way of the router, whatever the mask says.

Two questions that only a packet socket (packet(7)) can put: an ARP request or neighbour solicitation for the
address on this link, and an echo request to it in a frame addressed to the router. Together they tell a subnet
mask that is too wide (answers by way of the router only) or too narrow (answers on the link).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import Callable

import msgspec

from probes.base import Context, NotApplicable, ProbeTarget, address_probe
from probes.failure import IcmpError
from probes.system import chance, need_linux
from probes.system.linux import frames, packet, rtnetlink
from probes.system.linux.constants import ETH_P_IP, ETH_P_IPV6
from probes.system.literal import literal


class LinkRequest(msgspec.Struct, frozen=True):
    """``router`` is the address of the router to send by way of; ``None`` leaves that question out."""

    address: str
    interface: str
    router: str | None = None
    wait_s: float = 1.2


class LinkResult(msgspec.Struct, frozen=True):
    """``mac`` is who claims the address on this link, ``None`` for nobody (3 requests).

    ``via_router`` is true where an answer of the address itself came back by way of the router, false for
    silence, ``None`` where it was not tried (no router, or no link address of it). ``via_router_icmp`` is an
    ICMP error that came instead; it still proves that the router forwards. ``router_mac`` is the router's.
    ``rtt_ms`` is the round trip of that echo, ``reply_mac`` the sender of the frame that brought the answer: not
    the router's where a neighbour answers directly to what the router passed back to the same link.
    """

    address: str
    interface: str
    mac: str | None
    router_mac: str | None
    via_router: bool | None
    via_router_icmp: IcmpError | None = None
    rtt_ms: float | None = None
    reply_mac: str | None = None


_TRIES = 3
#: Link addresses in these states are good to send to.
_USABLE = rtnetlink.NUD_REACHABLE | rtnetlink.NUD_STALE | rtnetlink.NUD_DELAY | rtnetlink.NUD_PROBE
_VALID = _USABLE | rtnetlink.NUD_PERMANENT


class _Echo(msgspec.Struct, frozen=True):
    """What came back for the echo requests that went by way of the router."""

    answered: bool = False
    rtt_ms: float | None = None
    mac: bytes = b""
    icmp: IcmpError | None = None


async def observe(
    request: LinkRequest,
    context: Context,
    progress: Callable[[LinkResult], None],
) -> LinkResult:
    """Put both questions at once; at most 3 requests, 3 for the router's link address, and 3 echo requests.

    Raises :class:`NotPermitted` (``reason.needs-raw-sockets``) without CAP_NET_RAW, :class:`NotApplicable` for an
    interface that is missing, down or no Ethernet, and for one of this machine's own addresses.
    """
    del progress
    need_linux("link")
    address = literal(request.address).text
    router = literal(request.router).text if request.router else None
    link = packet.ethernet(rtnetlink.links(context), request.interface)
    if any(held.address == address for held in rtnetlink.addresses(context)):
        raise NotApplicable("reason.own-address")

    async with context.budget.slot():
        claim, (router_mac, echo) = await asyncio.gather(
            _who_has(context, link, address, request.wait_s),
            _by_router(context, link, address, router, request.wait_s),
        )
    return LinkResult(
        address=request.address,
        interface=link.name,
        mac=claim.hex(":") if claim else None,
        router_mac=router_mac.hex(":") if router_mac else None,
        via_router=echo.answered if echo else None,
        via_router_icmp=echo.icmp if echo else None,
        rtt_ms=echo.rtt_ms if echo else None,
        reply_mac=echo.mac.hex(":") if echo and echo.mac else None,
    )


async def _who_has(context: Context, link: rtnetlink.Link, address: str, wait_s: float) -> bytes | None:
    try:
        mac, _requests = await packet.who_has(context, link, address, wait_s)
    except OSError:
        return None  # the interface went away under us: nobody was heard
    return mac


async def _by_router(
    context: Context, link: rtnetlink.Link, address: str, router: str | None, wait_s: float
) -> tuple[bytes | None, _Echo | None]:
    """Return the router's MAC address, and what came back by way of it (``None`` where it could not be tried)."""
    if router is None:
        return None, None
    mac = _known_mac(context, link, router)
    if mac is None:
        mac = await _who_has(context, link, router, wait_s)
    if mac is None or _echo_source(context, link, address) is None:
        return mac, None
    try:
        return mac, await _echo(context, link, address, mac, wait_s)
    except OSError:
        return mac, None


def _known_mac(context: Context, link: rtnetlink.Link, router: str) -> bytes | None:
    packed = ipaddress.ip_address(router).packed
    for entry in rtnetlink.neighbours(context):
        if entry.index == link.index and entry.address == packed and entry.state & _VALID and len(entry.mac) == 6:
            return entry.mac
    return None


def _echo_source(context: Context, link: rtnetlink.Link, address: str) -> str | None:
    """Return an address of ``link`` that an answer from beyond the router finds back to, or any of the family."""
    target = ipaddress.ip_address(address)
    own = [
        ipaddress.ip_address(held.address)
        for held in rtnetlink.addresses(context)
        if held.index == link.index
        and held.family == target.version
        and not held.flags & (rtnetlink.IFA_F_TENTATIVE | rtnetlink.IFA_F_DADFAILED)
    ]
    # of several, the one that shares the longest prefix with the target (RFC 6724, rule 8); link-local last
    best = min(own, key=lambda one: (one.is_link_local, (int(one) ^ int(target)).bit_length()), default=None)
    return str(best) if best else None


async def _echo(context: Context, link: rtnetlink.Link, address: str, mac: bytes, wait_s: float) -> _Echo:
    """Send echo requests in frames to ``mac`` until something comes back that belongs to them."""
    loop = asyncio.get_running_loop()
    family = 6 if ":" in address else 4
    protocol = ETH_P_IPV6 if family == 6 else ETH_P_IP
    identifier = 1 + chance.below(0xFFFF)
    payload = os.urandom(16)
    source = _echo_source(context, link, address) or address
    error: IcmpError | None = None
    with packet.open_packet_socket(context, link.name, protocol, packet.only_icmp(family)) as opened:
        start, sent = loop.time(), {}
        for attempt in range(_TRIES):
            await context.sending()
            sent[attempt + 1] = loop.time()
            request = frames.echo_request(address, source, identifier, attempt + 1, payload)
            opened.sendto(request, (link.name, protocol, 0, 0, mac))
            until = start + wait_s * (attempt + 1) / _TRIES
            async with contextlib.aclosing(packet.captured(opened, until)) as arriving:
                async for frame in arriving:
                    found = frames.read(frame.data)
                    if frame.outgoing or found is None:
                        continue
                    sequence = frames.echo_reply(found, identifier) if found.source == address else None
                    if sequence in sent and found.payload[8:24] == payload:
                        return _Echo(True, (loop.time() - sent[sequence]) * 1000, frame.mac, error)
                    about = frames.quoted(found)
                    if about and about.packet.destination == address and frames.echoed(about.packet, identifier):
                        error = IcmpError(family, about.type, about.code, found.source, about.info)
                        break
            if error is not None:
                return _Echo(icmp=error)
    return _Echo()


def _request_for(target: ProbeTarget) -> LinkRequest:
    given = target.needed_address("link")
    need_linux("link")
    context = Context()
    try:
        address = ipaddress.ip_address(given)
        route = rtnetlink.route_to(context, str(ipaddress.ip_address(address.packed)))
        link = rtnetlink.link(context, route.interface or 0)
    except (OSError, ValueError):
        raise NotApplicable("reason.no-route", address=given[:80]) from None
    defaults = (
        hop.gateway
        for entry in rtnetlink.routes(context, address.version, longest_prefix=0)
        for hop in entry.hops
        if hop.interface == link.index and hop.gateway
    )
    return LinkRequest(given, link.name, route.gateway or next(defaults, None))


PROBE = address_probe(
    "link",
    LinkRequest,
    LinkResult,
    observe,
    deadline_s=4.0,
    most_packets=lambda request: packet.TRIES + (packet.TRIES + _TRIES if request.router else 0),
    request_for=_request_for,
)
