"""What was tried, and what it showed: shared by the rules of the path and of the far end."""

from __future__ import annotations

from probes.base import Note
from troubleshoot.facts import Facts, Reach, describe, flows


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


def said(facts: Facts, found: Reach) -> tuple[str, Note]:
    """Return the attempt's fact as evidence."""
    return (step_of(facts), describe.reach(found, facts.port, facts.request.target.transport))


def path_said(facts: Facts, address: str) -> tuple[tuple[str, Note], ...]:
    """What traceroute and pings showed, as far as they got, and where flows took different ways."""
    trace, ping = facts.path.peek_trace(address), facts.path.peek_ping(address)
    ways = flows.differ(facts, address)
    return (
        *((("traceroute", describe.trace(trace)),) if trace else ()),
        *((("traceroute", describe.ways(ways)),) if ways else ()),
        *((("ping-remote", describe.ping(ping)),) if ping and facts.port else ()),
    )
