"""Try the port by way of another interface than the one that the kernel chooses: is it the choice that is wrong?"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes.base import Context, NotApplicable, endpoint_probe
from probes.failure import Failure, IcmpError
from probes.system import need_linux
from probes.system.dial import Dial, syns_in
from probes.system.endpoint import endpoint


class OtherRouteRequest(msgspec.Struct, frozen=True):
    """``interface`` is the one that the connection is bound to, ``wait_s`` how long its silence is waited out."""

    address: str
    port: int
    interface: str = ""
    wait_s: float = 2.2


class OtherRouteResult(msgspec.Struct, frozen=True):
    """What became of one connection that was bound to ``interface``.

    ``failure`` and ``errno`` are ``None`` where it was made; ``icmp`` is the error behind a failure, where one came.
    """

    address: str
    port: int
    interface: str
    connected: bool
    failure: Failure | None = None
    errno: str | None = None
    icmp: IcmpError | None = None


async def observe(
    request: OtherRouteRequest, context: Context, progress: Callable[[OtherRouteResult], None]
) -> OtherRouteResult:
    """Connect once with the socket bound to an interface (SO_BINDTODEVICE, socket(7)); not a byte is sent.

    An ordinary user may bind a fresh socket since Linux 5.7; where that is refused, the failure says so. Raises
    :class:`NotApplicable` on other systems and without an interface.
    """
    del progress
    need_linux("other-route")
    if not request.interface:
        raise NotApplicable("reason.no-other-route")
    dial = Dial(endpoint(request.address, request.port), device=request.interface)
    await dial.run(context, request.wait_s)
    return OtherRouteResult(
        request.address,
        request.port,
        request.interface,
        connected=dial.connected,
        failure=dial.failure,
        errno=dial.errno_word,
        icmp=dial.icmp,
    )


PROBE = endpoint_probe(
    "other-route",
    OtherRouteRequest,
    OtherRouteResult,
    observe,
    deadline_s=3.0,
    most_packets=lambda request: syns_in(request.wait_s),
)
