"""Have a socket ignore what arrives with too small a TTL, and learn that it did (ip(7), ipv6(7), RFC 5082).

``IP_MINTTL`` and ``IPV6_MINHOPCOUNT`` stand open to any user. The kernel counts each segment that it discards
on their account with the socket itself (Linux 4.7), and ``SO_MEMINFO`` tells that count (Linux 4.12): an answer
that came with too small a TTL is so told from one that never came. An ICMP error is measured by the TTL of the
packet that it quotes, and is not counted.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

from probes.system.linux import constants

#: ``SK_MEMINFO_DROPS`` of <linux/sock_diag.h>: the place of the count among the 32-bit words.
_DROPS: Final = 8


def require_ttl(opened: socket.socket, least: int) -> None:
    """Ignore everything that arrives with a TTL (hop limit) below ``least``; ``OSError`` where that is unknown."""
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, constants.IPV6_MINHOPCOUNT, least)
    else:
        opened.setsockopt(socket.IPPROTO_IP, constants.IP_MINTTL, least)


def default_ttl(opened: socket.socket) -> int:
    """Return the TTL (hop limit) with which this socket sends."""
    if opened.family == socket.AF_INET6:
        return opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
    return opened.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)


def discarded(opened: socket.socket) -> int | None:
    """Return how many segments this socket has discarded; ``None`` where the kernel does not tell."""
    try:
        words = opened.getsockopt(socket.SOL_SOCKET, constants.SO_MEMINFO, 64)
    except OSError:
        return None
    return int(struct.unpack_from("=I", words, 4 * _DROPS)[0]) if len(words) >= 4 * (_DROPS + 1) else None
