"""Echo requests by Windows' own calls, which need no administrator: TTL, *do not fragment*, many in flight.

Each request waits in a thread of its own for its answer. Asked in this order: ``IcmpSendEcho2Ex``; where the system
lacks it ``IcmpSendEcho``. Both know IPv4 alone. The status of an answer has numbers that Winsock uses for other things
(11001 to 11045): they are translated here and never leave this module. Sources: Microsoft: IcmpSendEcho2Ex,
IcmpSendEcho, ICMP_ECHO_REPLY, IP_OPTION_INFORMATION, IP_STATUS (ipexport.h); RFC 792.
"""

from __future__ import annotations

import asyncio
import ctypes
import ipaddress
import socket
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from probes.base import NotPermitted
from probes.failure import IcmpError
from probes.system.blocking import in_thread
from probes.system.endpoint import Endpoint
from probes.system.linux.icmp import EchoAnswer
from probes.system.windows.iphlpapi import Lacking
from probes.system.windows.layouts import EchoOptions, EchoReply
from probes.system.windows.winsock import load

#: A router reports a dead host after about three seconds, in milliseconds.
_WAIT_MS: Final = 4000
_DONT_FRAGMENT: Final = 0x2
_TTL: Final = 128
_SUCCESS, _TIMED_OUT = 0, 11010
_ERROR_ACCESS_DENIED: Final = 5
_LACKING: Final = frozenset({1, 50, 120, 87})
#: ``IP_STATUS`` to ICMP's type and code.
_ERRORS: Final = {
    11002: (3, 0),
    11003: (3, 1),
    11004: (3, 2),
    11005: (3, 3),
    11009: (3, 4),
    11013: (11, 0),
    11014: (11, 1),
    11015: (12, 0),
}
_INVALID_HANDLE: Final = ctypes.c_void_p(-1).value
#: Beside the answer's own data: an ICMP error of eight bytes, and an IO_STATUS_BLOCK (IcmpSendEcho2Ex).
_ROOM: Final = ctypes.sizeof(EchoReply) + 8 + 16


def possible(target: Endpoint) -> bool:
    """Tell whether such requests can be sent to an address: the calls are there, and it is one of IPv4."""
    if target.version != 4:
        return False
    try:
        handle, close = _open()
    except Lacking:
        return False
    close(handle)
    return True


class Echoes:
    """Echo requests to one address; a context manager, to be used inside a running loop.

    ``wake`` is called in the loop whenever there may be something for :meth:`answers`.
    """

    def __init__(self, target: Endpoint, wake: Callable[[], None]) -> None:
        self._target = target
        self._wake = wake
        self._came: deque[EchoAnswer] = deque()
        self._refused: int | None = None
        self._broken: BaseException | None = None
        self._way = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is to be let go of: each thread closes what it has opened, within four seconds."""

    def send(self, sequence: int, *, ttl: int = _TTL, size: int = 32, fragment: bool = True) -> None:
        """Send request number ``sequence`` with ``size`` bytes of data.

        Raises ``OSError`` where the stack has no way to the address, and :class:`NotPermitted` where no thread can be
        started.
        """
        if not self._way:
            self._try_way()
        begun_s, clock_s = time.time(), time.perf_counter()

        def work() -> None:
            status, sender, reply_ttl = _ask(self._target.text, ttl, size, fragment=fragment)
            self._take(sequence, begun_s + time.perf_counter() - clock_s, status, sender, reply_ttl)

        in_thread(work, "echo").add_done_callback(self._done)

    def answers(self) -> list[EchoAnswer]:
        """Return what has come since the last call; raises :class:`NotPermitted` where Windows refuses to send.

        What a call of Windows raised is raised where nothing has come: a request that was not made is no silence.
        """
        found = list(self._came)
        self._came.clear()
        if found:
            return found
        if self._refused is not None:
            error = "ERROR_ACCESS_DENIED" if self._refused == _ERROR_ACCESS_DENIED else str(self._refused)
            raise NotPermitted("reason.system-refuses", error=error)
        if self._broken is not None:
            raise self._broken
        return found

    def _try_way(self) -> None:
        """Have the stack itself say that it has no way: the calls wait for a time-out in some such cases."""
        with socket.socket(self._target.family, socket.SOCK_DGRAM) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            opened.connect(self._target.at(9))
        self._way = True

    def _done(self, future: asyncio.Future[None]) -> None:
        if not future.cancelled():
            self._broken = self._broken or future.exception()
            self._wake()

    def _take(self, sequence: int, received_s: float, status: int, sender: str | None, reply_ttl: int | None) -> None:
        if status == _SUCCESS:
            if sender == self._target.text:
                self._came.append(EchoAnswer(sequence, received_s, reply_ttl))
        elif (known := _ERRORS.get(status)) is not None:
            self._came.append(EchoAnswer(sequence, received_s, None, IcmpError(4, *known, sender)))
        elif status != _TIMED_OUT:
            self._refused = status


def _open() -> tuple[Any, Callable[[Any], Any]]:
    """Return a handle for requests and what closes it. Raises :class:`Lacking`."""
    library = load("iphlpapi.dll", keep_error=True)
    try:
        create, close = library.IcmpCreateFile, library.IcmpCloseHandle
    except AttributeError:
        raise Lacking("IcmpCreateFile") from None
    create.restype, create.argtypes = ctypes.c_void_p, []
    close.argtypes = [ctypes.c_void_p]
    handle = create()
    if handle in (None, _INVALID_HANDLE):
        raise Lacking("IcmpCreateFile")
    return handle, close


def _ask(address: str, ttl: int, size: int, *, fragment: bool) -> tuple[int, str | None, int | None]:
    """Send one request and wait: its status or Windows' error, the sender of the answer, the TTL of a reply."""
    handle, close = _open()
    try:
        data = ctypes.create_string_buffer(bytes(size), max(1, size))
        options = EchoOptions(ttl=ttl, flags=0 if fragment else _DONT_FRAGMENT)
        buffer = ctypes.create_string_buffer(_ROOM + size)
        destination = int.from_bytes(ipaddress.IPv4Address(address).packed, "little")
        rest = (destination, data, size, ctypes.byref(options), buffer, len(buffer), _WAIT_MS)
        count, number = _by("IcmpSendEcho2Ex", handle, None, None, None, 0, *rest)
        if not count and number in _LACKING:
            count, number = _by("IcmpSendEcho", handle, *rest)
    finally:
        close(handle)
    if not count:
        return number or _TIMED_OUT, None, None
    reply = EchoReply.from_buffer(buffer)
    return reply.status, str(ipaddress.IPv4Address(bytes(reply.address))), reply.options.ttl or None


def _by(name: str, handle: Any, *arguments: Any) -> tuple[int, int]:
    """Call ``name``; return how many answers came, and the last error, 50 where there is no such call."""
    try:
        call = getattr(load("iphlpapi.dll", keep_error=True), name)
    except AttributeError:
        return 0, 50
    last: Any = ctypes  # what it lacks on other systems
    call.restype = ctypes.c_uint32
    last.set_last_error(0)
    count = int(call(ctypes.c_void_p(handle), *arguments))
    return count, 0 if count else int(last.get_last_error())
