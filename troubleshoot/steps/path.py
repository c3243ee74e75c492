"""The steps that send packets to the target and what lies around it."""

from __future__ import annotations

from probes.address import AddressResult
from probes.base import Note, note
from probes.path_mtu import PathMtuResult
from probes.ping import PingRequest, PingResult
from probes.proxy import ProxyResult
from probes.route import RouteKind
from probes.statistics import StatisticsResult
from probes.transfer import TransferResult, Trial
from troubleshoot import asks
from troubleshoot.facts import (
    AFTER,
    BEFORE,
    Facts,
    Key,
    NotYet,
    Reach,
    Reading,
    describe,
    flows,
    is_loopback,
    loss_series,
    losses,
    neighbour_alive,
    neighbour_dead,
    rungs,
    trials,
)
from troubleshoot.facts.losses import Kind
from troubleshoot.facts.rungs import Ending, Rung
from troubleshoot.facts.transfers import Contrast, contrast, moved
from troubleshoot.report import StepStatus
from troubleshoot.steps.model import StepView, address_in_question, no_address, skipped, step, unavailable

#: Counters whose growth during the run says something about refusals and losses.
TELLING_COUNTERS = (
    "Tcp.AttemptFails",
    "Tcp.EstabResets",
    "Tcp.RetransSegs",
    "Icmp.InDestUnreachs",
    "Icmp6.InDestUnreachs",
    "Icmp.InTimeExcds",
    "Icmp6.InTimeExcds",
    "Udp.NoPorts",
    "TcpExt.ListenOverflows",
)


def _ping_step(facts: Facts, address: str, *, silent: StepStatus = "failed") -> StepView:
    key = ("ping", address)
    result = facts.path.ping(address)
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    neighbour = facts.link.peek_neighbour(address)
    keys = (key, ("neighbours", address)) if neighbour is not None else (key,)
    if not result.received and neighbour_alive(neighbour) and neighbour is not None:
        return StepView("warning", note("fact.ping-link-only", address=address, mac=neighbour.mac or "?"), None, keys)
    status: StepStatus = "passed" if result.received else silent
    if result.received and result.received < result.sent and not _still_sending(facts, key, result):
        status = "warning"
    if not result.received and result.method.value == "udp" and not any(e.icmp or e.failure for e in result.echoes):
        why = note("reason.ping-needs-privilege")
        return StepView("warning" if silent == "failed" else silent, describe.ping(result), why, keys)
    return StepView(status, describe.ping(result), None, keys)


def _still_sending(facts: Facts, key: tuple[str, str], result: PingResult) -> bool:
    observation = facts.observation(*key)
    cut = observation is None or observation.status.value == "cut-short"
    return key in facts.running or (cut and result.received > 0)


@step("ping-local-host", asks=(asks.around.local_host,))
def ping_local_host(facts: Facts) -> StepView:
    """Does another host on the local network answer?"""
    given = facts.request.local_host
    if given is None and not facts.names.destinations and facts.names.resolving:
        raise NotYet("resolve")
    if given is None and ("neighbours", "") in facts.running:
        raise NotYet("neighbours")
    address = given or facts.link.guess_local_host()
    if address is None:
        return StepView(
            "unavailable", note("reason.no-local-host"), note("reason.no-local-host"), (("neighbours", ""),)
        )
    # A neighbour that was only guessed may rightly keep silent.
    return _ping_step(facts, address, silent="failed" if given else "warning")


@step("ping-router", asks=(asks.around.routers,))
def ping_router(facts: Facts) -> StepView:
    """Does the router answer?"""
    if not facts.names.destinations and facts.names.resolving:
        raise NotYet("resolve")
    if not facts.names.destinations and facts.request.router is None:
        return no_address(facts)
    for address in facts.names.destinations[:1]:
        facts.wait_for("route", address)
    router = next(iter(facts.link.routers), None)
    if router is None:
        first = next(iter(facts.names.destinations), None)
        if first is not None and facts.machine.is_local(first):
            return skipped("reason.own-address")
        if first is not None and facts.unseen("route", first):
            return unavailable(facts, "reason.not-run", ("route", first))
        return StepView("unavailable", note("reason.no-router"), note("reason.no-router"))
    neighbour = facts.link.peek_neighbour(router)
    if neighbour_dead(neighbour) and neighbour is not None:
        return StepView("failed", describe.neighbour(neighbour), None, (("neighbours", router), ("ping", router)))
    view = _ping_step(facts, router)
    if view.status == "failed" and any(facts.hops.last_hop(a) or facts.path.alive(a) for a in facts.targets):
        return StepView("warning", view.summary, note("reason.router-forwards"), view.probes)
    return view


