"""What a verdict says that names no cause: that the target works, or what would settle an open question. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from probes.base import Note, Status, note
from troubleshoot.facts import Facts, Reading, clock, describe, losses, usage
from troubleshoot.facts.ports import binds


def healthy(facts: Facts) -> Note:
    """Return the sentence for a target that works, by how it was tried."""
    request, target = facts.request, facts.request.target.input or "?"
    if "state" in request.about:
        return note("verdict.healthy-state", target=target, code=request.code)
    met = any(r.reading is Reading.CONNECTED for r in facts.attempts.reaches())
    named = request.kind == "name-service"
    if facts.port is None and not request.to_bind and (request.kind == "network" or (met and not named)):
        return note("verdict.healthy-ping", target=target)
    if met and (facts.port is not None or not named):
        return note("verdict.healthy", target=target)
    if named:
        return note("verdict.healthy-name", target=target)
    bound = any(trial.attempts[0].failure is None for trial in binds(facts))
    return note("verdict.healthy-bind", target=target) if bound else note("verdict.healthy-local")


def inconclusive(facts: Facts, *, failed: bool, partly: bool) -> tuple[Note, list[Note]]:
    """Return the sentence for an open question, and what would settle it.

    ``failed`` tells that a step of the checklist did, ``partly`` that the target answers some of the packets.
    """
    request, host, target = facts.request, facts.request.target.host, facts.request.target.input or "?"
    port = note("verdict.no-port-action", code=request.number, host=host or "?")
    notes = settling(facts)
    said = (
        note("verdict.inconclusive", target=target) if failed else note("verdict.inconclusive-nothing", target=target)
    )
    if partly:
        said = note("verdict.inconclusive-partly", target=target)
    if (starved := _starved(facts)) is not None:
        said = note("verdict.inconclusive-starved", target=target, lost=starved["lost"], seconds=starved["seconds"])
    if request.kind == "network" and facts.program.in_other_network():
        look = note("verdict.apart-action", pid=request.pid, target=target, code=request.number)
        return note("verdict.apart-untried", pid=request.pid, target=target), [look]
    untried = untried_for_want_of_a_port(facts)
    if "state" in request.about and not partly and not (failed and facts.targets):
        notes = [port] if untried else []
        said = note("verdict.state-untried", target=target, code=request.code)
    elif untried:
        notes = [port, *notes]
        said = said if failed else note("verdict.no-port", target=target)
    return said, notes


def further(facts: Facts, tried: str, *, healthy: bool) -> list[tuple[str, Note]]:
    """Return what else is shown: the place, the program's sockets where the code tells a state, losses ruled out.

    ``tried`` is the step that tried the target.
    """
    said = [(tried, place) for place in facts.program.place()]
    said += usage.evidence(facts) if "state" in facts.request.about else ()
    said += [(tried, fact) for fact in _spoken(facts)] if healthy else []
    hidden = losses.hidden(facts) if healthy else None
    if hidden is None:
        return said
    address, found = hidden
    for sample in found.telling:
        step = "ping-remote" if sample.kind is losses.Kind.ECHO else tried
        said.append((step, describe.loss(sample, address, facts.port)))
    if found.sent:
        said.append((tried, describe.unlost(found)))
    return said


def _spoken(facts: Facts) -> Iterator[Note]:
    """Give what the service answered, and how long its certificate is still good."""
    for reach in facts.attempts.reaches():
        told = facts.service.climbed(reach.address) if facts.request.target.transport == "tcp" else None
        if told is None or told.result is None or not (told.answered or told.tls):
            continue
        yield describe.rung(told)
        record = facts.observation("service", facts.service.subject(reach.address))
        ends = clock.of_text(told.result.tls.not_after) if told.result.tls is not None else None
        if ends is not None and record is not None:
            left = clock.days(clock.at(record.started), ends)
            yield note("fact.certificate-left", day=clock.day(ends), days=left)


def untried_for_want_of_a_port(facts: Facts) -> bool:
    """Whether the code is one of connections, and no port was given to connect to."""
    return (
        (facts.request.needs_port or "connection" in facts.request.about)
        and facts.request.target.host is not None
        and facts.port is None
        and bool(facts.targets)
    )


def _starved(facts: Facts) -> dict[str, str] | None:
    """Return for how long of which time this machine was too busy, by the probe that lost most; ``None`` for none."""
    reasons = (o.reason for o in facts.observations.values() if o.reason is not None)
    lost = [dict(reason.values) for reason in reasons if reason.key == "reason.starved"]
    return max(lost, key=lambda values: float(values["lost"]), default=None)


def settling(facts: Facts) -> list[Note]:
    """Return what would settle an open question, most telling first."""
    notes, request = [], facts.request
    if any(o.status is Status.NOT_PERMITTED for o in facts.observations.values()) or not request.privileged:
        notes.append(note("verdict.settle-root"))
    if any(facts.path.withheld(address) for address in facts.targets):
        notes.append(note("verdict.settle-alone"))
    if _starved(facts) is not None:
        notes.append(note("verdict.settle-idle"))
    elif any(o.status is Status.CUT_SHORT for o in facts.observations.values()):
        notes.append(note("verdict.settle-time"))
    if facts.targets and not facts.machine.is_local(facts.targets[0]):
        notes.append(note("verdict.settle-server"))
        notes.append(note("verdict.settle-elsewhere", target=request.target.input or "?"))
    if request.remote_neighbour is None and "ping-remote-subnet" in request.steps:
        notes.append(note("verdict.settle-neighbour"))
    return notes or [note("verdict.settle-verbose")]
