"""The whole check: triage, then what the failures have in common and why."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from probes.base import Budget, Context
from probes.system.blocking import aside
from troubleshoot import __version__
from troubleshoot.check.model import Check, CheckReport, Group, Outcome, Reading, Status
from troubleshoot.check.names import Names
from troubleshoot.check.patience import Patience
from troubleshoot.check.progress import Progress
from troubleshoot.check.triage import triage
from troubleshoot.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.check.explain import Explanations

#: What all diagnoses of a check share: more than one run by itself, less than would look like a scan.
_SOCKETS: Final = 256
_PACKETS_PER_S: Final = 500.0

Told = Callable[[Outcome], None]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a check is carried out; ``rate`` counts connections a second.

    ``options.timeout_s`` bounds one diagnosis, which is asked about ``code``, without one about what was met.
    """

    rate: float = 2000.0
    diagnose: bool = True
    options: Options = Options()
    code: str | None = None


async def check(
    checks: Sequence[Check],
    plan: Plan | None = None,
    *,
    told: Told = lambda _: None,
    progress: Progress | None = None,
    interrupted: asyncio.Event | None = None,
    context: Context | None = None,
) -> CheckReport:
    """Try every target, diagnose what the failures have in common, and return what each came to, in the order given.

    ``told`` hears of each target when its attempts are over; ``progress`` is kept up to date meanwhile.
    ``interrupted``, once set, ends the run; what is not known by then is ``UNDECIDED``. Checks of one ``context`` share
    its budget; without one each has its own.
    """
    plan = plan or Plan()
    started, began = datetime.now(UTC), time.perf_counter()
    outcomes = [Outcome(check=each) for each in checks]
    context = context or Context(budget=Budget(sockets=_SOCKETS, packets_per_s=_PACKETS_PER_S))
    whole = _Whole(plan, outcomes, context, progress or Progress())
    stop = interrupted or asyncio.Event()
    working = asyncio.create_task(whole.go(told))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    was_interrupted = not working.done()
    whole.end()
    for task in (working, stopping):
        task.cancel()
    await asyncio.wait({working, stopping})
    if not was_interrupted:
        working.result()
    return CheckReport(
        started=started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        duration_ms=round((time.perf_counter() - began) * 1000, 1),
        hostname=socket.gethostname(),
        version=__version__,
        outcomes=tuple(outcomes),
        groups=tuple(whole.groups),
        interrupted=was_interrupted,
    )


class _Whole:
    """The state of one check."""

    def __init__(self, plan: Plan, outcomes: list[Outcome], context: Context, progress: Progress) -> None:
        self.plan = plan
        self.outcomes = outcomes
        self.context = context
        self.progress = progress
        self.patience = Patience()
        self.failures: list[Outcome] = []
        self._ended_s: list[float] = []
        self._loading: asyncio.Task[Explanations] | None = None

    @property
    def groups(self) -> list[Group]:
        """What was found so far."""
        loaded = self._loading
        return loaded.result().groups if loaded and loaded.done() and not loaded.cancelled() else []

    def end(self) -> None:
        """Stop what was begun."""
        if self._loading is None:
            return
        if self._loading.done():
            self._loading.result().ahead.end()
        self._loading.cancel()

    async def go(self, told: Told) -> None:
        progress = self.progress
        progress.total = len(self.outcomes)

        def heard(outcome: Outcome) -> None:
            progress.tried += 1
            told(outcome)
            if self.plan.diagnose and outcome.status is Status.FAILED and _diagnosable(outcome):
                progress.failures += 1
                self._heard(outcome)

        family = {4: socket.AF_INET, 6: socket.AF_INET6}.get(self.plan.options.family or 0, 0)
        async with Names() as names:
            await triage(self.outcomes, names, self.patience, family=family, rate=self.plan.rate, told=heard)
        if self._loading is not None:
            ranks = {id(each): rank for rank, each in enumerate(self.outcomes)}
            self.failures.sort(key=lambda each: ranks[id(each)])
            await (await self._loading).explain(self.failures)

    def _heard(self, failure: Outcome) -> None:
        """Take note of a failure; the first one has what explains failures loaded, while others are still tried."""
        self.failures.append(failure)
        self._ended_s.append(time.monotonic())
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        elif self._loading.done():
            self._loading.result().ahead.heard(failure, self._ended_s[-1])

    async def _load(self) -> Explanations:
        make = await aside(_explanations)
        code, options = self.plan.code, self.plan.options
        asked = make(self.context, self.patience, self.progress, code=code, options=options)
        for failure, ended_s in zip(self.failures, self._ended_s, strict=True):
            asked.ahead.heard(failure, ended_s)
        return asked


def _explanations() -> type[Explanations]:
    """Import the whole of a diagnosis, which a check whose targets all pass can do without."""
    from troubleshoot.check.explain import Explanations  # noqa: PLC0415

    return Explanations


def _diagnosable(outcome: Outcome) -> bool:
    """Whether there is a fault of the network to look for: a connection was wanted, and it did not come about."""
    last = outcome.last
    return last is not None and outcome.check.expect.connection == "open" and last.reading is not Reading.OPEN
