"""Who logs in, in a URL: nobody's business here, and where a password stands as it is, no part of the place either."""

from __future__ import annotations

import re

# A password should have its blanks and slashes escaped (RFC 3986, section 3.2.1), and often has not. What follows the
# colon is a port only where it is a number.
_LOGIN = re.compile(
    r"(?i)(?<![a-z0-9+.-])(?P<scheme>[a-z][a-z0-9+.-]{0,20}://)[^\s/?#@:\[]{0,200}:"
    r"(?!\d{1,5}(?:\W|$))(?P<password>[^\n\t@\"'<>]{1,200})@"
)
_AS_IT_IS = frozenset(" /?#")


def without_odd_login(text: str) -> str:
    """Return ``text`` without user and password of each URL whose password has what would end it."""
    if "://" not in text or "@" not in text:
        return text
    return _LOGIN.sub(lambda url: url[0] if _AS_IT_IS.isdisjoint(url["password"]) else url["scheme"], text)
