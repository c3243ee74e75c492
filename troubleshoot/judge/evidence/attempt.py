"""What was tried, and what it showed: shared by the rules of the path and of the far end."""

from __future__ import annotations

from probes.base import Note
from troubleshoot.facts import Facts, NotYet, Reach, Reading, describe, flows


def failing(facts: Facts) -> Reach | None:
    """The address whose path is to be judged, where no address of the target answers; else ``None``."""
    if facts.names.unresolved() or not facts.targets or not facts.attempts.blocked():
        return None
    focus = facts.attempts.focus
    if focus is None or facts.machine.is_local(focus.address):
        return None
    return focus


def step_of(facts: Facts) -> str:
    """Return the step that tried the target itself."""
    return "connect" if facts.port else "ping-remote"


def attempt_evidence(facts: Facts, reach: Reach) -> tuple[str, Note]:
    """Return the attempt's fact as evidence."""
    return (step_of(facts), describe.reach(reach, facts.port, facts.request.target.transport))


def path_evidence(facts: Facts, address: str) -> tuple[tuple[str, Note], ...]:
    """What traceroute and pings showed, as far as they got, and where flows took different ways."""
    trace, ping = facts.path.peek_trace(address), facts.path.peek_ping(address)
    ways = flows.differ(facts, address)
    return (
        *((("traceroute", describe.trace(trace)),) if trace else ()),
        *((("traceroute", describe.ways(ways)),) if ways else ()),
        *((("ping-remote", describe.ping(ping)),) if ping and facts.port else ()),
    )


def any_connected(facts: Facts) -> bool:
    """Whether some address answers: then nothing on this machine stops the target.

    One address never speaks for the others: :class:`NotYet` while another one may still answer.
    """
    reaches = facts.attempts.reaches()
    if any(r.reading is Reading.CONNECTED for r in reaches):
        return True
    if len(reaches) > 1 and any(r.reading is Reading.UNDECIDED for r in reaches):
        raise NotYet("connect")
    return False


def failed_attempt(facts: Facts, address: str) -> tuple[tuple[str, Note], ...]:
    """The failed attempt at ``address``, where it was tried."""
    if address not in facts.targets:
        return ()
    found = facts.attempts.reach(address)
    return (attempt_evidence(facts, found),) if found.failed else ()
