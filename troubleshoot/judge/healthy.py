"""Whether a target works, how sure that is, and where the checklist stopped if nothing could be concluded."""

from __future__ import annotations

from collections.abc import Iterable

from probes.address import AddressKind
from troubleshoot.facts import Facts, NotYet, Reading, is_loopback, losses
from troubleshoot.judge.model import Finding
from troubleshoot.report import Confidence


def works(facts: Facts) -> bool:
    """Whether the target works now and nothing on the checklist is at fault."""
    request = facts.request
    if request.kind in ("network", "name-service"):
        return _reached(facts)
    if request.kind == "api-misuse":
        return False
    if facts.running:
        raise NotYet("local checks")
    if "connect" in request.steps and facts.targets and not facts.machine.is_local(facts.targets[0]):
        everywhere = facts.machine.kind(facts.targets[0]) is AddressKind.UNSPECIFIED
        return not facts.machine.hidden() if everywhere else _reached(facts)
    return not facts.machine.hidden() and not any(r.reading is Reading.LOCAL for r in facts.attempts.reaches())


def _reached(facts: Facts) -> bool:
    if facts.request.kind == "name-service" and facts.port is None:
        return facts.names.is_literal or (facts.names.resolved() is not None and not facts.names.unresolved())
    reaches = facts.attempts.reaches()
    if not reaches:
        if facts.names.resolving or ("services-file", facts.request.target.service or "") in facts.running:
            raise NotYet("resolve")
        return False
    if facts.port is None and any(facts.path.alive(r.address) for r in reaches):
        return True
    for reach in reaches:
        facts.attempts.wait_for(reach.address)
        facts.wait_for("flows", facts.endpoint(reach.address))
    if all(is_loopback(r.address) for r in reaches):
        return any(r.reading is Reading.CONNECTED for r in reaches)
    return all(r.reading is Reading.CONNECTED for r in reaches)


def confidence(facts: Facts) -> Confidence:
    """How sure it is that a target works that does: a loss that is too rare to be met now is ruled out by numbers."""
    measured = losses.hidden(facts)
    return "certain" if measured is None or losses.clear(facts, measured[1]) else "likely"


def stopped_at(unsettled: Finding | None, failed: Iterable[str]) -> str | None:
    """Return the step that an inconclusive verdict points to: of what keeps it open, else of the steps that failed."""
    if unsettled is not None:
        return unsettled.step
    steps = tuple(failed)
    return "connect" if "connect" in steps else next(iter(steps), None)
