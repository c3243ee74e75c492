"""What the rungs of the ladder show, as findings need it: who said what, how much it weighs, where it lies."""

from __future__ import annotations

from probes.base import Note
from troubleshoot.facts import Facts, Reach, describe
from troubleshoot.facts.rungs import Rung
from troubleshoot.judge.evidence.attempt import attempt_evidence, step_of
from troubleshoot.report import Confidence

#: Of what no words can be read in, so many bytes are shown.
_SHOWN_BYTES = 12


def hop_of(facts: Facts, address: str) -> int | None:
    """Return how far away the service's host is, 0 for this machine."""
    return 0 if facts.machine.is_local(address) else facts.hops.distance(address)


def climbed(facts: Facts, reach: Reach) -> Rung | None:
    """Return the first rung at an address once all of them are over; ``None`` where the service was not spoken to.

    :class:`NotYet` while one is climbed: what it comes to may tell more.
    """
    facts.service.wait_for_rungs(reach.address)
    first = facts.service.peek_rung(reach.address, facts.service.first)
    return first if first.result is not None and first.result.connect_ms is not None else None


def shown(facts: Facts, reach: Reach, *rungs: Rung | None) -> tuple[tuple[str, Note], ...]:
    """Return the attempt and what each rung showed as evidence."""
    facts_of = ((step_of(facts), describe.rung(rung)) for rung in rungs if rung is not None and rung.result is not None)
    return (attempt_evidence(facts, reach), *facts_of)


def weight(facts: Facts) -> Confidence:
    """How much it says that a service does not get on with its client.

    Where the target says what is spoken (its scheme), where the service greets, and for codes that come after the
    handshake it is the fault; a port that is merely registered for a protocol may carry another.
    """
    request = facts.request
    return "likely" if facts.service.established or request.target.scheme or request.speaks_first else "possible"


def quoted(rung: Rung) -> str:
    """Return what a service said, as a quotation."""
    if rung.result is not None and rung.result.http is not None:
        return f'"HTTP {describe.page(rung.result)}"'
    if rung.quote:
        return f'"{rung.quote}"'
    said = bytes.fromhex(rung.result.first_hex)[:_SHOWN_BYTES] if rung.result is not None else b""
    return said.hex(" ") if said else "…"
