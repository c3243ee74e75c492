"""What became of our own connections to a port, one after the other, and how many more may be made.

Many hosts and firewalls allow one address so many new connections in a while and then refuse or drop them: six in
thirty seconds is a common rule. A diagnosis that uses that allowance up would make the fault that it is to explain. So
no more than ``connections_most`` are made to a port that has not been shown to take more, and none after one that
failed once others had been made, but those few that tell a limit from one of several machines that is at fault.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from probes.base import Note, note
from probes.connect import ConnectAttempt, ConnectOutcome, ConnectResult
from probes.failure import Failure
from probes.flows import FlowOutcome, FlowsResult, enough_for_a_limit
from probes.service import ServiceOutcome, ServiceResult
from probes.tcp_path import TcpAnswer, TcpPathResult
from probes.transfer import TransferOutcome, TransferResult
from probes.wire import WireResult
from troubleshoot.facts import Facts

#: What failed after others had been made; local failures tell nothing of the port.
FAILED = frozenset({FlowOutcome.RESET, FlowOutcome.ICMP, FlowOutcome.SILENCE})


class Trial(msgspec.Struct, frozen=True, order=True):
    """One connection of ours: when its SYN was sent (seconds since the epoch), and what came of it."""

    at_s: float
    number: int
    outcome: FlowOutcome


def trials(facts: Facts, address: str) -> tuple[Trial, ...]:
    """Return what every new connection to the target's port came to so far, in the order of their SYNs.

    Those that repeat a source port on purpose are left out: it may be the port that is at fault. So is silence on a
    slow path, where an answer may still have been on its way.
    """
    found = _all(facts, address)
    return tuple(t for t in found if t.outcome is not FlowOutcome.SILENCE) if facts.service.slow(address) else found


def _all(facts: Facts, address: str) -> tuple[Trial, ...]:
    kinds = (_attempted, _watched, _spread, _talked)
    return tuple(sorted(trial for of_kind in kinds for trial in of_kind(facts, address)))


def _attempted(facts: Facts, address: str) -> Iterator[Trial]:
    record = facts.observation("connect", facts.endpoint(address))
    result = record.result if record is not None else None
    if record is None or not isinstance(result, ConnectResult):
        return
    for number, attempt in enumerate(result.attempts):
        if (outcome := _outcome_of(attempt)) is not None:
            yield Trial(record.started + attempt.started_ms / 1000, number, outcome)


def _outcome_of(attempt: ConnectAttempt) -> FlowOutcome | None:
    if attempt.outcome is ConnectOutcome.CONNECTED:
        return FlowOutcome.ACCEPTED
    if attempt.outcome is ConnectOutcome.NO_ANSWER:
        return None  # given up as soon as another one was answered: its own answer may have been on its way
    if attempt.icmp is not None:
        return FlowOutcome.ICMP
    return {
        Failure.REFUSED: FlowOutcome.RESET,
        Failure.TIMED_OUT: FlowOutcome.SILENCE,
        Failure.RESET: FlowOutcome.ACCEPTED,
    }.get(attempt.failure)  # type: ignore[arg-type] # a failure that is not known is no outcome


def _watched(facts: Facts, address: str) -> Iterator[Trial]:
    """The connection that is watched on the wire. What lost its SYN is none: it was sent beside the others."""
    record = facts.observation("wire", facts.endpoint(address))
    result = record.result if record is not None else None
    answers = {"syn-ack": FlowOutcome.ACCEPTED, "reset": FlowOutcome.RESET, "icmp": FlowOutcome.ICMP}
    if record is not None and isinstance(result, WireResult) and result.socket_heard and result.answer_in in answers:
        yield Trial(record.started, 0, answers[result.answer_in])


def _spread(facts: Facts, address: str) -> Iterator[Trial]:
    record = facts.observation("flows", facts.endpoint(address))
    if record is not None and isinstance(record.result, FlowsResult):
        for number, outcome in enumerate(record.result.row or (flow.tries[0] for flow in record.result.flows)):
            yield Trial(record.started, number, outcome)


def _talked(facts: Facts, address: str) -> Iterator[Trial]:
    for record in facts.of("service"):
        result = record.result
        if isinstance(result, ServiceResult) and (result.address, result.port) == (address, facts.port):
            made = result.outcome is not ServiceOutcome.NOT_CONNECTED
            refused = {Failure.REFUSED: FlowOutcome.RESET, Failure.NO_ANSWER: FlowOutcome.SILENCE}
            outcome = FlowOutcome.ACCEPTED if made else refused.get(result.failure) if result.failure else None
            if outcome is not None:
                yield Trial(record.started, 0, outcome)
    for record in facts.of("transfer"):
        talk = record.result
        if isinstance(talk, TransferResult) and (talk.address, talk.port) == (address, facts.port):
            for number, one in enumerate(talk.trials):
                made = one.outcome is not TransferOutcome.NOT_CONNECTED
                failed = {"ECONNREFUSED": FlowOutcome.RESET, None: FlowOutcome.SILENCE}.get(one.errno)
                if made:
                    yield Trial(record.started, number, FlowOutcome.ACCEPTED)
                elif failed is not None and talk.complete:
                    yield Trial(record.started, number, failed)


def since_first_failure(facts: Facts, address: str) -> tuple[FlowOutcome, ...]:
    """Return what became of the connections from the first on that failed after one had been made."""
    outcomes = [trial.outcome for trial in trials(facts, address)]
    if FlowOutcome.ACCEPTED not in outcomes:
        return ()
    later = outcomes[outcomes.index(FlowOutcome.ACCEPTED) :]
    first = next((place for place, outcome in enumerate(later) if outcome in FAILED), len(later))
    return tuple(later[first:])


def pending(facts: Facts, address: str, *, watched: bool, talked: bool) -> bool:
    """Whether a connection for another question has neither been made nor failed yet.

    ``watched`` and ``talked`` tell whether the service is watched, and whether data are moved.
    """
    service = facts.service.peek(address)
    talk = facts.peek("transfer", TransferResult, facts.endpoint(address))
    made = service is not None and service.outcome is not ServiceOutcome.NOT_CONNECTED
    moved = talk is not None and all(one.outcome is not TransferOutcome.NOT_CONNECTED for one in talk.trials)
    waits = [("service", facts.service.subject(address))] if watched and not made else []
    waits += [("transfer", facts.endpoint(address))] if talked and not moved else []
    return any(key in facts.running or facts.observation(*key) is None for key in waits)


def takes_more(facts: Facts, address: str) -> bool:
    """Whether connections are made again after one that failed: no limit has set in, something else is at work."""
    return FlowOutcome.ACCEPTED in since_first_failure(facts, address)


def made(facts: Facts, address: str) -> int:
    """Return how many connections were made, none of which failed."""
    outcomes = [trial.outcome for trial in trials(facts, address)]
    return 0 if FAILED.intersection(outcomes) else outcomes.count(FlowOutcome.ACCEPTED)


class Limit(msgspec.Struct, frozen=True):
    """So many connections were ``made``, and the ``count`` after them failed, all of them; ``silent`` tells how.

    ``alike`` tells whether they failed in one way, ``enough`` whether so many do so by a limit. Who refuses by ICMP is
    held to a few messages a second (RFC 1812, 4.3.2.8), so that silence after one such message is no other way.
    """

    made: int
    count: int
    silent: bool
    alike: bool
    enough: bool


def limit(facts: Facts, address: str) -> Limit | None:
    """Return how many connections were made before all that followed failed; ``None`` where that is not so."""
    failed = since_first_failure(facts, address)
    if not failed or FlowOutcome.ACCEPTED in failed:
        return None
    outcomes = [trial.outcome for trial in trials(facts, address)]
    ways = {one for one in failed if failed[0] is not FlowOutcome.ICMP or one is not FlowOutcome.SILENCE}
    return Limit(
        outcomes.count(FlowOutcome.ACCEPTED),
        len(failed),
        silent=FlowOutcome.SILENCE in ways,
        alike=len(ways) == 1,
        enough=enough_for_a_limit(failed[0], len(failed)),
    )


def told(found: Limit, port: int | None) -> Note:
    """Say what was counted."""
    if found.silent:
        return note("fact.then-silent", made=found.made, count=found.count, port=port)
    return note("fact.then-refused", made=found.made, count=found.count, port=port)


def left(facts: Facts, address: str, kept: int) -> int:
    """Return how many connections may be made to a port only to see more of them; ``kept`` are for other questions."""
    connect = facts.peek("connect", ConnectResult, facts.endpoint(address))
    walk = facts.peek("tcp-path", TcpPathResult, facts.endpoint(address))
    attempts = len(connect.attempts) if connect is not None else 0
    walked = sum(hop.answer is TcpAnswer.ACCEPTED for hop in (walk.hops if walk is not None else ()))
    wire = facts.peek("wire", WireResult, facts.endpoint(address))
    watched = wire is not None and wire.answer_in is not None
    return max(0, int(facts.threshold("connections_most")) - attempts - walked - watched - kept)
