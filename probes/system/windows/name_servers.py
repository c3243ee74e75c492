"""The name servers and the search domain that Windows has for each of its network adapters.

Source: Microsoft: GetAdaptersAddresses, IP_ADAPTER_ADDRESSES_LH, IP_ADAPTER_DNS_SERVER_ADDRESS_XP.
"""

from __future__ import annotations

import ipaddress
import itertools
import socket
import sys
from typing import Final

import msgspec

_NO_UNICAST_ANYCAST_MULTICAST: Final = 0x1 | 0x2 | 0x4
_OPERATIONAL: Final = 1
_MOST: Final = 64
_AF_INET, _AF_INET6 = 2, 23  # winsock2.h
#: What Windows itself puts where IPv6 has no name server: three addresses that lead nowhere.
_PLACEHOLDERS: Final = ipaddress.IPv6Network("fec0:0:0:ffff::/64")


class Configured(msgspec.Struct, frozen=True):
    """Name servers in the adapters' order, each once, and the adapters' domains."""

    servers: tuple[str, ...]
    domains: tuple[str, ...]


def configured() -> Configured | None:
    """Return what the adapters that are up have; ``None`` on another system and where Windows does not tell."""
    if sys.platform != "win32":
        return None
    import ctypes  # noqa: PLC0415 - some milliseconds

    from probes.system.windows import iphlpapi  # noqa: PLC0415
    from probes.system.windows.layouts import NameServer  # noqa: PLC0415

    try:
        found = iphlpapi.adapters(_NO_UNICAST_ANYCAST_MULTICAST)
        first = next(found, None)
    except (iphlpapi.Lacking, OSError):
        return None
    servers: dict[str, None] = {}
    domains: dict[str, None] = {}
    for adapter in itertools.chain(() if first is None else (first,), found):
        if adapter.status != _OPERATIONAL:
            continue
        if adapter.suffix:
            domains[ctypes.wstring_at(adapter.suffix)[:253]] = None
        server_at = adapter.name_servers
        while server_at and len(servers) < _MOST:
            server = NameServer.from_address(server_at)
            server_at = server.next
            address = address_of(ctypes.string_at(server.address, max(0, min(server.address_length, 128))))
            if address is not None:
                servers[address] = None
    domains.pop("", None)
    return Configured(tuple(servers), tuple(domains))


def address_of(raw: bytes) -> str | None:
    """Return the address in a ``SOCKADDR`` of Windows; ``None`` for another family and for a placeholder."""
    family = int.from_bytes(raw[:2], "little")
    if family == _AF_INET and len(raw) >= 8:
        return socket.inet_ntoa(raw[4:8])
    if family != _AF_INET6 or len(raw) < 28:
        return None
    address = ipaddress.IPv6Address(raw[8:24])
    scope = int.from_bytes(raw[24:28], "little")
    if address in _PLACEHOLDERS:
        return None
    return f"{address}%{scope}" if scope and address.is_link_local else str(address)
