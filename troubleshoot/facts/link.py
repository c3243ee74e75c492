"""Routes, routers and neighbours: the first step of a packet's way."""

from __future__ import annotations

import functools
import ipaddress

from probes.claims import ClaimsResult
from probes.failure import IcmpMeaning
from probes.link import LinkResult
from probes.neighbours import Neighbour, NeighboursResult, NeighbourState
from probes.route import RouteKind, RouteResult
from troubleshoot.facts.address import (
    family_of,
    gateway_of,
    plain,
    scoped,
)
from troubleshoot.facts.names import Names
from troubleshoot.facts.view import NotYet, Theme, View, once


def neighbour_alive(neighbour: Neighbour | None) -> bool:
    """Whether the neighbour answered at link level while we watched, or the kernel is sure of it."""
    if neighbour is None:
        return False
    return neighbour.answered or neighbour.confirmed or neighbour.state is NeighbourState.PERMANENT


def neighbour_dead(neighbour: Neighbour | None) -> bool:
    """Whether link-level requests to the neighbour, the kernel's or our own, went unanswered."""
    if neighbour is None or neighbour.confirmed or neighbour.answered:
        return False
    return neighbour.state is NeighbourState.FAILED or neighbour.requests > 0


class Link(Theme):
    """Routes, routers and neighbours: the first step of a packet's way."""

    def __init__(self, view: View, names: Names) -> None:
        super().__init__(view)
        self._names = names

    def route(self, address: str) -> RouteResult | None:
        """Return the kernel's route to it (:class:`NotYet` while it is looked up)."""
        return self._view.get("route", RouteResult, address)

    @once
    def peek_route(self, address: str) -> RouteResult | None:
        """Return the kernel's route to it as far as known."""
        return self._view.peek("route", RouteResult, address)

    def interface(self, address: str) -> str | None:
        """Return the name of the interface that leads to an address, as far as known."""
        route = self.peek_route(address)
        return route.interface if route is not None else None

    @functools.cached_property
    def routers(self) -> tuple[str, ...]:
        """The routers that the destinations go by way of (the user's ``--router`` first)."""
        away = any(
            (r := self.peek_route(a)) is not None and r.kind is not RouteKind.LOCAL for a in self._names.destinations
        )
        found = [self._view.request.router] if self._view.request.router and away else []
        for address in self._names.destinations:
            route = self.peek_route(address)
            if route is not None and route.kind is not RouteKind.LOCAL:
                gateways = (
                    [gateway_of(route)]
                    if route.gateway
                    else [scoped(d.gateway, d.interface) for d in route.defaults[:1]]
                )
                found += [g for g in gateways if g is not None and g not in found]
        return tuple(found)

    def neighbour(self, address: str) -> Neighbour | None:
        """Return the link-level state of an on-link address that was asked for (:class:`NotYet` while asked)."""
        if ("neighbours", address) in self._view.running:
            raise NotYet(f"neighbours {address}")
        return self.peek_neighbour(address)

    @once
    def peek_neighbour(self, address: str) -> Neighbour | None:
        """Return the link-level state as far as known."""
        result = self._view.peek("neighbours", NeighboursResult, address)
        if result is None:
            return None
        return next((n for n in result.asked if plain(n.address) == plain(address)), None)

    def other_neighbour_alive(self, address: str) -> bool:
        """Whether any other neighbour on the link is known to answer."""
        for observation in self._view.of("neighbours"):
            result = observation.result
            if isinstance(result, NeighboursResult):
                for found in (*result.asked, *result.table):
                    fresh = found.confirmed or found.state is NeighbourState.REACHABLE
                    if fresh and plain(found.address) != plain(address):
                        return True
        return False

    def guess_local_host(self) -> str | None:
        """Return another host of the local network that the kernel has met lately, if there is one."""
        routers = {plain(r) for r in self.routers}
        targets = {plain(a) for a in self._names.destinations}
        table = self._view.peek("neighbours", NeighboursResult)
        families = {family_of(a) for a in self._names.destinations}
        for met in table.table if table is not None else ():
            known = met.mac is not None and not met.router and family_of(met.address) in families
            link_local = ipaddress.ip_address(plain(met.address)).is_link_local
            if known and not link_local and plain(met.address) not in routers | targets:
                return met.address
        return None

    def on_wire(self, address: str) -> LinkResult | None:
        """Return what the wire itself says of the address (root only)."""
        return self._view.get("link", LinkResult, address)

    def claimed_twice(self, address: str) -> ClaimsResult | None:
        """Return who claims this machine's own address on the way to ``address``, or with others the next hop's.

        :class:`NotYet` while it is asked for, ``None`` where each has one owner.
        """
        route = self.peek_route(address)
        for one in (route.source, gateway_of(route) or address) if route is not None else ():
            found = self._view.get("claims", ClaimsResult, one) if one is not None else None
            if found is not None and len(found.macs) >= (1 if found.own else 2):
                return found
        return None

    def contested(self, address: str) -> bool:
        """Whether it is known that another device may get what is meant for an address, or the answers to this machine.

        Either has two owners, or a fixed entry has the kernel ask nobody who has it.
        """
        entry = self.peek_neighbour(address)
        if entry is not None and entry.state is NeighbourState.PERMANENT:
            return True
        try:
            return self.claimed_twice(address) is not None
        except NotYet:
            return False

    def mask_doubtful(self, address: str) -> bool:
        """Whether an on-link target lies so far from our own address that a wrong mask could explain it."""
        route = self.peek_route(address)
        if route is None or not route.on_link or route.source is None or not any(d.gateway for d in route.defaults):
            return False
        prefix = 24 if family_of(address) == 4 else 64
        own = ipaddress.ip_network(f"{plain(route.source)}/{prefix}", strict=False)
        return ipaddress.ip_address(plain(address)) not in own

    def passed_on(self, found: LinkResult) -> bool:
        """Whether the router took packets for the address farther, when they were put to it on the wire.

        One that reports the host itself as unreachable looked for it on a link of its own: that says nothing of a mask.
        """
        error = found.via_router_icmp
        if error is None:
            return bool(found.via_router)
        by_router = error.sender is not None and plain(error.sender) in {plain(router) for router in self.routers}
        return not (by_router and error.meaning is IcmpMeaning.HOST_UNREACHABLE)
