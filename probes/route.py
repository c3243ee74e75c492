"""Ask the kernel which way a packet to an address would leave (rtnetlink(7), policy rules included)."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Iterator

import msgspec
from msgspec.structs import replace

from probes.base import Context, NotApplicable, address_probe, sends_nothing
from probes.failure import classify, errno_name
from probes.system import need_linux, platform_name
from probes.system.linux import rtnetlink
from probes.system.linux.netlink import Refused
from probes.system.literal import Literal, literal
from probes.system.records import DefaultRoute as DefaultRoute  # noqa: PLC0414 - offered here, too
from probes.system.records import RouteKind as RouteKind  # noqa: PLC0414 - offered here, too
from probes.system.records import RouteResult as RouteResult  # noqa: PLC0414 - offered here, too


class RouteRequest(msgspec.Struct, frozen=True):
    """``address`` is the destination; a literal."""

    address: str


#: What an answer of the look-up means (route(8), ip-route(8)).
_REFUSALS = {
    errno.ENETUNREACH: RouteKind.NONE,
    errno.EHOSTUNREACH: RouteKind.UNREACHABLE,
    errno.EACCES: RouteKind.PROHIBIT,
    errno.EINVAL: RouteKind.BLACKHOLE,
}
_KINDS = {
    rtnetlink.RTN_UNICAST: RouteKind.UNICAST,
    rtnetlink.RTN_LOCAL: RouteKind.LOCAL,
    rtnetlink.RTN_ANYCAST: RouteKind.LOCAL,
    rtnetlink.RTN_BROADCAST: RouteKind.BROADCAST,
    rtnetlink.RTN_MULTICAST: RouteKind.MULTICAST,
    rtnetlink.RTN_BLACKHOLE: RouteKind.BLACKHOLE,
    rtnetlink.RTN_UNREACHABLE: RouteKind.UNREACHABLE,
    rtnetlink.RTN_PROHIBIT: RouteKind.PROHIBIT,
}
#: At most so many default routes are reported.
_MAX_DEFAULTS = 16


async def observe(
    request: RouteRequest,
    context: Context,
    progress: Callable[[RouteResult], None],
) -> RouteResult:
    """Look the route up as the kernel does for a packet of this process; nothing is sent, no privilege needed.

    Policy rules that look at ports or protocols are not met by the look-up. Raises :class:`NotApplicable` where
    the platform does not tell, for what is no address, and for a zone that names no interface.
    """
    del progress
    address = literal(request.address)
    if platform_name() == "windows":
        return _of_windows(context, address)
    need_linux("route")
    names = {link.index: link.name for link in rtnetlink.links(context)}
    index = address.interface(names)
    if address.zone is not None and index is None:
        raise NotApplicable("reason.no-such-interface", interface=address.zone[:40])
    try:
        decision = rtnetlink.route_to(context, address.text, interface=index)
    except Refused as error:
        number = error.errno or 0
        kind = _REFUSALS.get(number, RouteKind.NONE)
        found = RouteResult(
            address=request.address,
            family=address.family,
            kind=kind,
            matched=_refusing(context, address.family, address.text, kind),
            failure=classify(number),
            errno=errno_name(number),
        )
    else:
        match = _match(context, address.text, index) if decision.type == rtnetlink.RTN_UNICAST else None
        found = replace(
            _decided(context, request, address, decision),
            interface=names.get(decision.interface or 0),
            matched=f"{match.destination}/{match.prefix}" if match else None,
        )
    by_user, by_port = rtnetlink.selective_rules(context, address.family)
    return replace(
        found,
        defaults=tuple(_defaults(context, address.family, address.text, names)),
        by_user=by_user,
        by_port=by_port,
    )


def _of_windows(context: Context, address: Literal) -> RouteResult:
    from probes.system.windows import adapters, iphlpapi, routes  # noqa: PLC0415 - Windows alone has it

    try:
        index = address.interface({one.index: one.name for one in adapters.interfaces()})
        if address.zone is not None and index is None:
            raise NotApplicable("reason.no-such-interface", interface=address.zone[:40])
        return routes.look_up(context, address, index)
    except (iphlpapi.Lacking, OSError):
        need_linux("route")
        raise


def _decided(context: Context, request: RouteRequest, address: Literal, decision: rtnetlink.Route) -> RouteResult:
    kind = _KINDS.get(decision.type, RouteKind.UNICAST)
    gateway = decision.gateway
    return RouteResult(
        address=request.address,
        family=address.family,
        kind=kind,
        gateway=gateway,
        source=decision.source,
        # a gateway that is the destination: the default route's own router behind an "onlink" route
        on_link=kind is RouteKind.UNICAST and gateway in (None, address.text),
        gateway_on_link=_on_link(context, gateway, decision.interface) if gateway else None,
        mtu=decision.mtu,
    )


def _match(context: Context, address: str, interface: int | None) -> rtnetlink.Route | None:
    """Return the table's entry that decides for ``address``."""
    try:
        return rtnetlink.route_to(context, address, interface=interface, fib_match=True)
    except OSError:
        return None


