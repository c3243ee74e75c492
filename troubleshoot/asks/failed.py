"""What only makes sense to ask once an attempt has failed, or has been silent for a while."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from msgspec.structs import replace

from probes.address_family import AddressFamilyRequest
from probes.answer_ttl import AnswerTtlRequest
from probes.as_ourselves import AsOurselvesRequest
from probes.claims import ClaimsRequest
from probes.descriptors import DescriptorsRequest
from probes.drop_point import DropPointRequest
from probes.failure import Failure, IcmpMeaning
from probes.interfaces import InterfacesRequest, InterfacesResult
from probes.link import LinkRequest
from probes.network_subsystem import NetworkSubsystemRequest
from probes.other_route import OtherRouteRequest
from probes.own_filter import OwnFilterRequest
from probes.ping import PingRequest, PingResult
from probes.route import RouteKind
from probes.sockets import SocketsResult
from probes.stray_ack import StrayAckRequest
from probes.tcp_path import TcpPathRequest, TcpPathResult
from probes.wire import WireRequest
from troubleshoot.asks.model import Job, ask
from troubleshoot.facts import (
    AFTER,
    Facts,
    Reach,
    Reading,
    family_of,
    gateway_of,
    is_loopback,
    neighbour_dead,
    plain,
    watched,
)
from troubleshoot.facts import second_look as second_look_subject

#: What takes a second to tell begins after so much silence of a port whose host answers, milliseconds.
_OVERDUE_MS = 50.0
#: A SYN that is not answered is sent again after a second (RFC 6298); so long its answer is waited for beside the round
#: trips, and at most, seconds.
_AGAIN_S, _ANSWER_S, _ANSWER_MOST_S = 1.0, 0.05, 0.2
#: The same for what is not sent again.
_LATEST_S, _LATEST_MOST_S = 0.3, 0.6
#: What was waited for too short a time is waited for so long at most when it is looked at again, seconds.
_ONCE_MORE_MOST_S = 1.8
#: Where nothing on the way has answered either it may be a slow one, milliseconds.
_UNHEARD_MS = 1000.0


#: Another refusal of a port is waited for so long at least, seconds, and counted in so many rounds.
_REFUSED_S = 0.2
_REFUSED_ROUNDS = 2


def _quiet(facts: Facts, focus: Reach) -> bool:
    return focus.reading is Reading.UNDECIDED and focus.heard_ms >= facts.threshold("look_around_ms")


def _overdue(facts: Facts, focus: Reach) -> bool:
    """Whether the port is silent for much longer than the host itself takes to answer."""
    late_ms = max(_OVERDUE_MS, 4 * facts.path.rtt_ms(focus.address))
    return focus.reading is Reading.UNDECIDED and focus.heard_ms >= late_ms and facts.path.alive(focus.address)


def _expected(facts: Facts, focus: Reach) -> bool:
    """Whether an attempt has begun that, by its code, will meet silence: what tells of that begins with its first SYN.

    Not before: whoever allows so many connections in a while is to allow the attempt.
    """
    return "silence" in facts.request.about and focus.reading is Reading.UNDECIDED and focus.packets > 0


def _late(facts: Facts, focus: Reach) -> bool:
    """Whether a port is silent for longer than the way takes, as far as that is known: no answer is on its way."""
    rtt_ms = facts.path.rtt_ms(focus.address)
    return focus.reading is Reading.SILENT or focus.heard_ms >= max(2 * rtt_ms, 0.0 if rtt_ms else _UNHEARD_MS)


def in_focus(facts: Facts) -> tuple[str, ...]:
    """Return the address that the verdict will be about, if there is one."""
    focus = facts.attempts.focus
    return (focus.address,) if focus is not None else ()


def unanswered(facts: Facts) -> tuple[str, ...]:
    """Return the address of another machine at which attempts have failed, or met silence for a while."""
    focus = facts.attempts.focus
    if focus is None or facts.machine.is_local(focus.address):
        return ()
    quiet = _quiet(facts, focus) or _overdue(facts, focus) or _expected(facts, focus)
    return (focus.address,) if focus.failed or quiet else ()


def _silent(facts: Facts, focus: Reach) -> bool:
    return focus.reading is Reading.SILENT or _quiet(facts, focus)


def _told_no(facts: Facts, focus: Reach) -> bool:
    """Whether a machine on the way refused at once: does one machine refuse one packet, as it should?"""
    if focus.reading is not Reading.ICMP or focus.icmp is None or facts.machine.is_own(focus.icmp.sender):
        return False
    if focus.icmp.meaning is IcmpMeaning.TIME_EXCEEDED:
        return False
    return focus.heard_ms < facts.threshold("neighbour_wait_ms")


def _refused_again_s(facts: Facts, address: str) -> float:
    """How long another refusal is waited for; routers that limit their errors may send none, which tells nothing."""
    return max(_REFUSED_S, 4 * facts.path.rtt_ms(address) / 1000)


@ask("ping")
def second_look(facts: Facts, address: str) -> Iterator[Job]:
    """The same pings again, a few seconds later."""
    if _may_be_reported_later(facts, address):
        yield Job("ping", second_look_subject(address), PingRequest(address))


@ask("descriptors", "address-family")
def no_way_out(facts: Facts, address: str) -> Iterator[Job]:
    """Is a port left to go out from, and is the family there at all?"""
    focus = facts.attempts.reach(address)
    if focus.failure in (Failure.ADDRESS_NOT_AVAILABLE, Failure.FAMILY_UNSUPPORTED) or focus.no_port_left:
        yield Job("descriptors", "", DescriptorsRequest(facts.request.pid, 0.0, facts.request.target.transport))
        yield Job("address-family", "", AddressFamilyRequest(facts.request.pid))


@ask("network-subsystem")
def not_even_here(facts: Facts, address: str) -> Iterator[Job]:
    """This machine itself does not answer: does its loopback work?"""
    if facts.machine.is_local(address) and facts.attempts.reach(address).failed:
        yield Job("network-subsystem", "", NetworkSubsystemRequest())


def _reset_from_afar(facts: Facts, focus: Reach) -> bool:
    route = facts.link.peek_route(focus.address)
    return focus.reading is Reading.RESET and facts.port is not None and route is not None and not route.on_link


@ask("answer-ttl")
def reset_ttl(facts: Facts, address: str) -> Iterator[Job]:
    """With which TTL does the reset arrive, beside the host's other answers?"""
    focus = facts.attempts.reach(address)
    if facts.port is None or not _reset_from_afar(facts, focus):
        return
    ping = facts.path.peek_ping(address)
    expected = tuple({e.reply_ttl for e in (ping.echoes if ping else ()) if e.reply_ttl is not None})
    if expected or ("ping", address) not in facts.running:
        request = AnswerTtlRequest(address, facts.port, rtt_ms=focus.heard_ms, expected=expected)
        yield Job("answer-ttl", facts.endpoint(address), request)


