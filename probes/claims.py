"""With root: which devices of the own link claim an address, be it this machine's own (RFC 5227, RFC 4861)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from probes.base import Context, ProbeTarget, address_probe
from probes.system import need_linux
from probes.system.linux import packet, rtnetlink
from probes.system.literal import literal


class ClaimsRequest(msgspec.Struct, frozen=True):
    """``interface`` is where it is asked, each of ``tries`` times for ``wait_s`` seconds."""

    address: str
    interface: str = ""
    wait_s: float = 0.3
    tries: int = 2


class ClaimsResult(msgspec.Struct, frozen=True):
    """``macs`` are the link addresses of all that answered, but for this machine's own; ``own`` whose address it is."""

    address: str
    interface: str
    macs: tuple[str, ...]
    own: bool


async def observe(request: ClaimsRequest, context: Context, progress: Callable[[ClaimsResult], None]) -> ClaimsResult:
    """Ask from no address, as before one is taken, so that nobody's table changes; over IPv6 from the link-local one.

    Raises :class:`NotPermitted` without CAP_NET_RAW, :class:`NotApplicable` for an interface that is missing, down or
    no Ethernet.
    """
    del progress
    need_linux("claims")
    address = literal(request.address).text
    links = rtnetlink.links(context)
    link = packet.ethernet(links, request.interface)
    ours = {each.mac for each in links}
    found: dict[bytes, None] = {}
    loop = asyncio.get_running_loop()
    async with context.budget.slot():
        for _ in range(request.tries):
            until_s = loop.time() + request.wait_s
            with contextlib.suppress(OSError):  # the interface went away under us: nobody more is heard
                async with contextlib.aclosing(packet.claims(context, link, address, until_s)) as claims:
                    async for mac in claims:
                        found.setdefault(mac)
    own = any(held.address == address for held in rtnetlink.addresses(context))
    macs = tuple(mac.hex(":") for mac in found if mac not in ours)
    return ClaimsResult(request.address, link.name, macs, own)


def _request_for(target: ProbeTarget) -> ClaimsRequest:
    from probes.system.linux import rtnetlink as table  # noqa: PLC0415 - by hand only

    address = literal(target.needed_address("claims"))
    context = Context()
    names = {link.index: link.name for link in table.links(context)}
    held = {one.address: one.index for one in table.addresses(context)}
    try:
        index = held.get(address.text) or table.route_to(context, address.text).interface
    except OSError:
        index = None
    return ClaimsRequest(address.text, names.get(index or 0, ""))


PROBE = address_probe(
    "claims",
    ClaimsRequest,
    ClaimsResult,
    observe,
    deadline_s=2.0,
    most_packets=lambda request: request.tries,
    request_for=_request_for,
)
