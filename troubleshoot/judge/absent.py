"""Nobody is there at link level: ``host-down``, ``router-down``."""

from __future__ import annotations

from probes.base import Note, note
from probes.route import RouteKind
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, describe, gateway_of, neighbour_alive, neighbour_dead
from troubleshoot.judge import forwarded
from troubleshoot.judge.evidence.attempt import any_connected, attempt_evidence, failed_attempt, failing, step_of
from troubleshoot.judge.evidence.icmp import hop_of_sender, late_report, told_alike
from troubleshoot.judge.evidence.routes import routes_taken
from troubleshoot.judge.model import Finding, first_step, rule, values
from troubleshoot.report import Confidence

#: The prefixes of a default route.
_EVERYTHING = frozenset({"0.0.0.0/0", "::/0"})


@rule("host-down", asks=(asks.failed.link, asks.failed.second_look, asks.around.routers, asks.connected.flows))
def host_down(facts: Facts) -> Finding | None:
    """The target's own link (or its last router) says that it is absent."""
    reach = failing(facts)
    if reach is None:
        return None
    facts.wait_for("tcp-path", facts.endpoint(reach.address))
    if (behind := forwarded.down(facts, reach)) is not None:
        return behind
    route = facts.link.route(reach.address)
    if route is not None and route.on_link and route.kind is RouteKind.UNICAST:
        return _absent_here(facts, reach)
    error = late_report(facts, reach)
    if error is None or facts.path.alive(reach.address):
        return None
    if told_alike(facts, reach, error):
        return None  # whatever stands behind it cannot be reached either
    hop = hop_of_sender(facts, reach.address, error.sender)
    trace = facts.path.peek_trace(reach.address)
    beside = facts.path.living_neighbour(reach.address, error.sender)
    last = hop is not None and hop == facts.hops.last_hop(reach.address)
    return Finding(
        cause="host-down",
        # The router looked for its next hop in vain: the host, or a router that stands before it.
        confidence="certain" if last and beside is not None else "likely",
        scope="remote-host",
        step=first_step(facts, "ping-remote", step_of(facts)),
        evidence=(
            attempt_evidence(facts, reach),
            *((("traceroute", describe.trace(trace)),) if trace else ()),
            *((("ping-remote-subnet", describe.ping(beside)),) if beside is not None else ()),
        ),
        values=values(router=error.sender),
        variant="remote",
        hop=hop + 1 if hop is not None else None,
        address=reach.address,
        also=(("path-broken", note("verdict.open-next-hop", router=error.sender)),) if beside is None else (),
    )


def _absent_here(facts: Facts, reach: Reach) -> Finding | None:
    if not facts.attempts.absent_on_link(reach.address):
        return None
    route = facts.link.route(reach.address)
    link = facts.link.on_wire(reach.address)
    if link is not None and (link.mac is not None or facts.link.passed_on(link)):
        return None
    neighbour = facts.link.peek_neighbour(reach.address)
    name = route.interface if route else None
    used = next((i for i in facts.machine.interfaces() if i.name == name), None)
    if used is not None and (used.carrier is False or not used.up):
        return None
    routers = [n for r in facts.link.routers if (n := facts.link.peek_neighbour(r)) is not None and r != reach.address]
    works = any(neighbour_alive(n) for n in routers) or facts.link.other_neighbour_alive(reach.address)
    mask_doubtful = link is None and facts.link.mask_doubtful(reach.address)
    confidence: Confidence = "possible" if mask_doubtful else "certain" if works else "likely"
    return Finding(
        cause="host-down",
        confidence=confidence,
        scope="local-network",
        step=first_step(facts, "ping-remote", step_of(facts)),
        evidence=(
            attempt_evidence(facts, reach),
            *((("ping-remote", describe.neighbour(neighbour)),) if neighbour else ()),
            *(("ping-router", describe.neighbour(n)) for n in routers[:1]),
        ),
        values=values(interface=name),
        variant="local",
        hop=1,
        address=reach.address,
    )


@rule("router-down", asks=(asks.around.routers,))
def router_down(facts: Facts) -> Finding | None:
    """The router that the packets need does not answer at link level."""
    if any_connected(facts):
        return None
    for address, route in routes_taken(facts):
        if route.gateway is None or route.kind is not RouteKind.UNICAST:
            continue
        if facts.targets and (facts.path.alive(address) or facts.hops.last_hop(address)):
            continue  # something came back by way of it
        if not (seen := _nobody_at(facts, gateway_of(route) or route.gateway)):
            continue
        used = next((i for i in facts.machine.interfaces() if i.name == route.interface), None)
        if used is not None and used.carrier is False:
            continue
        others = [d for d in route.defaults if d.gateway and d.gateway != route.gateway]
        return Finding(
            cause="router-down",
            confidence="certain",
            step=first_step(facts, "ping-router", "connect"),
            evidence=(
                *(("ping-router", fact) for fact in seen),
                ("router-configured", describe.route(route)),
                *(
                    ("router-configured", note("fact.other-default", router=d.gateway, interface=d.interface))
                    for d in others[:1]
                ),
                *failed_attempt(facts, address),
            ),
            values=values(router=route.gateway, interface=route.interface),
            variant="default" if route.matched in _EVERYTHING and not others else "one-way",
            hop=1,
            address=route.gateway,
        )
    return None


def _nobody_at(facts: Facts, gateway: str) -> tuple[Note, ...]:
    """What shows that nobody on the link has the router's address; empty where nothing does."""
    neighbour, ping = facts.link.peek_neighbour(gateway), facts.path.peek_ping(gateway)
    if neighbour is not None and neighbour_dead(neighbour):
        return (describe.neighbour(facts.link.neighbour(gateway) or neighbour),)
    if ping is not None and not ping.received and facts.path.sought_in_vain(gateway):
        return (describe.ping(ping),)
    facts.link.neighbour(gateway)
    return ()
