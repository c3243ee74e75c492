"""What an exporter may be asked to probe: whoever reaches its port must not be able to scan with it.

An entry is a name, a suffix of names (``.example.com``), an address or a network, with ports or without:
``db.example:5432``, ``.example.com:80,443``, ``10.1.0.0/24:8000-8010``, ``[2001:db8::/64]:443``. A name never fits a
network, whatever it resolves to. Of what is not spelt out, host and port, only so many different targets are probed.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections import OrderedDict
from typing import Final

import msgspec

from probes.base import NotApplicable
from probes.system.dns.names import to_ascii
from troubleshoot.intake.target import Target
from troubleshoot.knowledge.text import Refusal

#: A network that is wider than this is no list any more.
_WIDEST: Final = {4: 8, 6: 32}
#: A target that nobody has asked for in so long makes room for another one, seconds.
FORGOTTEN_S: Final = 3600.0
_ENTRY: Final = re.compile(r"(?:\[(?P<inside>[^\]]+)\]|(?P<plain>[^:\[\]]+)|(?P<v6>[0-9A-Fa-f:.]+(?:/\d+)?))")
_PORTS: Final = re.compile(r":(\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*)")
_NAME: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Entry(msgspec.Struct, frozen=True):
    """One entry: ``network``, ``name`` or ``suffix`` (with its leading dot); ``ports`` are pairs, both included."""

    network: Network | None = None
    name: str | None = None
    suffix: str | None = None
    ports: tuple[tuple[int, int], ...] = ()

    @property
    def spelt_out(self) -> bool:
        """Whether this is one host with single ports, so that nothing is left to choose."""
        single = self.name is not None or (self.network is not None and self.network.num_addresses == 1)
        return single and bool(self.ports) and all(first == last for first, last in self.ports)

    def fits(self, host: str, port: int | None) -> bool:
        """Whether it allows this host, an address or a name as :func:`plain_host` returns it."""
        if self.ports and not any(port is not None and first <= port <= last for first, last in self.ports):
            return False
        if self.network is not None:
            address = _address(host)
            return address is not None and address.version == self.network.version and address in self.network
        return host == self.name or (self.suffix is not None and host.endswith(self.suffix))


def parse_entry(word: str) -> Entry:
    """Return the entry that ``word`` stands for; raises :class:`Refusal`."""
    text = word.strip().lower()
    found = _ENTRY.match(text)
    rest = text[found.end() :] if found else ""
    if found is not None and found["plain"] and rest and not _PORTS.fullmatch(rest):
        found = re.fullmatch(r"(?P<inside>x)?(?P<plain>x)?(?P<v6>[0-9a-f:.]+(?:/\d+)?)", text)
        rest = ""
    if found is None or (rest and not _PORTS.fullmatch(rest)):
        raise Refusal("usage.exporter-allow", value=word)
    ports = _ports(rest[1:], word)
    host = found["inside"] or found["plain"] or found["v6"]
    network = _network(host)
    if network is not None:
        if network.prefixlen < _WIDEST[network.version]:
            raise Refusal("usage.exporter-wide", value=word, least=_WIDEST[network.version])
        return Entry(network=network, ports=ports)
    bare = host.removeprefix("*").rstrip(".")
    name = bare.removeprefix(".")
    try:
        name = to_ascii(name).lower()
    except NotApplicable:
        name = ""
    if not _NAME.fullmatch(name) or "/" in host or ("*" in host and not bare.startswith(".")):
        raise Refusal("usage.exporter-allow", value=word)
    return Entry(suffix=f".{name}", ports=ports) if bare.startswith(".") else Entry(name=name, ports=ports)


def plain_host(target: Target) -> str | None:
    """Return a target's host as entries name it; ``None`` for this machine's own and for what is no name."""
    if target.host is None:
        return None
    address = _address(target.host)
    if address is not None:
        return str(address)
    try:
        return to_ascii(target.host).lower().rstrip(".")
    except NotApplicable:
        return None


class Allowed:
    """The list, and which targets were asked for of those that it does not spell out."""

    def __init__(self, entries: tuple[Entry, ...], most: int) -> None:
        self._entries = entries
        self._most = most
        self._seen: OrderedDict[tuple[str, int | None], float] = OrderedDict()

    def why_not(self, target: Target) -> str | None:
        """Return ``None`` where the target may be probed, else ``not-allowed`` or ``too-many``."""
        host = plain_host(target)
        fitting = [entry for entry in self._entries if host is not None and entry.fits(host, target.port)]
        if host is None or not fitting:
            return "not-allowed"
        if any(entry.spelt_out for entry in fitting):
            return None
        now, key = time.monotonic(), (host, target.port)
        while self._seen and now - next(iter(self._seen.values())) > FORGOTTEN_S:
            self._seen.popitem(last=False)
        if key not in self._seen and len(self._seen) >= self._most:
            return "too-many"
        self._seen[key] = now
        self._seen.move_to_end(key)
        return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _ports(text: str, word: str) -> tuple[tuple[int, int], ...]:
    pairs = []
    for each in filter(None, text.split(",")):
        first, _, last = each.partition("-")
        pair = int(first), int(last or first)
        if not 0 < pair[0] <= pair[1] <= 65_535:
            raise Refusal("usage.exporter-allow", value=word)
        pairs.append(pair)
    return tuple(pairs)
