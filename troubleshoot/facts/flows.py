"""Several ways to one address: where flows meet different routers, and whether what becomes of one depends on its port.

Routers with ways of equal cost choose one for each flow, by its addresses and ports (RFC 2992). Nothing here touches a
network: plan, steps and judge ask the same questions of the same facts.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from probes.answer_ttl import AnswerTtlResult, TtlAnswer
from probes.failure import IcmpMeaning
from probes.flows import CHANCE, Flow, FlowHop, FlowOutcome, FlowsRequest, FlowsResult, by_chance, repetitions
from probes.tcp_path import TcpAnswer, TcpPathResult
from troubleshoot.facts import Facts, Reading, loss_series, losses, plain, second_look

#: Codes that a program meets now and then where one of several ways is at fault.
_NOW_AND_THEN = frozenset(
    {
        "WSAETIMEDOUT",
        "WSAECONNREFUSED",
        "WSAECONNRESET",
        "WSAECONNABORTED",
        "WSAEHOSTUNREACH",
        "WSAENETUNREACH",
        "WSAEHOSTDOWN",
    }
)
#: So many ports that fail again and again are worth a word, although chance is not ruled out.
_SUSPECTS = 4
#: The better an outcome, the further its packets got; local failures tell nothing of the way.
_RANK = (FlowOutcome.ACCEPTED, FlowOutcome.RESET, FlowOutcome.ICMP, FlowOutcome.SILENCE)


class Split(msgspec.Struct, frozen=True):
    """Some source ports fare worse than others, always the same ones.

    ``outcome`` is what they meet, ``failing`` and ``ports`` how many of how many, ``tries`` how often they were tried.
    ``walk`` is what one of them met hop by hop. ``proven`` is whether they were tried so often that it is not chance.
    """

    address: str
    outcome: FlowOutcome
    failing: int
    ports: int
    tries: int
    walk: tuple[FlowHop, ...]
    proven: bool = True

    @property
    def passed(self) -> tuple[int, str | None]:
        """The greatest TTL at which a router answered on the way of the ports that fail, and its address."""
        seen = [hop for hop in self.walk if hop.outcome is FlowOutcome.TIME_EXCEEDED]
        return (seen[-1].ttl, seen[-1].icmp.sender if seen[-1].icmp is not None else None) if seen else (0, None)

    @property
    def final(self) -> FlowHop | None:
        """The hop at which they got an answer that is final."""
        last = self.walk[-1] if self.walk else None
        return (
            last if last is not None and last.outcome not in (FlowOutcome.TIME_EXCEEDED, FlowOutcome.SILENCE) else None
        )


def differ(facts: Facts, address: str) -> dict[int, tuple[str, ...]]:
    """Return the TTLs at which packets of different flows met different devices, and these."""
    met: dict[int, dict[str, None]] = {}
    trace = facts.path.peek_trace(address)
    for hop in trace.hops if trace is not None else ():
        met.setdefault(hop.ttl, {}).update((plain(a.address), None) for a in hop.answers if a.address is not None)
    subjects = (facts.endpoint(address), facts.endpoint(second_look(address)))
    paths = [facts.peek("tcp-path", TcpPathResult, subject) for subject in subjects]
    steps = [(s.ttl, s.icmp) for path in paths if path is not None for s in path.hops]
    flows = facts.peek("flows", FlowsResult, facts.endpoint(address))
    steps += [(s.ttl, s.icmp) for s in (flows.walk if flows is not None else ())]
    for ttl, icmp in steps:
        if icmp is not None and icmp.sender is not None and icmp.meaning is IcmpMeaning.TIME_EXCEEDED:
            met.setdefault(ttl, {})[plain(icmp.sender)] = None
    return {ttl: tuple(devices) for ttl, devices in sorted(met.items()) if len(devices) > 1}


def called_for(facts: Facts, address: str) -> FlowsRequest | None:
    """Return the request to try several source ports, where it may depend on them what a program meets.

    Either the port connects now although the program met an error that fits one bad way among several; or it does not,
    and other SYNs to it, from other ports, fared better.
    """
    route, reach = facts.link.peek_route(address), facts.attempts.reach(address)
    if route is None or route.gateway is None or facts.port is None or facts.request.target.transport != "tcp":
        return None
    if facts.machine.is_local(address) or facts.path.slow(address) or facts.request.code not in _NOW_AND_THEN:
        return None
    if reach.reading is not Reading.CONNECTED and not _others_fared_better(facts, address, reach.reading):
        return None
    rtt_ms = max(facts.path.rtt_ms(address), reach.heard_ms if reach.reading is not Reading.SILENT else 0.0)
    return FlowsRequest(address, facts.port, wait_s=min(0.9, max(0.25, 0.1 + 3 * rtt_ms / 1000)))


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


def split(facts: Facts, address: str) -> Split | None:
    """Return the ports that fail again and again, ``None`` where it does not depend on the port, as far as was tried.

    What strikes at random, and a limit that sets in after some connections, do not: the same ports fail at each of
    several tries, so often that chance is ruled out, while others get through between them.
    :class:`troubleshoot.facts.NotYet` while they are tried.
    """
    result = facts.get("flows", FlowsResult, facts.endpoint(address))
    flows = [flow for flow in (result.flows if result is not None else ()) if flow.tries[0] in _RANK]
    if result is None or not flows:
        return None
    best = min((flow.tries[0] for flow in flows), key=_RANK.index)
    failing = [flow for flow in flows if flow.tries[0] is not best]
    again = sum(repetitions(flow.tries) for flow in failing)
    steady = all(len(set(flow.tries)) == 1 for flow in failing)
    if not failing or not steady or best not in result.fresh_last:
        return None
    outcome = Counter(flow.tries[0] for flow in failing).most_common(1)[0][0]
    chance = by_chance(len(failing), len(flows), again)
    if outcome is FlowOutcome.SILENCE:
        loss_series.weight(facts, address)  # while a loss is measured, nothing is ruled out
        # either of the two packets that a silence stands for may have been lost
        chance = max(chance, min(1.0, 2 * losses.at_most(facts, address)) ** again)
    tries = sum(len(flow.tries) for flow in failing)
    if chance >= CHANCE and (len(failing) < _SUSPECTS or tries < 2 * len(failing)):
        return None
    return Split(address, outcome, len(failing), len(flows), tries, _walk(result, failing), proven=chance < CHANCE)


def _walk(result: FlowsResult, failing: list[Flow]) -> tuple[FlowHop, ...]:
    return result.walk if result.walked in {flow.source_port for flow in failing} else ()
