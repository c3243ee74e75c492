"""What the kernel knows of one connection: ``struct tcp_info`` (tcp(7), <linux/tcp.h>)."""

from __future__ import annotations

import socket
import struct
from typing import Final

import msgspec

#: Offset and format of each number that is read; older kernels give a shorter structure.
_FIELDS: Final = {
    "state": (0, "=B"),
    "advertised_mss": (84, "=I"),
    "retransmitted": (100, "=I"),
    "acknowledged": (120, "=Q"),
    "out_of_order": (224, "=I"),
}


#: States in which a FIN of ours is on its way and not acknowledged: FIN_WAIT1, LAST_ACK, CLOSING.
FIN_SENT: Final = frozenset({4, 9, 11})


class TcpInfo(msgspec.Struct, frozen=True):
    """Numbers of one connection, 0 where the kernel does not tell.

    ``state`` is the number of the TCP state (<net/tcp_states.h>).
    ``advertised_mss`` is the longest segment that this side has said it takes, bytes. ``retransmitted`` counts
    segments that were sent again. ``acknowledged`` counts bytes of ours, the SYN as one. ``out_of_order`` counts
    segments that came while one before them was missing (Linux 5.4 and later).
    """

    state: int = 0
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
