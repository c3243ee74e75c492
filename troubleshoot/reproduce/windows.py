"""Reproductions on Windows: the same mistakes, made with Winsock's own calls on the loopback interface.

There are no network namespaces: what would need one, or a call of Linux alone, is not carried out and says so. Every
error is Winsock's own, under Winsock's name. Source: winsock2.h.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import tempfile
from collections.abc import Callable
from typing import Any, Final

from probes.system.windows.errors import WINSOCK
from probes.system.windows.winsock import LIBRARY, load
from troubleshoot.reproduce.records import Trace
from troubleshoot.reproduce.stage import CannotRun, Stage, carried_out
from troubleshoot.reproduce.table import TABLE, Needs, Reproducer

_FIONBIO: Final = 0x8004667E - (1 << 32)  # a long, as ioctlsocket() takes it
_SYMBOLS: Final = {"close": "closesocket"}
#: Errors that POSIX has no name for.
_OTHER: Final = {
    6: "WSA_INVALID_HANDLE",
    8: "WSA_NOT_ENOUGH_MEMORY",
    87: "WSA_INVALID_PARAMETER",
    10091: "WSASYSNOTREADY",
    10092: "WSAVERNOTSUPPORTED",
    10093: "WSANOTINITIALISED",
    10101: "WSAEDISCON",
}


def name_of(number: int) -> str:
    """Return Winsock's name of an error, the number where it has none."""
    return f"WSA{WINSOCK[number]}" if number in WINSOCK else _OTHER.get(number, str(number))


class WindowsStage(Stage):
    """The same calls of Winsock; descriptors are its handles."""

    def __init__(self) -> None:
        super().__init__()
        self._winsock = load(LIBRARY, keep_error=True)

    def _carry_out(self, symbol: str, values: tuple[Any, ...]) -> tuple[int, str | None]:
        function = getattr(self._winsock, _SYMBOLS.get(symbol, symbol), None)
        if function is None:
            raise CannotRun("it makes calls that only Linux has")
        try:
            returned = int(function(*values))
        except OSError as error:  # an access violation, which the calling program would have met itself
            raise CannotRun("the call itself reads memory that is not there") from error
        if symbol == "WSAStartup":  # the one that returns the error itself
            return returned, name_of(returned) if returned else None
        return returned, name_of(_last_error()) if returned == -1 else None

    def close(self, fd: int) -> int:
        """Close a socket, by closesocket()."""
        return self.call_as("closesocket", str(fd), "close", fd)

    def nonblocking(self, fd: int) -> None:
        """Make a call that would wait fail instead, by ioctlsocket()."""
        self.call("ioctlsocket", f"{fd}, FIONBIO, 1", fd, _FIONBIO, ctypes.byref(ctypes.c_uint32(1)))

    def reset_on_close(self, fd: int) -> None:
        """Have closesocket() reset the connection instead of ending it in good order."""
        self.setsockopt(fd, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=HH", 1, 0), "SO_LINGER, on, 0 s")

    def time_limit(self, fd: int, milliseconds: int) -> None:
        """Bound how long recv() waits."""
        so_rcvtimeo = 0x1006  # winsock2.h; Python for Windows does not name it
        self.setsockopt(fd, socket.SOL_SOCKET, so_rcvtimeo, milliseconds, "SO_RCVTIMEO, ms")

    def file(self) -> int:
        """Return the handle of an ordinary, empty file."""
        import msvcrt  # noqa: PLC0415 - there is one on Windows only

        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the stage stands
        runtime: Any = msvcrt
        handle = int(runtime.get_osfhandle(self._file.fileno()))
        self.record("CreateFile", "a temporary file", str(handle), None)
        return handle


def outcome_of(function: str) -> str:
    """Return the name under which Winsock has a function of POSIX."""
    return _SYMBOLS.get(function, function)


def _last_error() -> int:
    system: Any = ctypes
    return int(system.get_last_error())


def startup_of_version_0(stage: Stage) -> None:
    """Ask for a version of Winsock that never was."""
    stage.call("WSAStartup", "version 0.0", 0, ctypes.create_string_buffer(512))


def startup_without_a_structure(stage: Stage) -> None:
    """Start Winsock without room for its answer."""
    stage.call("WSAStartup", "version 2.2, NULL", 0x0202, None)


def socket_after_the_last_cleanup(stage: Stage) -> None:
    """Open a socket after Winsock was given up as often as it was started: Python has started it once."""
    stage.call("WSACleanup", "")
    stage.tcp()


#: Claims that Windows alone can show.
WINDOWS_TABLE: Final[dict[tuple[str, str], Callable[[Stage], None]]] = {
    ("WSAVERNOTSUPPORTED", "startup-of-version-0"): startup_of_version_0,
    ("WSAEFAULT", "startup-without-a-structure"): startup_without_a_structure,
    ("WSANOTINITIALISED", "socket-after-the-last-cleanup"): socket_after_the_last_cleanup,
}


def perform(code: str, claim: str) -> Trace:
    """Run the reproducer and return what it called; nothing leaves loopback."""
    own = WINDOWS_TABLE.get((code, claim))
    reproducer = Reproducer(own) if own else TABLE[code, claim]
    if reproducer.needs in (Needs.NETWORK, Needs.MOUNTS):
        return Trace((), "it needs a network of its own, which Windows does not give", isolated=False)
    if reproducer.needs is Needs.LINUX:
        return Trace((), "it makes calls that only Linux has", isolated=False)
    stage = WindowsStage()
    reason = carried_out(reproducer.run, stage)
    return Trace(tuple(stage.calls), reason, isolated=False)
