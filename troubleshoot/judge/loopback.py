"""The target is this network's own outside address, and its router does not turn connections round: ``nat-loopback``.

A router that passes a port on to a machine of its own network rewrites where packets go, and often not where they come
from. To a client of that same network the machine then answers directly, from an address that the client has not
called; or the router, asked from inside, does not pass the port on at all and answers for itself.
"""

from __future__ import annotations

import ipaddress

from probes.base import note
from probes.failure import Unfitting
from probes.own_filter import OwnFilterResult
from probes.wire import WireResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, plain, watched
from troubleshoot.judge.evidence.attempt import attempt_evidence, failing, path_evidence, step_of
from troubleshoot.judge.evidence.counters import thrown_by_chance
from troubleshoot.judge.model import Finding, rule, values

#: The TTLs that systems start with.
_UNTOUCHED = frozenset({64, 128, 255})


@rule("nat-loopback", asks=(asks.failed.wire, asks.failed.own_filter))
def nat_loopback(facts: Facts) -> Finding | None:
    """A machine of this network answers in the place of the target; or the target is the router itself."""
    reach = failing(facts)
    if reach is None or facts.port is None or facts.request.target.transport != "tcp":
        return None
    if reach.reading not in (Reading.SILENT, Reading.RESET):
        return None
    return _answered_directly(facts, reach) or _not_passed_on(facts, reach)


def _answered_directly(facts: Facts, reach: Reach) -> Finding | None:
    """An answer to the connection comes from another address than the one that was called."""
    if reach.reading is not Reading.SILENT:
        return None
    wire = watched.wire(facts, reach.address)
    counted = facts.get("own-filter", OwnFilterResult, facts.endpoint(reach.address))
    thrown = thrown_by_chance(counted) if counted is not None else None
    inside = _inside(facts, reach, wire) if wire is not None else None
    if inside is not None:
        fact = note("fact.unfitting-address", count=inside.count, answer=inside.kind, sender=inside.source)
    elif wire is None and thrown is not None and thrown <= facts.threshold("counted_chance"):
        if not _is_the_router(facts, reach.address):
            return None
        fact = note("fact.counted-thrown")
    else:
        return None
    return Finding(
        cause="nat-loopback",
        confidence="certain" if inside is not None else "likely",
        step=step_of(facts),
        evidence=(attempt_evidence(facts, reach), (step_of(facts), fact), *path_evidence(facts, reach.address)),
        values=values(found=inside.source if inside is not None else None),
        variant="default" if inside is not None else "unnamed",
        hop=facts.hops.distance(reach.address),
        address=reach.address,
    )


def _inside(facts: Facts, reach: Reach, wire: WireResult) -> Unfitting | None:
    """Return the answer of a machine of this network, where no other came."""
    if wire.answer_in is not None:
        return None
    others = (one for one in wire.unfitting if one.why == "address" and one.kind == "syn-ack")
    return next((one for one in others if _on_own_network(facts, reach.address, one.source)), None)


def _not_passed_on(facts: Facts, reach: Reach) -> Finding | None:
    """The router refuses or is silent to those inside: it may pass the port on for those outside."""
    if not _is_the_router(facts, reach.address):
        return None
    return Finding(
        cause="nat-loopback",
        confidence="possible",
        step=step_of(facts),
        evidence=(attempt_evidence(facts, reach), *path_evidence(facts, reach.address)),
        variant="from-inside",
        hop=facts.hops.distance(reach.address),
        address=reach.address,
    )


def _is_the_router(facts: Facts, address: str) -> bool:
    """Whether the address is one that this network's router has on its other side."""
    route = facts.link.peek_route(address)
    if route is None or route.gateway is None or plain(route.gateway) == plain(address):
        return False
    facts.path.wait_for_ping(address)
    distance, ping = facts.hops.distance(address), facts.path.peek_ping(address)
    if distance is None and ping is not None and any(e.reply_ttl in _UNTOUCHED for e in ping.echoes):
        return True  # nobody between has taken from its answer's TTL
    if distance is None:
        facts.wait_for("traceroute", address)
    return facts.hops.distance(address) == 1


def _on_own_network(facts: Facts, target: str, address: str) -> bool:
    """Whether an address belongs to the network of the interface that leads to the target."""
    name = facts.link.interface(target)
    own = [a for i in facts.machine.interfaces() if i.name == name for a in i.addresses]
    return any(ipaddress.ip_address(plain(address)) in _network(a.address, a.prefix) for a in own)


def _network(address: str, prefix: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(f"{plain(address)}/{prefix}", strict=False)
