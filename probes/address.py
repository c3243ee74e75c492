"""Classify an address literal: can it be connected to at all, and is it this machine's own?"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class AddressKind(enum.StrEnum):
    """Special kinds of addresses (RFC 6890, RFC 4291); ``broadcast`` includes a local subnet's own."""

    UNSPECIFIED = "unspecified"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    MULTICAST = "multicast"
    BROADCAST = "broadcast"
    SUBNET_NETWORK = "subnet-network"
    RESERVED = "reserved"
    UNICAST = "unicast"


@dataclass(frozen=True, slots=True)
class AddressRequest:
    """``address`` is a literal, with a ``%zone`` where it is scoped."""

    address: str


@dataclass(frozen=True, slots=True)
class AddressResult:
    """``local`` is true where the address is assigned to this machine (loopback included).

    ``zone_missing`` marks a link-local IPv6 address without its ``%interface``. ``mapped`` is the IPv4 address
    inside an IPv4-mapped IPv6 one. ``near`` are this machine's own addresses, nearest first (at most 5).
    """

    address: str
    family: int
    kind: AddressKind
    local: bool
    zone_missing: bool = False
    mapped: str | None = None
    near: tuple[str, ...] = ()
