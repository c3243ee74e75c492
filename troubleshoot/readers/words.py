"""Words that all readers share: addresses, ports and numbers as commands write them."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterator

#: What may be an address: digits and dots, or hexadecimal digits and colons, a zone behind it.
_MAYBE = re.compile(
    r"(?:\d{1,3}(?:\.\d{1,3}){3}|(?=[0-9A-Fa-f]{0,45}:[0-9A-Fa-f:]{0,45}:|::)[0-9A-Fa-f:.]{2,45})(?:%[\w.-]{1,15})?"
)
#: What may stand before the name of a command.
_BEFORE = re.compile(
    r"^(?:(?:sudo(?: -\w+)*|time|env|LANG=\S*|LC_ALL=\S*|LANGUAGE=\S*|TZ=\S*|"
    r"cmd(?:\.exe)? /c|powershell(?:\.exe)?(?: -\w+)*|chcp \d+ ?[&|>]+ ?(?:nul ?&? ?)?)\s+)+",
    re.IGNORECASE,
)
_MAC = re.compile(r"\b[0-9A-Fa-f]{1,2}(?:[:-][0-9A-Fa-f]{1,2}){5}\b")


@functools.lru_cache(maxsize=4096)
def address(word: str) -> str | None:
    """Return the address that a word is, brackets aside, in canonical form with its zone; ``None`` where it is none."""
    word = word.strip("[]()<>,;'\" ")
    plain, percent, zone = word.partition("%")
    try:
        return f"{ipaddress.ip_address(plain)}{percent}{zone}"
    except ValueError:
        return None


def addresses(line: str) -> Iterator[str]:
    """Yield the addresses that stand in a line."""
    for match in _MAYBE.finditer(line):
        found = address(match[0].rstrip(".:"))
        if found is not None:
            yield found


def first_address(line: str) -> str | None:
    """Return the first address in a line."""
    return next(addresses(line), None)


def command_line(typed: str) -> tuple[str, ...]:
    """Return name and arguments of a command line, without ``sudo`` and settings before them and pipes behind."""
    return tuple(_BEFORE.sub("", typed.partition("|")[0].strip().strip("\"'")).split())


def mac(line: str) -> str | None:
    """Return the first link address in a line, as ``00:00:5e:00:53:01``."""
    match = _MAC.search(line)
    return ":".join(part.zfill(2).lower() for part in re.split("[:-]", match[0])) if match else None


def endpoint(word: str) -> tuple[str, int | None] | None:
    """Split ``address:port`` as netstat, ss and lsof write it; ``*`` is any; ``None`` for what is no endpoint.

    macOS writes a dot before the port. The address of ``*:80`` is empty: the family tells which it is.
    """
    host, colon, port = word.rpartition(":")
    if not colon or (not port.isdigit() and port != "*"):
        host, _, port = word.rpartition(".")
        if not port.isdigit() and port != "*":
            return None
    number = int(port) if port.isdigit() and len(port) < 6 else None
    if number is not None and number > 65535:
        return None
    host = host.strip("[]")
    if host in ("*", ""):
        return "", number
    found = address(host)
    if found is None and "%" in host:  # ss: 127.0.0.53%lo
        found = address(host.partition("%")[0])
    return (found, number) if found is not None else None


def number(text: str) -> float:
    """Return a decimal number, with a point or a comma."""
    return float(text.replace(",", "."))


def prefix_of(mask: str) -> int | None:
    """Return the prefix length of a mask (``255.255.255.0``, ``0xffffff00``)."""
    try:
        bits = int(mask, 16) if mask.lower().startswith("0x") else int(ipaddress.IPv4Address(mask))
    except ValueError:
        return None
    length = bits.bit_count()
    return length if bits == ((1 << length) - 1) << (32 - length) else None


def network(destination: str, length: int) -> str | None:
    """Return the prefix ``destination/length`` in canonical form, ``None`` where it is none."""
    try:
        return str(ipaddress.ip_network(f"{destination.partition('%')[0]}/{length}", strict=False))
    except ValueError:
        return None


def family(text: str) -> int:
    """Return 4 or 6 for an address or a prefix."""
    return 6 if ":" in text else 4
