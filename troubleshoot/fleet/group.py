"""Which reports are about one target, which are copies of one another, and which come from one machine and one site."""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from troubleshoot.facts.address import is_loopback
from troubleshoot.fleet.model import View


class Target(msgspec.Struct, frozen=True):
    """The reports about one target, in the order in which they are shown."""

    name: str
    views: tuple[View, ...]
    duplicates: int


def by_target(views: Sequence[View], *, one_target: bool) -> list[Target]:
    """Group the reports by what they are about, those with most reports first."""
    seen: dict[str, View] = {}
    again: Counter[str] = Counter()
    placed = _machines(views)
    named = {"": ""} if one_target else _hosts(placed)
    groups: dict[tuple[object, ...], list[View]] = defaultdict(list)
    for view in placed:
        key = ("",) if one_target else _key(view, named)
        if view.identity and view.identity in seen:
            again[repr(key)] += 1
            continue
        seen[view.identity] = view
        groups[key].append(view)
    found = [_target(held, again[repr(key)]) for key, held in groups.items()]
    return sorted(found, key=lambda one: (-len(one.views), one.name))


def _target(views: list[View], duplicates: int) -> Target:
    name = Counter(view.target for view in views).most_common(1)[0][0]
    if len({view.machine for view in views}) == 1 and _is_here(views[0]):
        name = f"{name} ({views[0].machine})"
    placed = sorted(_sites(views), key=lambda view: (view.site, view.machine, view.moment, view.label))
    return Target(name, tuple(placed), duplicates)


def _key(view: View, named: dict[str, str]) -> tuple[object, ...]:
    """Return what the reports of one target have in common; what is called localhost is another one on each machine."""
    host = named.get(view.host, view.host)
    return (host, view.port, view.transport, view.machine if _is_here(view) else "")


def _is_here(view: View) -> bool:
    return bool(view.addresses) and all(map(is_loopback, view.addresses))


def _hosts(views: Iterable[View]) -> dict[str, str]:
    """Return the name of each target that was given as an address, where exactly one name leads to it."""
    names: dict[str, set[str]] = defaultdict(set)
    for view in views:
        if view.host not in view.addresses:
            for address in view.addresses:
                names[address].add(view.host)
    return {address: next(iter(held)) for address, held in names.items() if len(held) == 1}


def _machines(views: Sequence[View]) -> list[View]:
    """Give each report its machine: one of a host name, unless their addresses have nothing in common."""
    held: dict[str, list[set[str]]] = defaultdict(list)
    chosen: list[tuple[View, set[str]]] = []
    for view in views:
        own = set(view.own)
        several = held[view.hostname]
        found = next((one for one in several if not own or not one or one & own), None)
        if found is None:
            found = set()
            several.append(found)
        found |= own
        chosen.append((view, found))
    sources: dict[int, str] = {}
    for view, found in chosen:
        sources.setdefault(id(found), view.source or next(iter(sorted(found)), ""))
    return [
        replace(
            view, machine=f"{view.hostname} ({sources[id(found)]})" if len(held[view.hostname]) > 1 else view.hostname
        )
        for view, found in chosen
    ]


def _sites(views: Sequence[View]) -> list[View]:
    """Give each report its site: the folder that it lay in where folders hold several machines, else its network.

    A folder for each machine, as programs that fetch files make them, tells nothing of sites.
    """
    folders: dict[str, set[str]] = defaultdict(set)
    for view in views:
        folders[view.folder].add(view.machine)
    if (
        len(folders) > 1
        and max(map(len, folders.values())) > 1
        and sum(map(len, folders.values())) == len(set().union(*folders.values()))
    ):
        return [replace(view, site=view.folder or ".") for view in views]
    routers: dict[str, set[str]] = defaultdict(set)
    for view in views:
        if " " in view.gateway:
            routers[view.network].add(view.gateway)
    return [replace(view, site=_network_of(view, routers)) for view in views]


def _network_of(view: View, routers: dict[str, set[str]]) -> str:
    """Return the subnet; where it is there more than once, with the hardware address of its router."""
    if not view.network:
        return view.machine
    if len(routers[view.network]) < 2 or not ipaddress.ip_network(view.network).is_private:
        return view.network
    return f"{view.network} ({view.gateway.partition(' ')[2] or '?'})"
