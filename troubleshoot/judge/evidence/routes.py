"""The ways that this machine would take to the first destinations."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from probes.address import AddressKind
from probes.interfaces import Interface
from probes.route import RouteKind, RouteResult
from troubleshoot.facts import Facts, family_of, plain

#: As many name servers as the C library asks (resolv.conf(5)).
_STAND_INS = 3
_WAYS = frozenset({RouteKind.UNICAST, RouteKind.LOCAL})
FORBIDDING = frozenset({RouteKind.PROHIBIT, RouteKind.UNREACHABLE, RouteKind.BLACKHOLE})


def routes_taken(facts: Facts) -> Iterator[tuple[str, RouteResult]]:
    """The first destinations with the way that the kernel would send packets there.

    An address that stands for every one of this machine, or for one on a link that is not named, has no way to be
    judged, whatever the kernel looks up. Of name servers that stand in for a target without an address, those that the
    kernel has no way to stop no name while there is a way to another.
    """
    for address in facts.names.destinations[:2] if facts.targets else _servers_to_judge(facts):
        route = facts.link.route(address)
        if (
            route is None
            or facts.machine.kind(address) is AddressKind.UNSPECIFIED
            or facts.machine.zone_missing(address)
        ):
            continue
        yield address, route


def _servers_to_judge(facts: Facts) -> list[str]:
    if any(facts.names.server_responds(s) for s in facts.names.servers):
        return []  # the way to another one stops no name
    servers = facts.names.destinations[:_STAND_INS]
    ways = {s: route.kind for s in servers if (route := facts.link.route(s)) is not None}
    return [s for s in servers if ways.get(s) in _WAYS] or list(servers)


def carriers(facts: Facts, family: int) -> tuple[list[Interface], list[Interface]]:
    """The non-loopback interfaces that can carry ``family`` now, and those that cannot."""
    good: list[Interface] = []
    bad: list[Interface] = []
    for interface in facts.machine.interfaces():
        if interface.loopback:
            continue
        able = [
            a
            for a in interface.addresses
            if a.family == family and not ipaddress.ip_address(plain(a.address)).is_link_local
        ]
        (good if interface.up and interface.carrier is not False and able else bad).append(interface)
    return good, bad


def holds(interface: Interface, address: str) -> bool:
    """Whether the address lies in one of the interface's own subnets."""
    wanted = ipaddress.ip_address(plain(address))
    return any(
        wanted in ipaddress.ip_interface(f"{plain(a.address)}/{a.prefix}").network
        for a in interface.addresses
        if a.family == wanted.version
    )


def interface_at_fault(facts: Facts, address: str, route: RouteResult) -> Interface | None:
    """Return the interface that would carry packets to ``address`` and cannot."""
    family = family_of(address)
    good, bad = carriers(facts, family)
    if route.kind is RouteKind.UNICAST:
        used = next((i for i in facts.machine.interfaces() if i.name == route.interface), None)
        return used if used is not None and not used.loopback and (not used.up or used.carrier is False) else None
    if route.kind is not RouteKind.NONE:
        return None
    # An interface that is down keeps its IPv4 addresses and loses its routes: its own subnet was meant.
    owner = next((i for i in bad if holds(i, address)), None)
    if owner is not None:
        return owner
    other_family, _ = carriers(facts, 10 - family)
    if good or other_family or not bad:
        return None
    return min(bad, key=lambda i: (i.up and i.carrier is not False, not i.addresses, i.index))


def without_address(facts: Facts, route: RouteResult) -> Interface | None:
    """Return an interface that is up and has no address, where nothing else leads out of this machine.

    It may be the one that was to get an address, and with it the default route (DHCP). One that serves another
    interface needs none.
    """
    if route.kind is not RouteKind.NONE or any(d.gateway for d in route.defaults):
        return None
    return next(
        (
            i
            for i in facts.machine.interfaces()
            if i.up and i.carrier is not False and i.mac is not None and not i.loopback and not i.serves
            if all(ipaddress.ip_address(plain(a.address)).is_link_local for a in i.addresses)
        ),
        None,
    )
