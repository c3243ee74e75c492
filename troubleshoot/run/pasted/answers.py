"""What pasted outputs answer to a question of the plan: the result that the probe would have, or nothing."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from probes.address import NEAR, AddressKind, AddressResult
from probes.bind import BindAttempt, BindResult
from probes.connect import ConnectAttempt, ConnectOutcome, ConnectResult
from probes.failure import Failure, IcmpError
from probes.filter_rules import FilterRulesResult
from probes.interfaces import InterfacesResult
from probes.neighbours import NeighboursResult
from probes.ping import PingResult
from probes.resolve import Answer, ResolverConfiguration, ResolveResult, ServerAnswer, SystemAnswer
from probes.service import ServiceResult
from probes.sockets import SocketEntry, SocketsResult
from probes.system.windows.excluded_ports import ExcludedPorts, PortRange
from probes.traceroute import TracerouteResult
from troubleshoot.asks.model import Job
from troubleshoot.readers.model import Connection, LookUp
from troubleshoot.run.pasted.evidence import Evidence
from troubleshoot.run.pasted.ways import route_to

#: When SYNs are repeated after the first one, milliseconds: RFC 6298 with the kernels' first wait of a second.
_REPEATED_MS = (1000, 3000, 7000, 15000, 31000)
_UNREACHABLE = (Failure.HOST_UNREACHABLE, Failure.NETWORK_UNREACHABLE)
_RCODES = {Answer.NXDOMAIN: "NXDOMAIN", Answer.SERVFAIL: "SERVFAIL", Answer.REFUSED: "REFUSED"}


def answer(job: Job, evidence: Evidence) -> Any:
    """Return the result that answers ``job``, ``None`` where no output shows it."""
    answering = _ANSWERS.get(job.probe)
    return None if answering is None else answering(job.request, evidence)


def _plain(address: str) -> str:
    return address.partition("%")[0]


def _address(request: Any, evidence: Evidence) -> AddressResult | None:
    address = ipaddress.ip_address(_plain(request.address))
    mapped = getattr(address, "ipv4_mapped", None)
    plain = mapped or address
    own = [ipaddress.ip_address(one) for one in evidence.own]
    local = plain.is_loopback or plain in own
    if evidence.foreign and not (local or plain.is_multicast or plain.is_unspecified or evidence.knows_own):
        return None  # that it is not there is the question, and no list of addresses shows it
    same = sorted({o for o in own if o.version == plain.version}, key=lambda o: int(o) ^ int(plain))
    return AddressResult(
        address=request.address,
        family=address.version,
        kind=_kind(plain, evidence, local=local),
        local=local,
        zone_missing=plain.version == 6 and plain.is_link_local and "%" not in request.address,
        mapped=str(mapped) if mapped is not None else None,
        near=tuple(str(other) for other in same[:NEAR]),
    )


def _kind(plain: Any, evidence: Evidence, *, local: bool) -> AddressKind:
    for kind, known in (
        (AddressKind.UNSPECIFIED, plain.is_unspecified),
        (AddressKind.LOOPBACK, plain.is_loopback),
        (AddressKind.MULTICAST, plain.is_multicast),
        (AddressKind.BROADCAST, str(plain) == "255.255.255.255"),
    ):
        if known:
            return kind
    if plain.version == 4 and not local:
        for held in (held for one in evidence.interfaces for held in one.addresses if held.family == 4):
            network = ipaddress.ip_network(f"{held.address}/{held.prefix}", strict=False)
            if network.prefixlen < 31 and plain == network.network_address:
                return AddressKind.SUBNET_NETWORK
            if network.prefixlen < 31 and plain == network.broadcast_address:
                return AddressKind.BROADCAST
    if plain.is_link_local:
        return AddressKind.LINK_LOCAL
    return AddressKind.RESERVED if plain.is_reserved else AddressKind.UNICAST


def _ping(request: Any, evidence: Evidence) -> PingResult | None:
    return evidence.pings.get(request.address)


def _trace(request: Any, evidence: Evidence) -> TracerouteResult | None:
    return evidence.traces.get(request.address)


def _interfaces(request: Any, evidence: Evidence) -> InterfacesResult | None:  # noqa: ARG001 - all of them are meant
    return InterfacesResult(evidence.interfaces) if evidence.interfaces else None


def _neighbours(request: Any, evidence: Evidence) -> NeighboursResult | None:
    held = evidence.neighbours
    if held is None:
        return None
    table = {_plain(one.address): one for one in held.table}
    asked = tuple(table[_plain(a)] for a in request.addresses if _plain(a) in table)
    if len(asked) < len(request.addresses):
        return None  # a table tells nothing of who is not in it: nobody may have asked
    return NeighboursResult(asked, tuple(one for one in held.table if one not in asked))


def _same_name(one: str, other: str) -> bool:
    return one.rstrip(".").casefold() == other.rstrip(".").casefold()


def _resolve(request: Any, evidence: Evidence) -> ResolveResult | None:
    found = [one for one in evidence.look_ups if _same_name(one.name, request.name)]
    if not found:
        return None
    by_system = _newest([one for one in found if one.server is None])
    newest = {(a.server, a.record_type): a for one in found if one.server is not None for a in _of_server(one)}
    answers = tuple(a for a in newest.values() if not _half(a, newest))
    if by_system is None and not answers:
        return None
    system = SystemAnswer(by_system.addresses, by_system.eai, 0.0) if by_system is not None else None
    told = next((one.addresses for one in reversed(answers) if one.addresses), ())
    return ResolveResult(
        name=request.name,
        ascii_name=request.name,
        literal=False,
        addresses=system.addresses if system is not None else told,
        system=system,
        answers=answers,
        configuration=_configuration(evidence),
        candidates=(request.name,),
    )


def _newest(found: list[LookUp]) -> LookUp | None:
    """Return the last look-up; a fuller one before it, where that one gives no other address (ping gives one)."""
    last = found[-1] if found else None
    if last is None or not last.addresses:
        return last
    return max((one for one in found if set(last.addresses) <= set(one.addresses)), key=lambda one: len(one.addresses))


def _of_server(one: LookUp) -> Iterator[ServerAnswer]:
    """Yield what a server said of each kind of address that it was asked for."""
    given = one.answer or Answer.NO_DATA
    kinds = [kind for kind in ("A", "AAAA") if any((":" in a) == (kind == "AAAA") for a in one.addresses)]
    both = ["A", "AAAA"] if given is Answer.NO_DATA else ["A"]
    for kind in [one.record_type] if one.record_type else kinds or both:
        yield ServerAnswer(
            server=one.server or "",
            port=53,
            name=one.name,
            record_type=kind,
            transport="udp",
            answer=given,
            rcode=_RCODES.get(given),
            addresses=tuple(a for a in one.addresses if (":" in a) == (kind == "AAAA")),
            aliases=one.aliases,
            ttl_s=one.ttl_s,
            rtt_ms=one.rtt_ms,
        )


def _half(answer: ServerAnswer, newest: Mapping[tuple[str, str], ServerAnswer]) -> bool:
    """Whether a server has no address of one kind and was not asked for the other: that settles nothing of the name."""
    other = "A" if answer.record_type == "AAAA" else "AAAA"
    return answer.answer is Answer.NO_DATA and (answer.server, other) not in newest


def _configuration(evidence: Evidence) -> ResolverConfiguration | None:
    told = evidence.servers
    if told is None and not evidence.asked:
        return None
    return ResolverConfiguration(
        readable=True,
        configured=True,
        servers=told.servers if told is not None else evidence.asked,
        ignored=(),
        search=told.search if told is not None else (),
        ndots=1,
        options=(),
        nsswitch_hosts=(),
    )


def _connect(request: Any, evidence: Evidence) -> ConnectResult | None:
    mine = [one for one in evidence.connections if (one.address, one.port) == (request.address, request.port)]
    one = next((c for c in reversed(mine) if c.connected or c.failure is not None), None)
    attempt = _attempt(one, evidence) if one is not None else None
    if attempt is None:
        return None
    return ConnectResult(request.address, request.port, attempt.outcome, (attempt,))


def _attempt(one: Connection, evidence: Evidence) -> ConnectAttempt | None:
    lasted = one.duration_ms or 0.0
    if one.connected:
        return ConnectAttempt(ConnectOutcome.CONNECTED, 0.0, lasted, local_address=one.source)
    if one.failure in (Failure.TIMED_OUT, Failure.NO_ANSWER):
        syns = 1 + sum(lasted >= again for again in _REPEATED_MS)
        return ConnectAttempt(ConnectOutcome.NO_ANSWER, 0.0, lasted, failure=Failure.NO_ANSWER, syns=syns)
    icmp = _told_by_ping(one, evidence) if one.failure in _UNREACHABLE else None
    return ConnectAttempt(ConnectOutcome.FAILED, 0.0, lasted, failure=one.failure, errno=one.errno, icmp=icmp)


def _told_by_ping(one: Connection, evidence: Evidence) -> IcmpError | None:
    """Return who says that the address cannot be reached: the error of a call does not, a ping beside it does."""
    ping = evidence.pings.get(one.address or "")
    return next((echo.icmp for echo in ping.echoes if echo.icmp is not None), None) if ping is not None else None


def _service(request: Any, evidence: Evidence) -> ServiceResult | None:
    for one in reversed(evidence.services):
        found = one.result
        if (found.address, found.port) != (request.address, request.port):
            continue
        if request.tls == (found.rung == "tls") and not request.version and (request.tls or request.say_hex):
            return replace(found, rung=request.rung)
    return None


def _sockets(request: Any, evidence: Evidence) -> SocketsResult | None:
    table = evidence.sockets(request.transport)
    if table is None:
        return None
    entries = [e for e in table.entries if e.transport == request.transport]
    mine = [e for e in entries if request.port is None or e.local_port == request.port]
    if not any(map(_open, mine)) and not (table.whole and table.listening):
        return None
    if request.port is None:
        mine = [e for e in mine if _open(e)]
    mine.sort(key=lambda entry: not _open(entry))
    states: dict[str, int] = {}
    for entry in mine:
        states[entry.state] = states.get(entry.state, 0) + 1
    kept = tuple(_with_names(entry, evidence) for entry in mine[:200])
    return SocketsResult(request.port, request.transport, kept, len(mine) > len(kept), tuple(states.items()))


def _open(entry: SocketEntry) -> bool:
    """Whether a socket takes what anybody sends."""
    return entry.state in ("listen", "unconnected")


def _with_names(entry: SocketEntry, evidence: Evidence) -> SocketEntry:
    names = evidence.names
    return replace(entry, owners=tuple(replace(o, name=o.name or names.get(o.pid)) for o in entry.owners))


def _in_the_way(entry: SocketEntry, address: str, evidence: Evidence) -> bool:
    """Whether a socket holds ``address``: its own one is the same, or one of both is any, of a family that it takes.

    An IPv6 socket takes IPv4 where it says so, where that is not shown unless the system is Windows: there each socket
    has to ask for it, elsewhere for the opposite.
    """
    held, asked = (_unmapped(one) for one in (entry.local_address, address))
    everywhere = held.is_unspecified or asked.is_unspecified
    if held.version == asked.version:
        return everywhere or held == asked
    wide = held if held.version == 6 else asked
    alone = entry.v6_only if held.version == 6 else None
    both = evidence.system != "windows" if alone is None else not alone
    return wide.is_unspecified and both


def _unmapped(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(_plain(address))
    return getattr(found, "ipv4_mapped", None) or found


def _bind(request: Any, evidence: Evidence) -> BindResult | None:
    """Return that the port cannot be bound, where a table shows why; that it could be is shown by none."""
    family = 6 if ":" in request.address else 4
    ranges = tuple(
        PortRange(first, last, administered)
        for one in evidence.ports
        if one.excluded is not None and one.transport == request.transport and one.family in (None, family)
        for first, last, administered in one.excluded
    )
    dynamic = next((one.dynamic for one in evidence.ports if one.dynamic and one.transport == request.transport), None)
    excluded = ExcludedPorts(ranges) if ranges else None
    held = evidence.sockets(request.transport)
    listeners = [e for e in (held.entries if held is not None else ()) if e.transport == request.transport and _open(e)]
    if any(e.local_port == request.port and _in_the_way(e, request.address, evidence) for e in listeners):
        attempt = BindAttempt("plain", Failure.ADDRESS_IN_USE, "EADDRINUSE", "bind")
    elif excluded is not None and (found := excluded.holding(request.port)) is not None and not found.administered:
        attempt = BindAttempt("plain", Failure.ACCESS_DENIED, "EACCES", "bind")
    else:
        return None
    return BindResult(
        request.address, request.port, request.transport, (attempt,), ephemeral_range=dynamic, excluded=excluded
    )


def _filter_rules(request: Any, evidence: Evidence) -> FilterRulesResult | None:  # noqa: ARG001 - all of them are meant
    if not evidence.firewalls or evidence.system == "windows":
        return None
    rules = [rule for one in evidence.firewalls for rule in one.rules if rule.enabled]
    mine = [rule for rule in rules if rule.direction != "forward"]
    return FilterRulesResult(
        rules=sum(not rule.default for rule in rules),
        stopping=sum(rule.action in ("drop", "reject") for rule in mine),
        by_user=sum(rule.by_user for rule in rules),
        by_group=sum(rule.by_group for rule in rules),
        complete=all(one.whole for one in evidence.firewalls),
    )


_ANSWERS: dict[str, Callable[[Any, Evidence], Any]] = {
    "address": _address,
    "bind": _bind,
    "connect": _connect,
    "filter-rules": _filter_rules,
    "interfaces": _interfaces,
    "neighbours": _neighbours,
    "ping": _ping,
    "resolve": _resolve,
    "route": route_to,
    "service": _service,
    "sockets": _sockets,
    "traceroute": _trace,
}
