"""This machine draws the border of its subnet elsewhere than the network does: ``wrong-subnet-mask``."""

from __future__ import annotations

import ipaddress

from msgspec.structs import replace

from probes.base import note
from probes.route import RouteKind, RouteResult
from troubleshoot import asks
from troubleshoot.facts import Facts, describe, family_of, gateway_of, neighbour_dead, plain
from troubleshoot.judge.evidence.attempt import any_connected, failed_attempt
from troubleshoot.judge.evidence.routes import FORBIDDING, holds, routes_taken
from troubleshoot.judge.model import Finding, rule, values


def _same_conventional_subnet(one: str, other: str) -> bool:
    """Whether two addresses share what is a subnet nearly everywhere: an IPv4 /24, an IPv6 /64."""
    prefix = 24 if family_of(one) == 4 else 64
    network = ipaddress.ip_network(f"{plain(one)}/{prefix}", strict=False)
    return ipaddress.ip_address(plain(other)) in network


@rule("wrong-subnet-mask", asks=(asks.failed.link, asks.around.routers))
def wrong_subnet_mask(facts: Facts) -> Finding | None:
    """The mask makes a remote address look local, or the router (or a local address) look remote."""
    if any_connected(facts):
        return None
    for address, route in routes_taken(facts):
        if route.kind in (RouteKind.LOCAL, *FORBIDDING):
            continue
        found = _too_wide(facts, address, route) if route.on_link else _too_narrow(facts, address, route)
        if found is not None:
            return found
    return None


def _own_mask(facts: Facts, route: RouteResult) -> str | None:
    used = next((i for i in facts.machine.interfaces() if i.name == route.interface), None)
    for own in used.addresses if used else ():
        if route.source is None or plain(own.address) == plain(route.source):
            return f"{own.address}/{own.prefix}"
    return None


def _too_wide(facts: Facts, address: str, route: RouteResult) -> Finding | None:
    if not facts.attempts.absent_on_link(address):
        return None
    link = facts.link.on_wire(address)
    way, tried = ("subnet-mask", describe.route(route)), failed_attempt(facts, address)
    found = Finding(
        cause="wrong-subnet-mask",
        confidence="possible",
        step="subnet-mask",
        evidence=(way, *tried),
        values=values(address=address, interface=route.interface, mask=_own_mask(facts, route)),
    )
    if link is not None and link.mac is None and facts.link.passed_on(link):
        shown = (way, ("subnet-mask", describe.link(link)), *tried)
        return replace(found, confidence="certain" if link.via_router else "likely", evidence=shown)
    if link is not None and (link.via_router is False or link.via_router_icmp is not None):
        return None
    source = route.source or (route.defaults[0].gateway if route.defaults else None)
    if not any(d.gateway for d in route.defaults) or source is None or _same_conventional_subnet(source, address):
        return None
    return found


def _too_narrow(facts: Facts, address: str, route: RouteResult) -> Finding | None:
    link = facts.link.on_wire(address)
    name = route.interface or (link.interface if link else None)
    way, tried = describe.route(route), failed_attempt(facts, address)
    found = Finding(
        cause="wrong-subnet-mask",
        confidence="possible",
        step="subnet-mask",
        evidence=tried,
        values=values(address=address, interface=name, mask=_own_mask(facts, route) or _any_mask(facts, name)),
        variant="narrow",
    )
    if link is not None and link.mac is not None and link.mac != _router_mac(facts):
        shown = (("subnet-mask", way), ("subnet-mask", describe.link(link)), *tried)
        return replace(found, confidence="certain", evidence=shown)
    router = facts.request.router or route.gateway
    if router is None or family_of(router) == 6:
        return None
    outside = (("subnet-mask", note("fact.router-outside", router=router)), ("router-configured", way), *tried)
    if route.kind is RouteKind.NONE and facts.request.router is not None and not _in_a_subnet(facts, router):
        near = any(
            a.family == family_of(router) and _same_conventional_subnet(a.address, router)
            for i in facts.machine.interfaces()
            for a in i.addresses
        )
        return replace(found, confidence="likely" if near else "possible", evidence=outside)
    if route.gateway is not None and route.gateway_on_link is False:
        # A router outside every subnet is also how some providers hand out single addresses: it has to be dead, or
        # the target where a usual mask would make it local, before the mask is suspected.
        dead = neighbour_dead(facts.link.neighbour(gateway_of(route) or route.gateway))
        near = route.source is not None and _same_conventional_subnet(route.source, address)
        if not dead and not (near and facts.attempts.blocked()):
            return None
        outside = (("subnet-mask", note("fact.router-outside", router=route.gateway)), *tried)
        return replace(found, confidence="likely" if dead else "possible", evidence=outside)
    return None


def _in_a_subnet(facts: Facts, address: str) -> bool:
    return any(holds(interface, address) for interface in facts.machine.interfaces())


def _router_mac(facts: Facts) -> str | None:
    """The link address of the router: one that answers for the target too is doing proxy ARP (RFC 1027)."""
    return next((n.mac for r in facts.link.routers if (n := facts.link.peek_neighbour(r)) is not None and n.mac), None)


def _any_mask(facts: Facts, name: str | None) -> str | None:
    for interface in facts.machine.interfaces():
        if not interface.loopback and (name is None or interface.name == name) and interface.addresses:
            return f"{interface.addresses[0].address}/{interface.addresses[0].prefix}"
    return None
