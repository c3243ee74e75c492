"""What a program would meet now, against the code that was brought."""

from __future__ import annotations

from probes.flows import FlowOutcome
from troubleshoot.facts import Facts, NotYet, Reach, Reading, flows
from troubleshoot.judge import Conclusion
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.report import Reproduction
from troubleshoot.run import unnamed

#: What a program meets whose source port is one of those that fail.
_MET = {FlowOutcome.SILENCE: "ETIMEDOUT", FlowOutcome.RESET: "ECONNREFUSED"}


def seen_now(facts: Facts, conclusion: Conclusion, catalogue: Catalogue) -> Reproduction:
    """Compare what was seen now with the code that was brought."""
    request = facts.request
    unresolved = _unresolved(facts)
    bound = any(o.result is not None for o in facts.of("bind"))
    untried = "connect" not in request.steps and not unresolved and not bound
    if request.kind == "no-network-meaning" or (request.kind == "api-misuse" and untried):
        return Reproduction(outcome="not-attempted", observed=None)
    if unnamed.untried_for_want_of_a_port(facts) or facts.program.in_other_network():
        return Reproduction(outcome="not-attempted", observed=None)
    if conclusion.outcome == "healthy":
        tried = request.kind == "name-service" or any(r.decided for r in facts.attempts.reaches())
        return Reproduction(outcome="not-reproduced" if tried or bound else "not-attempted", observed=None)
    seen = [request.number] if facts.names.service_unknown() else _observed(facts, catalogue)
    if not seen:
        connects = any(r.reading is Reading.CONNECTED for r in facts.attempts.reaches())
        looked_up = request.kind == "name-service" and bool(facts.targets)
        tried = connects or bound or looked_up
        return Reproduction(outcome="not-reproduced" if tried else "not-attempted", observed=None)
    system = facts.names.resolve.system if unresolved and facts.names.resolve is not None else None
    said = system.eai if system is not None else None
    if request.number in seen:
        return Reproduction(outcome="same", observed=request.number, said=said)
    return Reproduction(outcome="different", observed=seen[0], said=said)


def _unresolved(facts: Facts) -> bool:
    try:
        return facts.names.unresolved()
    except NotYet:
        return False


def _observed(facts: Facts, catalogue: Catalogue) -> list[int]:
    """Return the Winsock numbers that a program would meet now, the first address's first; who dies meets none."""

    def winsock(posix: str) -> int:
        # A filter's refusal is EPERM; Winsock has one code for all that is not allowed.
        twin = catalogue.posix.get("EACCES" if posix == "EPERM" else posix)
        return catalogue.numbers.get(twin.winsock, 0) if twin is not None else 0

    if _unresolved(facts):
        resolve = facts.names.resolve
        system = resolve.system if resolve is not None else None
        return [] if system and system.crashed else [winsock((system and system.eai) or "EAI_AGAIN")]
    met = [_errno_of(r) for r in facts.attempts.reaches() if r.failed]
    met += [a.errno for o in facts.of("bind") for a in getattr(o.result, "attempts", ())[:1]]
    met += [getattr(o.result, "errno", None) for o in facts.of("datagram")]
    met += ["ECONNRESET" for o in facts.of("service") if getattr(o.result, "ended_by_reset", False)]
    splits = [flows.split(facts, reach.address) for reach in facts.attempts.reaches()]
    met += [_MET[s.outcome] for s in splits if s is not None and s.outcome in _MET]
    return [number for errno in met if errno is not None and (number := winsock(errno))]


def _errno_of(found: Reach) -> str | None:
    if found.reading is Reading.SILENT:
        return "ETIMEDOUT"
    return "ECONNRESET" if found.reading is Reading.CUT else found.errno
