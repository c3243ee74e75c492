"""This machine's own filter: ``local-firewall``."""

from __future__ import annotations

from probes.address import AddressKind
from probes.base import Note, note
from probes.failure import Failure, IcmpMeaning
from probes.own_filter import OwnFilterResult
from probes.tcp_path import TcpAnswer
from probes.wire import WireResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, describe
from troubleshoot.judge.evidence.attempt import any_connected, attempt_evidence
from troubleshoot.judge.evidence.counters import by_chance
from troubleshoot.judge.evidence.routes import FORBIDDING
from troubleshoot.judge.model import Evidence, Finding, rule, values
from troubleshoot.report import Confidence


@rule("local-firewall", asks=(asks.failed.wire, asks.failed.own_filter, asks.machine.listeners))
def local_firewall(facts: Facts) -> Finding | None:
    """This machine's own filter refuses or drops the traffic."""
    if any_connected(facts):
        return None
    if facts.names.unresolved():
        return _filtered_questions(facts)
    focus = facts.attempts.focus
    if focus is None or facts.port is None:
        return _filtered_without_port(facts, focus)
    route = facts.link.route(focus.address)
    base: Evidence = (attempt_evidence(facts, focus),)
    forbidden = route is not None and route.kind in FORBIDDING
    if (
        focus.reading is Reading.LOCAL
        and focus.failure in (Failure.NOT_PERMITTED, Failure.ACCESS_DENIED)
        and not forbidden
    ):
        sort = facts.machine.kind(focus.address)
        if sort is not AddressKind.BROADCAST:
            return _stopped(facts, focus, "certain", base)
    if focus.reading is Reading.ICMP and focus.icmp is not None and facts.machine.is_own(focus.icmp.sender):
        refusal = focus.icmp.meaning in (IcmpMeaning.PORT_UNREACHABLE, IcmpMeaning.PROHIBITED)
        if refusal and not (facts.machine.is_local(focus.address) and facts.request.target.transport == "udp"):
            return _stopped(facts, focus, "certain", base)
    if facts.request.target.transport != "tcp":
        return None
    if facts.machine.is_local(focus.address):
        return _filtered_to_self(facts, focus, base)
    if not facts.attempts.decided_reach(focus.address).failed or focus.reading not in (Reading.SILENT, Reading.RESET):
        return None
    wire = facts.get("wire", WireResult, facts.endpoint(focus.address))
    if wire is not None:
        eaten = wire.answer_in in ("syn-ack", "reset") and not wire.socket_heard
        if (wire.syns_out == 0 and not wire.unresolved) or eaten:
            seen = (*base, ("connect", describe.wire(wire)))
            return _stopped(facts, focus, "certain", seen)
        return None
    path = facts.path.tcp_path(focus.address)
    trace = facts.path.trace(focus.address)
    if path is None or trace is None or route is None:
        return None
    seen = (*base, ("connect", describe.tcp_path(path)), ("traceroute", describe.trace(trace)))
    counted = facts.get("own-filter", OwnFilterResult, facts.endpoint(focus.address))
    if counted is not None and (facts.path.alive(focus.address) or facts.hops.last_hop(focus.address)):
        stopped = _stopped_here(facts, counted, focus)
        if stopped is not None:
            fact, confidence = stopped
            seen = (*base, ("connect", fact))
            return _stopped(facts, focus, confidence, seen)
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
    also = (("firewall-drop" if vanishes else "firewall-reset", note("verdict.open-first-router")),)
    return _stopped(facts, focus, "possible", seen, also)


def _stopped(facts: Facts, focus: Reach, confidence: Confidence, evidence: Evidence, also: Evidence = ()) -> Finding:
    """Return the finding of a connection that this machine itself stops."""
    return Finding(
        cause="local-firewall",
        confidence=confidence,
        scope="this-machine",
        step="connect",
        evidence=evidence,
        values=values(address=focus.address, port=facts.port),
        also=also,
    )


def _stopped_here(facts: Facts, counted: OwnFilterResult, focus: Reach) -> tuple[Note, Confidence] | None:
    """What the interface's counters say: SYNs that never left, or answers that came and were not let in."""
    name = counted.interface
    kept_up = counted.control is not None and counted.control.sent > 0
    if kept_up and any(r.sent == 0 for r in counted.attempts):
        # Other traffic can only raise the count: one round without a packet sent is proof.
        return note("fact.wire-nothing-left", interface=name), "certain"
    chance = by_chance(counted) if focus.reading is Reading.SILENT else None
    if kept_up and chance is not None and chance <= facts.threshold("counted_chance"):
        return note("fact.counted-eaten", interface=name), "likely"
    return None


def _filtered_to_self(facts: Facts, focus: Reach, base: Evidence) -> Finding | None:
    """Silence towards this machine itself: its filter, unless loopback is down or the queue is full."""
    if focus.reading is not Reading.SILENT or facts.machine.loopback_down() or facts.machine.full_queue(facts.port):
        return None
    return _stopped(facts, focus, "likely", base)


def _filtered_questions(facts: Facts) -> Finding | None:
    """Every question to every name server was stopped on this machine (EPERM: the outgoing filter drops it)."""
    answers = [a for s in facts.names.servers for a in facts.names.answers_of(s)]
    stopped = [a for a in answers if a.errno == "EPERM" and a.icmp_sender is None]
    if not stopped or len(stopped) < len(answers):
        return None
    first = stopped[0]
    return Finding(
        cause="local-firewall",
        confidence="certain",
        scope="this-machine",
        step="check-dns" if "check-dns" in facts.request.steps else "resolve-name",
        evidence=(
            ("check-dns", describe.server_answer(first)),
            ("check-dns", note("fact.stopped-here", errno="EPERM")),
        ),
        values=values(address=first.server, port=first.port),
    )


def _filtered_without_port(facts: Facts, focus: Reach | None) -> Finding | None:
    if focus is None or focus.failure is not Failure.NOT_PERMITTED:
        return None
    return Finding(
        cause="local-firewall",
        confidence="possible",
        scope="this-machine",
        step="ping-remote",
        evidence=(attempt_evidence(facts, focus),),
        values=values(address=focus.address),
    )
