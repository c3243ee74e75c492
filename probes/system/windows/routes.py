"""The route that Windows would choose for an address, and its table of routes, as records of ``probes.route``.

Asked in this order: ``GetBestRoute2``; where the system lacks it ``GetBestRoute``, which knows IPv4 alone. What the
stack itself says of a datagram socket that is connected there, which sends nothing, goes before both: a table is no
promise. Sources: Microsoft: GetBestRoute2, GetBestRoute, MIB_IPFORWARD_ROW2, MIB_IPFORWARDROW, GetIpForwardTable2,
SOCKADDR_INET, connect function.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

import msgspec

from probes.base import Context
from probes.failure import classify, errno_name, number_of
from probes.system.literal import Literal
from probes.system.records import DefaultRoute, Interface, RouteKind, RouteResult
from probes.system.windows import adapters, iphlpapi
from probes.system.windows.layouts import OldRouteRow, RouteRow
from probes.system.windows.name_servers import address_of

#: What both calls say where no route matches: ERROR_NOT_FOUND, ERROR_NETWORK_UNREACHABLE, ERROR_HOST_UNREACHABLE.
_NO_ROUTE: Final = frozenset({iphlpapi.ERROR_NOT_FOUND, 1231, 1232})
_MAX_DEFAULTS: Final = 16
_DISCARD_PORT: Final = 9
_UNSPECIFIED: Final = ("0.0.0.0", "::")


class Entry(msgspec.Struct, frozen=True):
    """One route: where to, by which router (``None`` where directly), by which interface, at which metric."""

    destination: str
    prefix: int
    gateway: str | None
    index: int
    metric: int

    def holds(self, address: str) -> bool:
        """Tell whether the route is one for ``address``."""
        network = ipaddress.ip_network(f"{self.destination}/{self.prefix}", strict=False)
        return ipaddress.ip_address(address) in network


def look_up(context: Context, address: Literal, index: int | None) -> RouteResult:
    """Return the decision for an address; ``index`` is the interface that its zone names.

    Raises ``iphlpapi.Lacking`` where the stack has a way and no call tells which, and ``OSError`` where one fails.
    """
    found = adapters.interfaces()
    names = {one.index: one.name for one in found}
    refused, source = _connected(context, address, index)
    entries = _entries(address.family)
    defaults = tuple(_defaults(entries, names))
    result = RouteResult(address=address.text, family=address.family, kind=RouteKind.NONE, defaults=defaults)
    kind = _special(address, found)
    if kind is not None:
        return msgspec.structs.replace(result, kind=kind, source=source if kind is RouteKind.LOCAL else None)
    # Refusals for another reason, as by a filter, say nothing about routes.
    if refused in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        kind = RouteKind.NONE if refused == errno.ENETUNREACH else RouteKind.UNREACHABLE
        return msgspec.structs.replace(result, kind=kind, failure=classify(refused), errno=errno_name(refused))
    best = _best(address, index, found)
    if best is None:
        if refused is None:
            raise iphlpapi.Lacking("GetBestRoute")  # the stack has a way, and the table none
        return msgspec.structs.replace(result, failure=classify(refused), errno=errno_name(refused))
    return msgspec.structs.replace(
        result,
        kind=RouteKind.UNICAST,
        interface=names.get(best.index),
        gateway=best.gateway,
        source=source,
        on_link=best.gateway in (None, address.text),
        matched=f"{best.destination}/{best.prefix}",
        gateway_on_link=_on_link(best, found, entries) if best.gateway else None,
    )


def _connected(context: Context, address: Literal, index: int | None) -> tuple[int | None, str | None]:
    """Return the POSIX number with which the stack refuses the way to an address, or its own address on it."""
    family = socket.AF_INET if address.family == 4 else socket.AF_INET6
    to = (address.text, _DISCARD_PORT) if address.family == 4 else (address.text, _DISCARD_PORT, 0, index or 0)
    try:
        with context.socket(family, socket.SOCK_DGRAM) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            opened.connect(to)
            own = str(opened.getsockname()[0]).partition("%")[0]
    except OSError as error:
        return _POSIX.get(number_of(error), number_of(error)), None
    return None, None if own in _UNSPECIFIED else own


#: Winsock's own constants of the two, whose numbers are not POSIX's.
_POSIX: Final = {10051: errno.ENETUNREACH, 10065: errno.EHOSTUNREACH}


def _special(address: Literal, found: Sequence[Interface]) -> RouteKind | None:
    """Return the kind of an address that no router is asked for: this machine's own, a broadcast, a multicast."""
    ip = ipaddress.ip_address(address.text)
    own = [(one.address, one.broadcast) for interface in found for one in interface.addresses]
    if ip.is_loopback or ip.is_unspecified or any(address.text == one for one, _ in own):
        return RouteKind.LOCAL
    if ip.is_multicast:
        return RouteKind.MULTICAST
    if address.text == "255.255.255.255" or any(address.text == broadcast for _, broadcast in own):
        return RouteKind.BROADCAST
    return None


