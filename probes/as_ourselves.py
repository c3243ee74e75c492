"""Try the same connection as this process: is it refused to the failing program only?"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes.base import Context, endpoint_probe
from probes.failure import Failure, IcmpError
from probes.system import on_linux
from probes.system.dial import Dial, syns_in
from probes.system.endpoint import endpoint


class AsOurselvesRequest(msgspec.Struct, frozen=True):
    """``wait_s`` is how long silence of the port is waited out, seconds."""

    address: str
    port: int
    wait_s: float = 2.2


class AsOurselvesResult(msgspec.Struct, frozen=True):
    """What became of one connection made by this process, in the program's network but with its own rights.

    ``failure`` and ``errno`` are ``None`` where it was made; ``icmp`` is the error behind a failure, where one came.
    ``interface`` and ``gateway`` are the way that this process's packets take, ``None`` where the system does not tell.
    """

    address: str
    port: int
    connected: bool
    failure: Failure | None = None
    errno: str | None = None
    icmp: IcmpError | None = None
    interface: str | None = None
    gateway: str | None = None


async def observe(
    request: AsOurselvesRequest, context: Context, progress: Callable[[AsOurselvesResult], None]
) -> AsOurselvesResult:
    """Connect once; not a byte is sent."""
    del progress
    dial = Dial(endpoint(request.address, request.port))
    await dial.run(context, request.wait_s)
    interface, gateway = _way(context, request.address)
    return AsOurselvesResult(
        request.address,
        request.port,
        connected=dial.connected,
        failure=dial.failure,
        errno=dial.errno_word,
        icmp=dial.icmp,
        interface=interface,
        gateway=gateway,
    )


def _way(context: Context, address: str) -> tuple[str | None, str | None]:
    """Return interface and next hop of this process's packets."""
    if not on_linux():
        return None, None
    from probes.system.linux import rtnetlink  # noqa: PLC0415 - there is none elsewhere

    try:
        found = rtnetlink.route_to(context, address)
        names = {link.index: link.name for link in rtnetlink.links(context)}
    except OSError:
        return None, None
    return names.get(found.interface or 0), found.gateway


PROBE = endpoint_probe(
    "as-ourselves",
    AsOurselvesRequest,
    AsOurselvesResult,
    observe,
    deadline_s=3.0,
    most_packets=lambda request: syns_in(request.wait_s),
)
