"""A small typed client of rtnetlink(7): links, addresses, routes, rules, neighbours, and "which way to X".

Everything here needs no privilege. The kernel answers a request before ``send`` returns, so that the calls are
plain functions; a look-up takes some tens of microseconds. The module can be imported anywhere, and be called on
Linux. Layouts: <linux/netlink.h>, <linux/rtnetlink.h>,
<linux/if_link.h>, <linux/if_addr.h>, <linux/neighbour.h>, <linux/fib_rules.h>.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

import msgspec

from probes.base import Context
from probes.system.linux.constants import NETLINK_ROUTE
from probes.system.linux.netlink import DUMP, ask, attribute, attributes, messages, whole

_RTM_GETLINK, _RTM_GETADDR, _RTM_GETROUTE, _RTM_GETNEIGH, _RTM_GETRULE = 18, 22, 26, 30, 34
_RTM_NEWNEIGH, _RTM_DELNEIGH = 28, 29
_RTMGRP_NEIGH = 0x4
_RTM_F_CLONED, _RTM_F_LOOKUP_TABLE, _RTM_F_FIB_MATCH = 0x200, 0x1000, 0x2000

_RTMSG = struct.Struct("=BBBBBBBBI")
_IFINFOMSG = struct.Struct("=BxHiII")
_IFADDRMSG = struct.Struct("=BBBBI")
_NDMSG = struct.Struct("=BxxxiHBB")

# rtm_type (rtnetlink(7))
RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST = 1, 2, 3, 4, 5
RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW = 6, 7, 8, 9
# rtm_flags of next hops
RTNH_F_DEAD, RTNH_F_ONLINK, RTNH_F_LINKDOWN = 1, 4, 16
# ndm_state and ndm_flags
NUD_INCOMPLETE, NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_FAILED = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
NTF_ROUTER = 0x80
# ifi_flags
IFF_UP, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_RUNNING, IFF_NOARP = 0x1, 0x8, 0x10, 0x40, 0x80
#: ifi_type of Ethernet and of everything that looks like it (veth, bridge, Wi-Fi)
ARPHRD_ETHER = 1
# ifa_flags
IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x08, 0x20, 0x40
#: The table that holds the kernel's own addresses
RT_TABLE_LOCAL = 255
_FR_ACT_TO_TBL = 1
_FIB_RULE_INVERT = 0x2
_FRA_UID_RANGE = 20
_FRA_PORTS = frozenset({22, 23, 24})  # protocol, range of source ports, of destination ports


class Link(msgspec.Struct, frozen=True):
    """One interface. ``carrier`` is what the driver says; it means nothing while the interface is down.

    ``master`` is the index of the bridge or bond that it is a port of, ``below`` that of the interface that it is made
    upon (a VLAN's, a macvlan's), each in this network namespace.
    """

    index: int
    name: str
    flags: int
    hardware_type: int
    mtu: int
    mac: bytes
    carrier: bool | None
    rx_errors: int | None
    tx_errors: int | None
    rx_dropped: int | None
    tx_dropped: int | None
    master: int | None = None
    below: int | None = None
    rx_packets: int | None = None
    tx_packets: int | None = None


class Address(msgspec.Struct, frozen=True):
    """One assigned address; ``peer`` is the other end of a point-to-point link where it has one."""

    index: int
    family: int
    address: str
    prefix: int
    peer: str | None
    broadcast: str | None
    flags: int


class Hop(msgspec.Struct, frozen=True):
    """One way out of a route; ``flags`` are ``RTNH_F_*``."""

    interface: int | None
    gateway: str | None
    flags: int


class Route(msgspec.Struct, frozen=True):
    """One route, or the answer to a look-up. ``mtu`` in bytes, ``None`` where the route sets none.

    ``family`` is 4 or 6, ``type`` an ``RTN_*``. ``hops`` has several entries for a multipath route.
    """

    family: int
    type: int
    table: int
    destination: str
    prefix: int
    metric: int
    source: str | None
    mtu: int | None
    hops: tuple[Hop, ...]

    @property
    def interface(self) -> int | None:
        """The index of the (first) outgoing interface."""
        return self.hops[0].interface if self.hops else None

    @property
    def gateway(self) -> str | None:
        """The (first) next hop; ``None`` where the destination itself is it."""
        return self.hops[0].gateway if self.hops else None


class Rule(msgspec.Struct, frozen=True):
    """One policy rule that sends look-ups to a table (ip-rule(8)), as far as a destination can decide it.

    ``suppress_prefix`` is the longest prefix that the rule ignores in its table, -1 for none.
    """

    priority: int
    table: int
    destination: str | None
    prefix: int
    inverted: bool
    suppress_prefix: int


class NeighbourEntry(msgspec.Struct, frozen=True):
    """One entry of the neighbour table; ``state`` is an ``NUD_*``, 0 where the entry has just been removed."""

    index: int
    address: bytes
    state: int
    flags: int
    mac: bytes


def links(context: Context) -> tuple[Link, ...]:
    """Return every interface of this network namespace, by index. Raises ``OSError`` where netlink is denied."""
    body = _IFINFOMSG.pack(0, 0, 0, 0, 0)
    found = (_link(message) for message in ask(context, _RTM_GETLINK, DUMP, body))
    return tuple(sorted(found, key=lambda link: link.index))


def link(context: Context, index: int) -> Link:
    """Return one interface; raises ``OSError`` (ENODEV) where there is none of this index."""
    body = _IFINFOMSG.pack(0, 0, index, 0, 0)
    return _link(next(ask(context, _RTM_GETLINK, 0, body)))


def addresses(context: Context) -> tuple[Address, ...]:
    """Return every assigned address of IPv4 and IPv6."""
    body = _IFADDRMSG.pack(0, 0, 0, 0, 0)
    found = (_address(message) for message in ask(context, _RTM_GETADDR, DUMP, body))
    return tuple(address for address in found if address is not None)


def routes(context: Context, family: int, *, longest_prefix: int = 128) -> tuple[Route, ...]:
    """Return the routes of ``family`` (4 or 6) in all tables, those longer than ``longest_prefix`` left out.

    At most :data:`probes.system.linux.netlink.MAX_MESSAGES` are looked at.
    """
    body = _RTMSG.pack(_af(family), 0, 0, 0, 0, 0, 0, 0, 0)
    return tuple(
        _route(message)
        for message in ask(context, _RTM_GETROUTE, DUMP, body)
        if message[1] <= longest_prefix and not _RTMSG.unpack_from(message)[8] & _RTM_F_CLONED
    )


def route_to(context: Context, address: str, *, interface: int | None = None, fib_match: bool = False) -> Route:
    """Ask the kernel which way a packet of this process to ``address`` (no zone) would leave.

    Policy rules count, except those that look at ports. With ``fib_match`` the answer is the table's entry that
    decided instead of the decision. Raises the ``OSError`` that a packet would meet: ENETUNREACH without a route,
    EHOSTUNREACH, EACCES or EINVAL for an unreachable, prohibit or blackhole route or rule.
    """
    family = 6 if ":" in address else 4
    packed = socket.inet_pton(_af(family), address)
    flags = _RTM_F_LOOKUP_TABLE | (_RTM_F_FIB_MATCH if fib_match else 0)
    body = _RTMSG.pack(_af(family), len(packed) * 8, 0, 0, 0, 0, 0, 0, flags) + attribute(1, packed)
    if interface is not None:
        body += attribute(4, struct.pack("=I", interface))
    return _route(next(ask(context, _RTM_GETROUTE, 0, body)))


def rules(context: Context, family: int) -> tuple[Rule, ...]:
    """Return the policy rules of ``family`` that lead to a table, first rule first."""
    body = struct.pack("=BBBBBBBBI", _af(family), 0, 0, 0, 0, 0, 0, 0, 0)
    found = (_rule(message) for message in ask(context, _RTM_GETRULE, DUMP, body))
    return tuple(sorted((rule for rule in found if rule is not None), key=lambda rule: rule.priority))


def selective_rules(context: Context, family: int) -> tuple[bool, bool]:
    """Tell whether policy rules, of whatever action, hold for some users only, and whether for some ports or protocols.

    The latter are not met by a look-up for an address.
    """
    body = struct.pack("=BBBBBBBBI", _af(family), 0, 0, 0, 0, 0, 0, 0, 0)
    asked = [attributes(message, _RTMSG.size).keys() for message in ask(context, _RTM_GETRULE, DUMP, body)]
    return any(_FRA_UID_RANGE in one for one in asked), any(not _FRA_PORTS.isdisjoint(one) for one in asked)


def neighbours(context: Context) -> tuple[NeighbourEntry, ...]:
    """Return the neighbour tables of IPv4 (ARP) and IPv6."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = _NDMSG.pack(family, 0, 0, 0, 0)
        for message in ask(context, _RTM_GETNEIGH, DUMP, body):
            entry = _neighbour(message)
            if entry is not None:
                found.append(entry)
    return tuple(found)


