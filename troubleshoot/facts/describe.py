"""One sentence of fact for an observation, as a note of the catalogue. Steps and evidence share them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from probes.base import Note, note
from probes.bind import BindResult
from probes.failure import IcmpError, IcmpMeaning
from probes.flows import FlowOutcome
from probes.ftp_data import DataWay
from probes.interfaces import Interface
from probes.link import LinkResult
from probes.neighbours import Neighbour, NeighbourState
from probes.ping import PingResult
from probes.resolve import Answer, ServerAnswer
from probes.route import RouteKind, RouteResult
from probes.service import ServiceOutcome, ServiceResult
from probes.sockets import SocketEntry
from probes.tcp_path import TcpAnswer, TcpPathResult
from probes.traceroute import TracerouteResult
from probes.wire import WireResult
from troubleshoot.facts import Reach, Reading, rungs
from troubleshoot.facts.chance import ceiling, interval
from troubleshoot.facts.flows import Split
from troubleshoot.facts.losses import Sample, Told
from troubleshoot.facts.rungs import Ending, Rung


def milliseconds(value: float | None) -> str:
    """Return a duration for reading: three digits below 10 ms, none above 100."""
    if value is None:
        return "?"
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def endpoint(address: str, port: int | None) -> str:
    """Return an address with its port where it has one, brackets around IPv6."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def process(name: str | None, pid: int | None) -> str:
    """Return a process by name and number."""
    return f"{name or '?'} (pid {pid})"


def icmp(error: IcmpError) -> str:
    """Return the ICMP message's field name, with type and code (``port unreachable, 3/3``)."""
    return f"{error.meaning.value.replace('-', ' ')}, {error.type}/{error.code}"


def reach(found: Reach, port: int | None, transport: str = "tcp") -> Note:
    """What the attempt at one address came to."""
    where = endpoint(found.address, port)
    ms = milliseconds(found.heard_ms)
    seconds = f"{found.heard_ms / 1000:.1f}"
    sort = "ping" if port is None else "udp" if transport == "udp" else "tcp"
    if found.reading is Reading.CONNECTED:
        return note(f"fact.reach-connected-{sort}", where=where, ms=ms)
    if found.reading is Reading.RESET:
        return note("fact.reach-reset", where=where, ms=ms)
    if found.reading is Reading.CUT:
        return note("fact.reach-cut", where=where, ms=ms)
    if found.reading is Reading.ICMP and found.icmp is not None:
        return note("fact.reach-icmp", where=where, icmp=icmp(found.icmp), sender=found.icmp.sender or "?", ms=ms)
    if found.reading is Reading.SILENT:
        return note("fact.reach-silent", where=where, packets=found.packets, seconds=seconds)
    if found.reading is Reading.LOCAL:
        return note("fact.reach-local", where=where, errno=found.errno or "?", ms=ms)
    return note("fact.reach-undecided", where=where, seconds=seconds)


def service(found: ServiceResult) -> Note:
    """What a service did with a connection."""
    where = endpoint(found.address, found.port)
    ended = milliseconds(found.ended_ms if found.ended_ms is not None else found.waited_ms)
    if found.outcome is ServiceOutcome.RESETS or found.ended_by_reset:
        return note("fact.service-resets", where=where, ms=ended)
    if found.outcome is ServiceOutcome.CLOSES:
        return note("fact.service-closes", where=where, ms=ended)
    if found.outcome is ServiceOutcome.SILENT:
        return note("fact.service-silent", where=where, seconds=f"{found.waited_ms / 1000:.1f}")
    if found.outcome is ServiceOutcome.SPEAKS:
        return note("fact.service-speaks", where=where, ms=milliseconds(found.first_byte_ms))
    tls = found.tls
    if found.outcome is ServiceOutcome.TLS_OK:
        return note("fact.service-tls-ok", where=where, protocol=(tls.version if tls else None) or "TLS")
    if found.outcome is ServiceOutcome.TLS_ALERT:
        return note("fact.service-tls-alert", where=where, answer=(tls.alert if tls else None) or "alert")
    if found.outcome is ServiceOutcome.TLS_FAILED:
        return note("fact.service-tls-failed", where=where)
    return note("fact.service-not-connected", where=where)


