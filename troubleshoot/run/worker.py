"""One run of one probe, from its start to the record of how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from probes.base import CannotObserve, Context, Observation, Probe, Status, note
from probes.failure import as_outcome
from troubleshoot.asks.model import Job
from troubleshoot.errors import bug_text

#: A probe that was cut short while this process did not get to polling for so long, and for so large a share of the
#: probe's time, has not looked: what it did not hear may well have come.
STARVED_S = 0.3
STARVED_SHARE = 0.2


class Worker(msgspec.Struct):
    """One probe's run: keeps the last partial result, and turns every end into a record.

    The probe's deadline counts from what was really done: waits for the shared budget stop it. ``out_of_time`` is set
    before it is cancelled because the whole run's time is up.
    """

    job: Job
    probe: Probe[Any, Any]
    context: Context
    on_progress: Callable[[Observation[Any]], None]
    started: float = 0.0
    began: float = 0.0
    partial: Any = None
    own: Context | None = None
    at_limit: bool = False
    out_of_time: bool = False
    lost_before_s: float = 0.0
    held_s: float = 0.0

    @property
    def sent(self) -> int:
        """How many packets it has sent."""
        return self.own.packets_sent if self.own is not None else 0

    @property
    def most(self) -> int:
        """How many packets it sends at most."""
        return self.probe.most_packets(self.job.request)

    def _elapsed_s(self) -> float:
        return time.perf_counter() - self.began

    def _record(self, status: Status, **more: Any) -> Observation[Any]:
        return Observation(
            probe=self.job.probe,
            subject=self.job.subject,
            status=status,
            started=self.started,
            duration_ms=round((self._elapsed_s() - self.held_s) * 1000, 3),
            **more,
        )

    def _progress(self, result: Any) -> None:
        self.partial = result
        self.on_progress(self._record(Status.CUT_SHORT, result=result))

    def _starved(self) -> Observation[Any] | None:
        """Return the record of a probe that got too little of the processor to have looked; else ``None``."""
        lost_s = self.context.budget.punctuality.lost_until_now_s() - self.lost_before_s
        elapsed_s = self._elapsed_s()
        if lost_s < max(STARVED_S, STARVED_SHARE * elapsed_s):
            return None
        reason = note("reason.starved", lost=f"{min(lost_s, elapsed_s):.1f}", seconds=f"{elapsed_s:.1f}")
        return self._record(Status.CUT_SHORT, reason=reason)

    async def _observe(self, limit_s: float) -> Any:
        """Let the probe work for at most ``limit_s`` seconds, its waits for the budget not counted."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(limit_s) as patience:
            left_s, since_s = limit_s, 0.0

            def stop() -> None:
                self.at_limit = True
                patience.reschedule(loop.time())

            def held(waits: bool) -> None:
                nonlocal left_s, since_s
                if self.at_limit or patience.expired():
                    return
                now = loop.time()
                if waits:
                    left_s, since_s = (patience.when() or now) - now, now
                    patience.reschedule(None)
                else:
                    self.held_s += now - since_s
                    patience.reschedule(now + left_s)

            self.own = self.context.share(self.most, stop, held)
            return await self.probe.observe(self.job.request, self.own, self._progress)

    async def run(self, timeout_s: float) -> Observation[Any]:
        """Run the probe to its end, its deadline, or a cancellation; never raises but for our own cancellation."""
        self.started, self.began = time.time(), time.perf_counter()
        self.lost_before_s = self.context.budget.punctuality.lost_s
        limit_s = min(timeout_s, max(self.probe.deadline_s, 0.1))
        try:
            result = await self._observe(limit_s)
        except CannotObserve as reason:
            return self._record(reason.status, reason=reason.reason)
        except TimeoutError:
            reason_ = note("reason.deadline", seconds=f"{limit_s:.1f}")
            if self.at_limit:
                reason_ = note("reason.packets-spent", packets=self.most)
            elif (starved := self._starved()) is not None:
                return starved
            return self._record(Status.CUT_SHORT, result=self.partial, reason=reason_)
        except asyncio.CancelledError:
            if self.out_of_time and (starved := self._starved()) is not None:
                return starved
            return self._record(Status.CUT_SHORT, result=self.partial, reason=note("reason.cancelled"))
        except Exception as bug:  # noqa: BLE001 - a bug in one probe never harms another
            told = as_outcome(bug)
            if told is not None:
                return self._record(told.status, result=self.partial, reason=told.reason)
            return self._record(Status.BROKEN, error=self.context.masked(bug_text(bug)))
        finally:
            self.context.packets_sent += self.sent
        return self._record(Status.OBSERVED, result=result)


def not_run(job: Job, status: Status, **more: Any) -> Observation[Any]:
    """Record a probe that was not started."""
    return Observation(
        probe=job.probe, subject=job.subject, status=status, started=time.time(), duration_ms=0.0, **more
    )
