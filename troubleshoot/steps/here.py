"""The steps about this machine's place in its network: address, interface, route, mask."""

from __future__ import annotations

from probes.address import AddressKind, AddressResult
from probes.base import note
from probes.interfaces import InterfacesResult
from probes.link import LinkResult
from probes.route import RouteKind
from troubleshoot import asks
from troubleshoot.facts import Facts, NotYet, describe, plain
from troubleshoot.steps.model import StepView, address_in_question, no_address, skipped, step, unavailable


@step("address-valid")
def address_valid(facts: Facts) -> StepView:
    """Can the destination address be connected to at all?"""
    if facts.request.target.port == 0 or facts.port == 0:
        return StepView("failed", note("fact.address-never", address=facts.request.target.input, kind="port 0"))
    address = next(iter(facts.targets), None)
    if address is None:
        return no_address(facts)
    key = ("address", address)
    result = facts.get("address", AddressResult, address)
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    if result.zone_missing:
        fact = note("fact.address-never", address=address, kind="link-local without %interface")
        return StepView("failed", fact, None, (key,))
    if result.kind.value in ("unspecified", "broadcast", "multicast", "subnet-network"):
        # Whoever binds it may meet the code; an address that is "not available" was connected to.
        binding = facts.request.to_bind and "bind-address" not in facts.request.about
        fact = note("fact.address-never", address=address, kind=result.kind.value)
        if "permission" in facts.request.about and result.kind is AddressKind.BROADCAST:
            fact = note("fact.address-broadcast", address=address)
        if binding:
            fact = note("fact.address-everywhere", address=address)
        return StepView("passed" if binding else "failed", fact, None, (key,))
    if result.local:
        return StepView("passed", note("fact.address-own", address=address), None, (key,))
    if "bind-address" in facts.request.about:
        near = ", ".join(result.near[:3]) or "-"
        return StepView("warning", note("fact.address-foreign", address=address, near=near), None, (key,))
    return StepView("passed", note("fact.address-usable", address=address, kind=result.kind.value), None, (key,))


@step("interface")
def interface(facts: Facts) -> StepView:
    """Is the interface that carries the traffic up, with carrier and address?"""
    result = facts.get("interfaces", InterfacesResult)
    if result is None:
        return unavailable(facts, "reason.not-run", ("interfaces", ""))
    keys: tuple[tuple[str, str], ...] = (("interfaces", ""),)
    address = next(iter(facts.names.destinations), None)
    if address is None and facts.names.resolving:
        raise NotYet("resolve")
    route = facts.link.route(address) if address is not None else None
    if route is not None:
        keys = (*keys, ("route", address or ""))
    used = next((i for i in result.interfaces if route is not None and i.name == route.interface), None)
    if used is None:
        real = [i for i in result.interfaces if not i.loopback]
        fit = [i for i in real if i.up and i.carrier is not False and i.addresses]
        if fit:
            return StepView("passed", describe.interface(fit[0]), None, keys)
        if real:
            return StepView("failed", describe.interface(real[0]), None, keys)
        return StepView(
            "failed" if not facts.machine.is_local(address or "") else "warning", note("fact.no-interface"), None, keys
        )
    bad = not used.up or used.carrier is False
    errors = (used.rx_errors or 0) + (used.tx_errors or 0)
    if not bad and errors:
        return StepView("warning", note("fact.interface-errors", interface=used.name, errors=errors), None, keys)
    return StepView("failed" if bad else "passed", describe.interface(used), None, keys)


@step("router-configured")
def router_configured(facts: Facts) -> StepView:
    """Is there a route to the target, and which router does it use?"""
    address = address_in_question(facts) or next(iter(facts.names.destinations), None)
    if address is None:
        return no_address(facts)
    route = facts.link.route(address)
    key = ("route", address)
    if route is None:
        return unavailable(facts, "reason.not-run", key)
    bad = route.kind in (RouteKind.NONE, RouteKind.PROHIBIT, RouteKind.BLACKHOLE, RouteKind.UNREACHABLE)
    return StepView("failed" if bad else "passed", describe.route(route), None, (key,))


@step("subnet-mask", asks=(asks.failed.link,))
def subnet_mask(facts: Facts) -> StepView:
    """Do the mask, the router and the target fit together?"""
    address = address_in_question(facts)
    if address is None:
        return no_address(facts)
    route = facts.link.route(address)
    if route is None:
        return unavailable(facts, "reason.not-run", ("route", address))
    keys: tuple[tuple[str, str], ...] = (("route", address), ("interfaces", ""))
    if route.kind is RouteKind.LOCAL:
        return skipped("reason.own-address")
    link = facts.get("link", LinkResult, address)
    if link is not None:
        keys = (*keys, ("link", address))
        wrong = (route.on_link and link.mac is None and bool(link.via_router)) or (
            not route.on_link and link.mac is not None
        )
        return StepView("failed" if wrong else "passed", describe.link(link), None, keys)
    if route.gateway is not None and route.gateway_on_link is False:
        return StepView("warning", note("fact.router-outside", router=route.gateway), None, keys)
    own = next(
        (
            f"{a.address}/{a.prefix}"
            for i in facts.machine.interfaces()
            for a in i.addresses
            if route.source and plain(a.address) == plain(route.source)
        ),
        "?",
    )
    key = "fact.mask-on-link" if route.on_link else "fact.mask-remote"
    if facts.link.mask_doubtful(address) and facts.attempts.reach(address).failed:
        needs_root = note("reason.mask-needs-root")
        return StepView("warning", note("fact.mask-doubtful", address=address, own=own), needs_root, keys)
    if route.kind is RouteKind.NONE:
        return StepView("warning", describe.route(route), None, keys)
    return StepView("passed", note(key, address=address, own=own), None, keys)
