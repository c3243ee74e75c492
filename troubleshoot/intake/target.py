"""Read the TARGET of the command line: host, port or service name, transport, address literals, URLs.

Everything is decided by syntax alone and before any packet. What can be written but never be reached (port 0,
0.0.0.0, a broadcast address) is accepted: the steps themselves say what is wrong with it. Sources: RFC 3986
section 3.2.2 (hosts in URLs), RFC 4007 section 11 (zones), RFC 1123 section 2.1 and RFC 2181 section 11 (names),
RFC 6335 section 5.1 (service names).
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from probes.base import Note, note
from troubleshoot.intake.login import without_odd_login
from troubleshoot.knowledge.text import Refusal

if TYPE_CHECKING:
    from troubleshoot.knowledge.catalogue import Catalogue

_LONGEST = 2048
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_DIGITS = re.compile(r"[0-9]+")
_SERVICE = re.compile(r"(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_.+*-]{0,31}")
_LABEL = re.compile(r"[A-Za-z0-9_-]+")
# inet_aton(3) reads a last label of digits or hexadecimal as a number, and so would the system resolver.
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
# The full stops that IDNA counts as separators (RFC 3490, section 3.1).
_DOTS = dict.fromkeys(map(ord, "\u3002\uff0e\uff61"), ".")
# What an East Asian keyboard writes for the signs of a target: U+FF01 to U+FF5E are ASCII in full width.
_FULL_WIDTH = {code + 0xFEE0: chr(code) for code in range(0x21, 0x7F)} | {0x3000: " "}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """``host`` is what is to be resolved or a literal address without brackets (with its ``%zone``).

    ``host`` is ``None`` for ``:8080`` (every local address). ``port`` is ``None`` where none was given or where
    ``service`` is a name that the services file must resolve. ``remarks`` tell what was concluded from the
    form, e.g. the port from a URL's scheme, and ``scheme`` that scheme where a service is known by it. ``input`` is
    what was written, without a user name and password.
    """

    input: str
    host: str | None
    port: int | None
    transport: str = "tcp"
    service: str | None = None
    scheme: str | None = None
    remarks: tuple[Note, ...] = ()

    @property
    def literal(self) -> bool:
        """Whether ``host`` is an address rather than a name."""
        return self.host is not None and is_address(self.host)


@functools.lru_cache(maxsize=256)  # asked hundreds of times of one target
def is_address(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address literal, with a zone or without."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def unmapped(address: str) -> str:
    """Return the IPv4 address that one of IPv6 stands for (``::ffff:192.0.2.1``, RFC 4291), any other as it is.

    Java, .NET, Node and Go log IPv4 so, and name servers may answer it; on the wire it is IPv4.
    """
    if ":" not in address:
        return address
    try:
        inside = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if inside is None else str(inside)


def is_unspecified(text: str) -> bool:
    """Whether ``text`` is the address that stands for every one of a machine, ``0.0.0.0`` or ``::``."""
    return is_address(text) and ipaddress.ip_address(text.partition("%")[0]).is_unspecified


def parse_target(word: str, catalogue: Catalogue | None = None) -> Target:
    """Return what ``word`` points at; raises :class:`~troubleshoot.knowledge.text.Refusal` saying what would fit.

    What is no TARGET, but is written so by people and programs, is put right with a remark
    (:mod:`troubleshoot.intake.forms`). ``catalogue`` knows the ports of URL schemes (the installed one where none is
    given).
    """
    text = without_odd_login(word.translate(_FULL_WIDTH).strip(" "))
    if not text:
        raise Refusal("usage.target-empty")
    if len(text) > _LONGEST:
        raise Refusal("usage.target-long", length=len(text))
    if text.startswith("::") and text.count(":") > 2:
        from troubleshoot.intake.forms import loopback_port  # noqa: PLC0415 - as below

        with_port = loopback_port(text)
        if with_port is not None:
            return _remarked(_read(with_port[0], catalogue), text, with_port[1])
    try:
        target = _read(text, catalogue)
    except Refusal as refusal:
        return _put_right(text, catalogue, refusal)
    head, _, last = text.rpartition(":")
    if _is_ipv6(text) and _is_ipv6(head) and last.isdecimal() and len(last) > 1:
        return _remarked(target, text, note("usage.remark-maybe-port", target=f"[{head}]:{last}"))
    return target


def _put_right(text: str, catalogue: Catalogue | None, refusal: Refusal) -> Target:
    """Return what a word means that is no TARGET; raises ``refusal`` where nobody writes a target so."""
    from troubleshoot.intake.forms import rewritten  # noqa: PLC0415 - a plain target costs none of its patterns

    printable = all(letter.isprintable() for letter in text)
    plainer = rewritten(text) if printable else None
    if plainer is None and printable and refusal.key == "usage.target-space" and catalogue is not None:
        plainer = _said_in(text, catalogue)
    if plainer is None or plainer[0] == text:
        raise refusal
    plain, remark, has_secret = plainer
    try:
        target = parse_target(plain, catalogue)
    except Refusal:
        raise refusal from None
    # What people pass on has no place for a user's password.
    return _remarked(target, target.input if has_secret else text, remark)


def _said_in(text: str, catalogue: Catalogue) -> tuple[str, Note, bool] | None:
    """Return the end with a port that a command line or a sentence names: ``telnet mail.example.com 25``."""
    from troubleshoot.intake.evidence import line_of  # noqa: PLC0415 - as above
    from troubleshoot.intake.places import places  # noqa: PLC0415 - it reads what it finds with this module

    end = next((place.target for place in places([line_of(0, text)], catalogue)), None)
    if end is None or ":" not in end:
        return None
    return end, note("usage.remark-written", word="…" if "@" in text else text, target=end), "@" in text


def _remarked(target: Target, word: str, remark: Note) -> Target:
    return replace(target, input=word, remarks=(remark, *target.remarks))


def _read(text: str, catalogue: Catalogue | None) -> Target:
    """Return what ``text`` points at as it stands."""
    if re.search(r":\w+ ", text):
        raise Refusal("usage.target-words", word=text)
    if " " in text:
        raise Refusal("usage.target-space", word=text, fixed=re.sub(" +", "" if ":" in text else ":", text))
    for letter in text:
        if not letter.isprintable():
            raise Refusal("usage.target-letter", word=text, letter=f"U+{ord(letter):04X}")
    scheme = _SCHEME.fullmatch(text)
    if scheme is None:
        return _plain(text)
    name, rest = scheme[1].lower(), scheme[2]
    return _url(text, name, rest, catalogue)


def near_service(name: str, catalogue: Catalogue) -> str | None:
    """Return the names of services that an unknown one may have been meant for, ``None`` where none is near."""
    import difflib  # noqa: PLC0415 - for a name that nobody knows

    names = {known for main, entry in catalogue.services.items() for known in (main, *entry.aliases)}
    return ", ".join(difflib.get_close_matches(name.lower(), names, 3)) or None


def _plain(text: str) -> Target:
    transport = "tcp"
    rest = text
    for suffix in ("tcp", "udp"):  # `host:53/udp`, as port lists write it
        if rest.lower().endswith(f"/{suffix}"):
            transport, rest = suffix, rest[: -len(suffix) - 1]
            break
    host, port, service = _host_and_port(text, rest)
    return Target(input=text, host=host, port=port, transport=transport, service=service)


def _url(text: str, scheme: str, rest: str, catalogue: Catalogue | None) -> Target:
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    user, at, place = authority.rpartition("@")
    remarks = []
    if at:
        # A report is shown to others: a password has no place in it.
        text = text.replace(f"{user}@", "", 1)
        remarks.append(note("usage.remark-user"))
    place = place.replace("%25", "%")  # RFC 6874: the zone of a link-local address
    if not place or (place.startswith(":") and not place.startswith("::") and scheme not in ("tcp", "udp")):
        raise Refusal("usage.target-no-host", word=text)
    host, port, service = _host_and_port(text, place)
    if scheme in ("tcp", "udp"):
        return Target(input=text, host=host, port=port, transport=scheme, service=service, remarks=tuple(remarks))
    if catalogue is None:
        from troubleshoot.knowledge.catalogue import catalogue as installed  # noqa: PLC0415 - most targets are no URLs

        catalogue = installed()
    # `mysql+pymysql` and `mongodb+srv` say more than one thing: the first part that is known counts.
    parts = (scheme, *scheme.split("+"))
    known = next(filter(None, map(catalogue.service_of_scheme, parts)), None)
    if known is None:
        if port is None and service is None:
            schemes = sorted({s for entry in catalogue.services.values() for s in entry.schemes})
            raise Refusal("usage.target-scheme", scheme=scheme, word=text, known=", ".join([*schemes, "tcp", "udp"]))
        return Target(input=text, host=host, port=port, service=service, remarks=tuple(remarks))
    if port is None and service is None:
        port = known.port
        remarks.append(note("usage.remark-scheme", scheme=scheme, port=port, transport=known.transport))
    return Target(
        input=text,
        host=host,
        port=port,
        transport=known.transport,
        service=service,
        scheme=scheme,
        remarks=tuple(remarks),
    )


def _host_and_port(word: str, text: str) -> tuple[str | None, int | None, str | None]:
    """Split ``text``; ``word`` is what the complaint shows."""
    if text.startswith("["):
        inside, bracket, after = text[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise Refusal("usage.target-brackets", word=word)
        if not _is_ipv6(inside):
            raise Refusal("usage.target-in-brackets", word=word, inside=inside)
        return (unmapped(inside), *_port(word, after[1:] if after else None))
    if "[" in text or "]" in text:
        raise Refusal("usage.target-brackets", word=word)
    if _is_ipv6(text):
        return unmapped(text), None, None
    # A zone may hold a colon; a name may not.
    if text.count(":") > 1:
        raise Refusal("usage.target-ipv6", word=word)
    host, colon, port = text.partition(":")
    number, service = _port(word, port if colon else None)
    if host in ("", "*"):
        if not colon:
            raise Refusal("usage.target-no-host", word=word)
        return None, number, service
    return _host(word, host), number, service


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _port(word: str, text: str | None) -> tuple[int | None, str | None]:
    if text is None:
        return None, None
    if not text:
        raise Refusal("usage.target-no-port", word=word)
    if _DIGITS.fullmatch(text):
        digits = text.lstrip("0") or "0"
        if len(digits) > 5 or int(digits) > 65535:
            raise Refusal("usage.target-port-range", port=text[:20])
        return int(digits), None
    if not _SERVICE.fullmatch(text):
        raise Refusal("usage.target-port", port=text[:60])
    return None, text


def _host(word: str, text: str) -> str:
    """Return the host, its separators plain; ``text`` holds no colon, no bracket and no space."""
    host = unicodedata.normalize("NFC", text.translate(_DOTS))
    labels = host.removesuffix(".").split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        _ipv4(word, host)
        return host
    if host.startswith("-"):
        raise Refusal("usage.target-option", word=word)
    for label in labels:
        if not label:
            raise Refusal("usage.target-dots", word=word)
        _label(word, label)
    if sum(len(_ascii(label)) + 1 for label in labels) > 254:
        raise Refusal("usage.target-name-long", length=len(host))
    return host


def _ipv4(word: str, host: str) -> None:
    numbers = host.split(".")
    if len(numbers) == 1:
        raise Refusal("usage.target-number", word=word)
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        if any(len(n) > 1 and n.startswith("0") and _DIGITS.fullmatch(n) for n in numbers):
            raise Refusal("usage.target-ipv4-zeros", host=host[:60]) from None
        raise Refusal("usage.target-ipv4", host=host[:60]) from None


def _label(word: str, label: str) -> None:
    for letter in label:
        if letter.isascii() and not _LABEL.fullmatch(letter):
            raise Refusal("usage.target-host-letter", word=word[:120], letter=letter)
    length = len(label) if label.isascii() or len(label) > 63 else len(_ascii(label))
    if length > 63:
        raise Refusal("usage.target-label-long", label=f"{label[:20]}...", length=length)


def _ascii(label: str) -> str:
    """Return the label as it travels: its Punycode where it has letters beyond ASCII (RFC 3492)."""
    if label.isascii():
        return label
    return "xn--" + unicodedata.normalize("NFKC", label).encode("punycode").decode("ascii")
