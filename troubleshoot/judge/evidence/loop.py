"""Routers that come round again on the way to a host."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from probes.traceroute import TracerouteResult


def ring_of(trace: TracerouteResult) -> tuple[int, str] | None:
    """The first router that comes round: at three TTLs, with another one in between."""
    seen: list[tuple[int, str]] = []
    for hop in trace.hops:
        names = {a.address for a in hop.answers if a.address is not None}
        if len(names) == 1:
            seen.append((hop.ttl, names.pop()))
    counts = Counter(name for _, name in seen)
    for ttl, name in seen:
        places = [t for t, n in seen if n == name]
        if counts[name] >= 3 and all(b - a > 1 for a, b in pairwise(places)):
            return ttl, name
    return None
