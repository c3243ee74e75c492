"""What each step of the checklist came to, by itself. The verdict weighs them all; a step only states its fact.

Each function here reads :class:`troubleshoot.facts.Facts` and returns a :class:`StepView`. A fact that is still on
its way raises :class:`troubleshoot.facts.NotYet`: the step is running.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from probes.address import AddressKind, AddressResult
from probes.address_family import AddressFamilyResult
from probes.base import Note, note
from probes.bind import BindResult
from probes.buffers import BuffersResult
from probes.descriptors import DescriptorsResult
from probes.failure import Failure
from probes.interfaces import InterfacesResult
from probes.link import LinkResult
from probes.network_subsystem import NetworkSubsystemResult
from probes.path_mtu import PathMtuResult
from probes.ping import PingRequest, PingResult
from probes.proxy import ProxyResult
from probes.resolve import Answer, ServerAnswer
from probes.route import RouteKind
from probes.service import ServiceOutcome
from probes.sockets import SocketsResult
from probes.statistics import StatisticsResult
from troubleshoot import describe, flows, losses
from troubleshoot.facts import SILENCE, Facts, Key, NotYet, Reach, Reading, bind_subject, family_of, plain
from troubleshoot.judge import usage, winsock
from troubleshoot.judge.limits import short_of_memory
from troubleshoot.judge.names import DENIALS
from troubleshoot.judge.ports import (
    CLOSING,
    binds,
    excluded,
    exhausted_towards_target,
    in_the_way,
    in_use,
    outgoing_ports,
    owner_text,
    place,
)
from troubleshoot.losses import Kind
from troubleshoot.plan import AFTER, BEFORE, guess_local_host
from troubleshoot.report import StepStatus

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


@dataclass(frozen=True, slots=True)
class StepView:
    """The step's status, its one line of fact, why it was run or not, and the probes behind it."""

    status: StepStatus
    summary: Note
    why: Note | None = None
    probes: tuple[tuple[str, str], ...] = ()


StepFunction = Callable[[Facts], StepView]

#: Step id → its function. Every step id of the contract has one.
STEPS: dict[str, StepFunction] = {}


def _step(identifier: str) -> Callable[[StepFunction], StepFunction]:
    def register(function: StepFunction) -> StepFunction:
        STEPS[identifier] = function
        return function

    return register


def _unavailable(facts: Facts, key: str, *probes: tuple[str, str]) -> StepView:
    """The step could not be carried out: say why, by the probe's own reason where it gave one."""
    for probe in probes:
        observation = facts.observation(*probe)
        if observation is not None and observation.reason is not None:
            return StepView("unavailable", observation.reason, observation.reason, probes)
        if observation is not None and observation.error is not None:
            broken = note("reason.broken", probe=probe[0], error=observation.error)
            return StepView("unavailable", broken, broken, probes)
    return StepView("unavailable", note(key), note(key), probes)


def _skipped(key: str, **values: object) -> StepView:
    return StepView("skipped", note(key, **values), note(key, **values))


def _host_missing(facts: Facts) -> StepView | None:
    return _skipped("reason.no-host") if facts.request.target.host is None else None


def _address(facts: Facts) -> str | None:
    """The address that the target's steps talk about: the first that fails, else the first."""
    focus = facts.focus
    return focus.address if focus is not None else next(iter(facts.targets), None)


def _no_address(facts: Facts) -> StepView:
    if facts.resolving:
        raise NotYet("resolve")
    return _skipped("reason.no-host" if facts.request.target.host is None else "reason.no-address")


@_step("resolve-name")
def resolve_name(facts: Facts) -> StepView:
    """Does the name lead to an address?"""
    if (missing := _host_missing(facts)) is not None:
        return missing
    host = facts.request.target.host or ""
    key = ("resolve", host)
    if facts.is_literal:
        return _skipped("reason.literal", address=host)
    result = facts.resolve
    if facts.targets and result is not None:
        shown = ", ".join(facts.targets[:3]) + (" …" if len(facts.targets) > 3 else "")
        dead = [s for s in facts.servers if facts.server_responds(s) is False] if not facts.resolving else []
        if dead:
            return StepView(
                "warning", note("fact.resolves-but", name=host, addresses=shown, servers=", ".join(dead)), None, (key,)
            )
        return StepView("passed", note("fact.resolves", name=host, addresses=shown), None, (key,))
    if facts.resolved() is None:
        return _unavailable(facts, "reason.not-run", key)
    summary = _why_unresolved(facts)
    return StepView("failed", summary, None, (key,))


def _why_unresolved(facts: Facts) -> Note:
    host = facts.request.target.host or ""
    answers = [a for s in facts.servers for a in facts.answers_of(s)]
    telling: list[ServerAnswer] = (
        [a for a in answers if a.answer in DENIALS] or [a for a in answers if a.answer not in SILENCE] or answers
    )
    return describe.server_answer(telling[0]) if telling else note("fact.unresolved", name=host)


