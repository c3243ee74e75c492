"""This machine: its network, families, memory, descriptors, and the port that is to be bound."""

from __future__ import annotations

from collections.abc import Iterator

from probes.address import AddressKind, AddressResult
from probes.address_family import AddressFamilyRequest
from probes.base import Status
from probes.bind import BindRequest
from probes.buffers import BuffersRequest
from probes.datagram import DatagramRequest
from probes.descriptors import DescriptorsRequest
from probes.filter_rules import FilterRulesRequest
from probes.interfaces import InterfacesRequest
from probes.network_subsystem import NetworkSubsystemRequest
from probes.process import ProcessRequest
from probes.queues import QueuesRequest
from probes.sockets import SocketsRequest
from probes.statistics import StatisticsRequest
from troubleshoot.asks.model import Job, ask, whole_machine
from troubleshoot.asks.names import what_it_stands_for
from troubleshoot.asks.target import answered_or_quiet
from troubleshoot.facts import BEFORE, Facts, bind_subject, family_of, gateway_of, neighbour_alive
from troubleshoot.facts.ports import port_to_bind
from troubleshoot.facts.program import sockets_subject
from troubleshoot.intake.target import is_unspecified

#: Where a datagram is thrown away, should it ever leave (RFC 863).
_DISCARD = 9

#: How long the queues are watched, seconds: while packets follow each other, and while a neighbour is asked for.
_LOOK_S, _ASKED_S = 0.4, 1.2
#: A listener whose connections wait for so long does not take them up, seconds.
_WATCH_S = 0.4

#: The interfaces and their addresses.
interfaces = whole_machine("interfaces", InterfacesRequest())


@ask("network-subsystem", "interfaces")
def subsystem(facts: Facts) -> Iterator[Job]:
    """The system's own network, loopback first."""
    if "network-subsystem" in facts.request.steps:
        yield Job("network-subsystem", "", NetworkSubsystemRequest())
        yield Job("interfaces", "", InterfacesRequest())


@ask("address-family", "resolve", "hosts-file", "services-file", "address")
def families(facts: Facts) -> Iterator[Job]:
    """Which families and protocols the system offers, and which the target needs."""
    if "address-family" in facts.request.steps:
        yield Job("address-family", "", AddressFamilyRequest(facts.request.pid))
        yield from what_it_stands_for(facts)


@ask("buffers")
def buffers(facts: Facts) -> Iterator[Job]:
    """The memory of sockets."""
    if "buffers" in facts.request.steps:
        yield Job("buffers", "", BuffersRequest(facts.request.pid))


@ask("queues")
def queues(facts: Facts) -> Iterator[Job]:
    """What is lost before it leaves: where buffers are in question, and where nothing answers."""
    focus = facts.attempts.focus
    if "buffers" in facts.request.steps:
        yield Job("queues", "", QueuesRequest())
    elif focus is not None and focus.heard_ms >= facts.threshold("look_around_ms"):
        route = facts.link.peek_route(focus.address)
        if route is None or route.interface is None or facts.machine.is_local(focus.address):
            return
        # The next hop is asked for once a second: its question must fall in between, and it decides late anyway.
        hop = gateway_of(route) or focus.address
        known = (
            neighbour_alive(facts.link.peek_neighbour(hop)) or facts.path.alive(hop) or facts.path.alive(focus.address)
        )
        yield Job("queues", "", QueuesRequest(_LOOK_S if known else _ASKED_S))


@ask("descriptors")
def descriptors(facts: Facts) -> Iterator[Job]:
    """The descriptors of the process and of the system, and the local ports in use."""
    request = facts.request
    if "open-sockets" in request.steps or (request.pid is not None and "api-usage" in request.steps):
        watch_s = 1.0 if "descriptors" in request.about else 0.0
        yield Job("descriptors", "", DescriptorsRequest(request.pid, watch_s, request.target.transport))


@ask("resolve", "hosts-file", "services-file", "address", "sockets", "bind")
def port(facts: Facts) -> Iterator[Job]:
    """Bind the port where the program would; where the address or the family is in question, any port of it."""
    request, target = facts.request, facts.request.target
    foreign = "bind-address" in request.about
    if "port-owner" not in request.steps and not foreign and not request.to_bind:
        return
    yield from what_it_stands_for(facts)
    wanted = port_to_bind(facts)
    if wanted is None:
        return
    own = [
        a
        for a in facts.targets
        if facts.machine.is_local(a) or is_unspecified(a) or (foreign and _could_be_bound(facts, a))
    ]
    if target.host is None:
        own = [everywhere for everywhere in ("0.0.0.0", "::") if request.family in (None, family_of(everywhere))]
    for address in own:
        if wanted:
            yield Job("sockets", str(wanted), SocketsRequest(wanted, target.transport))
        subject = bind_subject(address, wanted)
        yield Job("bind", subject, BindRequest(address, wanted, target.transport, request.pid))


def _could_be_bound(facts: Facts, address: str) -> bool:
    """Whether the address is of a kind that a machine can have (known once its kind is)."""
    result = facts.peek("address", AddressResult, address)
    kinds = (AddressKind.UNICAST, AddressKind.LINK_LOCAL, AddressKind.LOOPBACK)
    return result is not None and result.kind in kinds and not result.zone_missing


@ask("datagram")
def broadcast(facts: Facts) -> Iterator[Job]:
    """Does a datagram to a broadcast address leave? Without SO_BROADCAST the kernel refuses it before it is sent."""
    if "permission" not in facts.request.about:
        return
    for address in facts.targets:
        result = facts.peek("address", AddressResult, address)
        if result is not None and result.kind is AddressKind.BROADCAST:
            port = facts.port or _DISCARD
            yield Job("datagram", f"{address} {port}", DatagramRequest(address, port))


@ask("statistics")
def statistics(facts: Facts) -> Iterator[Job]:
    """The protocol counters before anything is sent; the engine reads them again at the end."""
    if "connect" in facts.request.steps or "statistics" in facts.request.steps:
        yield Job("statistics", BEFORE, StatisticsRequest())


@ask("process")
def process(facts: Facts) -> Iterator[Job]:
    """What sets the failing program apart from this one, where it is given."""
    if facts.request.pid is not None:
        yield Job("process", str(facts.request.pid), ProcessRequest(facts.request.pid))


@ask("filter-rules")
def filter_rules(facts: Facts) -> Iterator[Job]:
    """As root: does the packet filter hold a rule that could stop anything?

    Who may not read them, as root in most containers, is no worse off than an ordinary user, who does not ask.
    """
    told = facts.observation("filter-rules", "")
    if told is not None and told.status is Status.NOT_PERMITTED:
        return
    if facts.request.privileged and facts.request.target.host is not None:
        yield Job("filter-rules", "", FilterRulesRequest())


@ask("sockets")
def listeners(facts: Facts) -> Iterator[Job]:
    """Who listens on the target's port, where it is this machine's.

    After the attempt: a queue that was full then is full now, and a listener that came later is not blamed.
    """
    port, pid = facts.port, facts.request.pid
    if port is not None and pid is not None and facts.program.in_other_network():
        there = SocketsRequest(port, facts.request.target.transport, network_of=pid)
        yield Job("sockets", sockets_subject(pid, port), there)
    for address in facts.targets:
        if port is not None and facts.machine.is_local(address) and answered_or_quiet(facts, address):
            yield Job("sockets", str(port), SocketsRequest(port, facts.request.target.transport, watch_s=_WATCH_S))
