"""What a system knows of its network, as each of them is read: interfaces, routes, neighbours."""

from __future__ import annotations

import enum

import msgspec

from probes.failure import Failure


class InterfaceAddress(msgspec.Struct, frozen=True):
    """One address with its prefix length; ``tentative`` and ``deprecated`` as the kernel flags it.

    ``duplicate`` tells that another machine of the link has it too, so that it stays tentative for good (RFC 4862,
    section 5.4).
    """

    address: str
    family: int
    prefix: int
    broadcast: str | None = None
    tentative: bool = False
    deprecated: bool = False
    duplicate: bool = False


class Interface(msgspec.Struct, frozen=True):
    """``up`` is the administrative state, ``carrier`` the link's (``None`` where it cannot be told).

    Counters are totals since the interface came up; ``None`` where unknown. ``mac`` is ``None`` for those without.
    ``tunnel`` tells that it has one far end and no link addresses, as tunnels and VPNs have. ``reverse_path`` is the
    filter of IPv4 packets from where this machine would send by another way: 0 off, 1 strict, 2 loose (ip-sysctl).
    ``serves`` tells that another interface uses it (it is a port of a bridge or bond, or carries a VLAN): it needs no
    address of its own. ``ipv6_off``: its own switch (``net.ipv6.conf.NAME.disable_ipv6``) keeps IPv6 from it.
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
    serves: bool = False
    ipv6_off: bool = False
    tunnel: bool = False
    rx_packets: int | None = None
    tx_packets: int | None = None
    reverse_path: int | None = None


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


class DefaultRoute(msgspec.Struct, frozen=True):
    """One default route of the destination's family, lowest metric first."""

    gateway: str | None
    interface: str | None
    metric: int
    onlink: bool = False
    linkdown: bool = False


class RouteResult(msgspec.Struct, frozen=True):
    """The kernel's decision for ``address``.

    ``on_link`` is true where the destination itself is the next hop. ``gateway`` is the next hop otherwise.
    ``matched`` is the table's prefix that decided, as far as it could be found (``0.0.0.0/0`` for the default).
    ``gateway_on_link`` is false where the gateway lies outside every prefix of the outgoing interface: the
    mask makes the router look remote. ``failure``/``errno`` are what the look-up returned.
    ``mtu`` is the path MTU that the kernel holds for the destination, in bytes: learnt, or set on the route.
    ``by_user`` tells that policy rules hold for some users only: another one's packets may go elsewhere;
    ``by_port`` that some look at ports or protocols, which this look-up does not meet.
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
    by_user: bool = False
    by_port: bool = False


class NeighbourState(enum.StrEnum):
    """The kernel's states (arp(7), RFC 4861); ``absent`` where it knows nothing of the address."""

    INCOMPLETE = "incomplete"
    REACHABLE = "reachable"
    STALE = "stale"
    DELAY = "delay"
    PROBE = "probe"
    FAILED = "failed"
    NOARP = "noarp"
    PERMANENT = "permanent"
    ABSENT = "absent"


class Neighbour(msgspec.Struct, frozen=True):
    """One entry of the table, as it stands at the end.

    ``answered`` is true where the neighbour answered during this probe, to whatever question. ``requests`` counts
    the ARP requests or neighbour solicitations that this probe sent itself (0 without the privilege).
    ``confirmed`` is true where it answered, or where it could not be asked by hand and the kernel still holds it
    reachable: that may be a memory of up to 45 s (RFC 4861, ReachableTime). ``duration_ms`` is the time until
    then, or until the probe gave up; ``None`` where nothing was asked.
    """

    address: str
    interface: str | None
    state: NeighbourState
    mac: str | None
    router: bool = False
    confirmed: bool = False
    duration_ms: float | None = None
    requests: int = 0
    answered: bool = False