@_step("hosts-file")
def hosts_file(facts: Facts) -> StepView:
    """What does the hosts file say of the name?"""
    if (missing := _host_missing(facts)) is not None:
        return missing
    host = facts.request.target.host or ""
    key = ("hosts-file", host)
    if facts.is_literal:
        return _skipped("reason.literal", address=host)
    result = facts.hosts_file()
    if result is None or not result.readable:
        return _unavailable(facts, "reason.not-run", key)
    if not result.entries:
        return StepView("passed", note("fact.hosts-none", path=result.path, name=host), None, (key,))
    entry = result.entries[0]
    fact = note("fact.hosts-entry", path=result.path, line=entry.line, address=entry.address, name=host)
    known = {plain(a) for w in (facts.resolve.answers if facts.resolve else ()) for a in w.addresses}
    if known and not known & {plain(e.address) for e in result.entries}:
        differs = note(
            "fact.hosts-differs",
            path=result.path,
            line=entry.line,
            address=entry.address,
            addresses=", ".join(sorted(known)),
        )
        failing = facts.hosts_override() and any(facts.reach(a).failed for a in facts.targets)
        return StepView("failed" if failing else "warning", differs, None, (key,))
    return StepView("passed", fact, None, (key,))


@_step("services-file")
def services_file(facts: Facts) -> StepView:
    """Which port does the services file give the service?"""
    service = facts.request.target.service
    if service is None:
        return _skipped("reason.port-given", port=facts.port) if facts.port is not None else _skipped("reason.no-port")
    key = ("services-file", service)
    if key in facts.running:
        raise NotYet("services-file")
    result = facts.services_file()
    if result is None or not result.readable:
        return _unavailable(facts, "reason.not-run", key)
    if result.resolved_port is None:
        fact = note("fact.services-none", path=result.path, service=service, port=facts.request.service_port)
        return StepView("warning", fact, None, (key,))
    expected = facts.request.service_port
    if expected is not None and expected != result.resolved_port:
        fact = note(
            "fact.services-unusual", path=result.path, service=service, port=result.resolved_port, expected=expected
        )
        failing = any(facts.reach(a).failed for a in facts.usable)
        return StepView("failed" if failing else "warning", fact, None, (key,))
    return StepView(
        "passed",
        note("fact.services-usual", path=result.path, service=service, port=result.resolved_port),
        None,
        (key,),
    )


@_step("check-dns")
def check_dns(facts: Facts) -> StepView:
    """Are name servers configured, and do they answer?"""
    if (missing := _host_missing(facts)) is not None:
        return missing
    key = ("resolve", facts.request.target.host or "")
    if facts.is_literal:
        return _skipped("reason.literal", address=facts.request.target.host)
    result = facts.resolved()
    if result is None or result.configuration is None:
        return _unavailable(facts, "reason.not-run", key)
    if not result.configuration.configured and not any(facts.server_responds(s) for s in facts.servers):
        status: StepStatus = "failed" if not facts.targets else "warning"
        return StepView(status, note("fact.no-nameserver"), None, (key,))
    asked = {s: facts.server_responds(s) for s in facts.servers}
    dead = [s for s, ok in asked.items() if ok is False]
    alive = [s for s, ok in asked.items() if ok]
    if dead and not alive:
        return StepView("failed", note("fact.servers-dead", servers=", ".join(dead)), None, (key,))
    trouble = [a for s in alive for a in facts.answers_of(s) if a.answer not in (Answer.ADDRESSES, *DENIALS, *SILENCE)]
    if dead:
        return StepView(
            "failed", note("fact.servers-partly", dead=", ".join(dead), alive=", ".join(alive)), None, (key,)
        )
    if trouble:
        return StepView("failed", describe.server_answer(trouble[0]), None, (key,))
    return StepView("passed", note("fact.servers-alive", servers=", ".join(alive), count=len(alive)), None, (key,))


@_step("resolve-other-name")
def resolve_other_name(facts: Facts) -> StepView:
    """Do the name servers answer anything else?"""
    if (missing := _host_missing(facts)) is not None:
        return missing
    key = ("resolve", facts.request.target.host or "")
    if facts.is_literal:
        return _skipped("reason.literal", address=facts.request.target.host)
    result = facts.resolved()
    if result is None:
        return _unavailable(facts, "reason.not-run", key)
    control = [a for a in result.answers if a.other_name]
    if not control:
        return _unavailable(facts, "reason.no-control", key)
    answered = [a for a in control if a.answer not in SILENCE]
    if not answered:
        return StepView("failed", describe.server_answer(control[0]), None, (key,))
    first = answered[0]
    fact = note(
        "fact.control",
        server=first.server,
        name=first.name,
        type=first.record_type,
        rcode=first.rcode or first.answer.value.upper(),
    )
    good = first.rcode in ("NOERROR", "NXDOMAIN") and len(answered) == len(control)
    return StepView("passed" if good else "warning", fact, None, (key,))


