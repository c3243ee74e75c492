"""What the kernel knows of one connection: ``struct tcp_info`` (tcp(7), <linux/tcp.h>)."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Final

#: Offset and format of each number that is read; older kernels give a shorter structure.
_FIELDS: Final = {
    "advertised_mss": (84, "=I"),
    "retransmitted": (100, "=I"),
    "acknowledged": (120, "=Q"),
    "out_of_order": (224, "=I"),
}


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Numbers of one connection, 0 where the kernel does not tell.

    ``advertised_mss`` is the longest segment that this side has said it takes, bytes. ``retransmitted`` counts
    segments that were sent again. ``acknowledged`` counts bytes of ours, the SYN as one. ``out_of_order`` counts
    segments that came while one before them was missing (Linux 5.4 and later).
    """

    advertised_mss: int = 0
    retransmitted: int = 0
    acknowledged: int = 0
    out_of_order: int = 0


def read(opened: socket.socket) -> TcpInfo:
    """Return the numbers of a TCP socket, all 0 where it is closed."""
    try:
        info = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:
        return TcpInfo()
    return TcpInfo(
        **{
            name: int(struct.unpack_from(form, info, offset)[0])
            for name, (offset, form) in _FIELDS.items()
            if len(info) >= offset + struct.calcsize(form)
        }
    )
