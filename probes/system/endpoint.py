"""Literal addresses, scoped ones included, as the socket calls want and give them (RFC 4007, getaddrinfo(3))."""

from __future__ import annotations

import socket
from typing import Any

import msgspec

from probes.base import NotApplicable

#: What an IPv4-mapped IPv6 address begins with; it is IPv4 on the wire and in the error queue (RFC 4291).
_MAPPED = "::ffff:"


class Endpoint(msgspec.Struct, frozen=True):
    """One address and port. ``text`` is the address in its canonical form, ``fe80::1%eth0`` where scoped."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]
    text: str

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if self.family == socket.AF_INET6 else 4

    def at(self, port: int) -> tuple[Any, ...]:
        """Return the socket address with another port."""
        return (self.sockaddr[0], port, *self.sockaddr[2:])

    def sent(self, source: str | None) -> bool:
        """Tell whether ``source``, a text as :func:`text_of` gives it, is this address."""
        return source is not None and source == self.text


def text_of(address: str, scope: int = 0) -> str:
    """Return an address with its interface appended where ``scope`` (an interface index) gives one."""
    plain = address.partition("%")[0]
    if not scope:
        return plain
    try:
        return f"{plain}%{socket.if_indextoname(scope)}"
    except OSError:
        return f"{plain}%{scope}"


def endpoint(address: str, port: int = 0) -> Endpoint:
    """Read a literal address; no name service is asked.

    Raises :class:`NotApplicable` (``reason.not-an-address``) for anything else, such as an unknown interface
    after the per cent sign, and (``reason.not-a-port``) for a port outside 0 to 65535.
    """
    if not 0 <= port <= 65535:
        raise NotApplicable("reason.not-a-port", port=port)
    if address.lower().startswith(_MAPPED) and "." in address:
        address = address[len(_MAPPED) :]
    try:
        # bytes, because a str would load the IDNA tables for nothing
        found = socket.getaddrinfo(
            address.encode("ascii"), port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except (OSError, UnicodeError) as error:
        raise NotApplicable("reason.not-an-address", text=address[:80]) from error
    family, _kind, _protocol, _name, sockaddr = found[0]
    scope = int(sockaddr[3]) if family == socket.AF_INET6 and len(sockaddr) > 3 else 0
    return Endpoint(family, sockaddr, text_of(str(sockaddr[0]), scope))