def open_neighbour_watch(context: Context) -> socket.socket:
    """Open a non-blocking socket that receives every change of the neighbour tables."""
    opened = context.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
    try:
        opened.bind((0, _RTMGRP_NEIGH))
    except OSError:
        opened.close()
        raise
    return opened


def neighbour_changes(data: bytes) -> Iterator[NeighbourEntry]:
    """Yield the entries in one datagram of :func:`open_neighbour_watch`."""
    for kind, _, message in messages(data):
        if kind in (_RTM_NEWNEIGH, _RTM_DELNEIGH):
            entry = _neighbour(message)
            if entry is None:
                continue
            if kind == _RTM_DELNEIGH:
                entry = NeighbourEntry(entry.index, entry.address, 0, entry.flags, b"")
            yield entry


def _af(family: int) -> int:
    return socket.AF_INET if family == 4 else socket.AF_INET6


def _text(packed: bytes | None) -> str | None:
    """Return the text of a packed address; ``None`` for what is no address."""
    if packed is None or len(packed) not in (4, 16):
        return None
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _number(value: bytes | None) -> int | None:
    return int.from_bytes(value, sys.byteorder) if value else None


@whole
def _link(message: bytes) -> Link:
    _family, hardware, index, flags, _change = _IFINFOMSG.unpack_from(message)
    found = attributes(message, _IFINFOMSG.size)
    # IFLA_STATS64 (23): packets, bytes, errors, dropped, each received first and sent second
    packets: tuple[int | None, ...] = (None,) * 2
    stats: tuple[int | None, ...] = (None,) * 4
    if len(found.get(23, b"")) >= 64:
        packets, stats = struct.unpack_from("=2Q", found[23]), struct.unpack_from("=8Q", found[23])[4:8]
    carrier = found.get(33)
    return Link(
        index=index,
        name=found.get(3, b"").rstrip(b"\0").decode("utf-8", "replace"),
        flags=flags,
        hardware_type=hardware,
        mtu=_number(found.get(4)) or 0,
        mac=found.get(1, b""),
        carrier=bool(carrier[0]) if carrier else None,
        rx_errors=stats[0],
        tx_errors=stats[1],
        rx_dropped=stats[2],
        tx_dropped=stats[3],
        master=_number(found.get(10)),
        below=_number(found.get(5)) if 37 not in found else None,  # IFLA_LINK_NETNSID: it is in another namespace
        rx_packets=packets[0],
        tx_packets=packets[1],
    )


