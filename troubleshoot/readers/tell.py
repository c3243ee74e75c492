"""What an observation of a pasted output comes to, as one sentence of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from probes.base import Note, note
from probes.ping import PingResult
from probes.route import RouteKind, RouteResult
from probes.traceroute import TracerouteResult
from troubleshoot.readers.model import (
    Connection,
    Firewall,
    Interfaces,
    LookUp,
    Machine,
    NameServers,
    Neighbours,
    Ports,
    Processes,
    Providers,
    Routes,
    Served,
    Sockets,
)

#: More addresses or ranges of one list are only counted.
_MOST: Final = 8


def tell(seen: object) -> Note:
    """Return the sentence for an observation that a reader handed over."""
    return _TELLERS[type(seen)](seen)


def _listed(words: list[str]) -> str:
    return ", ".join(words[:_MOST]) + (f", … ({len(words)})" if len(words) > _MOST else "") or "-"


def _ping(seen: PingResult) -> Note:
    if seen.rtt_mean_ms is None:
        return note("ui.read-ping-silent", address=seen.address, sent=seen.sent)
    given = {"address": seen.address, "received": seen.received, "sent": seen.sent}
    return note("ui.read-ping", **given, ms=f"{seen.rtt_mean_ms:.3g}")


def _trace(seen: TracerouteResult) -> Note:
    if seen.reached_ttl is not None:
        return note("ui.read-trace", address=seen.address, ttl=seen.reached_ttl)
    answered = [hop for hop in seen.hops if hop.answers]
    if not answered:
        return note("ui.read-trace-silent", address=seen.address)
    last = answered[-1]
    return note("ui.read-trace-lost", address=seen.address, router=last.answers[-1].address, ttl=last.ttl)


def _route(seen: RouteResult) -> Note:
    if seen.failure is not None or seen.kind not in (RouteKind.UNICAST, RouteKind.LOCAL):
        return note("ui.read-no-route", address=seen.address, kind=seen.kind)
    if seen.gateway is None:
        return note("ui.read-route-direct", address=seen.address, interface=seen.interface or "-")
    return note("ui.read-route", address=seen.address, gateway=seen.gateway, interface=seen.interface or "-")


def _look_up(seen: LookUp) -> Note:
    if seen.addresses and seen.server is not None:
        return note("ui.read-name-by", name=seen.name, addresses=_listed([*seen.addresses]), server=seen.server)
    if seen.addresses:
        return note("ui.read-name", name=seen.name, addresses=_listed([*seen.addresses]))
    if seen.server is not None:
        return note("ui.read-name-answer", name=seen.name, server=seen.server, answer=seen.answer)
    return note("ui.read-name-none", name=seen.name, eai=seen.eai or "-")


def _servers(seen: NameServers) -> Note:
    return note("ui.read-servers", servers=_listed([*seen.servers]), search=_listed([*seen.search]))


def _routes(seen: Routes) -> Note:
    ways = [entry for entry in seen.entries if entry.prefix in ("0.0.0.0/0", "::/0") and entry.kind == "unicast"]
    if not ways:
        return note("ui.read-routes-none", count=len(seen.entries))
    gateways = [entry.gateway or entry.interface or "-" for entry in ways]
    return note("ui.read-routes", count=len(seen.entries), gateways=_listed(gateways))


def _sockets(seen: Sockets) -> Note:
    listening = [one for one in seen.entries if one.state == "listen"]
    ends = [f"{_bracketed(one.local_address)}:{one.local_port}" for one in listening]
    return note("ui.read-sockets", count=len(seen.entries), listening=len(listening), ends=_listed(ends))


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _interfaces(seen: Interfaces) -> Note:
    told = [
        " ".join((one.name, *(f"{held.address}/{held.prefix}" for held in one.addresses)))
        for one in seen.interfaces
        if one.addresses or one.carrier is not False
    ]
    down = [one.name for one in seen.interfaces if one.carrier is False or not one.up]
    return note("ui.read-interfaces", interfaces=_listed(told), down=_listed(down))


def _neighbours(seen: Neighbours) -> Note:
    silent = [one.address for one in seen.table if one.mac is None]
    return note("ui.read-neighbours", count=len(seen.table), silent=_listed(silent))


def _connection(seen: Connection) -> Note:
    end = f"{_bracketed(seen.address or seen.name or '?')}:{seen.port}"
    if seen.connected:
        return note("ui.read-connected", end=end)
    return note("ui.read-not-connected", end=end, error=seen.errno or "-")


def _service(seen: Served) -> Note:
    end = f"{_bracketed(seen.result.address or seen.name or '?')}:{seen.result.port}"
    return note("ui.read-service", end=end, outcome=seen.result.outcome)


def _ports(seen: Ports) -> Note:
    if seen.excluded is not None:
        ranges = [f"{first}-{last}{'*' if by_hand else ''}" for first, last, by_hand in seen.excluded]
        return note("ui.read-excluded", transport=seen.transport.upper(), ranges=_listed(ranges))
    first, last = seen.dynamic or (0, 0)
    return note("ui.read-dynamic", transport=seen.transport.upper(), first=first, last=last)


def _firewall(seen: Firewall) -> Note:
    stopping = [rule.name for rule in seen.rules if rule.enabled and rule.action in ("drop", "reject")]
    return note("ui.read-firewall", count=len(seen.rules), stopping=_listed([*dict.fromkeys(stopping)]))


def _processes(seen: Processes) -> Note:
    return note("ui.read-processes", count=len(seen.names))


def _providers(seen: Providers) -> Note:
    layered = [name for _, name, kind, _ in seen.entries if kind != "base"]
    return note("ui.read-providers", count=len(seen.entries), layered=_listed(layered))


def _machine(seen: Machine) -> Note:
    return note("ui.read-machine", hostname=seen.hostname)


_TELLERS: dict[type, Callable[[Any], Note]] = {
    PingResult: _ping,
    TracerouteResult: _trace,
    RouteResult: _route,
    LookUp: _look_up,
    NameServers: _servers,
    Routes: _routes,
    Sockets: _sockets,
    Interfaces: _interfaces,
    Neighbours: _neighbours,
    Connection: _connection,
    Served: _service,
    Ports: _ports,
    Firewall: _firewall,
    Processes: _processes,
    Providers: _providers,
    Machine: _machine,
}
