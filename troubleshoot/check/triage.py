"""One connection to each target, all at once within this machine's descriptors and a rate, with retries."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from troubleshoot.check.attempt import attempt
from troubleshoot.check.model import Check, Outcome, Status
from troubleshoot.check.names import Names
from troubleshoot.check.patience import Patience

#: Descriptors left to the rest of the program: the diagnoses, files, the resolver's child.
_SPARE: Final = 128
#: So many connections are under way at once at most, whatever the limit of descriptors.
_MOST_AT_ONCE: Final = 4096
#: A target that is waited for is tried again after so long, twice as long each time, up to the second figure.
_AGAIN_S: Final = 0.25
_AGAIN_MOST_S: Final = 2.0
#: What this machine was too busy to find out is tried so often beside, which is no retry.
_STARVED: Final = 1
#: A turn that comes sooner than this is not slept for, seconds: no timer is that exact.
_TURN_S: Final = 0.002


class Pace(msgspec.Struct):
    """Turns of a rate: connections a second."""

    rate: float
    next_s: float = 0.0

    async def turn(self) -> None:
        """Wait until the next connection may go out."""
        now = time.monotonic()
        self.next_s = max(now, self.next_s + 1 / self.rate)
        if self.next_s - now > _TURN_S:
            await asyncio.sleep(self.next_s - now)


def at_once() -> int:
    """Return how many connections may be open at once; raises this process's own limit as far as it may."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_AT_ONCE + _SPARE
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(1, min(_MOST_AT_ONCE, soft - _SPARE))


async def triage(
    outcomes: Iterable[Outcome],
    names: Names,
    patience: Patience,
    *,
    family: int = 0,
    rate: float,
    told: Callable[[Outcome], None],
) -> None:
    """Fill in the attempts and the status of each outcome; ``told`` hears of each as it is decided.

    ``patience`` learns the round trips that are met.
    A target that does not meet its expectation is ``FAILED`` here; why, is for later.
    """
    waiting = deque(outcomes)
    pace = Pace(rate)

    async def serve() -> None:
        while waiting:
            outcome = waiting.popleft()
            await _settle(outcome, names, family, pace, patience)
            told(outcome)

    patience.punctuality.watch()
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(len(waiting), at_once())):
                workers.create_task(serve())
    finally:
        patience.punctuality.rest()


async def _settle(outcome: Outcome, names: Names, family: int, pace: Pace, patience: Patience) -> None:
    check, starved = outcome.check, 0
    began = time.monotonic()
    pause_s = _AGAIN_S if check.wait_s else check.backoff_s
    while True:
        await pace.turn()
        found = await attempt(check, names, patience, family)
        if found.starved:
            starved += 1
            if starved <= _STARVED:
                names.forget()
                continue
        if check.wait_s and len(outcome.attempts) > _KEPT:
            outcome.attempts[-1] = found  # a long wait is no reason to grow
        else:
            outcome.attempts.append(found)
        if found.met:
            first = len(outcome.attempts) == 1 or check.wait_s
            outcome.status = Status.PASSED if first else Status.FLAKY
            return
        if not _again(check, len(outcome.attempts), time.monotonic() - began + pause_s):
            outcome.status = Status.UNDECIDED if found.starved else Status.FAILED
            return
        await asyncio.sleep(pause_s)
        names.forget()
        pause_s = min(pause_s * 2, _AGAIN_MOST_S) if check.wait_s else pause_s * 2


#: Of a target that is waited for the first attempts and the last one are kept.
_KEPT: Final = 20


def _again(check: Check, attempts: int, after_s: float) -> bool:
    return after_s < check.wait_s if check.wait_s else attempts <= check.retries