def rung(found: Rung) -> Note:
    """What one connection to a service came to, by what was said on it."""
    result = found.result
    if result is None:
        return note("fact.rung-untried", name=found.name or "listen")
    where, tls = endpoint(result.address, result.port), result.tls
    if found.name == rungs.ANNOUNCED and found.ending is Ending.WELL:
        return note("fact.rung-announced", where=where)
    if found.name == rungs.OTHER_NAME and found.tls:
        return note("fact.rung-other-name", where=where, name=(tls.server_name if tls else None) or "-")
    if found.name.startswith(f"{rungs.TLS} ") and tls is not None and tls.version is not None:
        return note("fact.rung-version", where=where, protocol=tls.version, cipher=tls.cipher or "?")
    if result.http is not None:
        return note("fact.rung-page", where=where, page=page(result))
    if found.quote and result.ended_ms is not None and found.name in (rungs.LISTEN, rungs.TLS):
        return note("fact.rung-leaves", where=where, said=found.quote)
    return note("fact.rung-says", where=where, said=found.quote) if found.quote else service(result)


def page(result: ServiceResult) -> str:
    """Return the status of an HTTP answer with its reason, and who says so."""
    head = result.http
    if head is None:
        status = rungs.status_of(bytes.fromhex(result.first_hex))
        return str(status) if status is not None else "?"
    told = " ".join((str(head.status), head.reason)).strip()
    return f"{told} ({head.software})" if head.software else told


def ping(result: PingResult) -> Note:
    """How an address answered pings."""
    if result.received:
        rtt = milliseconds(result.rtt_mean_ms)
        if result.received < result.sent:
            return note(
                "fact.ping-some",
                address=result.address,
                received=result.received,
                sent=result.sent,
                ms=rtt,
            )
        return note("fact.ping-answered", address=result.address, sent=result.sent, ms=rtt)
    for echo in result.echoes:
        if echo.icmp is not None:
            sender = echo.icmp.sender or "?"
            return note("fact.ping-icmp", address=result.address, icmp=icmp(echo.icmp), sender=sender)
        if echo.failure is not None:
            return note("fact.ping-local", address=result.address, errno=echo.errno or "?")
    key = "fact.ping-silent-udp" if result.method.value == "udp" else "fact.ping-silent"
    return note(key, address=result.address, sent=result.sent, seconds=f"{result.waited_ms / 1000:.1f}")


def loss(sample: Sample, address: str, port: int | None) -> Note:
    """How many packets of one kind were lost, and which shares that fits."""
    low, high = interval(sample.lost, sample.sent)
    return note(
        f"fact.loss-{sample.kind.value}",
        address=address,
        port=port,
        count=sample.lost,
        sent=sample.sent,
        low=round(100 * low),
        high=round(100 * high),
    )


def hop_loss(hop: int, router: str, sample: Sample) -> Note:
    """How many pings to a router on the way were lost."""
    return note("fact.loss-hop", hop=hop, router=router, count=sample.lost, sent=sample.sent)


def unlost(told: Told) -> Note:
    """Which loss could still hide behind what was answered."""
    return note("fact.loss-bound", sent=told.sent, percent=math.ceil(100 * ceiling(told.lost, told.sent)))


def ways(found: Mapping[int, Sequence[str]]) -> Note:
    """Where flows took different ways."""
    hop, routers = next(iter(found.items()))
    return note("fact.ways", hop=hop, addresses=", ".join(routers[:3]))


def trace_of_several(result: TracerouteResult, found: Mapping[int, Sequence[str]]) -> Note:
    """How long the path is, and where flows take different ones."""
    hop, routers = next(iter(found.items()))
    several = ", ".join(routers[:3])
    return note("fact.trace-ways", hops=result.reached_ttl, address=result.address, hop=hop, addresses=several)


