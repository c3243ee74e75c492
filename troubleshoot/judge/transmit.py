"""What this machine loses before it leaves: a full transmit queue, a full neighbour table (``buffers-exhausted``)."""

from __future__ import annotations

from probes.base import note
from probes.own_filter import OwnFilterResult
from probes.queues import NeighbourTable, QueuesResult, TransmitQueue
from troubleshoot.facts import Facts, Reading, family_of, watched
from troubleshoot.judge.evidence.attempt import any_connected
from troubleshoot.judge.model import Evidence, Finding, attempted, first_step, values


def full_queue(facts: Facts) -> TransmitQueue | None:
    """Return the queue on the way to the target that dropped packets while it was looked at."""
    result = facts.get("queues", QueuesResult)
    ways = {facts.link.interface(a) for a in facts.names.destinations} - {None}
    losing = [q for q in (result.queues if result is not None else ()) if q.lost > 0]
    return max((q for q in losing if not ways or q.interface in ways), key=lambda q: q.lost, default=None)


def full_table(facts: Facts) -> NeighbourTable | None:
    """Return the neighbour table that has no room for the target's next hop."""
    result = facts.get("queues", QueuesResult)
    families = {family_of(a) for a in facts.names.destinations} or {4, 6}
    for table in result.neighbours if result is not None else ():
        full = table.refused > 0 or (table.limit is not None and table.entries >= table.limit)
        if full and table.family in families:
            return table
    return None


def nothing_left(facts: Facts) -> bool:
    """Whether SYNs were seen not to leave this machine."""
    focus = facts.attempts.focus
    if focus is None or facts.port is None or focus.reading is not Reading.SILENT:
        return False
    subject = facts.endpoint(focus.address)
    wire = watched.wire(facts, focus.address)
    counted = facts.get("own-filter", OwnFilterResult, subject)
    return (wire is not None and wire.syns_out == 0) or (
        counted is not None and any(one.sent == 0 for one in counted.attempts)
    )


def lost_here(facts: Facts) -> Finding | None:
    """Packets are lost before they leave: told for the code of missing buffers, and where nothing was seen to leave."""
    if any_connected(facts) and "memory" not in facts.request.about:
        return None
    queue, table = full_queue(facts), full_table(facts)
    if queue is None and table is None:
        return None
    focus = facts.attempts.focus
    told = "memory" in facts.request.about or (focus is not None and focus.errno == "ENOBUFS")
    blocked = queue is not None and queue.sent == 0 and focus is not None and focus.failed
    if not told and not blocked and not nothing_left(facts):
        return None
    step = first_step(facts, "buffers", "interface", "connect")
    seen: list[Evidence] = []
    if table is not None:
        fact = note("fact.neighbours-full", family=table.family, count=table.entries, limit=table.limit or "?")
        seen.append(((step, fact),))
    if queue is not None:
        lost = note(
            "fact.queue-drops", interface=queue.interface, kind=queue.kind, count=queue.lost, queue=queue.waiting
        )
        seen.append(((step, lost),))
    return Finding(
        cause="buffers-exhausted",
        confidence="likely",
        step=step,
        evidence=(*(one for part in seen for one in part), *attempted(facts)),
        values=values(
            interface=queue.interface if queue is not None else None,
            found=f"{table.entries}/{table.limit or '?'}" if table is not None else queue.lost if queue else None,
        ),
        variant="neighbours" if table is not None else "queue",
    )