def _on_link(context: Context, gateway: str, interface: int | None) -> bool:
    """Tell whether the table reaches ``gateway`` directly on ``interface``, by a prefix and not by default.

    A host route to the router (as clouds give with a /32) makes it on-link as well as a subnet does; the
    ``onlink`` flag of a default route does not.
    """
    if ipaddress.ip_address(gateway).is_link_local:
        return True
    for hop in (_match(context, gateway, interface), _match(context, gateway, None)):
        if hop is not None and hop.prefix > 0 and hop.gateway is None and hop.interface == interface:
            return True
    return False


def _refusing(context: Context, family: int, address: str, kind: RouteKind) -> str | None:
    """Return the longest prefix with a route of ``kind`` that holds ``address``; the look-up does not tell it."""
    wanted = next((number for number, word in _KINDS.items() if word is kind), None)
    if wanted is None:
        return None
    target = ipaddress.ip_address(address)
    tables = {rule.table for rule in _rules_for(context, family, address)}
    best: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    for route in rtnetlink.routes(context, family):
        if route.type != wanted or route.table not in tables:
            continue
        network = ipaddress.ip_network(f"{route.destination}/{route.prefix}", strict=False)
        if target in network and (best is None or network.prefixlen > best.prefixlen):
            best = network
    return str(best) if best else None


def _rules_for(context: Context, family: int, address: str) -> Iterator[rtnetlink.Rule]:
    """Yield the policy rules whose destination does not keep ``address`` out; other selectors are not judged."""
    target = ipaddress.ip_address(address)
    for rule in rtnetlink.rules(context, family):
        if rule.destination is not None:
            network = ipaddress.ip_network(f"{rule.destination}/{rule.prefix}", strict=False)
            if (target in network) == rule.inverted:
                continue
        yield rule


def _defaults(context: Context, family: int, address: str, names: dict[int, str]) -> Iterator[DefaultRoute]:
    """Yield the default routes in the tables that policy rules lead ``address`` to, lowest metric first."""
    tables = {rule.table for rule in _rules_for(context, family, address) if rule.suppress_prefix < 0}
    found = [
        route
        for route in rtnetlink.routes(context, family, longest_prefix=0)
        if route.type == rtnetlink.RTN_UNICAST and route.table in tables
    ]
    hops = [(route.metric, hop) for route in sorted(found, key=lambda route: route.metric) for hop in route.hops]
    for metric, hop in hops[:_MAX_DEFAULTS]:
        yield DefaultRoute(
            gateway=hop.gateway,
            interface=names.get(hop.interface or 0),
            metric=metric,
            onlink=bool(hop.flags & rtnetlink.RTNH_F_ONLINK),
            linkdown=bool(hop.flags & (rtnetlink.RTNH_F_LINKDOWN | rtnetlink.RTNH_F_DEAD)),
        )


PROBE = address_probe(
    "route",
    RouteRequest,
    RouteResult,
    observe,
    deadline_s=2.0,
    most_packets=sends_nothing,
)
