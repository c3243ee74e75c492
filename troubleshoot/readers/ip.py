"""``ip addr``, ``ip -s link``, ``ip route``, ``ip route get`` and ``ip neigh``.

Sources: ip(8) and its pages, recorded outputs.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from probes.failure import Failure
from probes.interfaces import Interface, InterfaceAddress
from probes.neighbours import Neighbour, NeighbourState
from probes.route import RouteKind, RouteResult
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Interfaces, Neighbours, Reading, RouteEntry, Routes, Walk
from troubleshoot.readers.words import address, family, network

COMMANDS = ("ip",)
_LINK = re.compile(
    r"^(?P<index>\d{1,6}): (?P<name>[^\s:@]{1,30})(?:@[^\s:]{1,30})?: <(?P<flags>[A-Z_,0-9-]*)> mtu (?P<mtu>\d{1,6})"
)
_MAC = re.compile(r"^\s+link/(?P<kind>\w+)(?: (?P<mac>[0-9a-f:]{17}))?")
_INET = re.compile(r"^\s+inet6? (?P<address>\S{2,60})(?: peer \S+)?(?: brd (?P<broadcast>\S+))?(?P<flags>.*)$")
_NEIGHBOUR = re.compile(
    r"^(?P<address>\S{2,60}) dev (?P<dev>\S{1,30})(?: lladdr (?P<mac>[0-9a-f:]{17}))?(?P<router> router)?(?: proxy)?"
    r"(?: used \S+)?(?: ref \d+)?(?: probes \d+)?\s+(?P<state>[A-Z]+)\s*$"
)
_GET = re.compile(
    r"^(?:(?P<kind>local|broadcast|unreachable|prohibit|blackhole|multicast) )?(?P<address>\S{2,60})"
    r"(?: from \S+)?(?: via (?:inet6? )?(?P<via>\S+))? dev (?P<dev>\S+)(?P<rest>.*\buid \d+.*)$"
)
_ROUTE = re.compile(
    r"^(?:(?P<kind>unicast|local|broadcast|unreachable|prohibit|blackhole|multicast|anycast) )?"
    r"(?P<prefix>default|[0-9A-Fa-f:.]+(?:/\d{1,3})?)(?P<rest>(?: .*)?)$"
)
_COUNTS = re.compile(r"^\s+\d+\s+(?P<packets>\d+)\s+(?P<errors>\d+)\s+(?P<dropped>\d+)\s")
_NO_ROUTE = re.compile(r"^RTNETLINK answers: (?P<why>.{1,60})$")
_GROWN = re.compile(r"^\s+(?:valid_lft|RX:|TX:|alias|altname|RX errors|TX errors)\b|^\s+cache\b")


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line."""
    if _LINK.match(line) or _NEIGHBOUR.match(line) or _GET.match(line):
        return True
    routed = _ROUTE.match(line)
    return (
        routed is not None
        and " dev " in line
        and address(routed["prefix"].partition("/")[0] if routed["prefix"] != "default" else "::") is not None
    )


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read whatever of the four it is, line by line."""
    walk, page = Walk(block), _Page(block)
    for line in walk:
        if not page.take(line):
            walk.leave()
    return walk.reading("linux", page.seen(clean=walk.clean))


class _Page:
    """The output as it is read."""

    def __init__(self, block: Block) -> None:
        self.typed = block.arguments
        self.interfaces: list[Interface] = []
        self.neighbours: list[Neighbour] = []
        self.routes: list[RouteEntry] = []
        self.got: list[RouteResult] = []
        self.counting = ""
        self.refused: str | None = None
        self.with_addresses = False
        self.filtered = block.filtered

    def take(self, line: str) -> bool:
        """Take a line; false where it is none of ip's."""
        return self._link(line) or self._neighbour(line) or self._route(line)

    def _link(self, line: str) -> bool:
        link, inet = _LINK.match(line), _INET.match(line)
        if link is not None:
            flags = link["flags"].split(",")
            self.interfaces.append(
                Interface(
                    name=link["name"],
                    index=int(link["index"]),
                    up="UP" in flags,
                    carrier=("LOWER_UP" in flags and "NO-CARRIER" not in flags) if "UP" in flags else None,
                    loopback="LOOPBACK" in flags,
                    mtu=int(link["mtu"]),
                    mac=None,
                    addresses=(),
                    tunnel="POINTOPOINT" in flags,
                )
            )
            return True
        if not self.interfaces:
            return False
        if (told := _MAC.match(line)) is not None:
            held = None if told["kind"] == "loopback" else told["mac"]
            self._last(mac=held)
        elif inet is not None:
            return self._inet(inet)
        elif line.lstrip().startswith(("RX:", "TX:")):
            self.counting = line.lstrip()[:2].lower()
        elif self.counting and (counts := _COUNTS.match(f"{line} ")) is not None:
            self._last(
                **{
                    f"{self.counting}_{name}": min(int(counts[name]), 1 << 62)
                    for name in ("packets", "errors", "dropped")
                }
            )
            self.counting = ""
        else:
            return bool(_GROWN.match(line))
        return True

    def _last(self, **values: Any) -> None:
        self.interfaces[-1] = replace(self.interfaces[-1], **values)

    def _inet(self, inet: re.Match[str]) -> bool:
        where, _, length = inet["address"].partition("/")
        found = address(where)
        if found is None or (length and not length.isdigit()):
            return False
        self.with_addresses = True
        flags = inet["flags"].split()
        one = InterfaceAddress(
            address=found,
            family=family(found),
            prefix=min(int(length[:3]), 128) if length else (32 if family(found) == 4 else 128),
            broadcast=address(inet["broadcast"] or ""),
            tentative="tentative" in flags,
            deprecated="deprecated" in flags,
            duplicate="dadfailed" in flags,
        )
        self._last(addresses=(*self.interfaces[-1].addresses, one))
        return True

    def _neighbour(self, line: str) -> bool:
        told = _NEIGHBOUR.match(line)
        found = address(told["address"]) if told is not None else None
        if told is None or found is None or told["state"].lower() not in {s.value for s in NeighbourState}:
            return False
        state = NeighbourState(told["state"].lower())
        self.neighbours.append(
            Neighbour(
                address=found,
                interface=told["dev"],
                state=state,
                mac=told["mac"],
                router=bool(told["router"]),
                confirmed=state is NeighbourState.REACHABLE,
            )
        )
        return True

    def _route(self, line: str) -> bool:
        refused = _NO_ROUTE.match(line)
        if refused is not None:
            self.refused = refused["why"]
            return True
        got = _GET.match(line)
        if got is not None and (where := address(got["address"])) is not None:
            self.got.append(_result(where, got))
            return True
        told = _ROUTE.match(line)
        if told is None or line.startswith(" "):
            return line.strip() == "cache" or (line.startswith(" ") and "cache" in line[:10])
        entry = _entry(told, v6="-6" in self.typed)
        if entry is None:
            return False
        self.routes.append(entry)
        return True

    def seen(self, *, clean: bool) -> list[Any]:
        """Return what was read; a table is not the whole one where a line of it was not understood."""
        found: list[Any] = [*self.got]
        whole = clean and not self.filtered and self._plain("route", "r")
        if self.interfaces:
            counters = not self.with_addresses and any(i.rx_packets is not None for i in self.interfaces)
            bare = not self.with_addresses and not counters and "link" in self.typed
            every = not self.typed or self._plain("address", "addr", "a")
            some = self.with_addresses and not (clean and every and not self.filtered)
            found.append(Interfaces(interfaces=tuple(self.interfaces), counters=counters or bare, some=some))
        if self.routes:
            families = tuple(sorted({family(entry.prefix) for entry in self.routes}))
            found.append(Routes(entries=tuple(self.routes), families=families, whole=whole))
        elif self._listed("route", "r") and whole and not self.got and self.refused is None:
            found.append(Routes(entries=(), families=(6,) if "-6" in self.typed else (4,), whole=True))
        if self.neighbours:
            found.append(Neighbours(table=tuple(self.neighbours)))
        where = next((a for word in self.typed[1:] if (a := address(word)) is not None), None)
        if self.refused is not None and where is not None and "get" in self.typed:
            none = "unreachable" in self.refused and "Network" in self.refused
            kind = RouteKind.NONE if none else RouteKind.UNREACHABLE
            word = Failure.NETWORK_UNREACHABLE if none else Failure.HOST_UNREACHABLE
            errno = "ENETUNREACH" if none else "EHOSTUNREACH"
            if self.refused in ("Network is unreachable", "No route to host"):
                found.append(RouteResult(where, family(where), kind, failure=word, errno=errno))
        return found

    def _listed(self, *names: str) -> bool:
        return any(word in names for word in self.typed[:2])

    def _plain(self, *names: str) -> bool:
        """Whether the whole table of one of these names was asked for."""
        families = ("-4", "-6") if "route" in names else ("-s", "-d", "-c")
        return all(word in ("show", "list", "ls", *families, *names) for word in self.typed)


