"""Addresses as text: families, zones, canonical forms, and the subjects under which observations are filed."""

from __future__ import annotations

import functools
import ipaddress

from probes.route import RouteResult

#: The statistics are read twice; these are their subjects.
BEFORE, AFTER = "before", "after"


def scoped(address: str | None, interface: str | None) -> str | None:
    """Return a link-local address with its interface, without which nothing can be sent to it (RFC 4007)."""
    if address is None or interface is None or "%" in address or not address.lower().startswith("fe80:"):
        return address
    return f"{address}%{interface}"


def gateway_of(route: RouteResult) -> str | None:
    """Return the route's next router in the form that can be pinged, ``None`` where there is none."""
    return scoped(route.gateway, route.interface)


def second_look(address: str) -> str:
    """Return the subject of the pings that are sent to a silent address a few seconds after the first ones."""
    return f"{address} again"


def series_subject(address: str) -> str:
    """Return the subject of the series of pings that looks for a loss."""
    return f"{address} loss"


def early_look(address: str) -> str:
    """Return the subject of the one SYN that shows whether a port is accepted nearer than its host is."""
    return f"{address} early"


def bind_subject(address: str, port: int) -> str:
    """Return the subject of the trial to bind a port of an address."""
    return f"{address} {port}"


def service_subject(address: str, port: int, rung: str) -> str:
    """Return the subject of one connection to the service on a port; ``rung`` is what is said on it."""
    return f"{address} {port} {rung}".rstrip()


def endpoint_subject(address: str, port: int | None) -> str:
    """Return the subject of a probe of one port of an address."""
    return f"{address} {port}"


def family_of(address: str) -> int:
    """Return 4 or 6 for an address literal."""
    return 6 if ":" in address else 4


@functools.lru_cache(maxsize=4096)
def plain(address: str) -> str:
    """Return the address without its zone, in its canonical form."""
    try:
        return str(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return address


@functools.lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    """Whether the address is a loopback address."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