def _best(address: Literal, index: int | None, found: Sequence[Interface]) -> Entry | None:
    """Return the route that would be chosen, ``None`` where there is none."""
    try:
        row = RouteRow()
        to, own = ctypes.create_string_buffer(sockaddr(address), 28), ctypes.create_string_buffer(28)
        number = iphlpapi.ask("GetBestRoute2", None, index or 0, None, to, 0, ctypes.byref(row), own)
        if number in _NO_ROUTE:
            return None
        if number:
            raise OSError(number, "GetBestRoute2")
        return entry(row)
    except iphlpapi.Lacking:
        if address.family == 6:
            raise
    old = OldRouteRow()
    number = iphlpapi.ask("GetBestRoute", int.from_bytes(address.packed, "little"), 0, ctypes.byref(old))
    if number in _NO_ROUTE:
        return None
    if number:
        raise OSError(number, "GetBestRoute")
    return old_entry(old, {one.address for interface in found for one in interface.addresses})


def sockaddr(address: Literal) -> bytes:
    """Return the ``SOCKADDR_INET`` of an address, 28 bytes."""
    family = iphlpapi.FAMILY[address.family].to_bytes(2, "little")
    if address.family == 4:
        return (family + bytes(2) + address.packed).ljust(28, b"\0")
    return (family + bytes(6) + address.packed).ljust(28, b"\0")


def entry(row: RouteRow) -> Entry:
    """Return what one row of ``GetIpForwardTable2`` says."""
    next_hop = address_of(bytes(row.next_hop))
    return Entry(
        destination=(address_of(bytes(row.destination)) or "0.0.0.0").partition("%")[0],
        prefix=row.prefix,
        gateway=None if next_hop in (None, *_UNSPECIFIED) else str(next_hop).partition("%")[0],
        index=row.index,
        metric=row.metric,
    )


def old_entry(row: OldRouteRow, own: set[str]) -> Entry:
    """Return what ``GetBestRoute`` says; a direct route may have this machine's ``own`` address as its next hop."""
    next_hop = str(ipaddress.IPv4Address(bytes(row.next_hop)))
    return Entry(
        destination=str(ipaddress.IPv4Address(bytes(row.destination))),
        prefix=int.from_bytes(bytes(row.mask), "big").bit_count(),
        gateway=None if next_hop in own or next_hop in _UNSPECIFIED else next_hop,
        index=row.index,
        metric=row.metrics[0],
    )


def _entries(family: int) -> list[Entry]:
    """Return the table of a family; empty where it cannot be had."""
    try:
        return [entry(row) for row in iphlpapi.table("GetIpForwardTable2", RouteRow, iphlpapi.FAMILY[family])]
    except (iphlpapi.Lacking, OSError):
        return []


def _defaults(entries: Sequence[Entry], names: dict[int, str]) -> list[DefaultRoute]:
    found = sorted((one for one in entries if one.prefix == 0), key=lambda one: one.metric)
    return [DefaultRoute(one.gateway, names.get(one.index), one.metric) for one in found[:_MAX_DEFAULTS]]


def _on_link(best: Entry, found: Sequence[Interface], entries: Sequence[Entry]) -> bool:
    """Tell whether the router lies within a prefix of its interface or has a route of its own there."""
    gateway = best.gateway or ""
    if ipaddress.ip_address(gateway).is_link_local:
        return True
    own = [a for one in found if one.index == best.index for a in one.addresses if (a.family == 6) == (":" in gateway)]
    direct = [e for e in entries if e.index == best.index and e.gateway is None and e.prefix]
    return any(
        ipaddress.ip_address(gateway) in ipaddress.ip_network(f"{a.address}/{a.prefix}", strict=False) for a in own
    ) or any(one.holds(gateway) for one in direct)