@_step("address-valid")
def address_valid(facts: Facts) -> StepView:
    """Can the destination address be connected to at all?"""
    if facts.request.target.port == 0 or facts.port == 0:
        return StepView("failed", note("fact.address-never", address=facts.request.target.input, kind="port 0"))
    address = next(iter(facts.targets), None)
    if address is None:
        return _no_address(facts)
    key = ("address", address)
    result = facts.get("address", AddressResult, address)
    if result is None:
        return _unavailable(facts, "reason.not-run", key)
    if result.zone_missing:
        fact = note("fact.address-never", address=address, kind="link-local without %interface")
        return StepView("failed", fact, None, (key,))
    if result.kind.value in ("unspecified", "broadcast", "multicast", "subnet-network"):
        # Bound everywhere a port can be in use or forbidden; an address that is "not available" was connected to.
        binding = facts.request.code in ("WSAEADDRINUSE", "WSAEACCES") and result.kind is AddressKind.UNSPECIFIED
        fact = note("fact.address-never", address=address, kind=result.kind.value)
        if facts.request.code == "WSAEACCES" and result.kind is AddressKind.BROADCAST:
            fact = note("fact.address-broadcast", address=address)
        if binding:
            fact = note("fact.address-everywhere", address=address)
        return StepView("passed" if binding else "failed", fact, None, (key,))
    if result.local:
        return StepView("passed", note("fact.address-own", address=address), None, (key,))
    if facts.request.code == "WSAEADDRNOTAVAIL":
        near = ", ".join(result.near[:3]) or "-"
        return StepView("warning", note("fact.address-foreign", address=address, near=near), None, (key,))
    return StepView("passed", note("fact.address-usable", address=address, kind=result.kind.value), None, (key,))


@_step("interface")
def interface(facts: Facts) -> StepView:
    """Is the interface that carries the traffic up, with carrier and address?"""
    result = facts.get("interfaces", InterfacesResult)
    if result is None:
        return _unavailable(facts, "reason.not-run", ("interfaces", ""))
    keys: tuple[tuple[str, str], ...] = (("interfaces", ""),)
    address = next(iter(facts.destinations), None)
    if address is None and facts.resolving:
        raise NotYet("resolve")
    route = facts.route(address) if address is not None else None
    if route is not None:
        keys = (*keys, ("route", address or ""))
    used = next((i for i in result.interfaces if route is not None and i.name == route.interface), None)
    if used is None:
        real = [i for i in result.interfaces if not i.loopback]
        fit = [i for i in real if i.up and i.carrier is not False and i.addresses]
        if fit:
            return StepView("passed", describe.interface(fit[0]), None, keys)
        if real:
            return StepView("failed", describe.interface(real[0]), None, keys)
        return StepView(
            "failed" if not facts.is_local(address or "") else "warning", note("fact.no-interface"), None, keys
        )
    bad = not used.up or used.carrier is False
    errors = (used.rx_errors or 0) + (used.tx_errors or 0)
    if not bad and errors:
        return StepView("warning", note("fact.interface-errors", interface=used.name, errors=errors), None, keys)
    return StepView("failed" if bad else "passed", describe.interface(used), None, keys)


@_step("router-configured")
def router_configured(facts: Facts) -> StepView:
    """Is there a route to the target, and which router does it use?"""
    address = _address(facts) or next(iter(facts.destinations), None)
    if address is None:
        return _no_address(facts)
    route = facts.route(address)
    key = ("route", address)
    if route is None:
        return _unavailable(facts, "reason.not-run", key)
    bad = route.kind in (RouteKind.NONE, RouteKind.PROHIBIT, RouteKind.BLACKHOLE, RouteKind.UNREACHABLE)
    return StepView("failed" if bad else "passed", describe.route(route), None, (key,))


@_step("subnet-mask")
def subnet_mask(facts: Facts) -> StepView:
    """Do the mask, the router and the target fit together?"""
    address = _address(facts)
    if address is None:
        return _no_address(facts)
    route = facts.route(address)
    if route is None:
        return _unavailable(facts, "reason.not-run", ("route", address))
    keys: tuple[tuple[str, str], ...] = (("route", address), ("interfaces", ""))
    if route.kind is RouteKind.LOCAL:
        return _skipped("reason.own-address")
    link = facts.get("link", LinkResult, address)
    if link is not None:
        keys = (*keys, ("link", address))
        wrong = (route.on_link and link.mac is None and bool(link.via_router)) or (
            not route.on_link and link.mac is not None
        )
        return StepView("failed" if wrong else "passed", describe.link(link), None, keys)
    if route.gateway is not None and route.gateway_on_link is False:
        return StepView("warning", note("fact.router-outside", router=route.gateway), None, keys)
    own = next(
        (
            f"{a.address}/{a.prefix}"
            for i in facts.interfaces()
            for a in i.addresses
            if route.source and plain(a.address) == plain(route.source)
        ),
        "?",
    )
    key = "fact.mask-on-link" if route.on_link else "fact.mask-remote"
    if facts.mask_doubtful(address) and facts.reach(address).failed:
        needs_root = note("reason.mask-needs-root")
        return StepView("warning", note("fact.mask-doubtful", address=address, own=own), needs_root, keys)
    if route.kind is RouteKind.NONE:
        return StepView("warning", describe.route(route), None, keys)
    return StepView("passed", note(key, address=address, own=own), None, keys)


