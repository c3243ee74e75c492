"""What only makes sense to ask of an address that answers: the service, losses, large packets, several ways."""

from __future__ import annotations

from collections.abc import Iterator

from probes.answer_ttl import AnswerTtlRequest, AnswerTtlResult, TtlAnswer
from probes.flows import FlowsRequest
from probes.path_mtu import PathMtuRequest
from probes.service import ServiceOutcome
from probes.tcp_path import TcpAnswer, TcpPathResult
from probes.transfer import Dialogue, TransferRequest
from troubleshoot.asks.ladder import rtt_s, service, tcp_port
from troubleshoot.asks.model import Job, ask
from troubleshoot.asks.path import shrinks
from troubleshoot.asks.target import looked_into
from troubleshoot.facts import Facts, NotYet, Reading, loss_series, rungs, second_look, trials
from troubleshoot.facts.rungs import Ending

#: Source ports that are tried where some attempts have failed and others not: the row ends where a limit shows.
_PORTS = 8

__all__ = ["accepted_ttl", "answering", "flows", "large_packets", "losses", "service"]


def answering(facts: Facts) -> list[str]:
    """Return the addresses looked into that accept connections."""
    return [a for a in looked_into(facts) if facts.attempts.reach(a).reading is Reading.CONNECTED]


@ask("transfer", "path-mtu", "mtu-hop")
def large_packets(facts: Facts, address: str) -> Iterator[Job]:
    """Do packets as long as the interface's get through, in a real transfer and by themselves, and how far?

    The transfer's first connection is made before any size is tried: what routers then say teaches the kernel a smaller
    one, and connections made afterwards would be spared what the program met.
    """
    request, port = facts.request, tcp_port(facts)
    if port is None or not _may_get_stuck(facts, address):
        return
    if not _talks(facts, address):
        done = facts.service.climbed(address)
        if done is not None and done.ending is Ending.SILENT and facts.path.alive(address):
            yield _sizes(facts, address)
        return
    subject, trip_s = facts.endpoint(address), rtt_s(facts, address)
    dialogue = Dialogue.TLS if request.tls else Dialogue.SAY if request.say_hex else Dialogue.LISTEN
    name = None if facts.names.is_literal else request.target.host
    said = TransferRequest(address, port, dialogue, request.say_hex, name, rtt_ms=trip_s * 1000)
    yield Job("transfer", subject, said)
    if facts.observation("transfer", subject) is None:
        return
    if facts.path.alive(address):
        yield _sizes(facts, address)
    yield from shrinks(facts, address)


def _sizes(facts: Facts, address: str) -> Job:
    return Job("path-mtu", address, PathMtuRequest(address, wait_s=max(0.5, 3 * rtt_s(facts, address))))


def _talks(facts: Facts, address: str) -> bool:
    """Whether a transfer would tell more than the ladder does: each is a connection that a limit may count.

    Where nothing is to be said, the rung that listens has done the same. What stays silent is looked into further where
    it should have greeted, or where a hello was not answered either.
    """
    if not facts.service.established or facts.request.tls or facts.request.say_hex:
        return _may_get_stuck(facts, address)
    done = facts.service.climbed(address)
    if done is None or done.ending is not Ending.SILENT or not _may_get_stuck(facts, address):
        return False
    if facts.service.known or facts.service.hole(address) is not None:
        return True
    greeted = facts.service.climbed(address, rungs.TLS)
    return greeted is not None and greeted.ending is Ending.SILENT


def _may_get_stuck(facts: Facts, address: str) -> bool:
    """Whether the code, or silence where the service should have greeted, may come from long packets that are lost."""
    if facts.machine.is_local(address):
        return False
    stuck = facts.service.peek(address)
    stuck_now = stuck is not None and stuck.outcome is ServiceOutcome.SILENT and stuck.waited_ms >= 1000
    # on a slow path it takes long, and silence of an open connection says little
    asked = facts.service.stalls(address) and (facts.service.established or not facts.path.slow(address))
    return asked or ((facts.request.tls or facts.request.speaks_first) and stuck_now)


