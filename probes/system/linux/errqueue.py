"""The socket error queue: who answered a packet with which ICMP error, for any user (ip(7), ipv6(7), recvmsg(2)).

``struct sock_extended_err`` stands in <linux/errqueue.h>. Without ``IP_RECVERR`` an ICMP error is an errno
without a sender, and on a socket that is not connected it is nothing at all.

Two traps, both met here. Taking an entry off the queue clears the pending error of the socket, so whoever
needs ``SO_ERROR`` reads it first. And while an error is pending, the next ``send`` fails with *that* error
although nothing is wrong with the new packet: :meth:`QueuedSocket.send` drains and repeats.
"""

from __future__ import annotations

import errno as errno_module
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from probes.failure import IcmpError, IcmpMeaning
from probes.system import on_linux
from probes.system.endpoint import text_of
from probes.system.linux import constants

_EXTENDED: Final = struct.Struct("=IBBBBII")
_RECVERR: Final = {
    (socket.IPPROTO_IP, constants.IP_RECVERR): 4,
    (socket.IPPROTO_IPV6, constants.IPV6_RECVERR): 6,
}
_TTL: Final = {(socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, constants.IPV6_HOPLIMIT)}
_ANCILLARY: Final = 512
#: No more entries are taken off a queue at once; the kernel's own bound is the socket's receive buffer.
_MOST: Final = 256


class Stamp(msgspec.Struct, frozen=True):
    """One moment on both clocks: the wall clock is the kernel's for packets, the other one never jumps."""

    wall_s: float
    monotonic_s: float


def now() -> Stamp:
    """Return this moment."""
    return Stamp(time.time(), time.monotonic())


def elapsed_ms(since: Stamp, received_s: float | None = None) -> float:
    """Milliseconds from ``since`` to the kernel's time stamp ``received_s``, or to now where it gives none.

    A stamp that does not lie between the two (the wall clock was set meanwhile) is not believed.
    """
    here = (time.monotonic() - since.monotonic_s) * 1000
    if received_s is None:
        return here
    there = (received_s - since.wall_s) * 1000
    return there if 0 <= there <= here + 1 else here


class QueuedError(msgspec.Struct, frozen=True):
    """One entry of a queue.

    ``icmp`` is ``None`` where the local stack itself speaks (a datagram longer than the MTU: ``info`` is that
    MTU in bytes). ``payload`` is what the error quotes of our packet behind its UDP header, or from its ICMP
    header on; older routers quote 8 bytes of the transport's header only. ``port`` is the destination port
    of that packet (0 for ICMP). ``ttl`` is the error's own TTL on arrival, where the socket asked for it.
    ``received_s`` is the kernel's time stamp, seconds since the epoch.
    """

    errno: int
    icmp: IcmpError | None
    info: int
    payload: bytes
    port: int
    ttl: int | None
    received_s: float | None


class Received(msgspec.Struct, frozen=True):
    """One datagram that came in, with its source as :func:`text_of` writes it and that source's port."""

    data: bytes
    source: str
    port: int
    ttl: int | None
    received_s: float | None


def enable(opened: socket.socket, *, stamps: bool = True) -> bool:
    """Ask for the error queue, and with ``stamps`` for times and TTLs; false where the system has no queue."""
    if not on_linux():
        return False
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, constants.IPV6_RECVERR, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, constants.IP_RECVERR, 1)
    if stamps:
        opened.setsockopt(socket.SOL_SOCKET, constants.SO_TIMESTAMPNS, 1)
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, constants.IPV6_RECVHOPLIMIT, 1)
        else:
            opened.setsockopt(socket.IPPROTO_IP, constants.IP_RECVTTL, 1)
    return True


def set_ttl(opened: socket.socket, ttl: int) -> None:
    """Send everything from this socket with a TTL (hop limit)."""
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    else:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)


def never_fragment(opened: socket.socket) -> None:
    """Send with *do not fragment* and pay no heed to the path MTU that the kernel has learnt (ip(7))."""
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, constants.IPV6_MTU_DISCOVER, constants.PMTUDISC_PROBE)
    else:
        opened.setsockopt(socket.IPPROTO_IP, constants.IP_MTU_DISCOVER, constants.PMTUDISC_PROBE)


def drain(opened: socket.socket) -> list[QueuedError]:
    """Take every entry off the queue of a non-blocking socket. Read ``SO_ERROR`` before: this clears it."""
    taken: list[QueuedError] = []
    if not on_linux():
        return taken
    while len(taken) < _MOST:
        try:
            payload, ancillary, _flags, name = opened.recvmsg(2048, _ANCILLARY, constants.MSG_ERRQUEUE)
        except OSError:
            break
        entry = decode(payload, ancillary, name)
        if entry is not None:
            taken.append(entry)
    return taken


