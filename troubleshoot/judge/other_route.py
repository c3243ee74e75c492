"""This machine takes a way that leads nowhere, while it has another: ``wrong-route``."""

from __future__ import annotations

from probes.as_ourselves import AsOurselvesResult
from probes.base import note
from probes.failure import Failure
from probes.interfaces import InterfacesResult
from probes.other_route import OtherRouteResult
from probes.route import RouteKind
from probes.statistics import StatisticsResult
from troubleshoot import asks
from troubleshoot.facts import AFTER, BEFORE, Facts, Reach, Reading, describe, family_of
from troubleshoot.judge.evidence.attempt import any_connected, attempt_evidence, failing, step_of
from troubleshoot.judge.model import Finding, first_step, rule, values

#: Packets that the kernel threw away because it would not answer by the interface that they came in by (RFC 3704).
_REVERSE_PATH = "TcpExt.IPReversePathFilter"
#: Packets that this machine has sent; the only family that Linux filters so by the route back.
_SENT, _FILTERED = "Ip.OutRequests", 4
#: An answer that is not acknowledged is sent again.
_AGAIN = 2


@rule("wrong-route", asks=(asks.failed.other_route, asks.failed.as_ourselves, asks.failed.tunnel))
def wrong_route(facts: Facts) -> Finding | None:
    """Another interface or router reaches the target; the chosen one does not, or answers come in by another."""
    reach = failing(facts)
    if reach is None or any_connected(facts):
        return None
    return (
        _by_rule(facts, reach)
        or _answers_elsewhere(facts, reach)
        or _thrown_away(facts, reach)
        or _dead_tunnel(facts, reach)
    )


def _by_rule(facts: Facts, reach: Reach) -> Finding | None:
    """The packets of the program's user take another way than this process's own, which is answered."""
    route = facts.link.route(reach.address)
    found = facts.get("as-ourselves", AsOurselvesResult, facts.endpoint(reach.address))
    if route is None or found is None or route.kind is not RouteKind.UNICAST or not found.connected:
        return None
    if not route.by_user or (route.interface, route.gateway) == (found.interface, found.gateway):
        return None
    way = found.gateway or found.interface
    return Finding(
        cause="wrong-route",
        confidence="likely",
        step="router-configured",
        evidence=(
            ("router-configured", describe.route(route)),
            attempt_evidence(facts, reach),
            ("router-configured", note("fact.as-ourselves-by", pid=facts.request.pid, router=way)),
        ),
        values=values(
            pid=facts.request.pid,
            interface=route.interface,
            router=route.gateway or route.interface,
            expected=found.interface,
            found=way,
        ),
        variant="rule",
        address=route.gateway,
    )


def _answers_elsewhere(facts: Facts, reach: Reach) -> Finding | None:
    """The port answers over another default route than the one that is taken."""
    route = facts.link.route(reach.address)
    found = facts.get("other-route", OtherRouteResult, facts.endpoint(reach.address))
    refused = found is not None and found.failure is Failure.REFUSED and found.icmp is None
    if route is None or found is None or not (found.connected or refused):
        return None
    other = next((d for d in route.defaults if d.interface == found.interface), None)
    fact = "fact.other-route-connects" if found.connected else "fact.other-route-refuses"
    return Finding(
        cause="wrong-route",
        confidence="certain" if found.connected else "likely",
        step="router-configured",
        evidence=(
            ("router-configured", describe.route(route)),
            attempt_evidence(facts, reach),
            ("router-configured", note(fact, interface=found.interface, address=reach.address, port=found.port)),
        ),
        values=values(
            address=reach.address,
            interface=route.interface,
            router=route.gateway,
            expected=found.interface,
            found=other.gateway if other is not None else None,
            prefix=route.matched,
        ),
        variant="default" if route.gateway is not None else "on-link",
        address=route.gateway,
    )


def _dead_tunnel(facts: Facts, reach: Reach) -> Finding | None:
    """Packets leave by a tunnel, and nothing at all comes in by it: its far end is not there."""
    route = facts.link.route(reach.address)
    if route is None or reach.reading is not Reading.SILENT or facts.path.alive(reach.address):
        return None
    before, after = (
        next((i for i in result.interfaces if i.name == route.interface and i.tunnel), None)
        if (result := facts.get("interfaces", InterfacesResult, when)) is not None
        else None
        for when in ("", AFTER)
    )
    if before is None or after is None or before.rx_packets is None or before.tx_packets is None:
        return None
    came, left = (after.rx_packets or 0) - before.rx_packets, (after.tx_packets or 0) - before.tx_packets
    never = not after.rx_packets
    if came or (left < reach.packets and not never):
        return None
    fact = (
        note("fact.tunnel-never", interface=route.interface)
        if never
        else note("fact.tunnel-silent", interface=route.interface, count=left)
    )
    return Finding(
        cause="wrong-route",
        confidence="likely",
        step="router-configured",
        evidence=(
            ("router-configured", describe.route(route)),
            attempt_evidence(facts, reach),
            ("router-configured", fact),
        ),
        values=values(address=reach.address, interface=route.interface, prefix=route.matched),
        variant="tunnel",
        also=(("path-broken", note("verdict.open-tunnel")),),
    )


def _thrown_away(facts: Facts, reach: Reach) -> Finding | None:
    """Answers come in by an interface by which the kernel would not send to their sender, and it drops them.

    The counter is the whole machine's, so that others' packets count as well: there must be as many as the attempt
    sent, not many times what this machine sent altogether, and no answer of the target that did come in.
    """
    if family_of(reach.address) != _FILTERED or reach.reading is not Reading.SILENT or facts.path.alive(reach.address):
        return None
    thrown, sent = _rise(facts, _REVERSE_PATH), _rise(facts, _SENT)
    if thrown is None or thrown < reach.packets or (sent is not None and thrown > _AGAIN * sent):
        return None
    route = facts.link.peek_route(reach.address)
    filtering = [i.reverse_path for i in facts.machine.interfaces() if route is None or i.name != route.interface]
    if None not in filtering and 1 not in filtering and facts.machine.interfaces():
        return None  # no other interface is strict: the packets that were counted are others'
    return Finding(
        cause="wrong-route",
        confidence="likely",
        step=first_step(facts, "router-configured", step_of(facts)),
        evidence=(
            attempt_evidence(facts, reach),
            ("statistics", note("fact.reverse-path", count=thrown)),
            *((("router-configured", describe.route(route)),) if route is not None else ()),
        ),
        values=values(address=reach.address, interface=route.interface if route else None),
        variant="reverse-path",
    )


def _rise(facts: Facts, name: str) -> int | None:
    """By how much a counter has grown in the run, where it was read at both ends."""
    counts = [facts.peek("statistics", StatisticsResult, when) for when in (BEFORE, AFTER)]
    before, after = (next((c.value for c in s.counters if c.name == name), None) if s else None for s in counts)
    return after - before if before is not None and after is not None else None