def _ping_step(facts: Facts, address: str, *, silent: StepStatus = "failed") -> StepView:
    key = ("ping", address)
    result = facts.ping(address)
    if result is None:
        return _unavailable(facts, "reason.not-run", key)
    neighbour = facts.peek_neighbour(address)
    keys = (key, ("neighbours", address)) if neighbour is not None else (key,)
    if not result.received and facts.neighbour_alive(neighbour) and neighbour is not None:
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


@_step("ping-local-host")
def ping_local_host(facts: Facts) -> StepView:
    """Does another host on the local network answer?"""
    given = facts.request.local_host
    if given is None and not facts.destinations and facts.resolving:
        raise NotYet("resolve")
    if given is None and ("neighbours", "") in facts.running:
        raise NotYet("neighbours")
    address = given or guess_local_host(facts)
    if address is None:
        return StepView(
            "unavailable", note("reason.no-local-host"), note("reason.no-local-host"), (("neighbours", ""),)
        )
    # A neighbour that was only guessed may rightly keep silent.
    return _ping_step(facts, address, silent="failed" if given else "warning")


@_step("ping-router")
def ping_router(facts: Facts) -> StepView:
    """Does the router answer?"""
    if not facts.destinations and facts.resolving:
        raise NotYet("resolve")
    if not facts.destinations and facts.request.router is None:
        return _no_address(facts)
    for address in facts.destinations[:1]:
        facts.route(address)
    router = next(iter(facts.routers), None)
    if router is None:
        first = next(iter(facts.destinations), None)
        if first is not None and facts.is_local(first):
            return _skipped("reason.own-address")
        if first is not None and facts.unseen("route", first):
            return _unavailable(facts, "reason.not-run", ("route", first))
        return StepView("unavailable", note("reason.no-router"), note("reason.no-router"))
    neighbour = facts.peek_neighbour(router)
    if facts.neighbour_dead(neighbour) and neighbour is not None:
        return StepView("failed", describe.neighbour(neighbour), None, (("neighbours", router), ("ping", router)))
    view = _ping_step(facts, router)
    if view.status == "failed" and any(facts.last_hop(a) or facts.alive(a) for a in facts.targets):
        return StepView("warning", view.summary, note("reason.router-forwards"), view.probes)
    return view


def _no_router_between(facts: Facts) -> StepView | None:
    """The skipped step where no router stands between this machine and the target, else ``None``."""
    address = _address(facts)
    if address is None:
        return _no_address(facts)
    route = facts.route(address)
    if facts.is_local(address):
        return _skipped("reason.own-address")
    return _skipped("reason.on-link") if route is None or route.gateway is None else None


@_step("ping-beyond-router")
def ping_beyond_router(facts: Facts) -> StepView:
    """Does something on the other side of the router answer?"""
    near = _no_router_between(facts)
    address = _address(facts)
    if near is not None or address is None:
        return near or _no_address(facts)
    beyond = facts.router_at_by_trace(address, 2)
    if beyond is None:
        facts.trace(address)
        if facts.alive(address):
            return _ping_step(facts, address, silent="warning")
        nothing = note("reason.nothing-beyond")
        return StepView("unavailable", nothing, nothing, (("traceroute", address),))
    view = _ping_step(facts, beyond, silent="warning")
    ping = facts.peek_ping(beyond)
    if view.status == "warning" and (ping is None or not ping.received):
        # It answered "time exceeded" to traceroute, so the way there works.
        return StepView("passed", note("fact.beyond-by-trace", address=beyond), None, view.probes)
    return view


@_step("ping-remote")
def ping_remote(facts: Facts) -> StepView:
    """Does the target answer?"""
    address = _address(facts)
    if address is None:
        return _no_address(facts)
    key = ("ping", address)
    if key not in facts.running and facts.peek_ping(address) is None:
        route = facts.peek_route(address)
        if route is not None and route.kind not in (RouteKind.UNICAST, RouteKind.LOCAL):
            return _skipped("reason.no-way", address=address)
        result = facts.peek("address", AddressResult, address)
        if result is not None and facts.observation(*key) is None:
            return _skipped("reason.not-to-be-tried")
    view = _ping_step(facts, address)
    if view.status == "failed" and facts.reach(address).reading is Reading.CONNECTED:
        return StepView("warning", view.summary, note("reason.ping-filtered"), view.probes)
    return _losing(facts, address, (Kind.ECHO,), view.probes) or view


