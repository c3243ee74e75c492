"""Echo requests over a datagram or a raw ICMP socket, replies and errors matched to the request (RFC 792, RFC 4443).

Both kinds are connected to the target, so that the kernel itself drops replies of any other address, and both
deliver errors through the error queue with the quoted request, so that another program's errors are told from
ours. A datagram socket needs a group inside ``net.ipv4.ping_group_range`` (icmp(7)), a raw one CAP_NET_RAW.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

import msgspec

from probes.base import Context
from probes.failure import IcmpError
from probes.system import chance
from probes.system.endpoint import Endpoint
from probes.system.linux import constants
from probes.system.linux.errqueue import QueuedSocket

_HEADER: Final = struct.Struct("!BBHHH")
_REQUEST: Final = {4: 8, 6: 128}
_REPLY: Final = {4: 0, 6: 129}
_PROTOCOL: Final = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_COOKIE: Final = 8
#: The IP header without options and the ICMP header, in bytes.
OVERHEAD: Final = {4: 28, 6: 48}


class EchoAnswer(msgspec.Struct, frozen=True):
    """What came for request number ``sequence``: a reply (``icmp`` is ``None``) with its TTL, or an error."""

    sequence: int
    received_s: float | None
    ttl: int | None
    icmp: IcmpError | None = None


class EchoSocket:
    """Echo requests to one address. ``raw`` chooses the kind.

    Opening raises ``PermissionError`` where that kind is not allowed and ``OSError`` where the local stack
    has no way to the address.
    """

    def __init__(self, context: Context, target: Endpoint, *, raw: bool) -> None:
        self._version = target.version
        kind = socket.SOCK_RAW if raw else socket.SOCK_DGRAM
        opened = context.socket(target.family, kind, _PROTOCOL[self._version])
        try:
            if raw:
                _only_replies(opened, self._version)
            self.queue = QueuedSocket(opened)
            opened.connect(target.at(0))
        except BaseException:
            opened.close()
            raise
        self._raw = raw
        #: Random, because identifiers made of process numbers collide with those of other programs.
        self._identifier = chance.below(0xFFFF) + 1
        self._cookie = os.urandom(_COOKIE)

    @property
    def socket(self) -> socket.socket:
        """The socket, to be watched and closed."""
        return self.queue.socket

    def send(self, sequence: int, *, ttl: int | None = None, size: int = 64) -> None:
        """Send a request whose ICMP message has ``size`` bytes. Raises ``OSError`` as ``sendmsg`` does."""
        body = self._cookie + bytes(max(0, size - _HEADER.size - _COOKIE))
        kind = _REQUEST[self._version]
        packet = _HEADER.pack(kind, 0, 0, self._identifier, sequence) + body
        if self._version == 4:
            packet = _HEADER.pack(kind, 0, checksum(packet), self._identifier, sequence) + body
        self.queue.send(packet, ttl=ttl)

    def answers(self) -> list[EchoAnswer]:
        """Return what has come for our own requests since the last call."""
        found = [
            EchoAnswer(sequence, error.received_s, error.ttl, error.icmp)
            for error in self.queue.errors()
            if error.icmp is not None and (sequence := self._match(error.payload, _REQUEST)) is not None
        ]
        for datagram in self.queue.received():
            data = datagram.data
            if self._raw and self._version == 4:  # a raw IPv4 socket gives the IP header too
                data = data[(data[0] & 0x0F) * 4 :] if data else b""
            if (sequence := self._match(data, _REPLY)) is not None:
                found.append(EchoAnswer(sequence, datagram.received_s, datagram.ttl))
        return found

    def _match(self, data: bytes, kind: dict[int, int]) -> int | None:
        """Return the sequence number where ``data`` begins with a message of ours."""
        if len(data) < _HEADER.size:
            return None
        found, _code, _sum, identifier, sequence = _HEADER.unpack_from(data)
        if found != kind[self._version] or (self._raw and identifier != self._identifier):
            return None
        cookie = data[_HEADER.size : _HEADER.size + _COOKIE]
        if len(cookie) < _COOKIE and kind is _REQUEST:  # a quotation may end behind the header
            return int(sequence)
        return int(sequence) if cookie == self._cookie else None


def open_echo(context: Context, target: Endpoint) -> EchoSocket:
    """Open the kind of echo socket that is allowed here, the unprivileged one first.

    Raises ``PermissionError`` where neither is, ``OSError`` where the local stack has no way to the address.
    """
    try:
        return EchoSocket(context, target, raw=False)
    except PermissionError:
        return EchoSocket(context, target, raw=True)


def _only_replies(opened: socket.socket, version: int) -> None:
    """Let the kernel pass echo replies alone: a raw socket would get every ICMP message of the machine."""
    if version == 4:
        opened.setsockopt(constants.SOL_RAW, constants.ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF ^ (1 << 0)))
    else:
        words = [0xFFFFFFFF] * 8
        words[129 // 32] ^= 1 << (129 % 32)
        opened.setsockopt(constants.SOL_ICMPV6, constants.ICMPV6_FILTER, struct.pack("=8I", *words))


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
