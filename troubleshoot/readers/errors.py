"""What commands say of failures, as the vocabulary of probes has it."""

from __future__ import annotations

from probes.failure import Failure, IcmpError
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.words import family

#: Meaning → type and code of ICMP and of ICMPv6 (RFC 792, RFC 1812, RFC 4443).
ICMP = {
    "ttl-expired": ((11, 0), (3, 0)),
    "host-unreachable": ((3, 1), (1, 3)),
    "net-unreachable": ((3, 0), (1, 0)),
    "port-unreachable": ((3, 3), (1, 4)),
    "protocol-unreachable": ((3, 2), (4, 1)),
    "prohibited": ((3, 13), (1, 1)),
    "too-big": ((3, 4), (2, 0)),
}
#: What the C library and curl say of a call that failed (strerror(3)), the name, and the probes' word.
_CALLS = (
    ("connection refused", "ECONNREFUSED", Failure.REFUSED),
    ("connection reset", "ECONNRESET", Failure.RESET),
    ("connection timed out", "ETIMEDOUT", Failure.TIMED_OUT),
    ("operation timed out", "ETIMEDOUT", Failure.TIMED_OUT),
    ("timeout was reached", "ETIMEDOUT", Failure.TIMED_OUT),
    ("network is unreachable", "ENETUNREACH", Failure.NETWORK_UNREACHABLE),
    ("no route to host", "EHOSTUNREACH", Failure.HOST_UNREACHABLE),
    ("host is down", "EHOSTDOWN", Failure.HOST_DOWN),
    ("network is down", "ENETDOWN", Failure.NETWORK_DOWN),
    ("operation not permitted", "EPERM", Failure.NOT_PERMITTED),
    ("permission denied", "EACCES", Failure.ACCESS_DENIED),
    ("cannot assign requested address", "EADDRNOTAVAIL", Failure.ADDRESS_NOT_AVAILABLE),
    ("can't assign requested address", "EADDRNOTAVAIL", Failure.ADDRESS_NOT_AVAILABLE),
    ("address already in use", "EADDRINUSE", Failure.ADDRESS_IN_USE),
    ("message too long", "EMSGSIZE", Failure.MESSAGE_TOO_LONG),
    ("no buffer space available", "ENOBUFS", Failure.NO_BUFFERS),
    ("address family not supported", "EAFNOSUPPORT", Failure.FAMILY_UNSUPPORTED),
)


def icmp(line: str, labels: Labels, sender: str | None) -> IcmpError | None:
    """Return the ICMP error that a line tells of."""
    meaning = labels.meant(line, tuple(ICMP))
    if meaning is None or sender is None:
        return None
    version = family(sender)
    kind, code = ICMP[meaning][version == 6]
    return IcmpError(version, kind, code, sender)


def call(line: str) -> tuple[str, Failure] | None:
    """Return name and word of the failed call that a line tells of."""
    folded = line.casefold()
    return next(((name, word) for said, name, word in _CALLS if said in folded), None)
