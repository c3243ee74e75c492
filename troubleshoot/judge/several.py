"""Of several addresses some fail: ``address-family-path-broken``, ``some-addresses-dead``."""

from __future__ import annotations

import msgspec

from probes.base import note
from probes.failure import Failure, IcmpError, IcmpMeaning
from probes.ping import PingResult
from probes.tcp_path import TcpPathResult
from troubleshoot import asks
from troubleshoot.facts import UNREACHABLE, Facts, Reach, Reading, family_of, gateway_of, is_loopback
from troubleshoot.judge.evidence.attempt import attempt_evidence, path_evidence, step_of
from troubleshoot.judge.evidence.icmp import hop_of_sender, router_error
from troubleshoot.judge.model import Finding, rule, values


@rule("address-family-path-broken", asks=(asks.connected.flows, asks.around.routers))
def address_family_path_broken(facts: Facts) -> Finding | None:
    """Every address of one family meets silence or a router's denial, and every one of the other connects."""
    reaches = facts.attempts.reaches()
    if facts.request.target.transport != "tcp" or facts.port is None or len(reaches) < 2:
        return None
    if not any(r.reading is Reading.CONNECTED for r in reaches):
        return None
    decided = [facts.attempts.decided_reach(r.address) for r in reaches]
    dead = [r for r in decided if r.failed]
    living = [r for r in decided if r.reading is Reading.CONNECTED]
    families = {family_of(r.address) for r in dead}
    if not dead or len(families) != 1 or families & {family_of(r.address) for r in living}:
        return None
    if not all(_lost_on_the_way(facts, r) for r in dead):
        return None
    first = next((r for r in dead if facts.path.peek_trace(r.address) is not None), dead[0])
    found = _denier(facts, first) or _last_seen(facts, first.address, living[0].address)
    return Finding(
        cause="address-family-path-broken",
        confidence="certain" if found.sure else "likely",
        step=step_of(facts),
        evidence=(
            *(attempt_evidence(facts, r) for r in dead[:2]),
            *path_evidence(facts, first.address),
            attempt_evidence(facts, living[0]),
        ),
        values=values(family=f"IPv{families.pop()}"),
        hop=found.hop,
        address=found.router,
        also=() if found.before_host else (("some-addresses-dead", note("verdict.open-family-host")),),
    )


class _Break(msgspec.Struct, frozen=True):
    """Where the way of a family ends: ``sure`` where the evidence leaves no other place."""

    hop: int | None
    router: str | None
    before_host: bool
    sure: bool


def _denier(facts: Facts, reach: Reach) -> _Break | None:
    """The router that says itself that it has no way to the address."""
    told = [router_error(facts, reach), *(error for _, error in facts.path.unreachables(reach.address))]
    error = next((e for e in told if e is not None and e.meaning in UNREACHABLE and e.sender is not None), None)
    if error is None:
        return None
    return _Break(hop_of_sender(facts, reach.address, error.sender), error.sender, before_host=True, sure=True)


def _last_seen(facts: Facts, address: str, living: str) -> _Break:
    """The last router that says anything; ``living`` is the name's address of the other family."""
    hop = facts.hops.last_hop(address) or None
    router = facts.hops.router_at(address, hop) if hop else None
    sure = hop is not None
    route = facts.link.peek_route(address)
    gateway = gateway_of(route) if route is not None and not hop else None
    beside = facts.path.peek_ping(gateway) if gateway is not None else None
    if route is not None and beside is not None and beside.received:
        hop, router = 1, route.gateway  # it has no words about the target's packets, but it answers for itself
        sure = facts.peek("tcp-path", TcpPathResult, facts.endpoint(address)) is not None  # nobody behind it does
    # What vanishes right before the host may be dropped by the host: over the other family a router behind is seen.
    before = hop is not None and hop < facts.hops.last_hop(living)
    return _Break(hop, router, before, sure and before)


def _lost_on_the_way(facts: Facts, reach: Reach) -> bool:
    """Whether nothing of the host answers, and nobody says that it is the host that is absent or refuses."""
    if facts.machine.is_local(reach.address) or facts.path.alive(reach.address):
        return False
    if reach.reading is Reading.LOCAL:
        return reach.failure in (Failure.HOST_UNREACHABLE, Failure.NETWORK_UNREACHABLE)
    if reach.reading not in (Reading.SILENT, Reading.ICMP):
        return False
    facts.wait_for("traceroute", reach.address)
    ping = facts.get("ping", PingResult, reach.address)
    if facts.path.alive(reach.address):
        return False
    errors = [reach.icmp, *(e.icmp for e in (ping.echoes if ping else ()))]
    # That there is no route is decided at once; that a host is absent a router learns by asking for it.
    late = [
        e.icmp
        for e in (ping.echoes if ping else ())
        if _of_a_host(e.icmp) and (e.rtt_ms or 0.0) >= facts.threshold("neighbour_wait_ms")
    ]
    denied = any(e is not None and e.meaning in (IcmpMeaning.PROHIBITED, IcmpMeaning.PORT_UNREACHABLE) for e in errors)
    waited = _of_a_host(reach.icmp) and reach.heard_ms >= facts.threshold("neighbour_wait_ms")
    return not denied and not late and not waited


def _of_a_host(error: IcmpError | None) -> bool:
    return error is not None and error.meaning is not IcmpMeaning.NETWORK_UNREACHABLE


@rule("some-addresses-dead", asks=(asks.connected.flows,))
def some_addresses_dead(facts: Facts) -> Finding | None:
    """The name has several addresses and only some of them answer."""
    reaches = facts.attempts.reaches()
    if len(reaches) < 2 or not any(r.reading is Reading.CONNECTED for r in reaches):
        return None
    decided = [facts.attempts.decided_reach(r.address) for r in reaches]
    dead = [r for r in decided if r.failed]
    living = [r for r in decided if r.reading is Reading.CONNECTED]
    if not dead or address_family_path_broken(facts) is not None:
        return None
    if facts.names.hosts_override() and all(is_loopback(r.address) for r in decided):
        return None  # localhost, which stands for both families in every hosts file
    return Finding(
        cause="some-addresses-dead",
        confidence="certain",
        step=step_of(facts),
        evidence=tuple(attempt_evidence(facts, r) for r in [*dead[:3], *living[:2]]),
        values=values(
            name=facts.request.target.host,
            found=", ".join(r.address for r in dead),
            expected=", ".join(r.address for r in living),
        ),
        address=dead[0].address,
        # A loopback name stands for both families, and a service listens on one: programs try the other.
        warning=all(is_loopback(r.address) for r in decided),
    )
