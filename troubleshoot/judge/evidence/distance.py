"""How far away is the sender of a packet? What the TTL says that it arrived with, and what makes that mislead."""

from __future__ import annotations

from probes.failure import IcmpMeaning
from troubleshoot.facts import Facts, plain


def start_of(ttl: int) -> int:
    """Return the TTL that a packet most likely left with: the least usual one that is not smaller."""
    return next(start for start in (64, 128, 255) if ttl <= start)


def routers_back(ttl: int) -> int:
    """Return how many routers a packet has most likely passed that arrives with ``ttl``."""
    return start_of(ttl) - ttl


def reply_ttl(facts: Facts, address: str) -> int | None:
    """The TTL with which other answers of the host itself arrive."""
    ping = facts.path.peek_ping(address)
    seen = [e.reply_ttl for e in (ping.echoes if ping else ()) if e.reply_ttl is not None and e.icmp is None]
    trace = facts.path.peek_trace(address)
    reached = trace.reached_ttl if trace is not None else None
    for hop in trace.hops if trace is not None else ():
        if hop.ttl == reached:
            seen += [
                a.reply_ttl
                for a in hop.answers
                if a.reply_ttl is not None and a.address is not None and plain(a.address) == plain(address)
            ]
    return seen[0] if seen and len(set(seen)) == 1 else None


def same_way_back(facts: Facts, address: str) -> bool:
    """Whether the routers' own answers come back over as many routers as they are away, as far as they tell."""
    trace = facts.path.peek_trace(address)
    told = [
        routers_back(a.reply_ttl) == hop.ttl - 1
        for hop in (trace.hops if trace is not None else ())
        for a in hop.answers
        if a.reply_ttl is not None and a.icmp is not None and a.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
    ]
    return bool(told) and all(told)


def rewritten(facts: Facts, address: str, distance: int | None, reply: int) -> bool:
    """Whether a router gives packets a new TTL: the one before the host then answers with the host's own TTL."""
    trace = facts.path.peek_trace(address)
    return any(
        a.reply_ttl == reply and a.icmp is not None and a.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
        for hop in (trace.hops if trace is not None else ())
        for a in hop.answers
        if distance is None or hop.ttl < distance
    )
