"""Messages of netlink(7) and their attributes: one request, its replies. Layouts: <linux/netlink.h>."""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from probes.base import Context
from probes.system.linux.constants import NETLINK_ROUTE

P = ParamSpec("P")
T = TypeVar("T")
#: A dump stops after so many messages; a router with a full Internet table must not hold up a diagnosis.
MAX_MESSAGES = 200_000
#: No reply takes this long; it bounds a wait that should not exist.
REPLY_TIMEOUT_S = 2.0

#: The flags of a request for a whole table.
DUMP = 0x300
_BUFFER_BYTES = 1 << 17
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST = 0x1
_NLA_TYPE_MASK = 0x3FFF
_HEADER = struct.Struct("=IHHII")


def ask(context: Context, kind: int, flags: int, body: bytes, protocol: int = NETLINK_ROUTE) -> Iterator[bytes]:
    """Send one request of ``protocol`` and yield its replies' bodies; raises ``OSError`` as the kernel answers."""
    with context.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as opened:
        opened.settimeout(REPLY_TIMEOUT_S)
        opened.send(_HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | flags, 1, 0) + body)
        seen = 0
        while seen < MAX_MESSAGES:
            data, (sender, _groups) = opened.recvfrom(_BUFFER_BYTES)
            if sender != 0:  # only the kernel is believed
                continue
            for reply, sequence, message in messages(data):
                if sequence != 1:
                    continue
                if reply == _NLMSG_DONE:
                    return
                if reply == _NLMSG_ERROR:
                    raise refusal(message)
                seen += 1
                yield message
            if not flags & DUMP:
                return


def whole(read: Callable[P, T]) -> Callable[P, T]:
    """Have a reader of a message say ``OSError`` (EBADMSG) of one that ends too early."""

    @functools.wraps(read)
    def checked(*given: P.args, **more: P.kwargs) -> T:
        try:
            return read(*given, **more)
        except (struct.error, IndexError, ValueError, OverflowError):
            raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG)) from None

    return checked


class Refused(OSError):  # noqa: N818 - an answer, and told apart from a question that could not be asked
    """The kernel's own answer to a question."""


@whole
def refusal(message: bytes) -> Refused:
    """Return the error that the kernel answers with; nothing is wrong where its number is 0."""
    number = abs(int(struct.unpack_from("=i", message)[0])) or errno.EPROTO
    return Refused(number, os.strerror(number))


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, sequence number and body of each message in one datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _flags, sequence, _sender = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            return
        yield kind, sequence, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute as it stands in a message, padded to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def attributes(data: bytes, offset: int) -> dict[int, bytes]:
    """Return the attributes that follow a fixed header, by type; of two with one type the last."""
    found: dict[int, bytes] = {}
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4 or offset + length > len(data):
            break
        found[kind & _NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found