def _losing(facts: Facts, address: str, kinds: tuple[Kind, ...], keys: tuple[Key, ...]) -> StepView | None:
    """What the series say that look for a loss, where they met one; echoes are where a loss shows first."""
    weight = losses.weight(facts, address)
    told = losses.told(facts, address)
    lost = [sample for kind in kinds if (sample := told.of(kind)).lost]
    if not lost or lost[0].sent <= PingRequest(address).count:
        return None
    first = Kind.ECHO in kinds or not told.of(Kind.ECHO).lost
    status: StepStatus = "failed" if weight in ("certain", "likely") and first else "warning"
    series = tuple((one.probe, one.subject) for one in losses.series(facts, address))
    probe = "ping" if Kind.ECHO in kinds else "tcp-loss"
    own = tuple(key for key in series if key[0] == probe)
    why = note("reason.echoes-limited") if lost[0] in told.limited and Kind.ECHO in kinds else None
    return StepView(status, describe.loss(lost[0], address, facts.port), why, (*keys, *own))


@_step("ping-remote-subnet")
def ping_remote_subnet(facts: Facts) -> StepView:
    """Does another host of the target's network answer?"""
    near = _no_router_between(facts)
    address = _address(facts)
    if near is not None or address is None:
        return near or _no_address(facts)
    if facts.request.remote_neighbour is not None:
        return _ping_step(facts, facts.request.remote_neighbour)
    alive = facts.remote_neighbour_alive(address)
    keys = tuple(("ping", n) for n in facts.remote_neighbours(address))
    if alive is not None:
        return StepView("passed", describe.ping(alive), note("reason.neighbour-guessed"), keys)
    if not any(facts.observation(*k) for k in keys):
        return StepView("unavailable", note("reason.no-neighbour"), note("reason.no-neighbour"))
    return StepView("unavailable", note("reason.neighbour-silent"), note("reason.no-neighbour"), keys)


@_step("traceroute")
def traceroute(facts: Facts) -> StepView:
    """Where does the path go, and where does it end?"""
    address = _address(facts)
    if address is None:
        return _no_address(facts)
    if facts.is_local(address):
        return _skipped("reason.own-address")
    key = ("traceroute", address)
    result = facts.peek_trace(address)
    if result is None or result.reached_ttl is None:
        result = facts.trace(address)
    if result is None:
        route = facts.peek_route(address)
        if facts.observation(*key) is None and route is not None and route.kind is not RouteKind.UNICAST:
            return _skipped("reason.no-way", address=address)
        return _unavailable(facts, "reason.not-run", key)
    keys = (
        key,
        *(
            (("tcp-path", f"{address} {facts.port}"),)
            if facts.observation("tcp-path", f"{address} {facts.port}")
            else ()
        ),
    )
    several = flows.differ(facts, address)
    if result.reached_ttl is not None:
        fact = describe.trace(result)
        if several:
            fact = describe.trace_of_several(result, several)
        return StepView("passed", fact, None, keys)
    connected = facts.reach(address).reading is Reading.CONNECTED or facts.alive(address)
    return StepView("warning" if connected else "failed", describe.trace(result), None, keys)


@_step("connect")
def connect(facts: Facts) -> StepView:
    """Does the port answer?"""
    if facts.request.target.host is None:
        return _skipped("reason.no-host")
    if facts.request.target.port == 0:
        return _skipped("reason.not-to-be-tried")
    if not facts.targets:
        return _no_address(facts)
    if facts.port is None:
        if facts.request.target.service and ("services-file", facts.request.target.service) in facts.running:
            raise NotYet("services-file")
        return _skipped("reason.no-port")
    transport = facts.request.target.transport
    probe = "datagram" if transport == "udp" else "connect"
    reaches = facts.reaches()
    keys = (*((probe, f"{r.address} {facts.port}") for r in reaches), ("proxy", ""))
    why = _proxy(facts)
    if any(r.reading is Reading.UNDECIDED for r in reaches):
        raise NotYet("connect")
    failed = [r for r in reaches if r.failed]
    good = [r for r in reaches if r.reading is Reading.CONNECTED]
    if not failed and not good:
        refused = [key for key in keys if (record := facts.observation(*key)) is not None and record.result is None]
        if refused:
            return _unavailable(facts, "reason.not-run", *refused)
        binding = facts.request.code == "WSAEADDRINUSE"
        return _skipped("reason.binding" if binding else "reason.not-to-be-tried")
    if failed:
        status: StepStatus = "warning" if good and all(facts.is_loopback(r.address) for r in reaches) else "failed"
        if transport == "udp" and failed[0].reading is Reading.SILENT:
            status = "warning"
        return StepView(status, describe.reach(failed[0], facts.port, transport), why, keys)
    for reach in good:
        if (split := flows.split(facts, reach.address)) is not None:
            keys = (*keys, ("flows", f"{reach.address} {facts.port}"))
            return StepView("failed" if split.proven else "warning", describe.split(split), why, keys)
    view = None
    if transport == "tcp":
        view = _once_connected(facts, good, keys)
        view = view or _losing(facts, good[0].address, (Kind.SYN, Kind.FIN), keys)
    return view or StepView("passed", describe.reach(good[0], facts.port, transport), why, keys)


