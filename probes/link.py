"""With root: is an address reachable on the wire itself, or by way of the router, whatever the mask says?

Two questions that only a packet socket (packet(7)) can put: an ARP request or neighbour solicitation for the
address on this link, and an echo request to it in a frame addressed to the router. Together they tell a subnet
mask that is too wide (answers by way of the router only) or too narrow (answers on the link).
"""

from __future__ import annotations

from dataclasses import dataclass

from probes.failure import IcmpError


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """``router`` is the address of the router to send by way of; ``None`` leaves that question out."""

    address: str
    interface: str
    router: str | None = None
    wait_s: float = 1.2


@dataclass(frozen=True, slots=True)
class LinkResult:
    """``mac`` is who claims the address on this link, ``None`` for nobody (3 requests).

    ``via_router`` is true where an answer of the address itself came back by way of the router, false for
    silence, ``None`` where it was not tried (no router, or no link address of it). ``via_router_icmp`` is an
    ICMP error that came instead; it still proves that the router forwards. ``router_mac`` is the router's.
    """

    address: str
    interface: str
    mac: str | None
    router_mac: str | None
    via_router: bool | None
    via_router_icmp: IcmpError | None = None
    rtt_ms: float | None = None