def _result(where: str, got: re.Match[str]) -> RouteResult:
    words = got["rest"].split()
    source = next((address(after) for word, after in pairwise(words) if word == "src"), None)
    mtu = next(
        (int(after[:6]) for word, after in pairwise(words) if word == "mtu" and after.isdigit()),
        None,
    )
    via = address(got["via"] or "")
    kind = RouteKind(got["kind"] or "unicast")
    return RouteResult(
        address=where,
        family=family(where),
        kind=kind,
        interface=got["dev"],
        gateway=via,
        source=source,
        on_link=via is None and kind is RouteKind.UNICAST,
        mtu=mtu,
    )


def _entry(told: re.Match[str], *, v6: bool) -> RouteEntry | None:
    words = told["rest"].split()
    given = dict(pairwise(words))
    via = address(given.get("via", ""))
    if not words and told["kind"] is None:
        return None
    if "dev" not in given and told["kind"] is None and "via" not in given:
        return None
    if told["prefix"] == "default":
        prefix: str | None = "::/0" if v6 or ":" in (via or "") else "0.0.0.0/0"
    else:
        where, _, length = told["prefix"].partition("/")
        prefix = network(where, int(length) if length else (128 if ":" in where else 32))
    if prefix is None:
        return None
    return RouteEntry(
        prefix=prefix,
        gateway=via,
        interface=given.get("dev"),
        source=address(given.get("src", "")),
        metric=int(given["metric"][:9]) if given.get("metric", "").isdigit() else 0,
        kind=told["kind"] or "unicast",
        linkdown="linkdown" in words,
    )
