"""What diagnoses side by side would all look at: looked at once, and told to each.

Only what is the same for everybody who asks in this moment: this machine's own state, and answers of a router, a host
or a name server that do not depend on who asked. What is evidence of one diagnosis alone stays its own: connections,
SYNs on their way to a port, transfers, series that count losses, the counters before and after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import msgspec

from probes.base import Context, Observation, Status, note
from troubleshoot.asks.model import Job
from troubleshoot.run.worker import Worker, not_run

#: Probes whose record may serve several diagnoses: state of this machine; who is there, and by which way.
_SHARED: Final = frozenset(
    {
        "address", "hosts-file", "interfaces", "neighbours", "ping", "proxy", "resolve", "route", "services-file",
        "traceroute",
    }
)  # fmt: skip
#: For so long a finished record still tells the present, seconds: as long as one diagnosis takes anyway from its first
#: look at something to its verdict.
_KEPT_S: Final = 1.0

Tell = Callable[[Observation[Any]], None]


def key_of(job: Job, context: Context) -> object | None:
    """Return what tells jobs apart that may be done once for all, ``None`` for those that may not.

    Another view of the system (a subclass of the context, another root) is another world; records that show secrets are
    for those who asked for them. Pings that are one series of
    several, or a second look, are of the diagnosis that asked for them.
    """
    if job.probe not in _SHARED or type(context) is not Context:
        return None
    if job.probe == "ping" and job.subject != getattr(job.request, "address", None):
        return None
    return job.probe, job.subject, job.request, context.root, context.show_secrets


class Moment(msgspec.Struct, eq=False):
    """A worker that several diagnoses listen to. It is ended when the last of them goes."""

    worker: Worker
    task: asyncio.Task[Observation[Any]] | None = None
    tells: list[Tell] = msgspec.field(default_factory=list)
    latest: Observation[Any] | None = None
    ended_s: float | None = None

    def tell(self, observation: Observation[Any]) -> None:
        """Pass on what is known so far."""
        self.latest = observation
        for tell in tuple(self.tells):
            tell(observation)

    def fresh(self) -> bool:
        """Whether it still runs, or has just been carried out whole."""
        if self.ended_s is None:
            return True
        whole = self.latest is not None and self.latest.status is Status.OBSERVED
        return whole and asyncio.get_running_loop().time() - self.ended_s <= _KEPT_S

    def begin(self, timeout_s: float) -> None:
        """Start the worker."""

        async def work() -> Observation[Any]:
            self.latest = await self.worker.run(timeout_s)
            self.ended_s = asyncio.get_running_loop().time()
            return self.latest

        self.task = asyncio.create_task(work(), name=" ".join(self.worker.job.key))

    async def follow(self, tell: Tell) -> Observation[Any]:
        """Return the record at the end; cancelled, what is known by then."""
        if self.task is None:
            raise RuntimeError("not begun")
        self.tells.append(tell)
        try:
            if self.latest is not None and not self.task.done():
                tell(self.latest)
            return await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if len(self.tells) == 1 and not self.task.done():
                self.task.cancel()
                return await self.task
            reason = note("reason.cancelled")
            if self.latest is None:
                return not_run(self.worker.job, Status.CUT_SHORT, reason=reason)
            return msgspec.structs.replace(self.latest, reason=self.latest.reason or reason)
        finally:
            self.tells.remove(tell)


def find(moments: MutableMapping[object, object], key: object | None) -> Moment | None:
    """Return what somebody else looks at, or has just looked at, under this key."""
    found = moments.get(key) if key is not None else None
    if isinstance(found, Moment) and found.fresh():
        return found
    moments.pop(key, None)
    return None


def keep(moments: MutableMapping[object, object], key: object, moment: Moment) -> None:
    """File a moment, and forget those that are past."""
    past = [k for k, m in moments.items() if isinstance(m, Moment) and not m.fresh()]
    for each in past:
        del moments[each]
    moments[key] = moment