def _once_connected(facts: Facts, good: list[Reach], keys: tuple[Key, ...]) -> StepView | None:
    """What became of the connections, where the service ended them or kept silent."""
    for reach in good:
        result = facts.peek_service(reach.address)
        if result is None or not result.complete:
            continue
        greets = facts.request.speaks_first or facts.request.tls
        bad = {ServiceOutcome.RESETS, ServiceOutcome.CLOSES, ServiceOutcome.TLS_ALERT}
        if result.outcome in bad or (greets and result.outcome is ServiceOutcome.SILENT):
            status: StepStatus = "failed" if greets or facts.established else "warning"
            key = ("service", facts.service_key(reach.address))
            return StepView(status, describe.service(result), None, (*keys, key))
    return None


def _proxy(facts: Facts) -> Note | None:
    """Say that a proxy is set: a program that uses it takes another way than the connection tried here."""
    found = facts.peek("proxy", ProxyResult)
    if found is None or not found.settings or found.bypassed:
        return None
    return note("reason.proxy-set", variables=", ".join(s.variable for s in found.settings))


@_step("statistics")
def statistics(facts: Facts) -> StepView:
    """Which counters of resets, ICMP errors and retransmissions moved while the checks ran?"""
    before = facts.get("statistics", StatisticsResult, BEFORE)
    after = facts.get("statistics", StatisticsResult, AFTER)
    keys = (("statistics", BEFORE), ("statistics", AFTER))
    if before is None:
        return _unavailable(facts, "reason.not-run", *keys)
    if after is None:
        raise NotYet("statistics")
    start = {c.name: c.value for c in before.counters}
    moved = [(c.name, c.value - start.get(c.name, 0)) for c in after.counters if c.name in TELLING_COUNTERS]
    grown = [f"{name} +{delta}" for name, delta in moved if delta > 0]
    if not grown:
        return StepView("passed", note("fact.counters-still"), None, keys)
    return StepView(
        "passed", note("fact.counters", counters=", ".join(grown)), note("reason.counters-whole-machine"), keys
    )


@_step("listeners")
def listeners(facts: Facts) -> StepView:
    """Does a program listen on the port?"""
    if facts.port is None:
        return _skipped("reason.no-port")
    address = _address(facts)
    if address is None and facts.request.target.host is not None:
        return _no_address(facts)
    if address is not None:
        facts.get("address", AddressResult, address)
        if not facts.is_local(address):
            return StepView(
                "unavailable", note("reason.far-listeners", host=facts.request.target.host), note("reason.far-host")
            )
    key = ("sockets", str(facts.port))
    result = facts.get("sockets", SocketsResult, str(facts.port))
    if result is None:
        return _unavailable(facts, "reason.not-run", key)
    listening = [e for e in result.entries if e.state == "listen" or result.transport == "udp"]
    if not listening:
        return StepView("failed", note("fact.not-listening", port=facts.port), None, (key,))
    full = facts.full_queue(facts.port)
    if full is not None:
        fact = note("fact.queue-full", port=facts.port, queue=full.queue, limit=full.queue_limit)
        return StepView("failed", fact, None, (key,))
    first = listening[0]
    where = place(first)
    refused = address is not None and facts.reach(address).failed
    fact = note("fact.listening", where=where, process=owner_text(first))
    return StepView("warning" if refused else "passed", fact, None, (key,))


