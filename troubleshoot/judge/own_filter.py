"""This machine's own filter: ``local-firewall``."""

from __future__ import annotations

from probes.address import AddressKind
from probes.base import Note, note
from probes.failure import Failure, IcmpMeaning
from probes.own_filter import OwnFilterResult
from probes.tcp_path import TcpAnswer
from probes.wire import WireResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, describe, ports, watched
from troubleshoot.judge import policy, transmit
from troubleshoot.judge.evidence.attempt import any_connected, attempt_evidence
from troubleshoot.judge.evidence.counters import taken_by_chance
from troubleshoot.judge.evidence.routes import FORBIDDING
from troubleshoot.judge.model import Evidence, Finding, first_step, rule, values
from troubleshoot.report import Confidence


@rule(
    "local-firewall",
    asks=(
        asks.failed.wire,
        asks.failed.own_filter,
        asks.machine.listeners,
        asks.machine.queues,
        asks.machine.filter_rules,
        asks.failed.as_ourselves,
    ),
)
def local_firewall(facts: Facts) -> Finding | None:
    """This machine's own filter refuses or drops the traffic."""
    if any_connected(facts) or policy.no_rule_stops(facts):
        return None
    if facts.names.unresolved():
        return _filtered_questions(facts)
    focus = facts.attempts.focus
    if focus is None or facts.port is None:
        return _filtered_without_port(facts, focus)
    if policy.to_this_program(facts, focus) is not None:
        return None  # others get through
    if _told(facts, focus):
        return _stopped(facts, focus, "certain") if policy.a_rule_stops(facts) else _unread(facts, focus)
    if facts.request.target.transport != "tcp":
        return None
    if facts.machine.is_local(focus.address):
        return _filtered_to_self(facts, focus)
    if not facts.attempts.decided_reach(focus.address).failed or focus.reading not in (Reading.SILENT, Reading.RESET):
        return None
    wire = watched.wire(facts, focus.address)
    if wire is None:
        return _without_root(facts, focus)
    sure = _seen_on_wire(wire)
    return _stopped(facts, focus, sure, ("connect", describe.wire(wire))) if sure else None


def _told(facts: Facts, focus: Reach) -> bool:
    """Whether this machine itself said so: the call was not permitted, or an ICMP refusal came from here."""
    route = facts.link.route(focus.address)
    forbidden = route is not None and route.kind in FORBIDDING
    # connect() of TCP keeps to itself that its packet was dropped: whoever refuses that call stands before the filter.
    denied = policy.refused_call(focus) and facts.request.target.transport != "tcp"
    if denied and not forbidden and facts.machine.kind(focus.address) is not AddressKind.BROADCAST:
        return True
    if focus.reading is not Reading.ICMP or focus.icmp is None or not facts.machine.is_own(focus.icmp.sender):
        return False
    # A closed UDP port of this machine itself is told in the same way.
    closed = facts.machine.is_local(focus.address) and facts.request.target.transport == "udp"
    return focus.icmp.meaning in (IcmpMeaning.PORT_UNREACHABLE, IcmpMeaning.PROHIBITED) and not closed


def _unread(facts: Facts, focus: Reach) -> Finding:
    """This machine says no, and its rules could not be read: it may be a filter that stands before them."""
    if focus.icmp is not None:
        return _stopped(facts, focus, "certain")  # no other than the packet filter sends a message
    return _stopped(facts, focus, "likely", also=(("policy-denies", note("verdict.open-policy")),))


def _echoes_forbidden(facts: Facts, address: str) -> bool:
    """Whether the kernel refused to send any ping, in the words of a packet that is dropped on its way out."""
    ping = facts.path.peek_ping(address)
    echoes = ping.echoes if ping is not None else ()
    return bool(echoes) and all(e.errno == "EPERM" and e.icmp is None for e in echoes)


def _without_root(facts: Facts, focus: Reach) -> Finding | None:
    """What counters and distances tell of packets that cannot be watched."""
    if focus.reading is Reading.SILENT and _echoes_forbidden(facts, focus.address):
        return _unread(facts, focus)
    path = facts.path.tcp_path(focus.address)
    trace = facts.path.trace(focus.address)
    route = facts.link.route(focus.address)
    if path is None or trace is None or route is None:
        return None
    counted = facts.get("own-filter", OwnFilterResult, facts.endpoint(focus.address))
    if counted is not None and (facts.path.alive(focus.address) or facts.hops.last_hop(focus.address)):
        stopped = _stopped_here(facts, counted, focus)
        if stopped is not None:
            fact, confidence = stopped
            return _stopped(facts, focus, confidence, ("connect", fact))
        if counted.control is not None and counted.control.sent:
            return None
    if route.on_link:
        return None
    first = facts.hops.router_at_by_trace(focus.address, 1)
    vanishes = focus.reading is Reading.SILENT and first is not None and path.passed_ttl == 0 and path.final is None
    reset_at_once = focus.reading is Reading.RESET and path.final is TcpAnswer.RESET and path.final_ttl == 1
    if not vanishes and not reset_at_once:
        return None
    # A SYN with TTL 1 is dropped or refused before the first router could say "time exceeded"; other packets are not.
    seen = (("connect", describe.tcp_path(path)), ("traceroute", describe.trace(trace)))
    also = (("firewall-drop" if vanishes else "firewall-reset", note("verdict.open-first-router")),)
    return _stopped(facts, focus, "possible", *seen, also=also)


