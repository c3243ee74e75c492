"""One vocabulary for everything that can go wrong at a socket, decided where the socket is touched.

Our own deadline is :attr:`Failure.NO_ANSWER`; the kernel's own time-out is :attr:`Failure.TIMED_OUT`.
Sources: connect(2), ip(7), tcp(7), RFC 792, RFC 4443.
"""

from __future__ import annotations

import enum
import errno as errno_module
from typing import Literal

import msgspec

from probes.base import CannotObserve, NotPermitted
from probes.system.windows.errors import WIN32, WINSOCK


class Failure(enum.StrEnum):
    """What kept a socket call from succeeding."""

    REFUSED = "refused"
    RESET = "reset"
    ABORTED = "aborted"
    TIMED_OUT = "timed-out"
    NO_ANSWER = "no-answer"
    NETWORK_UNREACHABLE = "network-unreachable"
    HOST_UNREACHABLE = "host-unreachable"
    HOST_DOWN = "host-down"
    NETWORK_DOWN = "network-down"
    ACCESS_DENIED = "access-denied"
    NOT_PERMITTED = "not-permitted"
    ADDRESS_NOT_AVAILABLE = "address-not-available"
    ADDRESS_IN_USE = "address-in-use"
    INVALID = "invalid"
    MESSAGE_TOO_LONG = "message-too-long"
    NO_BUFFERS = "no-buffers"
    TOO_MANY_FILES = "too-many-files"
    FAMILY_UNSUPPORTED = "family-unsupported"
    PROTOCOL_UNSUPPORTED = "protocol-unsupported"
    OTHER = "other"


_BY_NAME: dict[str, Failure] = {
    "ECONNREFUSED": Failure.REFUSED,
    "ECONNRESET": Failure.RESET,
    "EPIPE": Failure.RESET,
    "ECONNABORTED": Failure.ABORTED,
    "ETIMEDOUT": Failure.TIMED_OUT,
    "ENETUNREACH": Failure.NETWORK_UNREACHABLE,
    "EHOSTUNREACH": Failure.HOST_UNREACHABLE,
    "EHOSTDOWN": Failure.HOST_DOWN,
    "ENETDOWN": Failure.NETWORK_DOWN,
    "EACCES": Failure.ACCESS_DENIED,
    "EPERM": Failure.NOT_PERMITTED,
    "EADDRNOTAVAIL": Failure.ADDRESS_NOT_AVAILABLE,
    "EADDRINUSE": Failure.ADDRESS_IN_USE,
    "EINVAL": Failure.INVALID,
    "EMSGSIZE": Failure.MESSAGE_TOO_LONG,
    "ENOBUFS": Failure.NO_BUFFERS,
    "ENOMEM": Failure.NO_BUFFERS,
    "EMFILE": Failure.TOO_MANY_FILES,
    "ENFILE": Failure.TOO_MANY_FILES,
    "EAFNOSUPPORT": Failure.FAMILY_UNSUPPORTED,
    "EPFNOSUPPORT": Failure.FAMILY_UNSUPPORTED,
    "EPROTONOSUPPORT": Failure.PROTOCOL_UNSUPPORTED,
    "ESOCKTNOSUPPORT": Failure.PROTOCOL_UNSUPPORTED,
}
#: What an exception's class alone tells, where its number is Win32's or there is none.
_BY_CLASS: tuple[tuple[type[OSError], int], ...] = (
    (ConnectionRefusedError, errno_module.ECONNREFUSED),
    (ConnectionResetError, errno_module.ECONNRESET),
    (ConnectionAbortedError, errno_module.ECONNABORTED),
)


#: What a machine says that is short of something or withholds it, whatever was asked of it.
_WITHHELD = frozenset(
    {"EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EAGAIN", "ENOSPC", "EDQUOT", "EIO", "EPERM", "EACCES", "EROFS", "ENOSYS"}
)


def as_outcome(error: Exception) -> CannotObserve | None:
    """Return an error of a probe as the outcome that it is, ``None`` where it is a bug of ours.

    An outcome inside of a group of tasks, or a call that this machine does not let anybody carry out.
    """
    if isinstance(error, CannotObserve):
        return error
    if isinstance(error, ExceptionGroup):
        inside = [as_outcome(one) for one in error.exceptions if isinstance(one, Exception)]
        return None if None in inside else inside[0]
    number = errno_module.ENOMEM if isinstance(error, MemoryError) else getattr(error, "errno", None)
    name = errno_name(number) if isinstance(number, int) and isinstance(error, OSError | MemoryError) else ""
    return NotPermitted("reason.system-refuses", error=name) if name in _WITHHELD else None


def classify(number: int) -> Failure:
    """Return the word for an ``errno`` value of this system, or for a Winsock number."""
    return _BY_NAME.get(errno_name(number), Failure.OTHER)


#: What socket() says where this process, or the system, may open nothing more: no word about what was to be tried.
OUT_OF_DESCRIPTORS = frozenset({"EMFILE", "ENFILE"})


