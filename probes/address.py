"""Classify an address literal: can it be connected to at all, and is it this machine's own."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable

import msgspec

from probes.base import Context, address_probe, sends_nothing
from probes.system import on_linux
from probes.system.linux import rtnetlink
from probes.system.literal import literal


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


class AddressRequest(msgspec.Struct, frozen=True):
    """``address`` is a literal, with a ``%zone`` where it is scoped."""

    address: str


class AddressResult(msgspec.Struct, frozen=True):
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


IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: How many of this machine's own addresses are named.
NEAR = 5
#: Sources of packets that are dropped by agreement (RFC 6666), and "this network" (RFC 791).
_RESERVED = (ipaddress.ip_network("100::/64"), ipaddress.ip_network("0.0.0.0/8"))


class _Own(msgspec.Struct, frozen=True):
    """One address of this machine and its subnet's broadcast address, where the kernel holds one."""

    interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface
    broadcast: str | None


async def observe(
    request: AddressRequest,
    context: Context,
    progress: Callable[[AddressResult], None],
) -> AddressResult:
    """Classify the address; nothing is sent.

    What is local is decided by the kernel's local table, so that whole local prefixes count. Raises
    :class:`NotApplicable` (``reason.not-an-address``) for what is no address literal.
    """
    del progress
    address = literal(request.address)
    plain = ipaddress.ip_address(address.packed)
    written = 6 if ":" in request.address else 4
    own = _own(context)
    local = plain.is_loopback or any(held.interface.ip == plain for held in own)
    routed = _route_type(context, plain)
    kind = _kind(plain, own, routed, local=local or routed == "local")
    return AddressResult(
        address=request.address,
        family=written,
        kind=kind,
        local=local or routed == "local",
        zone_missing=plain.version == 6 and plain.is_link_local and address.zone is None,
        mapped=address.text if plain.version != written else None,
        near=_near(plain, own),
    )


def _own(context: Context) -> list[_Own]:
    if not on_linux():
        return _own_elsewhere()
    return [
        _Own(ipaddress.ip_interface(f"{held.address}/{held.prefix}"), held.broadcast)
        for held in rtnetlink.addresses(context)
    ]


def _own_elsewhere() -> list[_Own]:
    """Return what psutil tells where there is no netlink; addresses without a mask count as single ones."""
    import socket  # noqa: PLC0415 - only needed here

    import psutil  # noqa: PLC0415 - 17 ms

    found = []
    for held in (one for several in psutil.net_if_addrs().values() for one in several):
        if held.family not in (socket.AF_INET, socket.AF_INET6):
            continue
        prefix = held.netmask
        if prefix and ":" in prefix:  # ip_interface takes no IPv6 mask
            prefix = str(int(ipaddress.IPv6Address(prefix)).bit_count())
        single = "32" if held.family == socket.AF_INET else "128"
        found.append(_Own(ipaddress.ip_interface(f"{held.address.split('%')[0]}/{prefix or single}"), held.broadcast))
    return found


def _route_type(context: Context, address: IPAddress) -> str | None:
    """Return ``local`` or ``broadcast`` where the kernel's routing table says so."""
    if not on_linux() or address.is_unspecified:
        return None
    try:
        found = rtnetlink.route_to(context, str(address)).type
    except OSError:
        return None
    return {rtnetlink.RTN_LOCAL: "local", rtnetlink.RTN_BROADCAST: "broadcast"}.get(found)


def _kind(address: IPAddress, own: list[_Own], routed: str | None, *, local: bool) -> AddressKind:
    if address.is_unspecified:
        return AddressKind.UNSPECIFIED
    if address.is_loopback:
        return AddressKind.LOOPBACK
    if address.is_multicast:
        return AddressKind.MULTICAST
    if str(address) == "255.255.255.255":
        return AddressKind.BROADCAST
    if isinstance(address, ipaddress.IPv4Address) and not local:
        for held in own:
            network = held.interface.network
            # the lowest address of a subnet is its old broadcast address; a /31 has neither (RFC 3021)
            if network.version == 4 and network.prefixlen < 31 and address == network.network_address:
                return AddressKind.SUBNET_NETWORK
        if routed == "broadcast" or any(held.broadcast == str(address) for held in own):
            return AddressKind.BROADCAST
    if address.is_link_local:
        return AddressKind.LINK_LOCAL
    if address.is_reserved or any(address in network for network in _RESERVED if network.version == address.version):
        return AddressKind.RESERVED
    return AddressKind.UNICAST


def _near(address: IPAddress, own: list[_Own]) -> tuple[str, ...]:
    """Return this machine's addresses of the same family, those that share the longest prefix first."""
    same = {held.interface.ip for held in own if held.interface.version == address.version}
    ordered = sorted(same, key=lambda other: ((int(other) ^ int(address)).bit_length(), int(other)))
    return tuple(str(other) for other in ordered[:NEAR])


PROBE = address_probe(
    "address",
    AddressRequest,
    AddressResult,
    observe,
    deadline_s=2.0,
    most_packets=sends_nothing,
)
