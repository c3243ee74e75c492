"""What this process is able to do, found out by trying or by its capabilities, never by its user id.

Root in a container may lack every capability, and an ordinary user may have been given one (capabilities(7)).
"""

from __future__ import annotations

import errno
import socket

import msgspec

from probes.base import Context
from probes.system.rights import Capability, laid_down, using

_CAP_NET_ADMIN = 12


class Privileges(msgspec.Struct, frozen=True):
    """``send_raw``: raw and packet sockets; ``bind_low``: ports below 1024; ``net_admin``: other settings."""

    send_raw: bool
    bind_low: bool
    net_admin: bool


def privileges(context: Context) -> Privileges:
    """Return everything this process may do; takes well under a millisecond and sends nothing."""
    return Privileges(may_send_raw(context), may_bind_low(context), net_admin(context))


def capabilities(context: Context) -> int:
    """Return the capabilities that calls can have as a bit mask, 0 where they cannot be read (proc_pid_status(5))."""
    try:
        status = context.read_text("/proc/self/status")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) | laid_down()
    return 0


def may_send_raw(context: Context) -> bool:
    """Tell whether a raw socket can be opened (CAP_NET_RAW over this network namespace)."""
    try:
        context.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True


def may_bind_low(context: Context, port: int = 1) -> bool:
    """Tell whether ``port`` (below 1024) may be bound; nothing is sent and the socket is closed at once.

    The sysctl ``ip_unprivileged_port_start`` counts as well as CAP_NET_BIND_SERVICE, so that binding a UDP
    socket of the loopback address is the exact question.
    """
    with context.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        try:
            with using(Capability.NET_BIND_SERVICE):
                opened.bind(("127.0.0.1", port))
        except PermissionError:
            return False
        except OSError as error:
            if error.errno == errno.EADDRINUSE:  # the permission is asked for first (ip(7))
                return True
            return bool(capabilities(context) >> Capability.NET_BIND_SERVICE & 1)
    return True


def net_admin(context: Context) -> bool:
    """Tell whether this process holds CAP_NET_ADMIN."""
    return bool(capabilities(context) >> _CAP_NET_ADMIN & 1)
