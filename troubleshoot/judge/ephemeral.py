"""No port is left to go out from: ``ephemeral-ports-exhausted``."""

from __future__ import annotations

from probes.base import Note, note
from probes.descriptors import DescriptorsResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reading, describe
from troubleshoot.facts.ports import exhausted_towards_target, outgoing_ports
from troubleshoot.judge.model import NAMED, Finding, attempted, first_step, rule, values


@rule("ephemeral-ports-exhausted", asks=(asks.machine.descriptors, asks.failed.no_way_out))
def ephemeral_ports_exhausted(facts: Facts) -> Finding | None:
    """No free local port is left for outgoing connections, all of them or those to the target."""
    result = facts.get("descriptors", DescriptorsResult)
    if result is None or result.ephemeral_range is None or result.ephemeral_used is None:
        return None
    if any(r.reading is Reading.CONNECTED for r in facts.attempts.reaches()):
        return None
    low, high = result.ephemeral_range
    total = outgoing_ports(result)
    focus = facts.attempts.focus
    failed = focus is not None and focus.no_port_left
    towards = exhausted_towards_target(facts)
    crowded = result.ephemeral_used >= total * facts.threshold("ephemeral_share")
    about = "outgoing-port" in facts.request.about
    if not (failed and (towards or crowded)) and not (about and towards) and not (about and crowded and not failed):
        return None
    used = towards or result.ephemeral_used
    said: list[tuple[str, Note]] = [
        ("open-sockets", note("fact.ephemeral", used=result.ephemeral_used, total=total, low=low, high=high))
    ]
    if result.ephemeral_reserved:
        said.append(("open-sockets", note("fact.ephemeral-reserved", count=result.ephemeral_reserved)))
    if result.ephemeral_states:
        states = ", ".join(f"{count} {state}" for state, count in result.ephemeral_states[:NAMED])
        said.append(("open-sockets", note("fact.ephemeral-states", counters=states)))
    for peer in result.ephemeral_busiest[:NAMED]:
        where = describe.endpoint(peer.remote_address, peer.remote_port)
        said.append(("open-sockets", note("fact.ephemeral-towards", count=peer.count, where=where, state=peer.state)))
    for one in result.ephemeral_processes[:NAMED]:
        if one.pid is None:
            said.append(("open-sockets", note("fact.ephemeral-hidden", count=one.count)))
            continue
        process = describe.process(one.name, one.pid)
        said.append(("open-sockets", note("fact.ephemeral-process", count=one.count, process=process)))
    # Ports can be shared by connections to different destinations: a full range alone fails only for bind().
    sure = failed and bool(towards or crowded)
    resting = sum(count for state, count in result.ephemeral_states if state == "time-wait") * 2 > used
    holder = next((p for p in result.ephemeral_processes if p.pid is not None and p.count * 2 > used), None)
    return Finding(
        cause="ephemeral-ports-exhausted",
        confidence="certain" if sure else "likely" if towards else "possible",
        step=first_step(facts, "open-sockets", "connect"),
        evidence=(*attempted(facts), *said),
        values=values(
            found=f"{used}/{total}", process=describe.process(holder.name, holder.pid) if holder is not None else None
        ),
        variant="time-wait" if resting else "process" if holder is not None else "default",
    )
