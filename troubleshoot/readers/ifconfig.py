"""``ifconfig`` of macOS and of Linux' net-tools. Sources: ifconfig(8) of both, recorded outputs."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from probes.interfaces import Interface, InterfaceAddress
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Interfaces, Reading, Walk
from troubleshoot.readers.words import address, family, prefix_of

COMMANDS = ("ifconfig",)
_HEAD = re.compile(
    r"^(?P<name>[\w.-]{1,30}): flags=[0-9a-f]+<(?P<flags>[A-Z0-9_,-]*)>\s+(?:metric \d+\s+)?mtu (?P<mtu>\d{1,6})"
)
_INET = re.compile(r"^\s+inet6? (?P<address>\S{2,60})(?P<rest>.*)$")
_MAC = re.compile(r"^\s+ether (?P<mac>[0-9a-f:]{11,17})")
_COUNT = re.compile(
    r"^\s+(?P<way>RX|TX) (?P<what>packets|errors) (?P<one>\d{1,19})"
    r"(?:\s+bytes \d+.*|\s+dropped (?P<dropped>\d{1,19}).*)$"
)
_ACTIVE = re.compile(r"^\s+status: (?P<state>active|inactive)\s*$")
_REST = re.compile(
    r"^\s+(?:options=|nd6 options|media:|txqueuelen|loop |unspec|device |RX|TX|collisions|member:|agent domain|"
    r"Configuration:|id |maxage|root id|ipfilter|priority|maxaddr|bond |ether |unicast|address cache|type:|"
    r"link quality|state availability|scheduler|uplink|qosmarking|xflags|eflags|netif|inet )"
)


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line."""
    return bool(_HEAD.match(line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read all interfaces."""
    walk, found = Walk(block), list[Interface]()
    macos = False
    for line in walk:
        head = _HEAD.match(line)
        if head is not None:
            found.append(_interface(head, len(found) + 1))
            continue
        inet, told, count, active = (p.match(line) for p in (_INET, _MAC, _COUNT, _ACTIVE))
        if not found:
            walk.leave()
        elif inet is not None and (one := _address(inet)) is not None:
            macos = macos or "netmask 0x" in line
            found[-1] = replace(found[-1], addresses=(*found[-1].addresses, one))
        elif told is not None:
            found[-1] = replace(found[-1], mac=":".join(part.zfill(2) for part in told["mac"].split(":")))
        elif active is not None:
            macos = True
            found[-1] = replace(found[-1], carrier=active["state"] == "active")
        elif count is not None:
            found[-1] = replace(found[-1], **_counted(count))
        elif not _REST.match(line):
            walk.leave()
    some = block.filtered or any(not word.startswith("-") for word in block.arguments)
    seen = (Interfaces(interfaces=tuple(found), some=some),) if found else ()
    return walk.reading("macos" if macos else "linux", seen)


def _interface(head: re.Match[str], index: int) -> Interface:
    flags = head["flags"].split(",")
    return Interface(
        name=head["name"],
        index=index,
        up="UP" in flags,
        carrier="RUNNING" in flags if "UP" in flags else None,
        loopback="LOOPBACK" in flags,
        mtu=int(head["mtu"]),
        mac=None,
        addresses=(),
        tunnel="POINTOPOINT" in flags,
    )


def _address(inet: re.Match[str]) -> InterfaceAddress | None:
    words = inet["rest"].split()
    given = dict(pairwise(words))
    where = address(inet["address"])
    if where is None:
        return None
    version = family(where)
    length = given.get("prefixlen", "")
    prefix = (int(length) if length.isdigit() else None) if version == 6 else prefix_of(given.get("netmask", ""))
    if prefix is None or prefix > 128:
        prefix = 128 if version == 6 else 32
    return InterfaceAddress(
        address=where.partition("%")[0],
        family=version,
        prefix=prefix,
        broadcast=address(given.get("broadcast", "")),
        tentative="tentative" in words,
        deprecated="deprecated" in words,
        duplicate="duplicated" in words,
    )


def _counted(count: re.Match[str]) -> dict[str, Any]:
    way = count["way"].lower()
    found = {f"{way}_{count['what']}": min(int(count["one"]), 1 << 62)}
    if count["dropped"] is not None:
        found[f"{way}_dropped"] = min(int(count["dropped"]), 1 << 62)
    return found