@_step("port-owner")
def port_owner(facts: Facts) -> StepView:
    """Who holds the local port, and can it be bound?"""
    trials = binds(facts)
    if facts.port is None:
        return _skipped("reason.no-port")
    keys = (*(("bind", bind_subject(t.address, t.port)) for t in trials), ("sockets", str(facts.port)))
    facts.get("sockets", SocketsResult, str(facts.port))
    if not trials:
        if facts.has_name and not facts.targets and facts.resolving:
            raise NotYet("resolve")
        if facts.targets and not any(facts.is_local(a) for a in facts.targets):
            return _skipped("reason.not-own-address", address=facts.targets[0])
        tried = next((("bind", o.subject) for o in facts.of("bind")), ("bind", str(facts.port)))
        return _unavailable(facts, "reason.not-run", tried)
    failed = [t for t in trials if t.attempts[0].failure is not None]
    if not failed:
        return _bindable(facts, trials[0], keys)
    taken = in_use(facts, trials)
    denied = failed[0].attempts[0].failure in _DENIALS
    if not taken or (denied and not in_the_way(facts, taken)):
        first = failed[0]
        if taken and first.unprivileged_start is not None:
            # The program that met the code was allowed to bind; nothing holds the port, which is all that is seen.
            fact = note("fact.port-privileged", port=first.port, start=first.unprivileged_start)
            return StepView("unavailable", fact, note("reason.needs-bind-right"), keys)
        # A family that this machine lacks cannot be bound, and does not keep the other from it.
        lacking = len(failed) < len(trials) and first.attempts[0].failure not in _DENIALS
        if lacking:
            free = next(t for t in trials if t.attempts[0].failure is None)
            return _bindable(facts, free, keys)
        if first.excluded is not None and first.excluded.ranges is not None:
            return StepView("failed", excluded(first), None, keys)
        errno = first.attempts[0].errno or "?"
        why = first.excluded.reason if first.excluded is not None else None
        return StepView("failed", note("fact.bind-failed", port=first.port, errno=errno), why, keys)
    entries = in_the_way(facts, taken)
    if not entries:
        return StepView("failed", note("fact.holder-unseen", port=facts.port), None, keys)
    first_held = next((e for e in entries if e.state == "listen"), entries[0])
    fact = note(
        "fact.port-held",
        where=place(first_held),
        state=first_held.state,
        process=owner_text(first_held),
    )
    if all(e.state in CLOSING for e in entries):
        left = max((e.time_left_s or 0.0 for e in entries), default=0.0)
        fact = note("fact.port-closing", port=facts.port, count=len(entries), seconds=f"{left:.0f}")
    why = note("reason.owner-hidden") if any(e.owner_hidden for e in entries) else None
    return StepView("failed", fact, why, keys)


_DENIALS = (Failure.ACCESS_DENIED, Failure.NOT_PERMITTED)


def _bindable(facts: Facts, trial: BindResult, keys: tuple[tuple[str, str], ...]) -> StepView:
    """The port can be bound; where that takes a privilege which the failing program may lack, it is odd."""
    start = trial.unprivileged_start
    if facts.request.code == "WSAEACCES" and start is not None and trial.port < start:
        status: StepStatus = "passed" if trial.process_may_bind_low else "warning"
        return StepView(status, note("fact.port-privileged", port=trial.port, start=start), None, keys)
    return StepView("passed", note("fact.bind-works", address=trial.address, port=trial.port), None, keys)


@_step("open-sockets")
def open_sockets(facts: Facts) -> StepView:
    """How close are processes to their descriptor limit, and connections to the port range?"""
    key = ("descriptors", "")
    result = facts.get("descriptors", DescriptorsResult)
    if result is None:
        return _unavailable(facts, "reason.not-run", key)
    count = result.hidden - (1 if result.pid is not None and result.sockets is None else 0)
    why = note("reason.processes-hidden", count=count) if count > 0 else None
    if result.unlisted:
        why = note("reason.processes-unlisted")
    share = facts.threshold("descriptor_share")
    if facts.request.pid is not None and result.pid is not None and result.sockets is None:
        why = note("fact.sockets-hidden", process=describe.process(result.name, result.pid))
    ephemeral = result.ephemeral_range
    towards = exhausted_towards_target(facts)
    if ephemeral is not None and facts.request.code != "WSAEMFILE":
        total = outgoing_ports(result)
        used = towards or result.ephemeral_used or 0
        if used >= total * facts.threshold("ephemeral_share"):
            fact = note("fact.ephemeral", used=used, total=total, low=ephemeral[0], high=ephemeral[1])
            return StepView("failed", fact, why, (key,))
    if result.open_at_start is None or result.limit is None:
        fact = note("fact.descriptors-system", used=result.system_used, limit=result.system_limit)
        return StepView("warning" if why is not None else "passed", fact, why, (key,))
    used = max(result.open_at_start, result.open_at_end or 0)
    fact = note("fact.descriptors", process=describe.process(result.name, result.pid), used=used, limit=result.limit)
    system = result.system_used >= result.system_limit * share
    if system:
        fact = note("fact.descriptors-system", used=result.system_used, limit=result.system_limit)
    full = used >= result.limit * share or system
    unseen = result.sockets is None if facts.request.pid is not None else why is not None
    status: StepStatus = "failed" if full else "warning" if unseen else "passed"
    return StepView(status, fact, why, (key,))


@_step("buffers")
def buffers(facts: Facts) -> StepView:
    """Is socket memory or system memory running out?"""
    key = ("buffers", "")
    result = facts.get("buffers", BuffersResult)
    if result is None:
        return _unavailable(facts, "reason.not-run", key)
    short = short_of_memory(facts, result)
    if short:
        return StepView("failed", short[0][1], None, (key,))
    fact = note("fact.buffers-memory", available=result.memory_available >> 20, total=result.memory_total >> 20)
    if result.tcp_limits is None:
        # The pools are the whole machine's; what is left of them is not known here, so that it is not called fine.
        return StepView("warning", fact, note("reason.limits-hidden"), (key,))
    return StepView("passed", fact, None, (key,))


