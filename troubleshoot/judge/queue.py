"""The listener takes no more connections: ``accept-queue-full``."""

from __future__ import annotations

from probes.base import note
from troubleshoot import asks
from troubleshoot.facts import Facts, Reading, describe, watched
from troubleshoot.judge.evidence.attempt import attempt_evidence, failing, path_evidence, step_of
from troubleshoot.judge.evidence.standing import nearest_owner, state_of
from troubleshoot.judge.evidence.syns import passed_ttl
from troubleshoot.judge.model import Finding, first_step, rule, values


@rule(
    "accept-queue-full",
    asks=(asks.failed.stray_ack, asks.failed.drop_point, asks.connected.flows, asks.machine.listeners),
)
def accept_queue_full(facts: Facts) -> Finding | None:
    """The listener's accept queue is full: seen where the target is this machine, else told by a stray segment."""
    focus = facts.attempts.focus
    if focus is not None and not facts.machine.is_local(focus.address):
        return queue_full_there(facts)
    if (
        facts.names.unresolved()
        or focus is None
        or facts.port is None
        or not facts.machine.is_local(focus.address)
        or not facts.attempts.blocked()
    ):
        return None
    entry = facts.machine.full_queue(facts.port) if focus.reading is Reading.SILENT else None
    if entry is None:
        return None
    owner, stands = nearest_owner(entry)
    return Finding(
        cause="accept-queue-full",
        confidence="certain",
        step=first_step(facts, "listeners", "connect"),
        evidence=(
            ("listeners", note("fact.queue-full", port=facts.port, queue=entry.queue, limit=entry.queue_limit)),
            attempt_evidence(facts, focus),
            *(("listeners", fact) for fact in state_of(owner)),
        ),
        values=values(process=describe.holder(entry), found=owner.state if owner is not None else None),
        variant="stopped" if stands else "local",
        hop=0,
        address=focus.address,
    )


def queue_full_there(facts: Facts) -> Finding | None:
    """SYNs reach the host's port in silence while the host itself resets a stray segment to that port (root only)."""
    reach = failing(facts)
    if reach is None or reach.reading is not Reading.SILENT or facts.request.target.transport != "tcp":
        return None
    stray = watched.stray(facts, reach.address)
    if stray is None or not stray.reset:
        return None
    path = facts.path.tcp_path(reach.address)
    facts.wait_for("traceroute", reach.address)
    distance = facts.hops.distance(reach.address)
    if (
        path is None
        or path.final is not None
        or distance is None
        or passed_ttl(facts, reach.address, path) < distance - 1
    ):
        return None
    return Finding(
        cause="accept-queue-full",
        confidence="likely",
        step=step_of(facts),
        evidence=(
            attempt_evidence(facts, reach),
            (step_of(facts), note("fact.stray-reset", port=facts.port)),
            (step_of(facts), describe.tcp_path(path)),
            *path_evidence(facts, reach.address),
        ),
        hop=distance,
        address=reach.address,
        also=(("firewall-drop", note("verdict.open-syn-filter", port=facts.port)),),
    )