def _no_router_between(facts: Facts) -> StepView | None:
    """The skipped step where no router stands between this machine and the target, else ``None``."""
    address = address_in_question(facts)
    if address is None:
        return no_address(facts)
    route = facts.link.route(address)
    if facts.machine.is_local(address):
        return skipped("reason.own-address")
    return skipped("reason.on-link") if route is None or route.gateway is None else None


@step("ping-beyond-router", asks=(asks.around.beyond_router,))
def ping_beyond_router(facts: Facts) -> StepView:
    """Does something on the other side of the router answer?"""
    near = _no_router_between(facts)
    address = address_in_question(facts)
    if near is not None or address is None:
        return near or no_address(facts)
    beyond = facts.hops.router_at_by_trace(address, 2)
    if beyond is None:
        facts.wait_for("traceroute", address)
        if facts.path.alive(address):
            return _ping_step(facts, address, silent="warning")
        nothing = note("reason.nothing-beyond")
        return StepView("unavailable", nothing, nothing, (("traceroute", address),))
    view = _ping_step(facts, beyond, silent="warning")
    ping = facts.path.peek_ping(beyond)
    if view.status == "warning" and (ping is None or not ping.received):
        # It answered "time exceeded" to traceroute, so the way there works.
        return StepView("passed", note("fact.beyond-by-trace", address=beyond), None, view.probes)
    return view


@step("ping-remote", asks=(asks.connected.losses, asks.connected.flows))
def ping_remote(facts: Facts) -> StepView:
    """Does the target answer?"""
    address = address_in_question(facts)
    if address is None:
        return no_address(facts)
    key = ("ping", address)
    if key not in facts.running and facts.path.peek_ping(address) is None:
        route = facts.link.peek_route(address)
        if route is not None and route.kind not in (RouteKind.UNICAST, RouteKind.LOCAL):
            return skipped("reason.no-way", address=address)
        result = facts.peek("address", AddressResult, address)
        if result is not None and facts.observation(*key) is None:
            return skipped("reason.not-to-be-tried")
    view = _ping_step(facts, address)
    if view.status == "failed" and facts.attempts.reach(address).reading is Reading.CONNECTED:
        return StepView("warning", view.summary, note("reason.ping-filtered"), view.probes)
    return _losing(facts, address, (Kind.ECHO,), view.probes) or view


def _losing(facts: Facts, address: str, kinds: tuple[Kind, ...], keys: tuple[Key, ...]) -> StepView | None:
    """What the series say that look for a loss, where they met one; echoes are where a loss shows first."""
    weight = loss_series.weight(facts, address)
    told = losses.told(facts, address)
    lost = [sample for kind in kinds if (sample := told.of(kind)).lost]
    if not lost or lost[0].sent <= PingRequest(address).count:
        return None
    first = Kind.ECHO in kinds or not told.of(Kind.ECHO).lost
    status: StepStatus = "failed" if weight in ("certain", "likely") and first else "warning"
    series = tuple((one.probe, one.subject) for one in loss_series.series(facts, address))
    probe = "ping" if Kind.ECHO in kinds else "tcp-loss"
    own = tuple(key for key in series if key[0] == probe)
    why = note("reason.echoes-limited") if lost[0] in told.limited and Kind.ECHO in kinds else None
    return StepView(status, describe.loss(lost[0], address, facts.port), why, (*keys, *own))


@step("ping-remote-subnet", asks=(asks.around.subnet,))
def ping_remote_subnet(facts: Facts) -> StepView:
    """Does another host of the target's network answer?"""
    near = _no_router_between(facts)
    address = address_in_question(facts)
    if near is not None or address is None:
        return near or no_address(facts)
    if facts.request.remote_neighbour is not None:
        return _ping_step(facts, facts.request.remote_neighbour)
    alive = facts.path.remote_neighbour_alive(address)
    keys = tuple(("ping", n) for n in facts.path.remote_neighbours(address))
    if alive is not None:
        return StepView("passed", describe.ping(alive), note("reason.neighbour-guessed"), keys)
    if not any(facts.observation(*k) for k in keys):
        return StepView("unavailable", note("reason.no-neighbour"), note("reason.no-neighbour"))
    return StepView("unavailable", note("reason.neighbour-silent"), note("reason.no-neighbour"), keys)


