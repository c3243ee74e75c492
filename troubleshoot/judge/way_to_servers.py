"""The way to name servers of which none answers: it decides before the servers themselves are blamed."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TypeVar

from probes.base import note
from probes.failure import IcmpError
from probes.resolve import Answer
from troubleshoot.facts import UNREACHABLE, Facts, NotYet, describe, family_of, gateway_of, neighbour_dead, plain
from troubleshoot.judge.model import Finding, first_step, values

T = TypeVar("T")


def _silent(facts: Facts) -> tuple[str, ...]:
    """The servers that stand in for a target that has no address, where nothing at all comes back of them."""
    if not facts.names.unresolved() or any(facts.names.server_responds(s) for s in facts.names.servers):
        return ()
    if any(a.answer is Answer.PORT_CLOSED for s in facts.names.servers for a in facts.names.answers_of(s)):
        return ()
    return facts.names.destinations


def _of_all(facts: Facts, servers: tuple[str, ...], question: Callable[[Facts, str], T | None]) -> list[T]:
    """Return what is found of every server; nothing as soon as one of them speaks against it, known late or early."""
    found: list[T] = []
    pending: NotYet | None = None
    for server in servers:
        try:
            answer = question(facts, server)
        except NotYet as late:
            pending = late
            continue
        if answer is None:
            return []
        found.append(answer)
    if pending is not None:
        raise pending
    return found


def _denial(facts: Facts, server: str) -> IcmpError | None:
    """What a router says early of the way to a server, for pings too: it has none."""
    ping = facts.path.ping(server)
    if ping is None or ping.received or not facts.path.unreachable_early(server):
        return None
    errors = [e.icmp for e in ping.echoes if e.icmp is not None and e.icmp.meaning in UNREACHABLE]
    return next((e for e in errors if e.sender is not None and plain(e.sender) != plain(server)), None)


def denied(facts: Facts) -> Finding | None:
    """Routers answer that they cannot reach any of the name servers: ``network-unreachable``."""
    servers = _silent(facts)
    told = _of_all(facts, servers, _denial)
    if not told:
        return None
    first = told[0]
    return Finding(
        cause="network-unreachable",
        confidence="likely",
        step="resolve-name",
        evidence=tuple(("resolve-name", describe.ping(p)) for s in servers if (p := facts.path.ping(s)) is not None),
        values=values(router=first.sender, address=servers[0], found=describe.icmp(first)),
        variant="unlocated",
        address=first.sender,
        also=(("nameserver-unreachable", note("verdict.open-server-off")),),
    )


def _dies(facts: Facts, server: str) -> int | None:
    """After which hop nothing of the way to a server is heard of; ``None`` where the server itself can be at fault."""
    route = facts.link.route(server)
    if route is None or route.gateway is None or facts.path.alive(server):
        return None
    ping, trace = facts.path.ping(server), facts.path.trace(server)
    if ping is None or trace is None or facts.path.alive(server) or trace.ended_by is not None:
        return None
    if any(e.icmp is not None or e.failure is not None for e in ping.echoes):
        return None
    gateway = gateway_of(route)
    if gateway is None or neighbour_dead(facts.link.neighbour(gateway)):
        return None
    hop = facts.hops.last_hop(server)
    if not hop:
        beside = facts.path.ping(gateway)
        hop = 1 if beside is not None and beside.received else 0
    return hop or None


def broken(facts: Facts) -> Finding | None:
    """Nothing passes beyond one router, whatever server it is for: ``path-broken``.

    Servers of one network may be off together, with a router before them that does not report it; servers of several
    networks that vanish behind the same router are not.
    """
    servers = _silent(facts)
    hops = _of_all(facts, servers, _dies)
    several = len({_network(s) for s in servers}) > 1
    if not hops or (several and len(set(hops)) != 1):
        return None
    hop = max(hops)  # the way to one network is one: where it shows less of itself, routers held their reports back
    seen = servers[hops.index(hop)]
    router = facts.hops.router_at(seen, hop) or (gateway_at(facts, seen) if hop == 1 else None)
    return Finding(
        cause="path-broken",
        confidence="likely" if several else "possible",
        step=first_step(facts, "traceroute", "resolve-name"),
        evidence=(
            *(("resolve-name", describe.ping(p)) for s in servers if (p := facts.path.ping(s)) is not None),
            *(("resolve-name", describe.trace(t)) for s in servers if (t := facts.path.trace(s)) is not None),
        ),
        values=values(router=router, address=servers[0]),
        variant="default" if router else "nothing-answered",
        hop=hop,
        address=router,
        also=(("nameserver-unreachable", note("verdict.open-server-off")),),
    )


def known(facts: Facts, servers: tuple[str, ...]) -> bool:
    """Whether something shows that the way to each network with silent servers is there."""
    reached = {_network(server) for server in servers if _heard(facts, server)}
    return all(_network(server) in reached for server in servers)


def _heard(facts: Facts, server: str) -> bool:
    """Whether a server's machine, the link that it is on or a router's late report speaks of it."""
    route, ping = facts.link.peek_route(server), facts.path.peek_ping(server)
    if facts.machine.is_local(server) or (route is not None and route.gateway is None) or facts.path.alive(server):
        return True
    errors = [e.icmp for e in (ping.echoes if ping is not None else ()) if e.icmp is not None]
    told = any(not facts.machine.is_own(e.sender) for e in errors)  # what this machine says shows no way
    return told or any(a.answer is Answer.PORT_CLOSED for a in facts.names.answers_of(server))


def gateway_at(facts: Facts, server: str) -> str | None:
    """The router that packets for a server go to first."""
    route = facts.link.route(server)
    return route.gateway if route is not None else None


def _network(server: str) -> str:
    prefix = 24 if family_of(server) == 4 else 64
    return str(ipaddress.ip_network(f"{plain(server)}/{prefix}", strict=False))
