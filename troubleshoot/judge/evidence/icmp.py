"""ICMP errors behind a failure: who sent one, how soon, from which hop, and whether other packets met it too."""

from __future__ import annotations

from probes.base import Note, note
from probes.connect import ConnectResult
from probes.datagram import DatagramResult
from probes.failure import Failure, IcmpError, IcmpMeaning
from probes.own_filter import OwnFilterResult
from probes.ping import PingResult
from probes.tcp_path import TcpAnswer, TcpPathResult
from troubleshoot.facts import UNREACHABLE, Facts, Reach, Reading, plain, watched
from troubleshoot.judge.evidence.distance import routers_back, same_way_back
from troubleshoot.report import Confidence


def meets_others(facts: Facts, address: str, error: IcmpError) -> bool | None:
    """Whether other packets than the port's meet the same refusal: ``None`` where nothing else was heard."""
    ping = facts.path.ping(address)
    trace = facts.path.peek_trace(address)
    if ping is not None and ping.received:
        return False
    if trace is not None and trace.reached_ttl is not None:
        return False
    others = [e.icmp for e in (ping.echoes if ping else ()) if e.icmp is not None]
    if trace is not None and trace.ended_by is not None:
        others.append(trace.ended_by)
    if any(o.meaning in UNREACHABLE and o.sender == error.sender for o in others):
        return True
    return None


def told_alike(facts: Facts, reach: Reach, error: IcmpError) -> tuple[PingResult, ...]:
    """Return the pings of other addresses that fare like the target behind the same router.

    The user's machine beside the target is waited for, and its silence counts: it was named because it is there. The
    name's other addresses and name servers count as they come, where the same router reports them.
    """
    named = facts.request.remote_neighbour
    if named is not None and plain(named) != plain(reach.address):
        facts.path.wait_for_ping(named)
    others = dict.fromkeys(a for a in (named, *facts.targets, *facts.names.servers) if a is not None)
    pings = (facts.path.peek_ping(a) for a in others if plain(a) != plain(reach.address))
    return tuple(
        ping
        for ping in pings
        if ping is not None and not ping.received
        if ping.address == named
        or any(e.icmp and e.icmp.sender == error.sender and e.icmp.meaning in UNREACHABLE for e in ping.echoes)
    )


def router_error(facts: Facts, reach: Reach) -> IcmpError | None:
    """The ICMP error behind the failure, where another machine than this one sent it."""
    error = reach.icmp or icmp_to_syn(facts, reach)
    return error if error is not None and not facts.machine.is_own(error.sender) else None


def refusers(facts: Facts, reach: Reach) -> int:
    """How many machines refused one packet, 0 where that is not known: a packet is refused by one (RFC 1812, 4.3.2).

    As root they are seen; else the system's counter tells how many ICMP errors came in each round with one SYN. What
    else was sent in a round may have been refused once, too.
    """
    if facts.port is None:
        ping = facts.path.peek_ping(reach.address)
        return ping.refusers if ping is not None else 0
    if facts.request.target.transport == "udp":
        sent = facts.peek("datagram", DatagramResult, facts.endpoint(reach.address))
        return sent.refusers if sent is not None and sent.refusers > sent.sent else min(1, sent.refusers if sent else 0)
    wire = watched.wire(facts, reach.address)
    if wire is not None:
        return len(wire.refusers)
    counted = facts.get("own-filter", OwnFilterResult, facts.endpoint(reach.address))
    rounds = counted.attempts if counted is not None else ()
    return max(0, min(((one.refusals or 0) - max(0, one.sent - 1) for one in rounds), default=0))


def less_sure(facts: Facts, reach: Reach, confidence: Confidence) -> tuple[Confidence, tuple[Note, ...]]:
    """Return the confidence that a refusal deserves, and what speaks against it: several machines claim it."""
    count = refusers(facts, reach) if reach.reading is Reading.ICMP else 0
    if count < 2:
        return confidence, ()
    return "likely" if confidence == "certain" else confidence, (note("fact.several-refuse", count=count),)


def icmp_to_syn(facts: Facts, reach: Reach) -> IcmpError | None:
    """What a SYN of the walk up the TTLs was told where the attempts met silence: routers limit their answers."""
    if reach.reading is not Reading.SILENT or facts.port is None or facts.request.target.transport != "tcp":
        return None
    path = facts.path.tcp_path(reach.address)
    if path is None or path.final is not TcpAnswer.ICMP:
        return None
    return next((hop.icmp for hop in path.hops if hop.answer is TcpAnswer.ICMP), None)


def icmp_to_others(facts: Facts, reach: Reach) -> IcmpError | None:
    """What pings or traceroute were told early where the port itself met silence and the host answers nothing."""
    if reach.reading is not Reading.SILENT or facts.path.alive(reach.address):
        return None
    facts.wait_for("traceroute", reach.address)
    told = facts.path.unreachables(reach.address) if facts.path.unreachable_early(reach.address) else ()
    return told[0][1] if len({error.sender for _, error in told}) == 1 else None