@step("traceroute", asks=(asks.connected.flows,))
def traceroute(facts: Facts) -> StepView:
    """Where does the path go, and where does it end?"""
    address = address_in_question(facts)
    if address is None:
        return no_address(facts)
    if facts.machine.is_local(address):
        return skipped("reason.own-address")
    key = ("traceroute", address)
    result = facts.path.peek_trace(address)
    if result is None or result.reached_ttl is None:
        result = facts.path.trace(address)
    if result is None:
        route = facts.link.peek_route(address)
        if facts.observation(*key) is None and route is not None and route.kind is not RouteKind.UNICAST:
            return skipped("reason.no-way", address=address)
        return unavailable(facts, "reason.not-run", key)
    keys = (
        key,
        *((("tcp-path", facts.endpoint(address)),) if facts.observation("tcp-path", facts.endpoint(address)) else ()),
    )
    several = flows.differ(facts, address)
    if result.reached_ttl is not None:
        fact = describe.trace(result)
        if several:
            fact = describe.trace_of_several(result, several)
        return StepView("passed", fact, None, keys)
    connected = facts.attempts.reach(address).reading is Reading.CONNECTED or facts.path.alive(address)
    return StepView("warning" if connected else "failed", describe.trace(result), None, keys)


@step(
    "connect",
    asks=(
        asks.connected.flows,
        asks.connected.losses,
        asks.connected.service,
        asks.connected.large_packets,
        asks.failed.wire,
    ),
)
def connect(facts: Facts) -> StepView:
    """Does the port answer?"""
    if facts.request.target.host is None:
        return skipped("reason.no-host")
    if facts.request.target.port == 0:
        return skipped("reason.not-to-be-tried")
    if not facts.targets:
        return no_address(facts)
    if facts.port is None:
        if facts.request.target.service and ("services-file", facts.request.target.service) in facts.running:
            raise NotYet("services-file")
        return skipped("reason.no-port")
    transport = facts.request.target.transport
    probe = "datagram" if transport == "udp" else "connect"
    reaches = facts.attempts.reaches()
    keys = (*((probe, facts.endpoint(r.address)) for r in reaches), ("proxy", ""))
    why = _proxy(facts)
    if any(r.reading is Reading.UNDECIDED for r in reaches):
        raise NotYet("connect")
    failed = [r for r in reaches if r.failed]
    good = [r for r in reaches if r.reading is Reading.CONNECTED]
    if not failed and not good:
        refused = [key for key in keys if (record := facts.observation(*key)) is not None and record.result is None]
        if refused:
            return unavailable(facts, "reason.not-run", *refused)
        binding = "bind-port" in facts.request.about
        return skipped("reason.binding" if binding else "reason.not-to-be-tried")
    if failed:
        status: StepStatus = "warning" if good and all(is_loopback(r.address) for r in reaches) else "failed"
        if transport == "udp" and failed[0].reading is Reading.SILENT:
            status = "warning"
        return StepView(status, describe.reach(failed[0], facts.port, transport), why, keys)
    for reach in good:
        if (split := flows.split(facts, reach.address)) is not None:
            keys = (*keys, ("flows", facts.endpoint(reach.address)))
            return StepView("failed" if split.proven else "warning", describe.split(split), why, keys)
        if (limit := trials.limit(facts, reach.address)) is not None:
            return StepView(
                "failed", trials.told(limit, facts.port), why, (*keys, ("flows", facts.endpoint(reach.address)))
            )
    view = None
    if transport == "tcp":
        view = _once_connected(facts, good, keys)
        view = view or _losing(facts, good[0].address, (Kind.SYN, Kind.FIN), keys)
    return view or StepView("passed", describe.reach(good[0], facts.port, transport), why, keys)


def _once_connected(facts: Facts, good: list[Reach], keys: tuple[Key, ...]) -> StepView | None:
    """What became of the connections, where the service ended them, kept silent, said no or spoke something else."""
    for reach in good:
        climbed = [r for r in facts.service.rungs(reach.address) if r.result is not None and r.result.complete]
        bad = next((fact for rung in climbed if (fact := _at_fault(facts, rung)) is not None), None)
        if bad is not None:
            status: StepStatus = "failed" if facts.service.known or facts.service.established else "warning"
            told = tuple(("service", facts.service.subject(reach.address, rung.name)) for rung in climbed)
            return StepView(status, bad, None, (*keys, *told))
    return None