@ask("tcp-path")
def tcp_path_again(facts: Facts, address: str) -> Iterator[Job]:
    """Is the reset sent from the same hop when it is asked for again?"""
    ended = ("tcp-path", facts.endpoint(address)) not in facts.running
    if facts.port is not None and ended and _reset_from_afar(facts, facts.attempts.reach(address)):
        subject = facts.endpoint(second_look_subject(address))
        yield Job("tcp-path", subject, TcpPathRequest(address, facts.port))


@ask("drop-point")
def drop_point(facts: Facts, address: str) -> Iterator[Job]:
    """Where SYNs are heard of less far than the host is: do they vanish there, or do the routers only say little?"""
    focus = facts.attempts.reach(address)
    subject = facts.endpoint(address)
    path = facts.peek("tcp-path", TcpPathResult, subject)
    distance = facts.hops.distance(address)
    if not _silent(facts, focus) or facts.port is None or path is None or distance is None:
        return
    if not _walked(facts, address):
        return
    if path.final is None and path.passed_ttl < distance - 1:
        rtt_ms = max(1.0, facts.path.rtt_ms(address))
        request = DropPointRequest(address, facts.port, path.passed_ttl + 1, distance - 1, rtt_ms)
        yield Job("drop-point", subject, request)


def _walked(facts: Facts, address: str) -> bool:
    """Whether the SYNs up the TTLs have shown how far they get: what is silent by now is tried again, no more."""
    key = ("tcp-path", facts.endpoint(address))
    record = facts.observation(*key)
    patience_ms = facts.threshold("look_around_ms") + 3 * facts.path.rtt_ms(address)
    return key not in facts.running or (record is not None and record.duration_ms >= patience_ms)


@ask("own-filter")
def stays_here(facts: Facts, address: str) -> Iterator[Job]:
    """Does a connection to an address of this machine's own, where nobody listens, stay on loopback?"""
    if not facts.machine.is_local(address) or is_loopback(address) or facts.request.target.transport != "tcp":
        return
    sockets = facts.peek("sockets", SocketsResult, str(facts.port))
    unheard = sockets is not None and not any(e.state == "listen" for e in sockets.entries)
    if unheard and facts.port is not None and facts.attempts.reach(address).reading is Reading.RESET:
        yield Job("own-filter", facts.endpoint(address), OwnFilterRequest(address, facts.port, "lo", 1.0, 2, 2))