def split(found: Split) -> Note:
    """What becomes of the source ports that always fail."""
    counted = {"count": found.failing, "tried": found.ports, "sent": found.tries}
    if found.outcome is FlowOutcome.RESET:
        return note("fact.flows-reset", **counted)
    return note("fact.flows-silence" if found.outcome is FlowOutcome.SILENCE else "fact.flows-icmp", **counted)


def trace(result: TracerouteResult) -> Note:
    """How far the path to an address could be followed."""
    answering = [hop for hop in result.hops if hop.answers]
    if result.reached_ttl is not None:
        mute = [hop for hop in result.hops if hop.ttl < result.reached_ttl and not hop.answers]
        silent = sum(1 for hop in mute if hop.sent)
        key = "fact.trace-reached-silent" if silent else "fact.trace-reached-unasked" if mute else "fact.trace-reached"
        counted = {"routers": result.reached_ttl - 1, "silent": silent, "unasked": len(mute)}
        return note(key, address=result.address, hops=result.reached_ttl, **counted)
    if result.ended_by is not None:
        sender = result.ended_by.sender or "?"
        return note("fact.trace-ended", icmp=icmp(result.ended_by), sender=sender, hop=result.ended_ttl or "?")
    if not answering:
        return note("fact.trace-nothing", address=result.address)
    last = answering[-1]
    router = next((a.address for a in last.answers if a.address), "?")
    return note("fact.trace-stops", address=result.address, hop=last.ttl, router=router)


def tcp_path(result: TcpPathResult) -> Note:
    """How far the port's SYNs travelled."""
    if result.final is TcpAnswer.RESET:
        return note("fact.path-reset", port=result.port, ttl=result.final_ttl)
    if result.final is TcpAnswer.ACCEPTED:
        return note("fact.path-accepted", port=result.port, ttl=result.final_ttl)
    final = next((h for h in result.hops if h.answer is TcpAnswer.ICMP and h.icmp is not None), None)
    if final is not None and final.icmp is not None and final.icmp.meaning is not IcmpMeaning.TIME_EXCEEDED:
        return note(
            "fact.path-icmp", port=result.port, ttl=final.ttl, icmp=icmp(final.icmp), sender=final.icmp.sender or "?"
        )
    return vanishing(result.port, result.passed_ttl)


def vanishing(port: int | None, passed_ttl: int) -> Note:
    """After which hop the port's SYNs are not heard of any more."""
    if passed_ttl == 0:
        return note("fact.path-nothing", port=port)
    return note("fact.path-vanishes", port=port, hop=passed_ttl)


def route(result: RouteResult) -> Note:
    """Which way the kernel sends packets for an address."""
    if result.kind is RouteKind.NONE:
        return note("fact.route-none", address=result.address, errno=result.errno or "?")
    if result.kind in (RouteKind.PROHIBIT, RouteKind.UNREACHABLE, RouteKind.BLACKHOLE):
        return note("fact.route-forbids", address=result.address, kind=result.kind.value, prefix=result.matched or "?")
    if result.kind is RouteKind.LOCAL:
        return note("fact.route-local", address=result.address)
    if result.gateway is not None:
        return note(
            "fact.route-gateway", address=result.address, gateway=result.gateway, interface=result.interface or "?"
        )
    return note("fact.route-on-link", address=result.address, interface=result.interface or "?")


def interface(found: Interface) -> Note:
    """The state of an interface in one sentence."""
    addresses = ", ".join(f"{a.address}/{a.prefix}" for a in found.addresses[:3]) or "-"
    if not found.up:
        return note("fact.interface-down", interface=found.name)
    if found.carrier is False:
        return note("fact.interface-no-carrier", interface=found.name)
    if not found.addresses:
        return note("fact.interface-no-address", interface=found.name)
    return note("fact.interface-up", interface=found.name, addresses=addresses, mtu=found.mtu or "?")


def neighbour(found: Neighbour) -> Note:
    """What the link says of a neighbour."""
    if found.confirmed:
        return note("fact.neighbour-answers", address=found.address, mac=found.mac or "?")
    if found.state is NeighbourState.FAILED or (found.requests and not found.answered):
        return note("fact.neighbour-fails", address=found.address, interface=found.interface or "?")
    return note("fact.neighbour-state", address=found.address, state=found.state.value)


