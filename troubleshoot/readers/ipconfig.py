"""``ipconfig`` and ``ipconfig /all`` of Windows, and of wine: adapters, addresses, gateways, name servers.

Formats: an adapter's heading stands at the left and ends in a colon, its fields are indented, with dots up to the
colon; further values of a field stand alone below the first. Sources: Microsoft's page on ``ipconfig``, recorded
outputs in four languages.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from probes.interfaces import Interface, InterfaceAddress
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import (
    Block,
    Interfaces,
    Machine,
    NameServers,
    Reading,
    RouteEntry,
    Routes,
    Walk,
)
from troubleshoot.readers.words import address, family, mac, network, prefix_of

COMMANDS = ("ipconfig",)
_FIELD = re.compile(r"^\s{1,8}(?P<key>\S[^:\uff1a]{1,60}?)[ .]*[:\uff1a]\s?(?P<value>.*)$")
_HEADING = re.compile(r"^(?P<name>\S.{1,120}?)\s*[:\uff1a]\s*$")
_FIELDS = (
    *("host-name", "physical-address", "ip-address", "subnet-mask", "default-gateway", "dns-servers", "dns-suffix"),
    *("media-state", "of-no-interest"),
)

_ADDRESS_STATES = ("address-duplicate", "address-tentative", "address-deprecated")


def starts(line: str, labels: Labels) -> bool:
    """Whether the output begins with this line."""
    return labels.says(line, "ip-configuration") and len(line) < 80


class _Adapter:
    """One adapter as it is read."""

    def __init__(self, name: str, index: int) -> None:
        self.interface = Interface(
            name=name, index=index, up=True, carrier=True, loopback=False, mtu=0, mac=None, addresses=()
        )
        self.gateways: list[str] = []

    def add(self, found: str, state: str | None) -> None:
        """Add an address of which the page says that it is ``address-duplicate`` and so on."""
        version = family(found)
        one = InterfaceAddress(
            address=found.partition("%")[0],
            family=version,
            prefix=64 if version == 6 else 32,
            tentative=state == "address-tentative",
            deprecated=state == "address-deprecated",
            duplicate=state == "address-duplicate",
        )
        self.interface = replace(self.interface, addresses=(*self.interface.addresses, one))

    def mask(self, length: int) -> None:
        """Give the last IPv4 address its prefix length: the mask follows it."""
        held = list(self.interface.addresses)
        for position in range(len(held) - 1, -1, -1):
            if held[position].family == 4:
                held[position] = replace(held[position], prefix=length)
                break
        self.interface = replace(self.interface, addresses=tuple(held))

    def routes(self) -> list[RouteEntry]:
        """Return what the adapter's settings say of the way out, and of its own networks."""
        name = self.interface.name
        found = [
            RouteEntry(prefix="::/0" if ":" in gateway else "0.0.0.0/0", gateway=gateway, interface=name)
            for gateway in self.gateways
        ]
        for held in self.interface.addresses:
            prefix = network(held.address, held.prefix)
            if prefix is not None:
                found.append(RouteEntry(prefix=prefix, interface=name, source=held.address))
        return found


class _Page:
    """The whole output as it is read."""

    def __init__(self) -> None:
        self.adapters: list[_Adapter] = []
        self.servers: dict[str, None] = {}
        self.search: dict[str, None] = {}
        self.hostname: str | None = None
        self.last: str | None = None

    def take(self, meaning: str, value: str, labels: Labels) -> bool:
        """Take a value of a field, the first one or one below it."""
        adapter = self.adapters[-1] if self.adapters else None
        found = address(re.sub(r"\(.*", "", value))
        if meaning == "host-name" and adapter is None:
            self.hostname = value or None
        elif meaning == "dns-servers":
            if found is None:
                return not value
            self.servers.setdefault(found)
        elif meaning == "dns-suffix":
            self.search.update({value: None} if value else {})
        elif adapter is None:
            return meaning == "of-no-interest"
        elif meaning == "physical-address":
            adapter.interface = replace(adapter.interface, mac=mac(value))
        elif meaning == "ip-address" and found is not None:
            adapter.add(found, labels.meant(value, _ADDRESS_STATES))
        elif meaning == "subnet-mask" and (length := prefix_of(value)) is not None:
            adapter.mask(length)
        elif meaning == "default-gateway":
            if value and found is None:
                return False
            adapter.gateways += [found] if found is not None and found not in ("0.0.0.0", "::") else []
        elif meaning == "media-state":
            adapter.interface = replace(adapter.interface, carrier=False)
        else:
            return meaning == "of-no-interest" or not value
        return True


def read(block: Block, labels: Labels) -> Reading:
    """Read all adapters."""
    walk, page = Walk(block), _Page()
    for line in walk:
        field = _FIELD.match(line)
        heading = _HEADING.match(line) if not line.startswith(" ") else None
        if labels.says(line, "ip-configuration"):
            continue
        if heading is not None and labels.says(line, "adapter"):
            page.adapters.append(_Adapter(_short(heading["name"]), len(page.adapters) + 1))
            page.last = None
            continue
        if field is not None and (meaning := labels.label(field["key"], _FIELDS)) is not None:
            page.last = meaning
            if not page.take(meaning, field["value"].strip(), labels):
                walk.leave()
            continue
        alone = line.strip()
        further = page.last in ("dns-servers", "default-gateway", "dns-suffix") and line.startswith("      ")
        if not (further and page.last is not None and page.take(page.last, alone, labels)):
            walk.leave()
    return walk.reading("windows", _seen(page, filtered=block.filtered))


def _short(heading: str) -> str:
    """Return an adapter's own name, without the word for what kind of adapter it is."""
    folded = heading.casefold()
    for word in ("adapter", "어댑터", "アダプター"):
        at = folded.find(word)
        if at >= 0 and heading[at + len(word) :].strip():
            return heading[at + len(word) :].strip()
    return heading


def _seen(page: _Page, *, filtered: bool) -> list[Any]:
    seen: list[Any] = []
    if page.hostname:
        seen.append(Machine(hostname=page.hostname))
    if page.adapters:
        seen.append(Interfaces(interfaces=tuple(adapter.interface for adapter in page.adapters), some=filtered))
        routes = [entry for adapter in page.adapters for entry in adapter.routes()]
        if routes:
            seen.append(Routes(entries=tuple(routes), whole=False))
    if page.servers:
        seen.append(NameServers(servers=tuple(page.servers), search=tuple(page.search)))
    return seen
