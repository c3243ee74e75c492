"""The network adapters of Windows as records of ``probes.interfaces``: states, addresses, counters.

Sources: Microsoft: GetAdaptersAddresses, IP_ADAPTER_ADDRESSES_LH, IP_ADAPTER_UNICAST_ADDRESS_LH, NL_DAD_STATE,
GetIfTable2, MIB_IF_ROW2, IF_OPER_STATUS.
"""

from __future__ import annotations

import ctypes
import ipaddress
from collections.abc import Iterator
from typing import Final

from probes.system.records import Interface, InterfaceAddress
from probes.system.windows import iphlpapi
from probes.system.windows.layouts import AdapterAddresses, InterfaceRow, UnicastAddress
from probes.system.windows.name_servers import address_of

#: Neither anycast nor multicast addresses nor name servers.
_ADDRESSES_ONLY: Final = 0x2 | 0x4 | 0x8
_PPP, _LOOPBACK, _TUNNEL = 23, 24, 131
_STATUS_UP, _STATUS_DOWN = 1, 2
_ADMIN_UP: Final = 1
_CONNECTED, _DISCONNECTED = 1, 2
_TENTATIVE, _DUPLICATE, _DEPRECATED = 1, 2, 3
#: IP_ADAPTER_IPV6_ENABLED: IPv6 is bound to the adapter.
_IPV6_BOUND: Final = 0x100


def interfaces() -> tuple[Interface, ...]:
    """Return the adapters by index. Raises ``iphlpapi.Lacking``, and ``OSError`` where Windows does not tell.

    Adapters that are switched off are not listed by Windows. What the driver says of the cable is ``None`` where there
    is no ``GetIfTable2``, unless the adapter works.
    """
    try:
        rows = {row.index: row for row in iphlpapi.table("GetIfTable2", InterfaceRow)}
    except (iphlpapi.Lacking, OSError):
        rows = {}
    found = [interface(adapter, rows.get(adapter.index)) for adapter in iphlpapi.adapters(_ADDRESSES_ONLY)]
    return tuple(sorted(found, key=lambda one: one.index))


def interface(adapter: AdapterAddresses, row: InterfaceRow | None) -> Interface:
    """Return the record of one adapter; ``row`` has its counters and the state of its medium."""
    loopback = adapter.type == _LOOPBACK
    up, carrier = _states(adapter.status, row)
    mac = bytes(adapter.physical_address[: min(8, adapter.physical_length)])
    return Interface(
        name=ctypes.wstring_at(adapter.friendly_name) if adapter.friendly_name else str(adapter.index),
        index=adapter.index,
        up=up,
        carrier=carrier,
        loopback=loopback,
        mtu=min(adapter.mtu, 65536),  # that of the loopback has no bound
        mac=mac.hex(":") if any(mac) else None,
        addresses=tuple(_addresses(adapter.unicast)),
        rx_errors=row.in_errors if row is not None else None,
        tx_errors=row.out_errors if row is not None else None,
        rx_dropped=row.in_discards if row is not None else None,
        tx_dropped=row.out_discards if row is not None else None,
        ipv6_off=not loopback and not adapter.flags & _IPV6_BOUND,
        tunnel=adapter.type in (_PPP, _TUNNEL),
        rx_packets=row.in_unicast + row.in_other if row is not None else None,
        tx_packets=row.out_unicast + row.out_other if row is not None else None,
    )


def _states(status: int, row: InterfaceRow | None) -> tuple[bool, bool | None]:
    """Return whether the adapter is switched on, and whether it has a link."""
    if row is None:
        return status == _STATUS_UP, True if status == _STATUS_UP else None
    if row.admin_status != _ADMIN_UP:
        return False, None
    if row.media_state == _DISCONNECTED:
        return True, False
    return status == _STATUS_UP, True if row.media_state == _CONNECTED and status == _STATUS_UP else None


def _addresses(where: int) -> Iterator[InterfaceAddress]:
    while where:
        one = UnicastAddress.from_address(where)
        where = one.next
        text = address_of(ctypes.string_at(one.address.address, max(0, min(one.address.length, 128))))
        if text is None:
            continue
        plain = ipaddress.ip_address(text.partition("%")[0])
        broadcast = None
        if plain.version == 4 and one.prefix < 31 and not plain.is_loopback:
            broadcast = str(ipaddress.ip_network(f"{plain}/{one.prefix}", strict=False).broadcast_address)
        yield InterfaceAddress(
            address=str(plain),
            family=plain.version,
            prefix=one.prefix,
            broadcast=broadcast,
            tentative=one.duplicate_state in (0, _TENTATIVE, _DUPLICATE),
            deprecated=one.duplicate_state == _DEPRECATED,
            duplicate=one.duplicate_state == _DUPLICATE,
        )