@_step("path-mtu")
def path_mtu(facts: Facts) -> StepView:
    """What is the largest packet that the path carries?"""
    address = _address(facts)
    if address is None:
        return _no_address(facts)
    key = ("path-mtu", address)
    result = facts.get("path-mtu", PathMtuResult, address)
    if result is None:
        return _unavailable(facts, "reason.not-run", key)
    if result.black_hole:
        return StepView("failed", note("fact.mtu-blackhole", address=address, mtu=result.mtu), None, (key,))
    if result.mtu is None:
        return StepView("unavailable", note("reason.mtu-silent"), note("reason.mtu-silent"), (key,))
    fact = note("fact.mtu", address=address, mtu=result.mtu, payload=result.largest_udp_payload or "?")
    return StepView("passed", fact, None, (key,))


@_step("address-family")
def address_family(facts: Facts) -> StepView:
    """Does the stack offer the families, types and protocols that programs ask for?"""
    key = ("address-family", "")
    result = facts.get("address-family", AddressFamilyResult)
    if result is None:
        return _unavailable(facts, "reason.not-run", key)
    refused_6 = any(
        c.errno is not None and c.family == "AF_INET6" and c.protocol == "IPPROTO_TCP" for c in result.combinations
    )
    if result.ipv6_disabled or refused_6:
        asked = {family_of(a) for a in facts.targets} == {6} or facts.request.family == 6
        status: StepStatus = "failed" if asked else "warning"
        return StepView(status, note("fact.family-missing", family="IPv6"), None, (key,))
    refused_4 = any(
        c.errno is not None and c.family == "AF_INET" and c.protocol == "IPPROTO_TCP" for c in result.combinations
    )
    if refused_4:
        return StepView("failed", note("fact.family-missing", family="IPv4"), None, (key,))
    works = sum(1 for c in result.combinations if c.errno is None)
    return StepView("passed", note("fact.families", works=works, tried=len(result.combinations)), None, (key,))


@_step("network-subsystem")
def network_subsystem(facts: Facts) -> StepView:
    """Does the stack itself work, over loopback?"""
    key = ("network-subsystem", "")
    result = facts.get("network-subsystem", NetworkSubsystemResult)
    if result is None:
        return _unavailable(facts, "reason.not-run", key)
    dead = [e for e in result.exchanges if e.errno is not None]
    if result.loopback_up is False:
        return StepView("failed", note("fact.loopback-down"), None, (key,))
    library = result.winsock
    wrong = library and (winsock.refused(library) or winsock.broken(library))
    if wrong:
        return StepView("failed", wrong, None, (key,))
    if dead and all(e.errno is not None for e in result.exchanges if e.family == 4):
        return StepView("failed", note("fact.loopback-dead", errno=dead[0].errno), None, (key,))
    if not result.counters:
        return StepView("warning", note("fact.no-counters"), None, (key,))
    if any(e.family == 4 for e in dead):
        errno = next(e.errno for e in dead if e.family == 4)
        transport = next(e.transport for e in dead if e.family == 4)
        return StepView("warning", note("fact.loopback-partly", transport=transport, errno=errno), None, (key,))
    if dead:
        return StepView("warning", note("fact.family-missing", family="IPv6"), None, (key,))
    if library is not None:
        odd = winsock.foreign(library) or winsock.layers(library)
        return StepView("warning" if odd else "passed", odd or winsock.summary(library), None, (key,))
    return StepView("passed", note("fact.loopback-works", count=len(result.exchanges)), None, (key,))


@_step("api-usage")
def api_usage(facts: Facts) -> StepView:
    """How did the program call the socket API?

    With ``--pid`` the state of its sockets tells; without, only its source, or a trace of its calls.
    """
    misuse = facts.request.kind == "api-misuse"
    look = note("reason.look-at-calls")
    if facts.request.kind == "no-network-meaning":
        return StepView("failed", note("fact.code-without-meaning", code=facts.request.code), look)
    if facts.request.pid is not None:
        key = ("descriptors", "")
        result = facts.get("descriptors", DescriptorsResult)
        if result is None:
            return _unavailable(facts, "reason.not-run", key)
        if result.sockets is None:
            hidden = note("reason.process-hidden", pid=facts.request.pid)
            return StepView("unavailable", hidden, hidden, (key,))
        fits = misuse or bool(usage.fitting(facts, result))
        return StepView(
            "failed" if misuse else "warning" if fits else "passed", usage.summary(facts, result), look, (key,)
        )
    if misuse:
        return StepView("failed", note("fact.code-from-calls", code=facts.request.code), look)
    return StepView("unavailable", look, look)