@ask("as-ourselves")
def as_ourselves(facts: Facts, address: str) -> Iterator[Job]:
    """Does the port answer to this process, where the program in whose place it was tried gets nothing?"""
    focus = facts.attempts.reach(address)
    if facts.port is None or facts.request.target.transport != "tcp" or not facts.program.stands():
        return
    if focus.reading in (Reading.RESET, Reading.ICMP, Reading.LOCAL) or _silent(facts, focus):
        yield Job("as-ourselves", facts.endpoint(address), AsOurselvesRequest(address, facts.port))


@ask("own-filter")
def own_filter(facts: Facts, address: str) -> Iterator[Job]:
    """Without root: does a connection that meets silence, or a reset from hop 1, leave this machine at all?"""
    if facts.request.privileged:
        return
    focus = facts.attempts.reach(address)
    route = facts.link.peek_route(address)
    if facts.request.target.transport != "tcp" or facts.port is None or route is None or route.interface is None:
        return
    path = facts.peek("tcp-path", TcpPathResult, facts.endpoint(address))
    at_once = focus.reading is Reading.RESET and path is not None and path.final_ttl == 1 and not route.on_link
    if _silent(facts, focus) or at_once or _told_no(facts, focus):
        rtt_ms = max(1.0, facts.path.rtt_ms(address))
        request = OwnFilterRequest(address, facts.port, route.interface, rtt_ms)
        if _told_no(facts, focus):
            request = replace(request, rounds=_REFUSED_ROUNDS, most_rounds=_REFUSED_ROUNDS, whole=True)
        yield Job("own-filter", facts.endpoint(address), request)


def other_default(facts: Facts, address: str) -> str | None:
    """Return the interface of the first default route that leaves by another one than the route to the address."""
    route = facts.link.peek_route(address)
    if route is None or route.kind is not RouteKind.UNICAST or route.interface is None:
        return None
    others = (d.interface for d in route.defaults if d.interface not in (None, route.interface) and not d.linkdown)
    return next(others, None)


@ask("other-route")
def other_route(facts: Facts, address: str) -> Iterator[Job]:
    """Does the port answer by way of another default route, which the kernel does not choose?"""
    focus, interface = facts.attempts.reach(address), other_default(facts, address)
    if interface is None or facts.port is None or facts.request.target.transport != "tcp":
        return
    unanswered_here = focus.reading in (Reading.ICMP, Reading.LOCAL) or _silent(facts, focus)
    if unanswered_here and not (facts.path.alive(address) and focus.reading is Reading.ICMP):
        yield Job("other-route", facts.endpoint(address), OtherRouteRequest(address, facts.port, interface))


@ask("wire")
def wire(facts: Facts, address: str) -> Iterator[Job]:
    """As root: do SYNs leave this machine, and does an answer arrive that no socket hears?"""
    focus, port = facts.attempts.reach(address), facts.port
    if not facts.request.privileged or port is None or facts.request.target.transport != "tcp":
        return
    if _told_no(facts, focus):
        yield Job("wire", facts.endpoint(address), WireRequest(address, port, _refused_again_s(facts, address)))
        return
    if _expected(facts, focus):
        yield Job("wire", facts.endpoint(address), WireRequest(address, port, _AGAIN_S + _ANSWER_MOST_S))
    silent = _silent(facts, focus) and _late(facts, focus)
    if silent or _overdue(facts, focus) or focus.reading is Reading.RESET:
        yield Job("wire", facts.endpoint(address), WireRequest(address, port, _both_syns_s(facts, address)))
        if "silence" in facts.request.about and watched.wire_too_short(facts, address):
            longer = WireRequest(address, port, _AGAIN_S + _trips_s(facts, address))
            yield Job("wire", facts.endpoint(second_look_subject(address)), longer)


def _both_syns_s(facts: Facts, address: str) -> float:
    """How long an attempt is watched: until its second SYN would be answered, too."""
    return _AGAIN_S + min(_ANSWER_MOST_S, _ANSWER_S + 4 * facts.path.rtt_ms(address) / 1000)


def _trips_s(facts: Facts, address: str) -> float:
    """How long an answer is waited for that was not seen in the time that a first look had."""
    return min(_ONCE_MORE_MOST_S, _LATEST_S + 4 * facts.path.rtt_ms(address) / 1000)


@ask("stray-ack")
def stray_ack(facts: Facts, address: str) -> Iterator[Job]:
    """As root: does a host that is there reset a stray segment to a port that says nothing to SYNs?"""
    focus, port = facts.attempts.reach(address), facts.port
    if not facts.request.privileged or port is None or facts.request.target.transport != "tcp":
        return
    if _expected(facts, focus):
        yield Job("stray-ack", facts.endpoint(address), StrayAckRequest(address, port, wait_s=_LATEST_MOST_S))
    if (_silent(facts, focus) and facts.path.alive(address)) or _overdue(facts, focus):
        wait_s = min(_LATEST_MOST_S, _LATEST_S + 4 * facts.path.rtt_ms(address) / 1000)
        yield Job("stray-ack", facts.endpoint(address), StrayAckRequest(address, port, wait_s=wait_s))
        if "silence" in facts.request.about and watched.stray_too_short(facts, address):
            longer = StrayAckRequest(address, port, wait_s=_trips_s(facts, address))
            yield Job("stray-ack", facts.endpoint(second_look_subject(address)), longer)


