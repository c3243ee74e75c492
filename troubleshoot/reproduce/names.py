"""Name resolution against a name server of our own, which gives whatever answer is to be shown.

The server, its port 53 and the settings of the resolver live in namespaces of our own: the machine's are not
touched and no question leaves. Source: resolver(3), getaddrinfo(3), gethostbyname(3), RFC 1035 section 4.1.1.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from pathlib import Path

from troubleshoot.reproduce import isolation
from troubleshoot.reproduce.stage import Failed, Stage

_NOERROR, _FORMERR, _SERVFAIL, _NXDOMAIN, _REFUSED = 0, 1, 2, 3, 5
_NAMES = ("EAI_NONAME", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA", "EAI_SYSTEM")
_EAI = {getattr(socket, name): name for name in _NAMES if hasattr(socket, name)}
_H_ERRNO = {1: "HOST_NOT_FOUND", 2: "TRY_AGAIN", 3: "NO_RECOVERY", 4: "NO_DATA"}  # <netdb.h>


def _serve(stage: Stage, rcode: int | None) -> None:
    """Answer every question on 127.0.0.1:53 with ``rcode`` and no records; ``None`` stays silent."""
    # /run holds the sockets of name service daemons, which would answer in our server's place.
    isolation.empty_folder("/etc")
    isolation.empty_folder("/run")
    Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    Path("/etc/nsswitch.conf").write_text("hosts: files dns\nservices: files\n")
    Path("/etc/hosts").write_text("127.0.0.1 localhost\n")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def answer() -> None:
        while True:
            question, peer = server.recvfrom(512)
            if rcode is not None:
                flags = 0x8180 | rcode  # an answer, recursion wanted and available
                end = question.index(b"\0", 12) + 5
                counts = struct.pack("!HHHH", 1, 0, 0, 0)
                server.sendto(question[:2] + struct.pack("!H", flags) + counts + question[12:end], peer)

    threading.Thread(target=answer, daemon=True).start()
    word = "silence" if rcode is None else f"rcode {rcode}"
    stage.record("bind", f"our own name server, 127.0.0.1:53, which answers every question with {word}", "0", None)


def _getaddrinfo(stage: Stage) -> None:
    name, found = "printer.example", ctypes.c_void_p()
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.getaddrinfo(name.encode(), b"21", None, ctypes.byref(found))
    stage.record("getaddrinfo", f"{name}, 21, no hints", str(number), _EAI.get(number, str(number)) if number else None)
    if number:
        raise Failed


def _gethostbyname(stage: Stage) -> None:
    name = "printer.example"
    libc = ctypes.CDLL(None, use_errno=True)
    libc.gethostbyname.restype = ctypes.c_void_p
    libc.__h_errno_location.restype = ctypes.POINTER(ctypes.c_int)  # noqa: SLF001 - <netdb.h>: what h_errno stands for
    found = libc.gethostbyname(name.encode())
    number = libc.__h_errno_location()[0]  # noqa: SLF001
    stage.record("gethostbyname", name, "NULL" if not found else "an address", None if found else _H_ERRNO.get(number))
    if not found:
        raise Failed


def getaddrinfo_of_a_name_that_does_not_exist(stage: Stage) -> None:
    """Resolve a name that the name server denies."""
    _serve(stage, _NXDOMAIN)
    _getaddrinfo(stage)


def gethostbyname_of_a_name_that_does_not_exist(stage: Stage) -> None:
    """Resolve a name that the name server denies."""
    _serve(stage, _NXDOMAIN)
    _gethostbyname(stage)


def getaddrinfo_with_a_failing_server(stage: Stage) -> None:
    """Ask a name server that answers that it failed."""
    _serve(stage, _SERVFAIL)
    _getaddrinfo(stage)


def getaddrinfo_with_a_silent_server(stage: Stage) -> None:
    """Ask a name server that does not answer."""
    _serve(stage, None)
    _getaddrinfo(stage)


def getaddrinfo_with_a_refusing_server(stage: Stage) -> None:
    """Ask a name server that refuses the question."""
    _serve(stage, _REFUSED)
    _getaddrinfo(stage)


def getaddrinfo_with_a_malformed_question(stage: Stage) -> None:
    """Ask a name server that cannot read the question."""
    _serve(stage, _FORMERR)
    _getaddrinfo(stage)


def gethostbyname_with_a_malformed_question(stage: Stage) -> None:
    """Ask a name server that cannot read the question."""
    _serve(stage, _FORMERR)
    _gethostbyname(stage)


def getaddrinfo_of_a_name_without_an_address(stage: Stage) -> None:
    """Resolve a name that exists and has no address."""
    _serve(stage, _NOERROR)
    _getaddrinfo(stage)


def gethostbyname_of_a_name_without_an_address(stage: Stage) -> None:
    """Resolve a name that exists and has no address."""
    _serve(stage, _NOERROR)
    _gethostbyname(stage)
