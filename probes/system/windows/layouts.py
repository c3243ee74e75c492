"""The structures of Winsock, version.dll and iphlpapi.dll, laid out as 64-bit Windows has them on any system.

``ctypes.wintypes`` is as wide as the C compiler's types of the system it runs on: not used here, so that the layouts
can be held to the headers everywhere. Sources: winsock2.h, verrsrc.h, iptypes.h, netioapi.h,
ipmib.h, ipexport.h (Windows SDK).
"""

from __future__ import annotations

from ctypes import Structure, c_char, c_int32, c_uint8, c_uint16, c_uint32, c_uint64
from typing import ClassVar, Final

WSADESCRIPTION_LEN: Final = 256
WSASYS_STATUS_LEN: Final = 128
MAX_PROTOCOL_CHAIN: Final = 7
WSAPROTOCOL_LEN: Final = 255


class WsaData(Structure):
    """``WSADATA`` of 64-bit programs; the 32-bit one orders its fields otherwise."""

    _fields_: ClassVar = [
        ("version", c_uint16),
        ("high_version", c_uint16),
        ("max_sockets", c_uint16),
        ("max_udp_datagram", c_uint16),
        ("vendor_info", c_uint64),
        ("description", c_char * (WSADESCRIPTION_LEN + 1)),
        ("system_status", c_char * (WSASYS_STATUS_LEN + 1)),
    ]


class Guid(Structure):
    """``GUID``."""

    _fields_: ClassVar = [("data1", c_uint32), ("data2", c_uint16), ("data3", c_uint16), ("data4", c_uint8 * 8)]


class ProtocolChain(Structure):
    """``WSAPROTOCOLCHAIN``."""

    _fields_: ClassVar = [("length", c_int32), ("entries", c_uint32 * MAX_PROTOCOL_CHAIN)]


class ProtocolInfo(Structure):
    """``WSAPROTOCOL_INFOW``."""

    _fields_: ClassVar = [
        ("service_flags", c_uint32 * 4),
        ("provider_flags", c_uint32),
        ("provider", Guid),
        ("entry", c_uint32),
        ("chain", ProtocolChain),
        ("version", c_int32),
        ("family", c_int32),
        ("max_address", c_int32),
        ("min_address", c_int32),
        ("type", c_int32),
        ("protocol", c_int32),
        ("protocol_range", c_int32),
        ("byte_order", c_int32),
        ("security_scheme", c_int32),
        ("message_size", c_uint32),
        ("reserved", c_uint32),
        ("name", c_uint16 * (WSAPROTOCOL_LEN + 1)),
    ]


class FixedFileInfo(Structure):
    """``VS_FIXEDFILEINFO``."""

    _fields_: ClassVar = [
        ("signature", c_uint32),
        ("structure_version", c_uint32),
        ("file_version_high", c_uint32),
        ("file_version_low", c_uint32),
        ("rest", c_uint32 * 9),
    ]


class AdapterAddresses(Structure):
    """The beginning of ``IP_ADAPTER_ADDRESSES``, one link of a list; pointers are numbers here."""

    _fields_: ClassVar = [
        ("length", c_uint32),
        ("index", c_uint32),
        ("next", c_uint64),
        ("name", c_uint64),
        ("unicast", c_uint64),
        ("anycast", c_uint64),
        ("multicast", c_uint64),
        ("name_servers", c_uint64),
        ("suffix", c_uint64),
        ("description", c_uint64),
        ("friendly_name", c_uint64),
        ("physical_address", c_uint8 * 8),
        ("physical_length", c_uint32),
        ("flags", c_uint32),
        ("mtu", c_uint32),
        ("type", c_uint32),
        ("status", c_uint32),
    ]


class NameServer(Structure):
    """``IP_ADAPTER_DNS_SERVER_ADDRESS``, one link of a list."""

    _fields_: ClassVar = [
        ("length", c_uint32),
        ("reserved", c_uint32),
        ("next", c_uint64),
        ("address", c_uint64),
        ("address_length", c_int32),
    ]


class SocketAddress(Structure):
    """``SOCKET_ADDRESS``."""

    _fields_: ClassVar = [("address", c_uint64), ("length", c_int32)]


class UnicastAddress(Structure):
    """``IP_ADAPTER_UNICAST_ADDRESS``, one link of a list."""

    _fields_: ClassVar = [
        ("length", c_uint32),
        ("flags", c_uint32),
        ("next", c_uint64),
        ("address", SocketAddress),
        ("prefix_origin", c_int32),
        ("suffix_origin", c_int32),
        ("duplicate_state", c_int32),
        ("valid_lifetime", c_uint32),
        ("preferred_lifetime", c_uint32),
        ("lease_lifetime", c_uint32),
        ("prefix", c_uint8),
    ]


