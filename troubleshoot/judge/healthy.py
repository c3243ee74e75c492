"""Whether a target works, how sure that is, and where the checklist stopped if nothing could be concluded."""

from __future__ import annotations

from collections.abc import Iterable

from probes.address import AddressKind
from probes.base import Note, note
from probes.service import ServiceOutcome, ServiceResult
from probes.transfer import TransferResult
from troubleshoot.facts import Facts, NotYet, Reading, is_loopback, losses
from troubleshoot.judge.model import Finding
from troubleshoot.report import Confidence


def works(facts: Facts) -> bool:
    """Whether the target works now and nothing on the checklist is at fault."""
    request = facts.request
    if facts.names.unresolved():
        return False  # whatever else is in order: the name that the program uses leads nowhere
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
        return not facts.request.needs_port
    for reach in reaches:
        facts.wait_for("address", reach.address)
        facts.attempts.wait_for(reach.address)
        facts.wait_for("flows", facts.endpoint(reach.address))
    failed = [r for r in reaches if r.reading is not Reading.CONNECTED]
    if all(is_loopback(r.address) for r in reaches):
        # A name for both loopback addresses: most programs go on to the other one, unless it is the code they met.
        return len(failed) < len(reaches) and not any(facts.attempts.is_the_code(r) for r in failed)
    return not failed


def confidence(facts: Facts) -> Confidence:
    """How sure it is that a target works that does.

    Certain where the attempt was the one that the code is about, nothing in the record speaks against it, and a loss
    that is too rare to be met now is ruled out by numbers.
    """
    measured = losses.hidden(facts)
    clear = measured is None or losses.clear(facts, measured[1])
    tried = facts.port is not None or facts.request.kind != "network"
    return "certain" if clear and tried and not _contradicted(facts) and _data_moved(facts) else "likely"


def _contradicted(facts: Facts) -> bool:
    """Whether an observation of the run speaks of a failure: an address that failed, a service that hung up."""
    if any(reach.failed for reach in facts.attempts.reaches()):
        return True
    bad = (ServiceOutcome.RESETS, ServiceOutcome.CLOSES, ServiceOutcome.TLS_ALERT)
    return any(isinstance(o.result, ServiceResult) and o.result.outcome in bad for o in facts.of("service"))


def _data_moved(facts: Facts) -> bool:
    """Whether a code that open connections bring was held to data that were exchanged over one."""
    connected = [r.address for r in facts.attempts.reaches() if r.reading is Reading.CONNECTED]
    stalling = [address for address in connected if facts.service.stalls(address)]
    return all(_exchanged(facts, address) for address in stalling)


def _exchanged(facts: Facts, address: str) -> bool:
    if facts.request.target.transport == "udp":
        return True  # to connect is to be answered
    service = facts.service.peek(address)
    if service is not None and service.outcome in (ServiceOutcome.SPEAKS, ServiceOutcome.TLS_OK):
        return True
    transfer = facts.peek("transfer", TransferResult, facts.endpoint(address))
    return any(trial.received for trial in (transfer.trials if transfer is not None else ()))


def not_checked(facts: Facts) -> tuple[Note, ...]:
    """Return what a healthy verdict does not speak of."""
    if facts.request.kind == "name-service" and facts.port is None:
        return ()
    notes = []
    if facts.port is None:
        notes.append(note("verdict.unchecked-port"))
    elif not _data_moved(facts):
        notes.append(note("verdict.unchecked-data"))
    spoken = (ServiceOutcome.TLS_OK, ServiceOutcome.TLS_ALERT)
    services = [o.result for o in facts.of("service") if isinstance(o.result, ServiceResult)]
    if facts.request.tls and not any(result.outcome in spoken for result in services):
        notes.append(note("verdict.unchecked-tls"))
    if facts.request.pid is None:
        notes.append(note("verdict.unchecked-program"))
    return tuple(notes)


def stopped_at(unsettled: Finding | None, failed: Iterable[str]) -> str | None:
    """Return the step that an inconclusive verdict points to: of what keeps it open, else of the steps that failed."""
    if unsettled is not None:
        return unsettled.step
    steps = tuple(failed)
    return "connect" if "connect" in steps else next(iter(steps), None)
