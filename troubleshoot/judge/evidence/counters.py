"""What the kernel's counters say of packets that came while a connection was tried."""

from __future__ import annotations

import math
from collections.abc import Callable

from probes.own_filter import OwnFilterResult, Round


def taken_by_chance(counted: OwnFilterResult) -> float | None:
    """How likely packets that the IP layer did not hand on came in so many rounds with a connect by accident.

    ``None`` where some connect was followed by none, so that no filter took an answer.
    """
    return _by_chance(counted, lambda one: one.received > (one.accounted or 0))


def thrown_by_chance(counted: OwnFilterResult) -> float | None:
    """How likely TCP got a segment in every round with a connect by accident; ``None`` where it did not get any."""
    return _by_chance(counted, lambda one: bool(one.segments))


def _by_chance(counted: OwnFilterResult, came: Callable[[Round], bool]) -> float | None:
    """How likely something unrelated came in every round with a connect and in no more idle rounds than it did.

    Fisher's exact test (one-sided) on rounds with and without arrivals.
    """
    tried, idle = len(counted.attempts), len(counted.idle)
    if not tried or not all(came(one) for one in counted.attempts):
        return None
    noisy = sum(came(one) for one in counted.idle)
    return math.comb(idle, noisy) / math.comb(tried + idle, tried + noisy)
