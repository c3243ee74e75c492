"""Several ways to one address: where flows meet different routers, and whether what becomes of one depends on its port.

Routers with ways of equal cost choose one for each flow, by its addresses and ports (RFC 2992). Nothing here touches a
network: plan, steps and judge ask the same questions of the same facts.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from probes.failure import IcmpMeaning
from probes.flows import CHANCE, Flow, FlowHop, FlowOutcome, FlowsResult, by_chance, repetitions
from probes.tcp_path import TcpPathResult
from troubleshoot.facts import Facts, early_look, loss_series, losses, plain, second_look

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
    subjects = [facts.endpoint(look) for look in (address, second_look(address), early_look(address))]
    paths = [facts.peek("tcp-path", TcpPathResult, subject) for subject in subjects]
    steps = [(s.ttl, s.icmp) for path in paths if path is not None for s in path.hops]
    flows = facts.peek("flows", FlowsResult, facts.endpoint(address))
    steps += [(s.ttl, s.icmp) for s in (flows.walk if flows is not None else ())]
    for ttl, icmp in steps:
        if icmp is not None and icmp.sender is not None and icmp.meaning is IcmpMeaning.TIME_EXCEEDED:
            met.setdefault(ttl, {})[plain(icmp.sender)] = None
    return {ttl: tuple(devices) for ttl, devices in sorted(met.items()) if len(devices) > 1}


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