def link(found: LinkResult) -> Note:
    """What the wire itself says of an address, whatever the mask says."""
    if found.mac is not None:
        return note("fact.link-claimed", address=found.address, interface=found.interface, mac=found.mac)
    if found.via_router:
        return note("fact.link-via-router", address=found.address, interface=found.interface)
    return note("fact.link-nobody", address=found.address, interface=found.interface)


def wire(found: WireResult) -> Note:
    """What left and what came back on the wire, against what the socket saw."""
    if not found.syns_out and not found.unresolved:
        return note("fact.wire-nothing-left", interface=found.watched)
    if found.answer_in is not None and not found.socket_heard:
        return note("fact.wire-answer-eaten", interface=found.watched, answer=found.answer_in)
    if found.answer_in is not None:
        return note("fact.wire-answered", answer=found.answer_in, ttl=found.answer_ttl or "?")
    return note("fact.wire-silent", interface=found.watched, syns=found.syns_out)


def server_answer(found: ServerAnswer) -> Note:
    """What one name server answered to one question."""
    values = {"server": found.server, "name": found.name, "type": found.record_type}
    if found.answer is Answer.ADDRESSES:
        return note("fact.dns-addresses", **values, addresses=", ".join(found.addresses), ms=milliseconds(found.rtt_ms))
    if found.answer in (Answer.NO_ANSWER, Answer.PORT_CLOSED, Answer.UNREACHABLE):
        return note(f"fact.dns-{found.answer.value}", **values, transport=found.transport)
    if found.answer is Answer.MALFORMED:
        return note(f"fact.dns-{found.unfit or 'unreadable'}", **values)
    error = f" ({found.extended_error})" if found.extended_error else ""
    rcode = (found.rcode or found.answer.value.upper()) + error
    if found.aliases:
        return note("fact.dns-rcode-alias", **values, rcode=rcode, alias=found.aliases[-1])
    return note("fact.dns-rcode", **values, rcode=rcode)


def holder(entry: SocketEntry) -> str:
    """Return who holds a socket, as far as it can be seen."""
    if entry.owners:
        return ", ".join(process(o.name, o.pid) for o in entry.owners[:3])
    if entry.uid is None:
        return "?"
    return f"{entry.user} (uid {entry.uid})" if entry.user else f"uid {entry.uid}"


def socket_address(entry: SocketEntry) -> str:
    """Return a socket's own address and port, with the interface that it is bound to as ss(8) has it."""
    device = f"%{entry.device}" if entry.device is not None and "%" not in entry.local_address else ""
    return endpoint(f"{entry.local_address}{device}", entry.local_port)


def listening(entries: Sequence[SocketEntry]) -> Note:
    """Return where sockets listen, and the first process that can be seen to hold one."""
    where = ", ".join(dict.fromkeys(socket_address(e) for e in entries))
    owner = next((o for e in entries for o in e.owners), None)
    return note("fact.listening", where=where, process=process(owner.name, owner.pid) if owner else "?")


def excluded(trial: BindResult) -> Note:
    """Return what is known of the ranges that Windows keeps back, as far as this port is concerned."""
    known = trial.excluded
    if known is None or known.ranges is None:
        return note("fact.ports-unread")
    kept = known.holding(trial.port)
    if kept is None:
        return note("fact.port-not-excluded", port=trial.port, count=len(known.ranges))
    key = "fact.port-excluded-administered" if kept.administered else "fact.port-excluded"
    return note(key, port=trial.port, prefix=f"{kept.first}-{kept.last}")


def data_way(way: DataWay) -> Note:
    """What came of a try at FTP's second connection."""
    where = endpoint(way.address, way.port)
    if way.connected:
        return note("fact.data-way-works", where=where, word=way.word)
    return note("fact.data-way-fails", where=where, word=way.word, errno=way.errno or "ETIMEDOUT")
