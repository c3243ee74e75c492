"""Two devices and one address, or a neighbour table that holds another device's: ``address-conflict``."""

from __future__ import annotations

from probes.base import note
from probes.claims import ClaimsResult
from probes.neighbours import NeighboursResult, NeighbourState
from probes.route import RouteKind
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, describe, gateway_of, loss_series, neighbour_alive, plain
from troubleshoot.judge.evidence.attempt import any_connected, attempt_evidence, failing
from troubleshoot.judge.model import Finding, first_step, rule, values


@rule("address-conflict", asks=(asks.failed.link, asks.failed.claims, asks.around.routers), holds_up="healthy")
def address_conflict(facts: Facts) -> Finding | None:
    """Two devices claim an address, or a fixed neighbour entry names one that does not answer."""
    reach = failing(facts)
    if reach is None:
        return _lost_at_first(facts)
    if any_connected(facts) or reach.reading not in (Reading.SILENT, Reading.LOCAL):
        return None
    return _claimed_twice(facts, reach) or _fixed(facts, reach) or _suspected(facts, reach)


def _claimed_twice(facts: Facts, reach: Reach) -> Finding | None:
    """Another device has this machine's own address, or two have the next hop's: answers go to either."""
    found = facts.link.claimed_twice(reach.address) if facts.request.privileged else None
    if found is None or (not found.own and facts.path.alive(reach.address)):
        return None  # one that answers for another is no harm where the host is reached (proxy ARP, RFC 1027)
    return _two(facts, reach, found)


def _lost_at_first(facts: Facts) -> Finding | None:
    """The next hop has two owners, and what was sent to it at first is lost, until it was asked for anew."""
    for reach in facts.attempts.reaches():
        if reach.reading is not Reading.CONNECTED or not facts.service.syn_lost(reach.address):
            continue
        found = facts.link.claimed_twice(reach.address)
        if found is None or loss_series.weight(facts, reach.address) in ("certain", "likely"):
            continue
        return _two(facts, reach, found)
    return None


def _two(facts: Facts, reach: Reach, found: ClaimsResult) -> Finding:
    claimed = note("fact.claimed-by", address=found.address, mac=" / ".join(found.macs))
    return Finding(
        cause="address-conflict",
        confidence="likely",
        step=first_step(facts, "ping-router", "ping-remote", "connect"),
        evidence=(attempt_evidence(facts, reach), ("interface", claimed)),
        values=values(interface=found.interface, found=" / ".join(found.macs)),
        variant="own" if found.own else "two",
        address=found.address,
    )


def _fixed(facts: Facts, reach: Reach) -> Finding | None:
    """A fixed neighbour entry names a device that does not answer, while another one claims the address."""
    route = facts.link.route(reach.address)
    if route is None or not route.on_link or route.kind is not RouteKind.UNICAST or facts.path.alive(reach.address):
        return None
    facts.wait_for("neighbours", reach.address)
    facts.path.wait_for_ping(reach.address)
    entry = facts.link.peek_neighbour(reach.address)
    if entry is None or entry.state is not NeighbourState.PERMANENT:
        return None
    # An answer to our own question names who has the address now; the table keeps what the kernel sends to.
    claimed = entry.mac if entry.answered else None
    link = facts.link.on_wire(reach.address)
    if claimed is None and link is not None:
        claimed = link.mac
    held = _held(facts, reach.address) or (None if claimed is not None else entry.mac)
    if held is None or held == claimed:
        return None
    return Finding(
        cause="address-conflict",
        confidence="certain" if claimed is not None else "likely",
        step=first_step(facts, "ping-remote", "connect"),
        evidence=(
            attempt_evidence(facts, reach),
            ("ping-remote", describe.neighbour(entry)),
            *((("ping-remote", note("fact.claimed-by", address=reach.address, mac=claimed)),) if claimed else ()),
        ),
        values=values(interface=route.interface, mac=held, found=claimed),
        variant="default" if claimed is not None else "unclaimed",
        address=reach.address,
    )


def _suspected(facts: Facts, reach: Reach) -> Finding | None:
    """The next hop answers on the link and nothing of any other kind comes back: others may get what is meant for us.

    Without root nobody can be asked who has this machine's own address: the kernel keeps no note of a claim to it.
    """
    route = facts.link.route(reach.address)
    if facts.request.privileged or reach.reading is not Reading.SILENT or route is None or route.source is None:
        return None
    if route.kind is not RouteKind.UNICAST or route.interface is None or facts.path.alive(reach.address):
        return None
    hop = gateway_of(route) or reach.address
    entry, ping = facts.link.peek_neighbour(hop), facts.path.peek_ping(hop)
    if entry is None or entry.state is NeighbourState.PERMANENT or not neighbour_alive(entry):
        return None
    if ping is None or ping.received or any(e.icmp for e in ping.echoes) or facts.hops.last_hop(reach.address):
        return None
    step = first_step(facts, "ping-router", "ping-remote", "connect")
    return Finding(
        cause="address-conflict",
        confidence="possible",
        step=step,
        evidence=(attempt_evidence(facts, reach), (step, describe.neighbour(entry)), (step, describe.ping(ping))),
        values=values(interface=route.interface, router=hop),
        variant="suspected",
        address=route.source,
    )


def _held(facts: Facts, address: str) -> str | None:
    """The link address that the kernel's own table holds for an address, as another reading of it shows."""
    tables = (o.result.table for o in facts.of("neighbours") if isinstance(o.result, NeighboursResult))
    return next((n.mac for table in tables for n in table if plain(n.address) == plain(address) and n.mac), None)
