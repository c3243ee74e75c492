"""The stage of a reproduction: the C library's own calls, each written down with what it returned.

Calls go through ctypes and not through :mod:`socket`, because Python corrects some of the very mistakes that are to
be shown: it refuses bad pointers and short addresses, and repeats interrupted calls.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from troubleshoot.reproduce.records import Call

_SOL = {
    socket.SOL_SOCKET: "SOL_SOCKET",
    socket.IPPROTO_IP: "IPPROTO_IP",
    socket.IPPROTO_TCP: "IPPROTO_TCP",
    socket.IPPROTO_UDP: "IPPROTO_UDP",
}
_AF_UNIX = 1  # on every system; Python for Windows does not name it
_SO_ATTACH_FILTER = 26  # <asm-generic/socket.h>
_SYS_ERRNO_ALIASES = {"ENOTSUP": "EOPNOTSUPP", "EWOULDBLOCK": "EAGAIN"}


class Failed(Exception):  # noqa: N818 - how a reproduction is meant to end
    """The call made last failed; the trace says with which error."""


class CannotRun(Exception):  # noqa: N818
    """The machine does not let the reproduction go on; the text says what is missing."""


def carried_out(run: Callable[[Stage], None], stage: Stage) -> str | None:
    """Run a reproducer; return why it could not go on, ``None`` where its last call says how it ended."""
    try:
        run(stage)
    except Failed:
        return None  # as it should
    except CannotRun as error:
        return str(error)
    return None


def name_of(number: int) -> str:
    """Return the name of an errno value, the one that sockets' manuals use where it has two."""
    name = errno.errorcode.get(number, str(number))
    return _SYS_ERRNO_ALIASES.get(name, name)


def inet(address: str, port: int) -> bytes:
    """Return ``struct sockaddr_in`` of a dotted address and a port."""
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)


def inet6(address: str, port: int) -> bytes:
    """Return ``struct sockaddr_in6``."""
    packed = socket.inet_pton(socket.AF_INET6, address)
    return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + packed + bytes(4)


def unix(path: str) -> bytes:
    """Return ``struct sockaddr_un``; a leading NUL makes the name abstract, outside the file system."""
    return struct.pack("=H", _AF_UNIX) + path.encode()