@ask("link")
def link(facts: Facts, address: str) -> Iterator[Job]:
    """As root: who answers for the address on the wire, directly or by way of the router?"""
    focus, route = facts.attempts.reach(address), facts.link.peek_route(address)
    interfaces = facts.peek("interfaces", InterfacesResult)
    if not facts.request.privileged or route is None or interfaces is None or facts.path.alive(address):
        return
    if not _silent(facts, focus) and focus.reading not in (Reading.ICMP, Reading.LOCAL):
        return
    if route.kind is RouteKind.UNICAST and route.on_link and route.interface is not None:
        router = next((d.gateway for d in route.defaults if d.gateway), None)
        yield Job("link", address, LinkRequest(address, route.interface, router))
        return
    name = route.interface or _nearest_interface(interfaces, address)
    told = focus.icmp is not None and not facts.machine.is_own(focus.icmp.sender)
    if name is not None and not told and _could_be_local(interfaces, name, address):
        yield Job("link", address, LinkRequest(address, name, None))


@ask("claims")
def claims(facts: Facts, address: str) -> Iterator[Job]:
    """As root: does another device of the link claim our own address, or do several the next hop's?"""
    focus, route = facts.attempts.reach(address), facts.link.peek_route(address)
    if not facts.request.privileged or route is None or route.kind is not RouteKind.UNICAST or route.interface is None:
        return
    interfaces = facts.peek("interfaces", InterfacesResult)
    ours = interfaces.interfaces if interfaces is not None else ()
    if not any(i.name == route.interface and i.mac is not None for i in ours):
        return
    if not _silent(facts, focus) and focus.reading is not Reading.LOCAL:
        return
    for one in (route.source, gateway_of(route) or address):
        if one is not None:
            yield Job("claims", one, ClaimsRequest(one, route.interface))


@ask("interfaces")
def tunnel(facts: Facts, address: str) -> Iterator[Job]:
    """Where the way is a tunnel: has anything come in by it since the beginning?"""
    focus, route = facts.attempts.reach(address), facts.link.peek_route(address)
    before = facts.peek("interfaces", InterfacesResult)
    if before is None or route is None or focus.reading is not Reading.SILENT:
        return
    if any(i.tunnel and i.name == route.interface for i in before.interfaces):
        yield Job("interfaces", AFTER, InterfacesRequest())


def _may_be_reported_later(facts: Facts, address: str) -> bool:
    """Whether pings that met silence are worth repeating before anything is concluded from it.

    A path that is slow loses its first seconds to address resolution at every router. And a router may have kept
    back its report of a dead host: a Linux router sends six in a row and then one a second, and questions to a dead
    name server behind it use them up.
    """
    first = facts.peek("ping", PingResult, address)
    ended = first is not None and ("ping", address) not in facts.running
    quiet = first is not None and not first.received and not any(e.icmp or e.failure for e in first.echoes)
    route = facts.link.peek_route(address)
    gateway = gateway_of(route) if route is not None else None
    if not ended or not quiet or gateway is None or facts.path.alive(address):
        return False
    undecided = facts.attempts.reach(address).reading in (Reading.UNDECIDED, Reading.SILENT)
    return undecided and not neighbour_dead(facts.link.peek_neighbour(gateway))


def _could_be_local(interfaces: InterfacesResult, name: str, address: str) -> bool:
    """Whether a mask that is too narrow could be what keeps the address from being local (same /16 or /48)."""
    prefix = 16 if family_of(address) == 4 else 48
    wanted_ = ipaddress.ip_network(f"{plain(address)}/{prefix}", strict=False)
    return any(
        found.name == name and ipaddress.ip_address(plain(own.address)) in wanted_
        for found in interfaces.interfaces
        for own in found.addresses
        if own.family == family_of(address)
    )


def _nearest_interface(interfaces: InterfacesResult, address: str) -> str | None:
    """The interface whose own addresses begin like the target's."""
    best: tuple[int, str] | None = None
    wanted_ = int(ipaddress.ip_address(plain(address)))
    for found in interfaces.interfaces:
        for own in found.addresses if not found.loopback and found.up else ():
            if own.family == family_of(address):
                distance = wanted_ ^ int(ipaddress.ip_address(plain(own.address)))
                if best is None or distance < best[0]:
                    best = (distance, found.name)
    return best[1] if best is not None else None