def _at_fault(facts: Facts, rung: Rung) -> Note | None:
    """The fact of a rung on which the service did not do as it should; the others only tell why."""
    expected = rung.name in (facts.service.first, rungs.START) or rung.name.startswith(rungs.AGAIN)
    refused = rung.ending is Ending.NO and rung.means != "login"
    if not expected and not (rung.name == rungs.GET and refused):
        return None
    tls = rung.result.tls if rung.result is not None else None
    if refused or rung.ending is Ending.CUT:
        return describe.rung(rung)
    if facts.service.known and rung.ending in (Ending.SILENT, Ending.ELSE):
        return describe.rung(rung)
    untrusted = tls is not None and tls.verify_error is not None and facts.request.tls
    return note("fact.certificate-told", error=tls.verify_error) if untrusted and tls is not None else None


def _proxy(facts: Facts) -> Note | None:
    """Say that a proxy is set: a program that uses it takes another way than the connection tried here."""
    found = facts.peek("proxy", ProxyResult)
    if found is None or not found.settings or found.bypassed:
        return None
    return note("reason.proxy-set", variables=", ".join(s.variable for s in found.settings))


@step("statistics")
def statistics(facts: Facts) -> StepView:
    """Which counters of resets, ICMP errors and retransmissions moved while the checks ran?"""
    before = facts.get("statistics", StatisticsResult, BEFORE)
    after = facts.get("statistics", StatisticsResult, AFTER)
    keys = (("statistics", BEFORE), ("statistics", AFTER))
    if before is None:
        return unavailable(facts, "reason.not-run", *keys)
    if after is None:
        raise NotYet("statistics")
    tried = [reach for reach in facts.attempts.reaches() if reach.decided] if facts.port is not None else []
    resets = sum(reach.reading is Reading.RESET for reach in tried)
    if resets:  # the counters hold what this run itself brought about, too
        return StepView("passed", note("fact.attempts-reset", count=resets, total=len(tried)), None, keys)
    start = {c.name: c.value for c in before.counters}
    moved = [(c.name, c.value - start.get(c.name, 0)) for c in after.counters if c.name in TELLING_COUNTERS]
    grown = [f"{name} +{delta}" for name, delta in moved if delta > 0]
    if not grown:
        return StepView("passed", note("fact.counters-still"), None, keys)
    return StepView(
        "passed", note("fact.counters", counters=", ".join(grown)), note("reason.counters-whole-machine"), keys
    )


@step("path-mtu", asks=(asks.path.mtu, asks.path.mtu_alone, asks.connected.large_packets))
def path_mtu(facts: Facts) -> StepView:
    """What is the largest packet that the path carries?"""
    address = address_in_question(facts)
    if address is None:
        return no_address(facts)
    key = ("path-mtu", address)
    result = facts.get("path-mtu", PathMtuResult, address)
    transfer = facts.peek("transfer", TransferResult, facts.endpoint(address))
    whole, proven = moved(transfer), contrast(transfer)
    if result is None and "message-size" not in facts.request.about:
        return _by_transfer(facts, address, whole, proven)
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    if result.black_hole:
        # A host may ignore long datagrams for reasons of its own.
        status: StepStatus = "warning" if whole is not None and proven is None else "failed"
        return StepView(status, note("fact.mtu-blackhole", address=address, mtu=result.mtu or "?"), None, (key,))
    if result.mtu is None:
        return StepView("unavailable", note("reason.mtu-silent"), note("reason.mtu-silent"), (key,))
    fact = note("fact.mtu", address=address, mtu=result.mtu, payload=result.largest_udp_payload or "?")
    return StepView("passed", fact, None, (key,))


def _by_transfer(facts: Facts, address: str, whole: Trial | None, proven: Contrast | None) -> StepView:
    """What a real exchange says of packet sizes, where no size was tried by itself."""
    keys = (("transfer", facts.endpoint(address)),)
    if proven is not None:
        short = proven.short
        fact = note("fact.transfer-works", size=proven.works, sent=short.said, received=short.received)
        return StepView("failed", fact, None, keys)
    if whole is not None:
        where = describe.endpoint(address, facts.port)
        fact = note("fact.transfer-moved", where=where, sent=whole.said, received=whole.received)
        return StepView("passed", fact, None, keys)
    return skipped("reason.mtu-not-asked")
