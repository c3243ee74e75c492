"""Read subject, issuer and last day of an X.509 certificate that nobody has verified (RFC 5280, X.690).

The standard library decodes only certificates that it trusts. Every length is checked against what is there;
anything that is not a certificate gives ``None``.
"""

from __future__ import annotations

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


class Certificate(msgspec.Struct, frozen=True):
    """``subject`` and ``issuer`` as ``CN=…, O=…`` in the certificate's order; ``not_after`` is UTC, ISO 8601."""

    subject: str
    issuer: str
    not_after: str


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
    _tag, _algorithm, after = _element(after)
    _tag, issuer, after = _element(after)
    _tag, validity, after = _element(after)
    _tag, subject, _rest = _element(after)
    _tag, _begins, rest = _element(validity)
    tag, ends, _rest = _element(rest)
    return Certificate(_name(subject), _name(issuer), _time(tag, ends.decode("ascii")))


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