@whole
def _address(message: bytes) -> Address | None:
    family, prefix, flags, _scope, index = _IFADDRMSG.unpack_from(message)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = attributes(message, _IFADDRMSG.size)
    # IFA_ADDRESS (1) is the peer's where IFA_LOCAL (2) is there and differs (rtnetlink(7))
    remote, local = _text(found.get(1)), _text(found.get(2))
    own = local or remote
    if own is None:
        return None
    return Address(
        index=index,
        family=4 if family == socket.AF_INET else 6,
        address=own,
        prefix=prefix,
        peer=remote if remote != own else None,
        broadcast=_text(found.get(4)),
        flags=_number(found.get(8)) or flags,
    )


@whole
def _route(message: bytes) -> Route:
    family, prefix, _srclen, _tos, table, _protocol, _scope, kind, flags = _RTMSG.unpack_from(message)
    found = attributes(message, _RTMSG.size)
    version = 4 if family == socket.AF_INET else 6
    single = Hop(_number(found.get(4)), _gateway(found), flags & 0xFF)
    metrics = attributes(found.get(8, b""), 0)
    return Route(
        family=version,
        type=kind,
        table=_number(found.get(15)) or table,
        destination=_text(found.get(1)) or ("0.0.0.0" if version == 4 else "::"),
        prefix=prefix,
        metric=_number(found.get(6)) or 0,
        source=_text(found.get(7)),
        mtu=_number(metrics.get(2)),
        hops=tuple(_multipath(found[9])) if 9 in found else (single,),
    )


def _gateway(found: dict[int, bytes]) -> str | None:
    """Return RTA_GATEWAY, or RTA_VIA where the next hop is of the other family (RFC 8950)."""
    if 5 in found:
        return _text(found[5])
    return _text(found[18][2:]) if 18 in found else None


def _multipath(data: bytes) -> Iterator[Hop]:
    offset = 0
    while offset + 8 <= len(data):
        length, flags, _weight, interface = struct.unpack_from("=HBBi", data, offset)
        if length < 8 or offset + length > len(data):
            return
        yield Hop(interface, _gateway(attributes(data[offset : offset + length], 8)), flags)
        offset += (length + 3) & ~3


@whole
def _rule(message: bytes) -> Rule | None:
    _family, prefix, _srclen, _tos, table, _r1, _r2, action, flags = _RTMSG.unpack_from(message)
    if action != _FR_ACT_TO_TBL:
        return None
    found = attributes(message, _RTMSG.size)
    suppress = _number(found.get(14))
    return Rule(
        priority=_number(found.get(6)) or 0,
        table=_number(found.get(15)) or table,
        destination=_text(found.get(1)),
        prefix=prefix,
        inverted=bool(flags & _FIB_RULE_INVERT),
        suppress_prefix=-1 if suppress is None or suppress == 0xFFFFFFFF else suppress,
    )


@whole
def _neighbour(message: bytes) -> NeighbourEntry | None:
    family, index, state, flags, _kind = _NDMSG.unpack_from(message)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = attributes(message, _NDMSG.size)
    if len(found.get(1, b"")) not in (4, 16):
        return None
    return NeighbourEntry(index, found[1], state, flags, found.get(2, b""))
