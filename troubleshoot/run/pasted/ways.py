"""The way to an address by a pasted routing table: the longest prefix, of those the least metric."""

from __future__ import annotations

import ipaddress
from typing import Any

from msgspec.structs import replace

from probes.failure import Failure
from probes.route import DefaultRoute, RouteKind, RouteResult
from troubleshoot.readers.model import RouteEntry
from troubleshoot.run.pasted.evidence import Evidence

_REFUSALS = {
    "unreachable": (RouteKind.UNREACHABLE, Failure.HOST_UNREACHABLE, "EHOSTUNREACH"),
    "prohibit": (RouteKind.PROHIBIT, Failure.ACCESS_DENIED, "EACCES"),
    "blackhole": (RouteKind.BLACKHOLE, Failure.INVALID, "EINVAL"),
}


def route_to(request: Any, evidence: Evidence) -> RouteResult | None:
    """Return the decision for an address: what the system said of it, else what its table says."""
    where = ipaddress.ip_address(request.address.partition("%")[0])
    entries, whole = evidence.routes(where.version)
    said = evidence.routed.get(request.address)
    found = said if said is not None else _by_table(request.address, entries, evidence, whole=whole)
    if found is None:
        return None
    return replace(
        found,
        defaults=_defaults(entries, where.version) or found.defaults,
        gateway_on_link=_on_link(found.gateway, entries, whole=whole) if found.gateway else None,
    )


def _by_table(address: str, entries: list[RouteEntry], evidence: Evidence, *, whole: bool) -> RouteResult | None:
    where = ipaddress.ip_address(address.partition("%")[0])
    if where.is_loopback or str(where) in evidence.own:
        return RouteResult(address, where.version, RouteKind.LOCAL, interface=None, source=str(where))
    holding = [entry for entry in entries if where in ipaddress.ip_network(entry.prefix)]
    if not holding:
        if not whole:
            return None
        return RouteResult(
            address, where.version, RouteKind.NONE, failure=Failure.NETWORK_UNREACHABLE, errno="ENETUNREACH"
        )
    best = min(holding, key=lambda entry: (-ipaddress.ip_network(entry.prefix).prefixlen, entry.metric))
    if best.kind in _REFUSALS:
        kind, failure, errno = _REFUSALS[best.kind]
        return RouteResult(address, where.version, kind, matched=best.prefix, failure=failure, errno=errno)
    return RouteResult(
        address,
        where.version,
        RouteKind.UNICAST,
        interface=best.interface,
        gateway=best.gateway,
        source=best.source,
        on_link=best.gateway is None,
        matched=best.prefix,
    )


def _defaults(entries: list[RouteEntry], version: int) -> tuple[DefaultRoute, ...]:
    every = "0.0.0.0/0" if version == 4 else "::/0"
    ways = sorted((e for e in entries if e.prefix == every and e.kind == "unicast"), key=lambda e: e.metric)
    return tuple(DefaultRoute(e.gateway, e.interface, e.metric, linkdown=e.linkdown) for e in ways[:16])


def _on_link(gateway: str, entries: list[RouteEntry], *, whole: bool) -> bool | None:
    """Whether a prefix of the machine's own links holds the gateway; ``None`` where that cannot be told."""
    where = ipaddress.ip_address(gateway.partition("%")[0])
    if where.is_link_local:
        return True
    direct = [e for e in entries if e.gateway is None and e.kind == "unicast" and not e.prefix.endswith("/0")]
    if any(where in ipaddress.ip_network(e.prefix) for e in direct):
        return True
    return False if whole else None