def _seen_on_wire(wire: WireResult) -> Confidence | None:
    """How sure it is that no SYN left, or that an answer which TCP would take did not get to it."""
    if wire.syns_out == 0 and not wire.unresolved:
        return "certain"
    if wire.answer_in not in ("syn-ack", "reset") or wire.socket_heard:
        return None
    # Somebody on the way sends what is no answer: what looks like one may be of the same sender.
    return "likely" if wire.unfitting else "certain"


def _stopped(
    facts: Facts,
    focus: Reach,
    confidence: Confidence,
    *seen: tuple[str, Note],
    variant: str = "default",
    also: Evidence = (),
) -> Finding:
    """Return the finding of a connection that this machine itself stops, with what was seen beside the attempt.

    A full queue or neighbour table keeps packets here in the same way; only a call that was refused speaks of a rule.
    """
    elsewhere = not _told(facts, focus) and (transmit.full_queue(facts) or transmit.full_table(facts))
    return Finding(
        cause="local-firewall",
        confidence="possible" if elsewhere else confidence,
        step="connect",
        evidence=(attempt_evidence(facts, focus), *seen),
        values=values(address=focus.address),
        variant=variant,
        also=also,
    )


def _stopped_here(facts: Facts, counted: OwnFilterResult, focus: Reach) -> tuple[Note, Confidence] | None:
    """What the interface's counters say: SYNs that never left, or answers that came and were not let in."""
    name = counted.interface
    kept_up = counted.control is not None and counted.control.sent > 0
    if kept_up and any(r.sent == 0 for r in counted.attempts):
        # Other traffic can only raise the count: one round without a packet sent is proof.
        return note("fact.wire-nothing-left", interface=name), "certain"
    chance = taken_by_chance(counted) if focus.reading is Reading.SILENT else None
    if kept_up and chance is not None and chance <= facts.threshold("counted_chance"):
        return note("fact.counted-eaten", interface=name), "likely"
    return None


def _filtered_to_self(facts: Facts, focus: Reach) -> Finding | None:
    """This machine itself is silent, or refuses what one of its listeners would take.

    Its filter, then, unless loopback is down or the queue is full.
    """
    if focus.reading in (Reading.RESET, Reading.ICMP):
        interface = facts.link.interface(focus.address)
        there = [e for e in ports.listeners(facts) if ports.takes(e, focus.address, interface)]
        if not there:
            return None
        return _stopped(facts, focus, "likely", ("listeners", describe.listening(there)), variant="self")
    if focus.reading is not Reading.SILENT or facts.machine.loopback_down() or facts.machine.full_queue(facts.port):
        return None
    return _stopped(facts, focus, "likely")


def _filtered_questions(facts: Facts) -> Finding | None:
    """Every question to every name server was stopped on this machine (EPERM: the outgoing filter drops it)."""
    answers = [a for s in facts.names.servers for a in facts.names.answers_of(s)]
    stopped = [a for a in answers if a.errno == "EPERM" and a.icmp_sender is None]
    if not stopped or len(stopped) < len(answers):
        return None
    first = stopped[0]
    return Finding(
        cause="local-firewall",
        confidence="certain" if policy.a_rule_stops(facts) else "likely",
        step=first_step(facts, "check-dns", "resolve-name"),
        evidence=(
            ("check-dns", describe.server_answer(first)),
            ("check-dns", note("fact.stopped-here", errno="EPERM")),
        ),
        values=values(address=first.server, port=first.port),
        also=() if policy.a_rule_stops(facts) else (("policy-denies", note("verdict.open-policy")),),
    )


def _filtered_without_port(facts: Facts, focus: Reach | None) -> Finding | None:
    if focus is None or focus.failure is not Failure.NOT_PERMITTED:
        return None
    return Finding(
        cause="local-firewall",
        confidence="possible",
        step="ping-remote",
        evidence=(attempt_evidence(facts, focus),),
        values=values(address=focus.address),
    )