class InterfaceRow(Structure):
    """``MIB_IF_ROW2``."""

    _fields_: ClassVar = [
        ("luid", c_uint64),
        ("index", c_uint32),
        ("guid", Guid),
        ("alias", c_uint16 * 257),
        ("description", c_uint16 * 257),
        ("physical_length", c_uint32),
        ("physical_address", c_uint8 * 32),
        ("permanent_address", c_uint8 * 32),
        ("mtu", c_uint32),
        ("type", c_uint32),
        ("tunnel_type", c_int32),
        ("media_type", c_int32),
        ("physical_medium", c_int32),
        ("access_type", c_int32),
        ("direction", c_int32),
        ("flags", c_uint8),
        ("status", c_int32),
        ("admin_status", c_int32),
        ("media_state", c_int32),
        ("network", Guid),
        ("connection_type", c_int32),
        ("send_speed", c_uint64),
        ("receive_speed", c_uint64),
        ("in_octets", c_uint64),
        ("in_unicast", c_uint64),
        ("in_other", c_uint64),
        ("in_discards", c_uint64),
        ("in_errors", c_uint64),
        ("in_unknown", c_uint64),
        ("in_by_kind", c_uint64 * 3),
        ("out_octets", c_uint64),
        ("out_unicast", c_uint64),
        ("out_other", c_uint64),
        ("out_discards", c_uint64),
        ("out_errors", c_uint64),
        ("out_by_kind", c_uint64 * 3),
        ("out_queue", c_uint64),
    ]


class RouteRow(Structure):
    """``MIB_IPFORWARD_ROW2``; its addresses are ``SOCKADDR_INET``."""

    _fields_: ClassVar = [
        ("luid", c_uint64),
        ("index", c_uint32),
        ("destination", c_uint8 * 28),
        ("prefix", c_uint8),
        ("padding", c_uint8 * 3),  # IP_ADDRESS_PREFIX ends on a boundary of four bytes, as SOCKADDR_INET does
        ("next_hop", c_uint8 * 28),
        ("site_prefix", c_uint8),
        ("valid_lifetime", c_uint32),
        ("preferred_lifetime", c_uint32),
        ("metric", c_uint32),
        ("protocol", c_int32),
        ("loopback", c_uint8),
        ("autoconfigured", c_uint8),
        ("published", c_uint8),
        ("immortal", c_uint8),
        ("age", c_uint32),
        ("origin", c_int32),
    ]


class OldRouteRow(Structure):
    """``MIB_IPFORWARDROW``, of IPv4; addresses are in the order of the network."""

    _fields_: ClassVar = [
        ("destination", c_uint8 * 4),
        ("mask", c_uint8 * 4),
        ("policy", c_uint32),
        ("next_hop", c_uint8 * 4),
        ("index", c_uint32),
        ("type", c_uint32),
        ("protocol", c_uint32),
        ("age", c_uint32),
        ("next_system", c_uint32),
        ("metrics", c_uint32 * 5),
    ]


class NeighbourRow(Structure):
    """``MIB_IPNET_ROW2``."""

    _fields_: ClassVar = [
        ("address", c_uint8 * 28),
        ("index", c_uint32),
        ("luid", c_uint64),
        ("physical_address", c_uint8 * 32),
        ("physical_length", c_uint32),
        ("state", c_int32),
        ("flags", c_uint8),
        ("reachable_ms", c_uint32),
    ]


class EchoOptions(Structure):
    """``IP_OPTION_INFORMATION``."""

    _fields_: ClassVar = [
        ("ttl", c_uint8),
        ("service", c_uint8),
        ("flags", c_uint8),
        ("size", c_uint8),
        ("data", c_uint64),
    ]


class EchoReply(Structure):
    """``ICMP_ECHO_REPLY``."""

    _fields_: ClassVar = [
        ("address", c_uint8 * 4),
        ("status", c_uint32),
        ("round_trip_ms", c_uint32),
        ("size", c_uint16),
        ("reserved", c_uint16),
        ("data", c_uint64),
        ("options", EchoOptions),
    ]


def text(units: bytes | bytearray | memoryview) -> str:
    """Return UTF-16 up to its first NUL."""
    return bytes(units).decode("utf-16-le", "replace").partition("\0")[0]