def hop_of_sender(facts: Facts, address: str, sender: str | None) -> int | None:
    """Return the TTL at which the sender of an error stands on the way to ``address``, where that is known."""
    if sender is not None and plain(sender) == plain(address):
        return facts.hops.distance(address) or facts.hops.last_hop(address) + 1
    known, trace = facts.hops.hop_of(address, sender), facts.path.peek_trace(address)
    if known is not None and sender is not None and plain(facts.hops.router_at(address, known) or "") == plain(sender):
        return known
    path = facts.peek("tcp-path", TcpPathResult, facts.endpoint(address))
    told = next((h for h in path.hops if h.answer is TcpAnswer.ICMP), None) if path is not None else None
    if told is not None and told.icmp is not None and told.icmp.sender == sender:
        known = min(known or told.ttl, told.ttl)
    if known is not None:
        # it refuses packets of any greater TTL as well: behind a silent one it may be that one
        if known == 1 or facts.hops.router_at(address, known - 1) is not None:
            return known
        ping = facts.path.peek_ping(address)
        told_from = [(a.address, a.reply_ttl) for hop in (trace.hops if trace is not None else ()) for a in hop.answers]
        told_from += [(e.icmp.sender, e.icmp_ttl) for e in (ping.echoes if ping is not None else ()) if e.icmp]
        back = {routers_back(ttl) + 1 for told_by, ttl in told_from if told_by == sender and ttl is not None}
        return back.pop() if len(back) == 1 and max(back) <= known and same_way_back(facts, address) else None
    # A router that has no way for a packet says so before it looks at the TTL, and it says so rarely: it is then
    # the first silent one behind a row of routers that all answered.
    last = facts.hops.last_hop(address)
    unbroken = last and all(facts.hops.router_at(address, ttl) is not None for ttl in range(1, last + 1))
    return last + 1 if unbroken and sender is not None else None


def late_report(facts: Facts, reach: Reach) -> IcmpError | None:
    """Return what a router said of the target once it had looked for its next hop in vain, if only to a ping."""
    error = router_error(facts, reach)
    if error is None:
        # Where the system keeps to itself what a router told of a connection, the ping has it.
        unheard = reach.reading is Reading.SILENT or reach.failure is Failure.HOST_UNREACHABLE
        ping = facts.path.ping(reach.address) if unheard else None
        echo = next((e for e in (ping.echoes if ping else ()) if e.icmp is not None), None)
        error = echo.icmp if echo is not None else None
        late = echo is not None and (echo.rtt_ms or 0.0) >= facts.threshold("neighbour_wait_ms")
        if error is None or not late or facts.machine.is_own(error.sender):
            return None
    elif not reported_late(facts, reach):
        return None
    return error if error.meaning is IcmpMeaning.HOST_UNREACHABLE else None


def reported_late(facts: Facts, reach: Reach) -> bool:
    """Whether a router took its time to report the host: it tried to resolve the neighbour's address first.

    A routing decision is reported within the round trip, to whichever packet; a failed address resolution to all
    that waited for it, after up to 3 s. TCP may learn late of an early report (the socket was busy), so that pings
    and traceroute count first. Who comes late in that search waits for its rest only: where round trips are known, a
    report that takes much longer than they do is of a search, too.
    """
    waits = [wait_ms for wait_ms, _ in facts.path.unreachables(reach.address)]
    heard_ms = reach.heard_ms if reach.icmp is not None else 0.0  # a walk's SYN is not waited for so long
    rtt_ms = facts.path.rtt_ms(reach.address)
    if max(waits, default=heard_ms) - rtt_ms >= facts.threshold("neighbour_wait_ms"):
        return True
    if not waits or not rtt_ms:
        return False
    prompt = _prompt(facts, reach)
    return max(waits) >= facts.threshold("search_ms") + 4 * rtt_ms or (prompt < 2 <= len(_waits(facts, reach)) - prompt)


def _waits(facts: Facts, reach: Reach) -> list[float]:
    """How long each report of the address took, in milliseconds."""
    tried = facts.peek("connect", ConnectResult, facts.endpoint(reach.address))
    waits = [wait_ms for wait_ms, _ in facts.path.unreachables(reach.address)]
    if tried is not None:
        return waits + [a.duration_ms for a in tried.attempts if a.icmp is not None]
    return [*waits, reach.heard_ms] if reach.icmp is not None else waits


def _prompt(facts: Facts, reach: Reach) -> int:
    """How many reports came within the round trip: those of a search come in one moment, whenever it was asked."""
    within_ms = facts.threshold("prompt_ms") + 2 * facts.path.rtt_ms(reach.address)
    return sum(wait_ms <= within_ms for wait_ms in _waits(facts, reach))


def decided(facts: Facts, reach: Reach, error: IcmpError) -> bool:
    """Whether an early report is a routing decision for sure: of a host that is dead, one may come early by chance."""
    if error.meaning is IcmpMeaning.NETWORK_UNREACHABLE:
        return True
    if not facts.path.rtt_ms(reach.address):
        waits = _waits(facts, reach)
        return len(waits) > 1 and max(waits) <= 2 * min(waits) + facts.threshold("prompt_ms")
    return _prompt(facts, reach) > 1
