"""Find the largest datagram that the path to an address carries whole (RFC 1191, RFC 8201, ip(7))."""

from __future__ import annotations

from typing import Final

import msgspec

from probes.base import address_probe
from probes.failure import Failure
from probes.system.late import body_of

#: The least that every path must carry: RFC 791 (what hosts must accept) and RFC 8200.
LEAST: Final = {4: 576, 6: 1280}


class PathMtuRequest(msgspec.Struct, frozen=True):
    """Datagrams of ``largest`` bytes (the interface MTU by default) and less, with *do not fragment* set."""

    address: str
    largest: int | None = None
    wait_s: float = 0.5
    packets: int = 20


class MtuStep(msgspec.Struct, frozen=True):
    """One size: ``answer`` is ``reached``, ``too-big`` (with ``mtu`` and ``sender``), ``local`` or ``silence``.

    ``unreachable`` (with ``sender``) where a router says that the address cannot be reached at any size.
    """

    size: int
    answer: str
    mtu: int | None = None
    sender: str | None = None


class PathMtuResult(msgspec.Struct, frozen=True):
    """``mtu`` is the largest size that arrived, bytes; ``None`` where nothing answers at any size.

    ``black_hole`` is true where small packets arrive, larger ones vanish, and nobody says why. ``method`` is
    ``icmp`` (echo requests) or ``udp`` (datagrams to a closed port). ``exact`` is false where the packets
    allowed did not suffice to find the MTU to the byte: it then lies between ``mtu`` and the least size that
    failed. ``known_mtu`` is what the kernel itself takes for the path's MTU where larger packets vanish, from what
    routers have said to any program. ``failure`` and ``errno`` tell that the local stack refused to send at all.
    """

    address: str
    interface_mtu: int | None
    mtu: int | None
    black_hole: bool
    steps: tuple[MtuStep, ...]
    largest_udp_payload: int | None = None
    method: str = "udp"
    exact: bool = True
    known_mtu: int | None = None
    failure: Failure | None = None
    errno: str | None = None


PROBE = address_probe(
    "path-mtu",
    PathMtuRequest,
    PathMtuResult,
    body_of(__name__),
    deadline_s=12.0,
    most_packets=lambda request: request.packets,
)
