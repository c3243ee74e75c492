"""Ask the kernel which way a packet to an address would leave (rtnetlink(7), policy rules included)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from probes.failure import Failure


class RouteKind(enum.StrEnum):
    """The kernel's own types of routes; ``none`` where no route matches."""

    UNICAST = "unicast"
    LOCAL = "local"
    BROADCAST = "broadcast"
    MULTICAST = "multicast"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """``address`` is the destination; a literal."""

    address: str


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """One default route of the destination's family, lowest metric first."""

    gateway: str | None
    interface: str | None
    metric: int
    onlink: bool = False
    linkdown: bool = False


@dataclass(frozen=True, slots=True)
class RouteResult:
    """The kernel's decision for ``address``.

    ``on_link`` is true where the destination itself is the next hop. ``gateway`` is the next hop otherwise.
    ``matched`` is the table's prefix that decided, as far as it could be found (``0.0.0.0/0`` for the default).
    ``gateway_on_link`` is false where the gateway lies outside every prefix of the outgoing interface: the
    mask makes the router look remote. ``failure``/``errno`` are what the look-up returned.
    ``mtu`` is the path MTU that the kernel has cached for the destination, in bytes.
    """

    address: str
    family: int
    kind: RouteKind
    interface: str | None = None
    gateway: str | None = None
    source: str | None = None
    on_link: bool = False
    matched: str | None = None
    gateway_on_link: bool | None = None
    failure: Failure | None = None
    errno: str | None = None
    mtu: int | None = None
    defaults: tuple[DefaultRoute, ...] = ()
