"""This machine has no way to the target: ``interface-down``, ``no-route``, ``no-default-route``."""

from __future__ import annotations

from probes.base import note
from probes.route import RouteKind
from troubleshoot import asks
from troubleshoot.facts import Facts, describe
from troubleshoot.judge import policy, proxies
from troubleshoot.judge.evidence.attempt import any_connected, failed_attempt
from troubleshoot.judge.evidence.routes import FORBIDDING, interface_at_fault, routes_taken, without_address
from troubleshoot.judge.model import Finding, rule, values


@rule("interface-down")
def interface_down(facts: Facts) -> Finding | None:
    """The interface that would carry the traffic is down, has no carrier or has no usable address."""
    if any_connected(facts):
        return None
    for address, route in routes_taken(facts):
        if route.kind is RouteKind.LOCAL:
            continue
        at_fault = interface_at_fault(facts, address, route)
        if at_fault is not None:
            return Finding(
                cause="interface-down",
                confidence="certain",
                step="interface",
                evidence=(
                    ("interface", describe.interface(at_fault)),
                    ("router-configured", describe.route(route)),
                    *failed_attempt(facts, address),
                ),
                values=values(interface=at_fault.name),
            )
        idle = without_address(facts, route)
        if idle is not None:
            return Finding(
                cause="interface-down",
                confidence="likely",
                step="interface",
                evidence=(
                    ("interface", describe.interface(idle)),
                    ("router-configured", describe.route(route)),
                    *failed_attempt(facts, address),
                ),
                values=values(interface=idle.name),
                variant="no-address",
                also=(("no-default-route", note("verdict.open-idle", interface=idle.name)),),
            )
    return None


@rule("no-route")
def no_route(facts: Facts) -> Finding | None:
    """The routing table itself forbids the destination."""
    if any_connected(facts):
        return None
    for address, route in routes_taken(facts):
        if route.kind in FORBIDDING:
            return Finding(
                cause="no-route",
                confidence="certain",
                step="router-configured",
                evidence=(("router-configured", describe.route(route)), *failed_attempt(facts, address)),
                values=values(address=address, kind=route.kind.value, found=route.matched),
            )
    return _forbidden_by_rule(facts)


def _forbidden_by_rule(facts: Facts) -> Finding | None:
    """The call is refused, the route is in order, and rules of routing look at what a look-up does not tell them."""
    reach = facts.attempts.focus
    route = facts.link.route(reach.address) if reach is not None else None
    if reach is None or route is None or not route.by_port or not policy.refused_call(reach):
        return None
    return Finding(
        cause="no-route",
        confidence="likely",
        step="router-configured",
        evidence=(*failed_attempt(facts, reach.address), ("router-configured", note("fact.rules-by-port"))),
        values=values(errno=reach.errno),
        variant="rule",
        also=(("policy-denies", note("verdict.open-policy")),),
    )


@rule("no-default-route", asks=(asks.proxied.way,))
def no_default_route(facts: Facts) -> Finding | None:
    """No route matches, and no router is configured that could take the packets.

    Machines that reach the world by a proxy alone need none: where that one fails, and the way without it would have
    brought another code, the program did not take it.
    """
    if any_connected(facts):
        return None
    led = proxies.met_by_proxy(facts)
    for address, route in routes_taken(facts):
        if route.kind is not RouteKind.NONE or any(d.gateway for d in route.defaults):
            continue
        if interface_at_fault(facts, address, route) or without_address(facts, route):
            continue
        return Finding(
            cause="no-default-route",
            confidence="possible" if led else "certain",
            step="router-configured",
            evidence=(("router-configured", describe.route(route)), *failed_attempt(facts, address)),
            values=values(address=address),
        )
    return None