def decode(payload: bytes, ancillary: list[tuple[int, int, bytes]], name: Any) -> QueuedError | None:
    """Read one message of a queue; ``None`` where it carries no extended error (a transmit time stamp)."""
    found: tuple[int, bytes] | None = None
    ttl: int | None = None
    received_s: float | None = None
    for level, kind, data in ancillary:
        if (level, kind) in _RECVERR and len(data) >= _EXTENDED.size:
            found = (_RECVERR[level, kind], data)
        else:
            ttl = ttl if (got := _ttl(level, kind, data)) is None else got
            received_s = received_s if (at := _time(level, kind, data)) is None else at
    if found is None:
        return None
    family, data = found
    number, origin, kind, code, _pad, info, _data = _EXTENDED.unpack_from(data)
    icmp = None
    if origin in (constants.SO_EE_ORIGIN_ICMP, constants.SO_EE_ORIGIN_ICMP6):
        icmp = IcmpError(family, kind, code, _sender(data[_EXTENDED.size :]))
        if icmp.meaning is IcmpMeaning.TOO_BIG:
            icmp = IcmpError(family, kind, code, icmp.sender, info)
    elif origin != constants.SO_EE_ORIGIN_LOCAL:
        return None
    port = int(name[1]) if isinstance(name, tuple) and len(name) > 1 else 0
    return QueuedError(number, icmp, info, payload, port, ttl, received_s)


def _sender(data: bytes) -> str | None:
    """Read the ``sockaddr`` of the offender behind the extended error."""
    if len(data) < 8:
        return None
    family = struct.unpack_from("=H", data)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, data[4:8])
    if family == socket.AF_INET6 and len(data) >= 28:
        return text_of(socket.inet_ntop(socket.AF_INET6, data[8:24]), struct.unpack_from("=I", data, 24)[0])
    return None


def _ttl(level: int, kind: int, data: bytes) -> int | None:
    if (level, kind) in _TTL and len(data) >= 4:
        return int(struct.unpack_from("=i", data)[0])
    return None


def _time(level: int, kind: int, data: bytes) -> float | None:
    if (level, kind) != (socket.SOL_SOCKET, constants.SO_TIMESTAMPNS):
        return None
    if len(data) >= 16:
        seconds, nanoseconds = struct.unpack_from("=qq", data)
    elif len(data) >= 8:  # a 32-bit kernel's timespec
        seconds, nanoseconds = struct.unpack_from("=ii", data)
    else:
        return None
    return float(seconds + nanoseconds / 1e9)


class QueuedSocket:
    """A UDP or ICMP socket whose sends never fail for an earlier packet's ICMP error."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self._errors: deque[QueuedError] = deque()
        enable(opened)

    def send(self, data: bytes, *, ttl: int | None = None, to: tuple[Any, ...] | None = None) -> None:
        """Send one packet, with its own TTL if wanted. Raises ``OSError`` where the local stack refuses it."""
        control: list[tuple[int, int, bytes]] = []
        if ttl is not None:
            value = struct.pack("=i", ttl)
            if self.socket.family == socket.AF_INET6:
                control.append((socket.IPPROTO_IPV6, constants.IPV6_HOPLIMIT, value))
            else:
                control.append((socket.IPPROTO_IP, socket.IP_TTL, value))
        for last in (False, False, False, True):
            try:
                if to is None:
                    self.socket.sendmsg([data], control)
                else:
                    self.socket.sendmsg([data], control, 0, to)
            except OSError:
                older = drain(self.socket)
                self._errors.extend(older)
                if last or not any(entry.icmp for entry in older):
                    raise
            else:
                return

    def errors(self) -> list[QueuedError]:
        """Return every error that has come since the last call."""
        taken = [*self._errors, *drain(self.socket)]
        self._errors.clear()
        return taken

    def about(
        self, cookie: bytes, sent_to: Callable[[str | None], bool]
    ) -> Iterator[tuple[QueuedError, IcmpError | None]]:
        """Yield the ICMP errors about datagrams that begin with ``cookie``, each with what it says of the way there.

        That a port is closed, said by whom ``sent_to`` knows as the destination, says nothing of it: it arrived.
        """
        for error in self.errors():
            icmp = error.icmp
            if icmp is None or not error.payload.startswith(cookie[: len(error.payload)]):
                continue
            arrived = icmp.meaning is IcmpMeaning.PORT_UNREACHABLE and sent_to(icmp.sender)
            yield error, None if arrived else icmp

    def received(self, longest: int = 2048) -> list[Received]:
        """Return every datagram that has come in, each cut at ``longest`` bytes. Call :meth:`errors` before."""
        taken: list[Received] = []
        failed = False
        while len(taken) < _MOST:
            try:
                data, ancillary, _flags, name = self.socket.recvmsg(longest, _ANCILLARY)
            except OSError as error:
                # an error that came since the queue was drained is reported once; then the data follow
                if failed or error.errno in (errno_module.EAGAIN, errno_module.EWOULDBLOCK):
                    break
                failed = True
                self._errors.extend(drain(self.socket))
                continue
            ttl: int | None = None
            received_s: float | None = None
            for level, kind, value in ancillary:
                ttl = ttl if (got := _ttl(level, kind, value)) is None else got
                received_s = received_s if (at := _time(level, kind, value)) is None else at
            scope = int(name[3]) if isinstance(name, tuple) and len(name) > 3 else 0
            source = text_of(str(name[0]), scope) if isinstance(name, tuple) and name else ""
            port = int(name[1]) if isinstance(name, tuple) and len(name) > 1 else 0
            taken.append(Received(data, source, port, ttl, received_s))
        return taken
