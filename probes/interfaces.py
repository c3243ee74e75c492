"""Read the state of every network interface: link, addresses, MTU and error counters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InterfacesRequest:
    """Nothing to ask for: all interfaces are read."""


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address with its prefix length; ``tentative`` and ``deprecated`` as the kernel flags it."""

    address: str
    family: int
    prefix: int
    broadcast: str | None = None
    tentative: bool = False
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Interface:
    """``up`` is the administrative state, ``carrier`` the link's (``None`` where it cannot be told).

    Counters are totals since the interface came up; ``None`` where unknown. ``mac`` is ``None`` for those without.
    """

    name: str
    index: int
    up: bool
    carrier: bool | None
    loopback: bool
    mtu: int
    mac: str | None
    addresses: tuple[InterfaceAddress, ...]
    rx_errors: int | None = None
    tx_errors: int | None = None
    rx_dropped: int | None = None
    tx_dropped: int | None = None


@dataclass(frozen=True, slots=True)
class InterfacesResult:
    """All interfaces by index; ``ipv6_disabled`` where the kernel has IPv6 switched off for all of them."""

    interfaces: tuple[Interface, ...]
    ipv6_disabled: bool = False