def errno_name(number: int) -> str:
    """Return the POSIX name of an ``errno`` value or Winsock number (``ECONNREFUSED``); else the number as text."""
    return WINSOCK.get(number) or errno_module.errorcode.get(number, str(number))


def number_of(error: OSError) -> int:
    """Return the ``errno`` value or Winsock number behind an exception, 0 where it carries none.

    On Windows one refusal has three shapes: ``winerror`` and ``errno`` 10061 from a plain call, ``errno`` 10061 alone
    from an event loop that selects, and from the proactor ``winerror`` 1225 with an ``errno`` of 22 that misleads.
    """
    win32 = getattr(error, "winerror", None)
    if win32 is not None:
        for kind, number in _BY_CLASS:
            if isinstance(error, kind):
                return number
        return int(win32) if win32 in WINSOCK else WIN32.get(win32, error.errno or 0)
    return error.errno or 0


class IcmpMeaning(enum.StrEnum):
    """What an ICMP or ICMPv6 error says, one word for both families."""

    NETWORK_UNREACHABLE = "network-unreachable"
    HOST_UNREACHABLE = "host-unreachable"
    PORT_UNREACHABLE = "port-unreachable"
    PROHIBITED = "prohibited"
    PROTOCOL_UNREACHABLE = "protocol-unreachable"
    TOO_BIG = "too-big"
    TIME_EXCEEDED = "time-exceeded"
    PARAMETER_PROBLEM = "parameter-problem"
    OTHER = "other"


class IcmpError(msgspec.Struct, frozen=True):
    """An ICMP error as the socket error queue gives it (ip(7), ``sock_extended_err``).

    ``family`` is 4 or 6, ``sender`` the address of the machine that sent it (one of this machine's own where
    the local stack did), ``info`` the next-hop MTU in bytes for *too big* and 0 otherwise.
    """

    family: int
    type: int
    code: int
    sender: str | None
    info: int = 0

    @property
    def meaning(self) -> IcmpMeaning:
        """What the type and code say (RFC 792, RFC 1812, RFC 4443)."""
        if self.family == 4:
            if self.type == 3:
                return _UNREACHABLE_4.get(self.code, IcmpMeaning.OTHER)
            return {11: IcmpMeaning.TIME_EXCEEDED, 12: IcmpMeaning.PARAMETER_PROBLEM}.get(self.type, IcmpMeaning.OTHER)
        if self.type == 1:
            return _UNREACHABLE_6.get(self.code, IcmpMeaning.OTHER)
        return {
            2: IcmpMeaning.TOO_BIG,
            3: IcmpMeaning.TIME_EXCEEDED,
            4: IcmpMeaning.PARAMETER_PROBLEM,
        }.get(self.type, IcmpMeaning.OTHER)


#: Why TCP throws a packet away: it acknowledges (an ICMP error: quotes) nothing that was sent, comes from another
#: address or port, is damaged, or echoes a time stamp that was never sent.
UnfittingReason = Literal["number", "address", "port", "checksum", "time-stamp"]


class Unfitting(msgspec.Struct, frozen=True):
    """Packets for the attempt that are no answer to it (RFC 9293, 3.10.7.3): ``count`` alike, the first with ``ttl``.

    ``kind`` is ``syn-ack``, ``reset``, ``ack`` or ``icmp``, ``source`` the sender as the packets name it.
    """

    kind: str
    source: str
    why: UnfittingReason
    count: int
    ttl: int


_UNREACHABLE_4 = {
    0: IcmpMeaning.NETWORK_UNREACHABLE,
    1: IcmpMeaning.HOST_UNREACHABLE,
    2: IcmpMeaning.PROTOCOL_UNREACHABLE,
    3: IcmpMeaning.PORT_UNREACHABLE,
    4: IcmpMeaning.TOO_BIG,
    5: IcmpMeaning.NETWORK_UNREACHABLE,
    6: IcmpMeaning.NETWORK_UNREACHABLE,
    7: IcmpMeaning.HOST_UNREACHABLE,
    8: IcmpMeaning.HOST_UNREACHABLE,
    9: IcmpMeaning.PROHIBITED,
    10: IcmpMeaning.PROHIBITED,
    11: IcmpMeaning.NETWORK_UNREACHABLE,
    12: IcmpMeaning.HOST_UNREACHABLE,
    13: IcmpMeaning.PROHIBITED,
}
_UNREACHABLE_6 = {
    0: IcmpMeaning.NETWORK_UNREACHABLE,
    1: IcmpMeaning.PROHIBITED,
    2: IcmpMeaning.NETWORK_UNREACHABLE,
    3: IcmpMeaning.HOST_UNREACHABLE,
    4: IcmpMeaning.PORT_UNREACHABLE,
    5: IcmpMeaning.PROHIBITED,
    6: IcmpMeaning.NETWORK_UNREACHABLE,
}
