"""Read names, issuer, days and strength of an X.509 certificate that nobody has verified (RFC 5280, X.690).

The standard library decodes only certificates that it trusts. Every length is checked against what is there;
anything that is not a certificate gives ``None``.
"""

from __future__ import annotations

import ipaddress
from typing import Final

import msgspec

#: Names longer than this are cut off.
_LONGEST: Final = 200
_ATTRIBUTES: Final = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
}
_TEXT: Final = {12: "utf-8", 19: "ascii", 20: "latin-1", 22: "ascii", 28: "utf-32-be", 30: "utf-16-be"}
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0


#: Signatures that nobody trusts any more (RFC 8017 appendix A.2.4, RFC 3279 section 2.2.3), and the key of RSA.
_OLD: Final = {
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04": "MD5",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05": "SHA-1",
    b"\x2a\x86\x48\xce\x3d\x04\x01": "SHA-1",
}
_RSA: Final = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
_LEAST_BITS: Final = 2048
_EXTENSIONS: Final = 0xA3
_ALTERNATIVE_NAMES: Final = b"\x55\x1d\x11"
#: Kinds of alternative names: a host's name, an address (RFC 5280, section 4.2.1.6).
_DNS, _ADDRESS = 0x82, 0x87
#: So many alternative names are kept.
_MOST_NAMES: Final = 20


class Certificate(msgspec.Struct, frozen=True):
    """``subject`` and ``issuer`` as ``CN=…, O=…`` in the certificate's order.

    ``not_before`` and ``not_after`` are UTC, ISO 8601; ``names`` the hosts and addresses that it is for; ``weak`` says
    what nobody should trust any more: an old signature, a short key.
    """

    subject: str
    issuer: str
    not_before: str
    not_after: str
    names: tuple[str, ...] = ()
    weak: str | None = None


def read(der: bytes) -> Certificate | None:
    """Return what a certificate in DER says of itself."""
    try:
        return _read(der)
    except (ValueError, IndexError):
        return None


def _read(der: bytes) -> Certificate:
    _tag, whole, _rest = _element(der)
    _tag, body, _rest = _element(whole)
    tag, _value, after = _element(body)
    if tag == _VERSION:
        _tag, _serial, after = _element(after)
    _tag, algorithm, after = _element(after)
    _tag, issuer, after = _element(after)
    _tag, validity, after = _element(after)
    _tag, subject, after = _element(after)
    begin, begins, rest = _element(validity)
    tag, ends, _rest = _element(rest)
    key, rest = (_element(after)[1:]) if after else (b"", b"")
    return Certificate(
        _name(subject),
        _name(issuer),
        _time(begin, begins.decode("ascii")),
        _time(tag, ends.decode("ascii")),
        _names(rest),
        _weak(algorithm, key, own=subject == issuer),
    )


def _weak(algorithm: bytes, key: bytes, *, own: bool) -> str | None:
    """Return what is weak; what a root signs of itself is trusted for another reason."""
    _tag, signature, _rest = _element(algorithm)
    if signature in _OLD and not own:
        return _OLD[signature]
    if not key:
        return None
    _tag, kind, bits = _element(key)
    if _element(kind)[1] != _RSA:
        return None
    _tag, pair, _rest = _element(_element(bits)[1][1:])
    length = int.from_bytes(_element(pair)[1], "big").bit_length()
    return f"RSA {length}" if length < _LEAST_BITS else None


def _names(rest: bytes) -> tuple[str, ...]:
    """Return the alternative names in what stands behind the key."""
    found: list[str] = []
    while rest:
        tag, value, rest = _element(rest)
        several = _element(value)[1] if tag == _EXTENSIONS else b""
        while several:
            _tag, extension, several = _element(several)
            _tag, kind, after = _element(extension)
            if kind != _ALTERNATIVE_NAMES:
                continue
            tag, value, after = _element(after)
            if tag == 1:  # whether it is critical
                tag, value, after = _element(after)
            listed = _element(value)[1]
            while listed and len(found) < _MOST_NAMES:
                tag, name, listed = _element(listed)
                if tag == _DNS:
                    found.append(name.decode("latin-1")[:_LONGEST])
                elif tag == _ADDRESS and len(name) in (4, 16):
                    found.append(str(ipaddress.ip_address(name)))
    return tuple(found)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Return the tag and the contents of the first element, and what stands behind it."""
    tag, length, at = data[0], data[1], 2
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4:
            raise ValueError
        at += octets
        length = int.from_bytes(data[2:at], "big")
    if at + length > len(data):
        raise ValueError
    return tag, data[at : at + length], data[at + length :]


def _name(data: bytes) -> str:
    parts: list[str] = []
    while data:
        _tag, several, data = _element(data)
        while several:
            tag, pair, several = _element(several)
            if tag != _SEQUENCE:
                raise ValueError
            _tag, kind, value = _element(pair)
            encoding, text, _rest = _element(value)
            if kind in _ATTRIBUTES:
                parts.append(f"{_ATTRIBUTES[kind]}={text.decode(_TEXT.get(encoding, 'latin-1'), 'replace')}")
    return ", ".join(parts)[:_LONGEST]


def _time(tag: int, text: str) -> str:
    """Turn a UTCTime (two-digit year, 1950 to 2049) or a GeneralizedTime into ISO 8601."""
    if tag == 23:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    if len(text) != 15 or not text[:14].isdigit() or text[14] != "Z":
        raise ValueError
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:12]}:{text[12:14]}Z"
