"""What chance explains of lost packets: exact intervals and tests over counts."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

#: The level of every interval here.
_LEVEL = 0.95


@functools.lru_cache(maxsize=1024)
def interval(lost: int, sent: int) -> tuple[float, float]:
    """Return between which shares the true one lies with 95 % confidence (Clopper and Pearson's exact interval)."""
    tail = (1 - _LEVEL) / 2
    low = _share(lambda p: 1 - _at_most(lost - 1, sent, p) > tail) if lost else 0.0
    return low, _share(lambda p: _at_most(lost, sent, p) < tail) if lost < sent else 1.0


@functools.lru_cache(maxsize=1024)
def ceiling(lost: int, sent: int) -> float:
    """Return the share that the true one does not exceed with 95 % confidence (exact; about 3/``sent`` for no loss)."""
    return _share(lambda p: _at_most(lost, sent, p) < 1 - _LEVEL) if lost < sent else 1.0


def _share(beyond: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return (low + high) / 2


def _at_most(lost: int, sent: int, share: float) -> float:
    """The probability that no more than ``lost`` of ``sent`` are lost."""
    return sum(math.comb(sent, k) * share**k * (1 - share) ** (sent - k) for k in range(lost + 1))


@functools.lru_cache(maxsize=1024)
def rarer(lost: int, sent: int, other_lost: int, other_sent: int) -> float:
    """Return the probability of so few losses beside so many others, were both of one share (Fisher's exact test)."""
    all_lost, everything = lost + other_lost, sent + other_sent
    ways = sum(math.comb(sent, k) * math.comb(other_sent, all_lost - k) for k in range(lost + 1) if k <= all_lost)
    return ways / math.comb(everything, all_lost)
