"""Names as people write them and as they go over the wire (RFC 1035, RFC 1123, UTS #46), and what is tried for them."""

from __future__ import annotations

import ipaddress
import re
import socket

from probes.base import NotApplicable
from probes.system.dns import ResolverConfiguration

_MAX_CANDIDATES = 6
_MAX_TEXT = 200


def literal(name: str) -> str | None:
    """Return the address that ``name`` is, also in the short and octal forms of inet_aton(3), or ``None``."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    if re.fullmatch(r"[0-9][0-9a-fA-FxX.]*", name):
        # getaddrinfo takes 127.1 or 0x7f000001 for an address as well, and asks nobody
        try:
            return socket.inet_ntoa(socket.inet_aton(name))
        except OSError:
            pass
    return None


def to_ascii(name: str) -> str:
    """Return ``name`` as it goes over the wire (A-labels), a trailing dot kept.

    Internationalised names go through UTS #46 and IDNA 2008 where the package ``idna`` is installed, else through
    IDNA 2003. Raises :class:`NotApplicable` for what is no host name: letters, digits, hyphens and
    underscores in labels of 1 to 63 octets, 253 in all (RFC 1035, section 2.3.4; RFC 1123, section 2.1).
    """
    text = name
    if not text.isascii():
        import dns.exception  # noqa: PLC0415 - most names need not pay for it
        import dns.name  # noqa: PLC0415

        codec = dns.name.IDNA_2008_Practical if dns.name.have_idna_2008 else dns.name.IDNA_2003_Practical
        try:
            # from_unicode would read a backslash as an escape, which to_text might undo
            text = dns.name.from_unicode(text.replace("\\", " "), None, codec).to_text()
        except (dns.exception.DNSException, ValueError, IndexError) as problem:
            raise NotApplicable("reason.name-not-idna", name=printable(name)) from problem
    bare = text.removesuffix(".")
    if not bare:
        raise NotApplicable("reason.name-empty")
    if len(bare) > 253:
        raise NotApplicable("reason.name-too-long", length=len(bare), limit=253)
    for label in bare.split("."):
        if not label:
            raise NotApplicable("reason.name-empty-label", name=printable(name))
        if len(label) > 63:
            raise NotApplicable("reason.name-label-too-long", label=printable(label), length=len(label), limit=63)
        wrong = re.search(r"[^A-Za-z0-9_-]", label)
        if wrong:
            raise NotApplicable("reason.name-malformed", name=printable(name), character=printable(wrong.group()))
    return text


def candidates(ascii_name: str, configuration: ResolverConfiguration) -> tuple[str, ...]:
    """Return the full names in the order in which glibc's ``res_search`` tries them, without trailing dots."""
    bare = ascii_name.removesuffix(".")
    if bare.lower() == "localhost" or bare.lower().endswith(".localhost"):
        return ()
    if ascii_name.endswith("."):
        return (bare,)
    dots = bare.count(".")
    expanded = [f"{bare}.{domain}" if domain != "." else bare for domain in configuration.search]
    if dots >= configuration.ndots:
        names = [bare, *expanded]
    elif dots == 0 and expanded and "no-tld-query" in configuration.options:
        names = expanded
    else:
        names = [*expanded, bare]
    return tuple(dict.fromkeys(name for name in names if len(name) <= 253))[:_MAX_CANDIDATES]


def printable(text: str) -> str:
    """Return hostile text as one short line of printable characters."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return shown if len(shown) <= _MAX_TEXT else shown[:_MAX_TEXT] + "…"
