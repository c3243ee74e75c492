"""Read from a report what it is among others. Reports are taken as they were judged and read by today's rules."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from probes.resolve import Answer
from troubleshoot.facts.address import plain
from troubleshoot.fleet.model import Cell, View
from troubleshoot.report import Report
from troubleshoot.run.compare import own_addresses, way_to

#: What a name server says by keeping silent or being out of reach.
_UNHEARD = frozenset({str(Answer.NO_ANSWER), str(Answer.UNREACHABLE), str(Answer.PORT_CLOSED)})
#: Routers with a virtual hardware address have the same one everywhere (VRRP, RFC 9568, section 7.3).
_VIRTUAL = "00:00:5e:00:"


def view_of(report: Report, label: str, folder: str = "") -> View:
    """Return the report as one of many; ``label`` is where it was read, ``folder`` the folder that it lay in."""
    verdict, target = report.verdict, report.target
    hidden = report.redacted
    route = {} if hidden else _route(report)
    return View(
        label=label,
        folder=folder,
        hostname=report.vantage.named,
        user=report.vantage.user,
        target=target.input,
        host=(target.host or "").casefold().rstrip("."),
        port=target.port,
        transport=target.transport,
        addresses=tuple(map(plain, target.addresses)),
        started=report.started,
        moment=_moment(report.started),
        identity=_identity(report),
        outcome=verdict.outcome,
        cause=verdict.cause,
        title=verdict.title,
        confidence=verdict.confidence,
        scope=verdict.location.scope if verdict.location is not None else None,
        own=() if hidden else tuple(sorted(own_addresses(report))),
        source=str(route.get("source") or ""),
        network=_network(report, route),
        gateway=_gateway(report, route),
        cells=tuple(_cells(report)),
        redacted=hidden,
        **({} if hidden else {**_names(report), **_way(report)}),
    )


def _identity(report: Report) -> str:
    """Return what two copies of one report have in common, and two reports have not."""
    own = ",".join(sorted(own_addresses(report)))
    parts = (report.vantage.hostname, report.started, report.duration_ms, report.target.input, report.error.number, own)
    return hashlib.sha256(repr((*parts, len(report.probes))).encode("utf-8", "backslashreplace")).hexdigest()


def _moment(started: str) -> float:
    try:
        told = datetime.fromisoformat(started)
        return told.replace(tzinfo=told.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _results(report: Report, probe: str) -> Iterator[Mapping[str, Any]]:
    for record in report.probes:
        result = record.get("result")
        if record.get("probe") == probe and isinstance(result, Mapping):
            yield result


def _route(report: Report) -> Mapping[str, Any]:
    """Return the route to the target, else the first one that leads through a router: to its name servers."""
    routes = [one for one in _results(report, "route") if one["source"]]
    targets = set(map(plain, report.target.addresses))
    towards = [one for one in routes if plain(one["address"]) in targets]
    # Of both families IPv4 comes first: its subnets tell sites apart, where IPv6 prefixes may change by the day.
    best = sorted(towards or [one for one in routes if one["gateway"]] or routes, key=lambda one: int(one["family"]))
    return best[0] if best else {}


def _network(report: Report, route: Mapping[str, Any]) -> str:
    """Return the subnet of the address that faces the target."""
    source = plain(str(route.get("source") or ""))
    for result in _results(report, "interfaces"):
        for interface in result["interfaces"]:
            for one in interface["addresses"]:
                if source and plain(one["address"]) == source:
                    return str(ipaddress.ip_network(f"{source}/{one['prefix']}", strict=False))
    return ""


def _gateway(report: Report, route: Mapping[str, Any]) -> str:
    """Return the next router and its hardware address: private subnets look alike at many sites."""
    gateway = plain(str(route.get("gateway") or ""))
    for result in _results(report, "neighbours"):
        for one in result["asked"]:
            mac = one["mac"]
            if gateway and plain(one["address"]) == gateway and mac and not mac.startswith(_VIRTUAL):
                return f"{gateway} {mac}"
    return gateway


def _cells(report: Report) -> Iterator[Cell]:
    """Yield what became of each address of the target, as far as it was decided."""
    target = report.target
    targets = set(map(plain, target.addresses))
    if target.port is None:
        for result in _results(report, "ping"):
            if plain(result["address"]) in targets and result["sent"]:
                yield Cell(plain(result["address"]), result["received"] > 0)
        return
    for result in _results(report, "datagram" if target.transport == "udp" else "connect"):
        if plain(result["address"]) not in targets or result["port"] != target.port:
            continue
        works = result["answered"] if target.transport == "udp" else result["outcome"] == "connected"
        # Silence counts where the run came to a verdict with it; it may have been cut short by that.
        if works or result.get("outcome") == "failed" or report.verdict.outcome == "fault":
            yield Cell(plain(result["address"]), works)


def _names(report: Report) -> dict[str, Any]:
    """Return who was asked for the name and what it came to."""
    for result in _results(report, "resolve"):
        if result["literal"]:
            continue
        said = [one for one in result["answers"] if not one["other_name"]]
        servers = tuple(dict.fromkeys(plain(one["server"]) for one in said))
        spoke = any(str(one["answer"]) not in _UNHEARD for one in said)
        resolved = tuple(sorted(map(plain, result["addresses"])))
        return {"servers": servers, "resolved": resolved, "spoke": spoke and not resolved}
    return {}


def _way(report: Report) -> dict[str, Any]:
    """Return the routers that were passed on the way to the target; of two ways those of the one that fails."""
    way = way_to(report)
    if way is None:
        return {}
    passed = way.nodes[: way.broken] if way.broken is not None else way.nodes[:-1]
    return {"routers": tuple(plain(node) for node in passed if node != "?"), "arrives": way.broken is None}
