"""What an interface's own counters say of packets that came while a connection was tried."""

from __future__ import annotations

import math

from probes.own_filter import OwnFilterResult


def by_chance(counted: OwnFilterResult) -> float | None:
    """How likely something unrelated arrived in every round with a connect and in no more idle rounds than it did.

    Fisher's exact test (one-sided) on rounds with and without arrivals; ``None`` where some connect was followed by
    nothing, so that no answer arrived.
    """
    tried, idle = len(counted.attempts), len(counted.idle)
    if not tried or any(r.received == 0 for r in counted.attempts):
        return None
    noisy = sum(r.received > 0 for r in counted.idle)
    return math.comb(idle, noisy) / math.comb(tried + idle, tried + noisy)
