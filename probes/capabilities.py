"""Look at what wsadiag itself can use here: privileges, kernel features, files of /proc, tools, libraries.

Every feature is tried and not concluded from a user id or a version: an error must arrive on the error queue, a
segment with too small a TTL must be ignored. What is sent stays on the loopback interface.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from probes.base import Probe
from probes.system.late import body_of

#: The libraries whose versions a report of a bug should tell.
LIBRARIES: Final = ("dnspython", "icmplib", "idna", "msgspec", "psutil", "rich", "typer")
#: The programs that advice and the steps' own commands look with, on Linux; wsadiag itself starts none of them.
TOOLS: Final = (
    *("arping", "dig", "free", "getent", "ip", "mtr", "nc", "nft", "nstat", "openssl", "ping", "ps", "ss", "strace"),
    *("sysctl", "tcpdump", "traceroute"),
)
#: The files below /proc that steps are read from.
FILES: Final = (
    *("/proc/net/snmp", "/proc/net/netstat", "/proc/net/sockstat", "/proc/meminfo", "/proc/sys/fs/file-nr"),
    *("/proc/sys/net/ipv4/ip_local_port_range", "/proc/sys/net/ipv4/tcp_mem"),
)


class Feature(enum.StrEnum):
    """What is tried."""

    RAW_SOCKETS = "raw-sockets"
    PACKET_SOCKETS = "packet-sockets"
    ICMP_SOCKETS = "icmp-sockets"
    LOW_PORTS = "low-ports"
    NET_ADMIN = "net-admin"
    PROCESSES = "processes"
    ERROR_QUEUE = "error-queue"
    LEAST_TTL = "least-ttl"
    IGNORED_COUNT = "ignored-count"
    ROUTE_TABLES = "route-tables"
    SOCKET_TABLE = "socket-table"
    IPV4_LOOPBACK = "ipv4-loopback"
    IPV6_LOOPBACK = "ipv6-loopback"
    NAMESPACES = "namespaces"


class CapabilitiesRequest(msgspec.Struct, frozen=True):
    """``tools`` to look for on PATH and in the folders for administration; ``libraries`` whose version to tell."""

    tools: tuple[str, ...] = TOOLS
    libraries: tuple[str, ...] = LIBRARIES


class Ability(msgspec.Struct, frozen=True):
    """One feature. ``usable`` is ``None`` where it could not be found out; ``errno`` is the error that it met.

    ``icmp-sockets`` are datagram sockets for pings (icmp(7)). ``processes`` says that the descriptors of every
    process can be read. ``least-ttl`` is IP_MINTTL, ``ignored-count`` the count of what a socket ignored on its
    account. ``namespaces`` is a network namespace of one's own, with privilege or lent by a user namespace.
    """

    feature: Feature
    usable: bool | None
    errno: str | None = None


class Version(msgspec.Struct, frozen=True):
    """An installed distribution; ``version`` is ``None`` where there is no such."""

    name: str
    version: str | None


class Tool(msgspec.Struct, frozen=True):
    """A program; ``path`` is ``None`` where it was not found."""

    name: str
    path: str | None


class CapabilitiesResult(msgspec.Struct, frozen=True):
    """What was found. ``kernel`` is its name and release, ``machine`` the hardware's name, ``user`` our user id.

    ``held`` are the capabilities in effect, of those that matter here. ``ping_group_range`` and ``low_port_start``
    are the settings net.ipv4.ping_group_range and net.ipv4.ip_unprivileged_port_start, ``None`` where they cannot
    be read. ``processes`` counts those that can be seen, ``processes_hidden`` those of them whose descriptors
    cannot (tried on each: root without CAP_SYS_PTRACE may list them and read none); ``hidepid`` is the option of
    that name with which /proc is mounted. ``unreadable`` are files of
    :data:`FILES` that cannot be read.
    """

    kernel: str
    machine: str
    python: str
    user: int
    held: tuple[str, ...]
    abilities: tuple[Ability, ...]
    ping_group_range: tuple[int, int] | None
    low_port_start: int | None
    processes: int
    processes_hidden: int
    hidepid: str | None
    unreadable: tuple[str, ...]
    libraries: tuple[Version, ...]
    tools: tuple[Tool, ...]

    def ability(self, feature: Feature) -> Ability:
        """Return what was found out about one feature."""
        return next((a for a in self.abilities if a.feature is feature), Ability(feature, usable=None))


PROBE: Probe[CapabilitiesRequest, CapabilitiesResult] = Probe(
    name="capabilities",
    request=CapabilitiesRequest,
    result=CapabilitiesResult,
    observe=body_of(__name__),
    request_for=lambda _target: CapabilitiesRequest(),
    deadline_s=5.0,
    most_packets=lambda _request: 8,
)