@ask("answer-ttl")
def accepted_ttl(facts: Facts, address: str) -> Iterator[Job]:
    """Where SYNs are accepted nearer than the host is: with which TTL does that answer arrive?"""
    port = tcp_port(facts)
    if port is None:
        return
    try:
        early = facts.hops.accepted_early(address)
    except NotYet:
        return
    ping = facts.path.peek_ping(address)
    seen = {e.reply_ttl for e in (ping.echoes if ping else ()) if e.reply_ttl is not None}
    if early is not None and (seen or ("ping", address) not in facts.running or facts.hops.dies_at(address, early)):
        likely = tuple(start - early + 1 for start in (64, 255, 128))
        request_ = AnswerTtlRequest(
            address, port, rtt_ms=facts.attempts.reach(address).heard_ms, expected=(*seen, *likely)
        )
        yield Job("answer-ttl", facts.endpoint(address), request_)


@ask("flows")
def flows(facts: Facts, address: str) -> Iterator[Job]:
    """Is every connection made, or only some, and does that depend on the source port?

    Either the port connects now although the program met an error that fits one bad way or machine among several; or it
    does not, and other SYNs to it, from other ports, fared better.
    """
    route, reach = facts.link.peek_route(address), facts.attempts.reach(address)
    if route is None or route.gateway is None or facts.port is None or facts.request.target.transport != "tcp":
        return
    if facts.machine.is_local(address) or facts.service.slow(address) or "now-and-then" not in facts.request.about:
        return
    accepted = reach.reading is Reading.CONNECTED
    if not accepted and not _others_fared_better(facts, address, reach.reading):
        return
    watched, talked = facts.service.known or facts.service.established, _talks(facts, address)
    if accepted and trials.pending(facts, address, watched=watched, talked=talked):
        return  # one after the other: their order tells a limit
    # greetings one behind the other are as many trials: with others between them, every third may be the other's
    # for what only connections bring, the ladder makes two more at least
    kept = (2 if facts.service.established else int(watched)) + int(talked) + len(facts.service.repeats(address))
    failed = bool(trials.since_first_failure(facts, address))
    count = _PORTS if failed or not accepted else trials.left(facts, address, kept)
    if not count and facts.observation("flows", facts.endpoint(address)) is None:
        return
    rtt_ms = max(facts.path.rtt_ms(address), reach.heard_ms if reach.reading is not Reading.SILENT else 0.0)
    wait_s = min(0.9, max(0.25, 0.1 + 3 * rtt_ms / 1000))
    yield Job("flows", facts.endpoint(address), FlowsRequest(address, facts.port, count, wait_s, accepted=accepted))


def _others_fared_better(facts: Facts, address: str, reading: Reading) -> bool:
    better = {
        Reading.RESET: (TcpAnswer.ACCEPTED,),
        Reading.ICMP: (TcpAnswer.ACCEPTED, TcpAnswer.RESET),
        Reading.SILENT: (TcpAnswer.ACCEPTED, TcpAnswer.RESET),
    }
    for subject in (facts.endpoint(address), facts.endpoint(second_look(address))):
        path = facts.peek("tcp-path", TcpPathResult, subject)
        if path is not None and path.final in better.get(reading, ()):
            return True
    answers = facts.peek("answer-ttl", AnswerTtlResult, facts.endpoint(address))
    return reading is Reading.RESET and answers is not None and answers.answer is TtlAnswer.MIXED


@ask("ping", "tcp-loss")
def losses(facts: Facts, address: str) -> Iterator[Job]:
    """Series that tell a loss in numbers, and where there is one, after which hop it begins."""
    try:
        for series in loss_series.series(facts, address):
            yield Job(series.probe, series.subject, series.request)
        if loss_series.weight(facts, address) in ("certain", "likely"):
            place = loss_series.search(facts, address)
            for series in place if isinstance(place, tuple) else ():
                yield Job(series.probe, series.subject, series.request)
    except NotYet:
        return
