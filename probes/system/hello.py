"""The first message of a TLS client, as long as wanted (RFC 8446 section 4.1.2, padding by RFC 7685)."""

from __future__ import annotations

import contextlib
import struct
from typing import Final

_PADDING: Final = 21
_U16: Final = struct.Struct("!H")
#: Record header, handshake header, version and random.
_BEFORE_SESSION: Final = 5 + 4 + 2 + 32


def client_hello(server_name: str | None, length: int) -> bytes:
    """Return a hello record of this machine's TLS library, padded to ``length`` bytes where it is shorter.

    It names ``server_name`` unless that is no name that a handshake could carry. The padding means nothing to the
    server, but a handshake begun with it cannot be finished by the library: the two would not agree on what was said.
    """
    import ssl  # noqa: PLC0415

    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.check_hostname = False
    settings.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    try:
        session = settings.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    except (ValueError, UnicodeError):
        session = settings.wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return padded(outgoing.read(), length)


def padded(hello: bytes, length: int) -> bytes:
    """Return a hello record with a padding extension in the place of any other, ``length`` bytes in all if shorter."""
    start = _extensions(hello)
    kept, at = b"", start + 2
    while at < len(hello):
        kind, size = struct.unpack_from("!HH", hello, at)
        if kind != _PADDING:
            kept += hello[at : at + 4 + size]
        at += 4 + size
    missing = length - start - 2 - len(kept) - 4
    if missing >= 0:
        kept += struct.pack("!HH", _PADDING, missing) + bytes(missing)
    body = hello[9:start] + _U16.pack(len(kept)) + kept
    return hello[:3] + _U16.pack(len(body) + 4) + hello[5:6] + len(body).to_bytes(3, "big") + body


def _extensions(hello: bytes) -> int:
    """Return where the length of the extensions stands."""
    at = _BEFORE_SESSION
    at += 1 + hello[at]  # session id
    at += 2 + int(_U16.unpack_from(hello, at)[0])  # cipher suites
    return at + 1 + hello[at]  # compression methods