def shown(address: bytes) -> str:
    """Return a socket address as text for a trace."""
    family = struct.unpack_from("=H", address)[0] if len(address) >= 2 else -1
    if family == socket.AF_INET and len(address) >= 8:
        return f"{socket.inet_ntoa(address[4:8])}:{struct.unpack_from('!H', address, 2)[0]}"
    if family == socket.AF_INET6 and len(address) >= 24:
        text = socket.inet_ntop(socket.AF_INET6, address[8:24])
        return f"[{text}]:{struct.unpack_from('!H', address, 2)[0]}"
    if family == _AF_UNIX:
        return address[2:].decode(errors="replace").replace("\0", "@")
    return f"{len(address)} bytes of address family {family}"


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class Stage:
    """Calls into the C library, with the C library's names and order of arguments.

    Each method writes its call down. A call that fails raises :class:`Failed`; whoever expects that catches it.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []

    # -- the recorder ----------------------------------------------------------------------------------------

    def call(self, function: str, arguments: str, *values: Any) -> int:
        """Call ``function`` of the C library with ``values``; ``arguments`` is how the trace shows them."""
        return self.call_as(function, arguments, function, *values)

    def call_as(self, function: str, arguments: str, symbol: str, *values: Any) -> int:
        """Call ``symbol`` and write it down as ``function``: for what the C library only offers as ``syscall``."""
        returned, error = self._carry_out(symbol, values)
        self.record(function, arguments, str(returned), error)
        if error is not None:
            raise Failed(error)
        return returned

    def _carry_out(self, symbol: str, values: tuple[Any, ...]) -> tuple[int, str | None]:
        """Call ``symbol`` of the C library; return what it returned and its error's name where it failed."""
        ctypes.set_errno(0)
        returned = int(getattr(_libc(), symbol)(*values))
        return returned, name_of(ctypes.get_errno()) if returned == -1 else None

    def record(self, function: str, arguments: str, returned: str, error: str | None) -> None:
        """Write one call down; the same one again is counted instead."""
        if self.calls:
            last = self.calls[-1]
            if (last.function, last.arguments) == (function, arguments) and last.errno is None and error is None:
                self.calls[-1] = Call(function, arguments, returned, None, last.times + 1)
                return
        self.calls.append(Call(function, arguments, returned, error))

    # -- sockets -----------------------------------------------------------------------------------------------

    def socket(self, family: int, kind: int, protocol: int = 0) -> int:
        """Open a socket."""
        return self.call("socket", _constants(family, kind, protocol), family, kind, protocol)

    def tcp(self) -> int:
        """Return a new TCP socket over IPv4."""
        return self.socket(socket.AF_INET, socket.SOCK_STREAM)

    def udp(self) -> int:
        """Return a new UDP socket over IPv4."""
        return self.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def bind(self, fd: int, address: bytes, length: int | None = None) -> int:
        """Bind to a local address; ``length`` other than the address's own is shown."""
        return self._with_address("bind", fd, address, length)

    def connect(self, fd: int, address: bytes, length: int | None = None) -> int:
        """Connect to an address."""
        return self._with_address("connect", fd, address, length)

    def _with_address(self, function: str, fd: int, address: bytes, length: int | None) -> int:
        size = len(address) if length is None else length
        text = f"{fd}, {shown(address)}" + ("" if length is None else f", length {length}")
        return self.call(function, text, fd, address, size)

    def listen(self, fd: int, backlog: int) -> int:
        """Start to listen."""
        return self.call("listen", f"{fd}, {backlog}", fd, backlog)

    def accept(self, fd: int) -> int:
        """Accept a connection without asking for the peer's address."""
        return self.call("accept", f"{fd}, NULL, NULL", fd, None, None)

    def send(self, fd: int, size: int, flags: int = 0) -> int:
        """Send ``size`` bytes."""
        return self.call("send", f"{fd}, {size} bytes, {_flags(flags)}", fd, bytes(size), size, flags)

    def sendto(self, fd: int, size: int, address: bytes | None) -> int:
        """Send ``size`` bytes to an address, or to none."""
        where = "NULL" if address is None else shown(address)
        return self.call(
            "sendto", f"{fd}, {size} bytes, 0, {where}", fd, bytes(size), size, 0, address, len(address or b"")
        )

    def recv(self, fd: int, size: int, flags: int = 0) -> int:
        """Receive into a buffer of ``size`` bytes."""
        buffer = ctypes.create_string_buffer(size)
        return self.call("recv", f"{fd}, buffer of {size} bytes, {_flags(flags)}", fd, buffer, size, flags)

    def shutdown(self, fd: int, how: int) -> int:
        """Shut down one or both directions."""
        return self.call("shutdown", f"{fd}, {('SHUT_RD', 'SHUT_WR', 'SHUT_RDWR')[how]}", fd, how)

    def close(self, fd: int) -> int:
        """Close a descriptor."""
        return self.call("close", str(fd), fd)

    def setsockopt(self, fd: int, level: int, option: int, value: bytes | int, name: str) -> int:
        """Set an option; ``name`` is how the trace calls it."""
        raw = struct.pack("=i", value) if isinstance(value, int) else value
        text = f"{fd}, {_SOL.get(level, level)}, {name}" + (f", {value}" if isinstance(value, int) else "")
        return self.call("setsockopt", text, fd, level, option, raw, len(raw))

    def getsockopt(self, fd: int, level: int, option: int, name: str) -> int:
        """Read an option that is an integer; the value is dropped."""
        value, size = ctypes.c_int(), ctypes.c_uint(4)
        return self.call(
            "getsockopt",
            f"{fd}, {_SOL.get(level, level)}, {name}",
            fd,
            level,
            option,
            ctypes.byref(value),
            ctypes.byref(size),
        )

    def getpeername(self, fd: int) -> int:
        """Ask for the peer's address."""
        buffer, size = ctypes.create_string_buffer(128), ctypes.c_uint(128)
        return self.call("getpeername", f"{fd}, address", fd, buffer, ctypes.byref(size))

    def port(self, fd: int) -> int:
        """Return the local port of a socket, by getsockname(2)."""
        buffer, size = ctypes.create_string_buffer(128), ctypes.c_uint(128)
        self.call("getsockname", f"{fd}, address", fd, buffer, ctypes.byref(size))
        return int(struct.unpack_from("!H", buffer.raw, 2)[0])

    def nonblocking(self, fd: int) -> None:
        """Make a call that would wait fail instead, by fcntl(2)."""
        self.call("fcntl", f"{fd}, F_SETFL, O_NONBLOCK", fd, 4, os.O_NONBLOCK)

    def reset_on_close(self, fd: int) -> None:
        """Have close() reset the connection instead of ending it in good order."""
        self.setsockopt(fd, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0), "SO_LINGER, on, 0 s")

    def time_limit(self, fd: int, milliseconds: int) -> None:
        """Bound how long recv() waits; less than a second."""
        limit = struct.pack("=qq", 0, milliseconds * 1000)
        self.setsockopt(fd, socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit, f"SO_RCVTIMEO, {milliseconds / 1000} s")

    def option(self, fd: int, option: int, value: int, name: str) -> None:
        """Set an integer option of SOL_SOCKET."""
        self.setsockopt(fd, socket.SOL_SOCKET, option, value, name)

    # -- scenes that many reproductions begin with -----------------------------------------------------------------

    def listener(self, backlog: int = 8) -> tuple[int, bytes]:
        """Return a TCP socket that listens on a free port of 127.0.0.1, and its address."""
        fd = self.tcp()
        self.bind(fd, inet("127.0.0.1", 0))
        self.listen(fd, backlog)
        return fd, inet("127.0.0.1", self.port(fd))

    def connection(self) -> tuple[int, int]:
        """Return the two ends of a TCP connection over loopback: the client's, then the server's."""
        server, address = self.listener()
        client = self.tcp()
        self.connect(client, address)
        accepted = self.accept(server)
        return client, accepted

    def bound_udp(self) -> tuple[int, bytes]:
        """Return a UDP socket on a free port of 127.0.0.1, and its address."""
        fd = self.udp()
        self.bind(fd, inet("127.0.0.1", 0))
        return fd, inet("127.0.0.1", self.port(fd))

    def free_port(self) -> int:
        """Return a TCP port of 127.0.0.1 on which nothing listens."""
        fd = self.tcp()
        self.bind(fd, inet("127.0.0.1", 0))
        port = self.port(fd)
        self.close(fd)
        return port

    def deaf(self, fd: int) -> None:
        """Attach a filter (socket(7)) that drops whatever arrives for a socket, as if its machine were gone."""
        program = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))  # return 0: keep nothing
        header = struct.pack("HxxxxxxP", 1, ctypes.addressof(program))
        self.setsockopt(fd, socket.SOL_SOCKET, _SO_ATTACH_FILTER, header, "SO_ATTACH_FILTER, a filter that drops all")

    def later(self, seconds: float, action: Any) -> None:
        """Run ``action`` in a while, from another thread."""
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()

    def file(self) -> int:
        """Return the descriptor of an ordinary, empty file, open for writing only; it has no name to be left behind."""
        fd = self.call("memfd_create", "file, 0", b"file", 0)
        return self.open(f"/proc/self/fd/{fd}", os.O_WRONLY)

    def open(self, path: str, flags: int) -> int:
        """Open a file."""
        text = path if len(path) < 40 else f"a name of {len(path)} bytes"
        return self.call("open", f"{text}, {'O_WRONLY' if flags & os.O_WRONLY else 'O_RDONLY'}", path.encode(), flags)


def _constants(family: int, kind: int, protocol: int) -> str:
    def name(prefix: str, value: int) -> str:
        for known in dir(socket):
            if known.startswith(prefix) and getattr(socket, known) == value:
                return known
        return str(value)

    return f"{name('AF_', family)}, {name('SOCK_', kind)}, {name('IPPROTO_', protocol) if protocol else 0}"


def _flags(flags: int) -> str:
    names = [name for name in ("MSG_OOB", "MSG_DONTWAIT", "MSG_PEEK") if flags & getattr(socket, name, 0)]
    return "|".join(names) or "0"
