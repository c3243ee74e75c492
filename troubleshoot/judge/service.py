"""Rules for a port that accepts connections: what happens to them then, and who it was that accepted.

A working target is not held up for long by them, because what they need ends soon where nothing is wrong; but it is
held up: that a connection is made is the beginning of a program's exchange, and not the end.
"""

from __future__ import annotations

from collections.abc import Callable

from probes.base import Note, note
from probes.service import ServiceOutcome, ServiceResult
from troubleshoot import describe
from troubleshoot.facts import Facts, NotYet, Reach, Reading, family_of
from troubleshoot.judge.model import Finding, rule, values
from troubleshoot.judge.path import failing, said, step_of
from troubleshoot.report import Confidence

#: Alerts that say what the handshake lacked: a client's certificate, or a name that the target did not have.
_LACKING = frozenset({"certificate_required", "bad_certificate", "unknown_ca", "unrecognized_name"})


def first_of_each(facts: Facts) -> tuple[Reach, ...]:
    """Return the first address of each family that connects."""
    found: dict[int, Reach] = {}
    for reach in facts.connected():
        found.setdefault(family_of(reach.address), reach)
    return tuple(found.values())


def _on_any(facts: Facts, look: Callable[[Facts, Reach], Finding | None]) -> Finding | None:
    """Return the finding for the first address that has one; :class:`NotYet` where one may still come."""
    still: NotYet | None = None
    for reach in first_of_each(facts):
        try:
            finding = look(facts, reach)
        except NotYet as waiting:
            still = waiting
            continue
        if finding is not None:
            return finding
    if still is not None:
        raise still
    return None


# -- what the service does -------------------------------------------------------------------------------------


def _hop(facts: Facts, address: str) -> int | None:
    return 0 if facts.is_local(address) else facts.distance(address)


def _witnessed(facts: Facts, reach: Reach, result: ServiceResult) -> tuple[tuple[str, Note], ...]:
    return (said(facts, reach), (step_of(facts), describe.service(result)))


def _weight(facts: Facts) -> Confidence:
    """How much it says that a service ends a connection before anything was exchanged.

    A service that greets has no reason to; of another one only a code about established connections makes it odd. A
    TLS service may do so to a client that does not name it.
    """
    named = not facts.request.tls or not facts.is_literal
    return "likely" if facts.established or (facts.request.speaks_first and named) else "possible"


@rule("service-resets")
def service_resets(facts: Facts) -> Finding | None:
    """The connection is made and then reset, perhaps so fast that it shows in connect() itself."""
    if facts.port is None or facts.request.target.transport != "tcp":
        return None
    cut = failing(facts) if not facts.connected() else None
    if cut is not None and cut.reading is Reading.CUT:
        return Finding(
            cause="service-resets",
            confidence="likely",
            scope="remote-host",
            step=step_of(facts),
            evidence=(said(facts, cut),),
            values=values(address=cut.address, port=facts.port),
            hop=facts.distance(cut.address),
            address=cut.address,
            also=(("firewall-reset", note("verdict.open-cut")),),
        )
    return _on_any(facts, _resets)


def _resets(facts: Facts, reach: Reach) -> Finding | None:
    result = facts.service(reach.address)
    if result is None or not result.ended_by_reset or result.connect_ms is None:
        return None
    if result.outcome is not ServiceOutcome.RESETS and not facts.established:
        return None  # it had said something before
    return Finding(
        cause="service-resets",
        confidence=_weight(facts),
        scope="remote-host",
        step=step_of(facts),
        evidence=_witnessed(facts, reach, result),
        values=values(address=reach.address, port=facts.port),
        hop=_hop(facts, reach.address),
        address=reach.address,
        also=(("firewall-reset", note("verdict.open-cut")),),
    )


@rule("service-closes")
def service_closes(facts: Facts) -> Finding | None:
    """The connection is made and then closed before anything is exchanged; or TLS is refused with an alert."""
    return _on_any(facts, _closes)


def _closes(facts: Facts, reach: Reach) -> Finding | None:
    result = facts.service(reach.address)
    if result is None or result.outcome not in (ServiceOutcome.CLOSES, ServiceOutcome.TLS_ALERT):
        return None
    alert = result.tls.alert if result.tls is not None else None
    confidence = _weight(facts)
    if alert in _LACKING:
        confidence = "possible"
    return Finding(
        cause="service-closes",
        confidence=confidence,
        scope="remote-host",
        step=step_of(facts),
        evidence=_witnessed(facts, reach, result),
        values=values(address=reach.address, port=facts.port, found=alert),
        variant="tls" if alert is not None else "default",
        hop=_hop(facts, reach.address),
        address=reach.address,
    )


@rule("service-silent")
def service_silent(facts: Facts) -> Finding | None:
    """The connection is made and a service that ought to speak stays silent."""
    if not facts.request.speaks_first and not facts.request.tls:
        return None
    return _on_any(facts, _silent)


def _silent(facts: Facts, reach: Reach) -> Finding | None:
    result = facts.service(reach.address)
    if result is None or result.outcome is not ServiceOutcome.SILENT or result.connect_ms is None:
        return None
    patience_ms = facts.threshold("greeting_ms") + 4 * max(result.connect_ms, facts.rtt_ms(reach.address))
    return Finding(
        cause="service-silent",
        confidence="likely" if result.waited_ms >= patience_ms else "possible",
        scope="remote-host",
        step=step_of(facts),
        evidence=_witnessed(facts, reach, result),
        values=values(address=reach.address, port=facts.port),
        variant="tls" if facts.request.tls else "default",
        hop=_hop(facts, reach.address),
        address=reach.address,
    )
