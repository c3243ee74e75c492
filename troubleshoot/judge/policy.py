"""What is denied to this program or user and not to the machine: ``policy-denies``."""

from __future__ import annotations

from probes.address import AddressKind
from probes.as_ourselves import AsOurselvesResult
from probes.base import Note, note
from probes.failure import Failure
from probes.filter_rules import FilterRulesResult
from probes.process import ProcessResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, Reading, describe, watched
from troubleshoot.judge import transmit
from troubleshoot.judge.evidence.attempt import attempt_evidence
from troubleshoot.judge.evidence.routes import FORBIDDING
from troubleshoot.judge.model import Evidence, Finding, rule, values

_DENIED = (Failure.NOT_PERMITTED, Failure.ACCESS_DENIED)


def refused_call(reach: Reach) -> bool:
    """Whether the call itself was refused, by no message of the network."""
    return reach.reading is Reading.LOCAL and reach.failure in _DENIED and reach.icmp is None


def no_rule_stops(facts: Facts) -> bool:
    """Whether the packet filter was read as a whole and holds nothing that could stop a packet."""
    rules = facts.get("filter-rules", FilterRulesResult)
    return rules is not None and rules.complete and not rules.stopping


def a_rule_stops(facts: Facts) -> bool:
    """Whether the packet filter is known to hold something that stops packets."""
    rules = facts.get("filter-rules", FilterRulesResult)
    return rules is not None and bool(rules.stopping)


@rule(
    "policy-denies", asks=(asks.failed.as_ourselves, asks.machine.filter_rules, asks.failed.wire, asks.machine.queues)
)
def policy_denies(facts: Facts) -> Finding | None:
    """A security module, a sandbox or a rule for one user keeps this program from what others may do."""
    if facts.port is None or facts.request.target.host is None or facts.names.unresolved() or not facts.targets:
        return None
    if not facts.attempts.blocked():
        return _watched_over(facts)
    reach = facts.attempts.focus
    if reach is None:
        return None
    route = facts.link.route(reach.address)
    if route is not None and route.kind in FORBIDDING:
        return None  # so says the routing table, to whomever it is
    return to_this_program(facts, reach) or _call_refused(facts, reach) or _kept_back(facts, reach)


def to_this_program(facts: Facts, reach: Reach) -> Finding | None:
    """As the program the port cannot be reached, as this process it can, from the same network."""
    found = facts.get("as-ourselves", AsOurselvesResult, facts.endpoint(reach.address))
    route = facts.link.route(reach.address)
    if found is None or reach.reading is Reading.CUT:
        return None
    if route is not None and (route.interface, route.gateway) != (found.interface, found.gateway):
        return None  # another way was taken
    refused = found.failure is Failure.REFUSED and found.icmp is None and reach.reading is not Reading.RESET
    if not (found.connected or refused):
        return None
    fact = note(
        "fact.as-ourselves-connects" if found.connected else "fact.as-ourselves-refused",
        address=found.address,
        port=found.port,
        pid=facts.request.pid,
    )
    rules = facts.get("filter-rules", FilterRulesResult)
    told = refused_call(reach) or (rules is not None and bool(rules.by_user or rules.by_group))
    return _finding(facts, reach, (("connect", fact),), sure=found.connected and told, variant="program")


def _call_refused(facts: Facts, reach: Reach) -> Finding | None:
    """connect() was refused before anything was sent: a filter of packets drops them and refuses no such call."""
    route = facts.link.route(reach.address)
    if route is not None and route.by_port:
        return None  # a rule of routing refuses it in the same words
    if not refused_call(reach) or facts.machine.kind(reach.address) is AddressKind.BROADCAST:
        return None
    unfiltered = no_rule_stops(facts)
    if facts.request.target.transport != "tcp" and not unfiltered:
        return None  # a datagram that the packet filter drops is refused in the same words
    return _finding(facts, reach, (), sure=False, variant="call")


def _kept_back(facts: Facts, reach: Reach) -> Finding | None:
    """No packet leaves, and no rule of the packet filter, no queue and no table keeps it back."""
    if reach.reading is not Reading.SILENT or not facts.request.privileged or not no_rule_stops(facts):
        return None
    if facts.request.target.transport != "tcp" or transmit.full_queue(facts) or transmit.full_table(facts):
        return None
    wire = watched.wire(facts, reach.address)
    if wire is None or wire.syns_out or wire.unresolved:
        return None
    return _finding(facts, reach, (("connect", describe.wire(wire)),), sure=False, variant="silent")


def _watched_over(facts: Facts) -> Finding | None:
    """The target can be reached from here, the code is a denial, and a sandbox that was not entered has the program."""
    request = facts.request
    seen = facts.peek("process", ProcessResult, str(request.pid)) if request.pid is not None else None
    if seen is None or "permission" not in request.about or request.to_bind:
        return None
    if seen.filtered is not True and seen.label is None and not seen.bound:
        return None
    reaches = facts.attempts.reaches()
    connected = next((r for r in reaches if r.reading is Reading.CONNECTED), None)
    if connected is None or facts.machine.is_local(connected.address):
        return None
    return _finding(facts, connected, (), sure=False, variant="sandbox")


def _finding(facts: Facts, reach: Reach, seen: Evidence, *, sure: bool, variant: str) -> Finding:
    told = tuple(("connect", one) for one in _limits(facts))
    return Finding(
        cause="policy-denies",
        confidence="certain" if sure else "likely",
        step="connect",
        evidence=(attempt_evidence(facts, reach), *seen, *told),
        values=values(pid=facts.request.pid, errno=reach.errno),
        variant=variant,
        address=reach.address,
    )


def _limits(facts: Facts) -> list[Note]:
    """Say what may stand over the program, as far as it can be seen, and what the packet filter has to do with it."""
    found, pid = [], facts.request.pid
    seen = facts.peek("process", ProcessResult, str(pid)) if pid is not None else None
    if seen is not None and seen.filtered:
        found.append(note("fact.process-filtered", process=pid))
    if seen is not None and seen.label is not None:
        found.append(note("fact.process-label", pid=pid, label=seen.label))
    if seen is not None and seen.grouped is False:
        found.append(note("fact.process-group", pid=pid))
    if seen is not None and seen.bound:
        found.append(note("fact.process-bound", pid=pid))
    rules = facts.peek("filter-rules", FilterRulesResult)
    if rules is not None and rules.complete and not rules.stopping:
        found.append(note("fact.no-rule-stops", count=rules.rules))
    elif rules is not None and (rules.by_user or rules.by_group):
        found.append(note("fact.rules-by-sender", count=rules.by_user + rules.by_group))
    return found
