"""Rules of what this machine has only so much of: descriptors and the memory of sockets."""

from __future__ import annotations

from probes.base import Note, note
from probes.buffers import BuffersResult
from probes.descriptors import DescriptorsResult, HeldSocket
from troubleshoot import asks
from troubleshoot.facts import Facts, describe
from troubleshoot.facts.memory import describe_memory, short_of_memory
from troubleshoot.judge import transmit
from troubleshoot.judge.model import NAMED, Evidence, Finding, rule, values


@rule("too-many-open-sockets", asks=(asks.machine.descriptors, asks.failed.no_way_out))
def too_many_open_sockets(facts: Facts) -> Finding | None:
    """The process or the system has run into its descriptor limit."""
    result = facts.get("descriptors", DescriptorsResult)
    # Without buffers a process that happens to be near its limit explains nothing, unless it is the one that failed.
    about = "descriptors" in facts.request.about or ("memory" in facts.request.about and facts.request.pid is not None)
    if result is None or not about:
        return None
    share = facts.threshold("descriptor_share")
    if result.system_used >= result.system_limit * share:
        busiest = tuple(
            ("open-sockets", note("fact.descriptors-busiest", process=describe.process(p.name, p.pid), used=p.count))
            for p in result.busiest[:NAMED]
        )
        return Finding(
            cause="too-many-open-sockets",
            confidence="certain",
            step="open-sockets",
            evidence=(
                ("open-sockets", note("fact.descriptors-system", used=result.system_used, limit=result.system_limit)),
                *busiest,
                *(descriptors_in_use(result) if facts.request.pid is not None else ()),
            ),
            values=values(found=result.system_used, expected=result.system_limit),
            variant="system",
        )
    used = max(result.open_at_start or 0, result.open_at_end or 0)
    if result.open_at_start is None or result.limit is None or used < result.limit * share:
        return None
    return Finding(
        cause="too-many-open-sockets",
        # Without --pid it is the process nearest to its limit, which need not be the one that failed.
        confidence="certain" if facts.request.pid is not None else "likely",
        step="open-sockets",
        evidence=descriptors_in_use(result),
        values=values(process=describe.process(result.name, result.pid), found=used, expected=result.limit),
    )


def descriptors_in_use(result: DescriptorsResult) -> Evidence:
    """Use and limit, trend, what the descriptors are, and whose closed connections they keep."""
    process = describe.process(result.name, result.pid)
    said: list[tuple[str, Note]] = []
    used = max(result.open_at_start or 0, result.open_at_end or 0)
    if result.open_at_start is not None and result.limit is not None:
        said.append(("open-sockets", note("fact.descriptors", process=process, used=used, limit=result.limit)))
    if result.open_at_start is not None and result.open_at_end is not None and result.watched_s >= 0.5:
        grown = f"{result.open_at_end - result.open_at_start:+d}"
        said.append(("open-sockets", note("fact.descriptors-trend", count=grown, seconds=f"{result.watched_s:.1f}")))
    if result.sockets is not None:
        states = ", ".join(f"{count} {state}" for state, count in result.socket_states[:NAMED]) or "-"
        said.append(("open-sockets", note("fact.descriptors-sockets", count=result.sockets, counters=states)))
    elif result.pid is not None:
        said.append(("open-sockets", note("fact.sockets-hidden", process=process)))
    said.extend(
        (
            "open-sockets",
            note("fact.close-wait", count=peer.count, address=describe.endpoint(peer.remote_address, peer.remote_port)),
        )
        for peer in result.waiting_close[:NAMED]
    )
    said.append(("open-sockets", note("fact.descriptors-system", used=result.system_used, limit=result.system_limit)))
    return tuple(said)


@rule(
    "buffers-exhausted",
    asks=(
        asks.machine.buffers,
        asks.machine.queues,
        asks.machine.descriptors,
        asks.failed.wire,
        asks.failed.own_filter,
    ),
)
def buffers_exhausted(facts: Facts) -> Finding | None:
    """Socket memory or system memory is used up, or what would leave this machine finds no room on its way out."""
    return _memory_used_up(facts) or transmit.lost_here(facts)


def _memory_used_up(facts: Facts) -> Finding | None:
    result = facts.get("buffers", BuffersResult)
    if result is None or "memory" not in facts.request.about:
        return None
    evidence = short_of_memory(facts, result)
    if not evidence:
        return _full_buffers(facts)
    holders: list[tuple[str, Note]] = []
    for one in result.processes[:NAMED]:
        kilobytes = one.memory >> 10
        if one.pid is None:
            holders.append(("buffers", note("fact.buffers-hidden", used=kilobytes, count=one.sockets)))
            continue
        process = describe.process(one.name, one.pid)
        holders.append(("buffers", note("fact.buffers-process", process=process, used=kilobytes, count=one.sockets)))
    return Finding(
        cause="buffers-exhausted",
        confidence="likely",
        step="buffers",
        evidence=(*evidence, *holders),
        values=values(found=describe_memory(result)),
    )


def _full_buffers(facts: Facts) -> Finding | None:
    """Sockets of the process that was named have no room left, which stops what it sends or receives there."""
    result = facts.get("descriptors", DescriptorsResult) if facts.request.pid is not None else None
    if result is None:
        return None
    said = full_buffers(facts, result.held)
    if not said:
        return None
    process = describe.process(result.name, result.pid)
    total = sum(held.memory or 0 for held in result.held) >> 10
    count = sum(held.memory is not None for held in result.held)
    return Finding(
        cause="buffers-exhausted",
        # Whoever meets a full buffer is told to wait, or waits, on most systems.
        confidence="possible",
        step="buffers",
        evidence=(*said, ("buffers", note("fact.buffers-process", process=process, used=total, count=count))),
        values=values(process=process, found=len(said)),
        variant="process",
    )


def full_buffers(facts: Facts, sockets: tuple[HeldSocket, ...]) -> Evidence:
    """Say which sockets have no room left for what is to be sent or has come, those with most memory first."""
    share = facts.threshold("buffer_share")
    said: list[tuple[str, Note]] = []
    for held in sorted(sockets, key=lambda held: -(held.memory or 0)):
        if held.unsent and held.send_buffer and held.unsent >= held.send_buffer * share:
            where = describe.endpoint(held.remote_address, held.remote_port) if held.remote_address else "?"
            used, limit = held.unsent >> 10, held.send_buffer >> 10
            said.append(
                ("buffers", note("fact.buffer-unsent", descriptor=held.descriptor, used=used, limit=limit, where=where))
            )
        if held.received and held.receive_buffer and held.received >= held.receive_buffer * share:
            used, limit = held.received >> 10, held.receive_buffer >> 10
            said.append(
                (
                    "buffers",
                    note(
                        "fact.buffer-unread",
                        descriptor=held.descriptor,
                        used=used,
                        limit=limit,
                        count=held.dropped or 0,
                    ),
                )
            )
    return tuple(said[:NAMED])
