"""Run the probes that the facts call for, side by side, until the verdict stands; then compose the report.

The engine is a library: :func:`diagnose` can be awaited any number of times at once in one event loop, under one
shared :class:`probes.base.Budget`, the loop's own where none is given; nothing else is kept. :func:`run` is the same
for a program without a loop, and lets Ctrl-C end the wait and still returns what is known. :func:`replay` judges a
saved report again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from probes.base import Budget, Context, Observation, Status, load, note
from probes.budget import of_loop
from probes.statistics import StatisticsRequest
from probes.system import can_send_raw, loop
from troubleshoot.asks.model import Job
from troubleshoot.facts import AFTER, BEFORE, Facts, Key, NotYet
from troubleshoot.intake.codes import parse_code
from troubleshoot.intake.request import Request, request_of
from troubleshoot.intake.target import Target, parse_target
from troubleshoot.judge import judge
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.catalogue import catalogue as installed
from troubleshoot.knowledge.kinds import Language, System
from troubleshoot.knowledge.text import Refusal
from troubleshoot.options import Options, check
from troubleshoot.report import Report
from troubleshoot.run.compose import Circumstances, compose
from troubleshoot.run.conclude import conclude, views_of
from troubleshoot.run.here import vantage
from troubleshoot.run.hiding import hiding_secrets
from troubleshoot.run.moment import Moment, find, keep, key_of
from troubleshoot.run.plan import BrokenAsk, wanted
from troubleshoot.run.saved import load_observations, request_from
from troubleshoot.run.telling import OnEvent, Teller
from troubleshoot.run.worker import Worker, not_run
from troubleshoot.steps import view_of

if TYPE_CHECKING:
    from troubleshoot.run.stand_in import StandIns  # what starts children is for --pid alone

#: A cancelled probe gets this long to close its sockets.
_CLOSING_S = 0.2
#: Answers that come within so long of the first one are judged together with it.
_BURST_S = 0.005
#: The share of the whole time-out that is kept for the report itself.
_RESERVE_S = 0.05


async def diagnose(
    code: str,
    target: str | Target,
    *,
    options: Options | None = None,
    catalogue: Catalogue | None = None,
    budget: Budget | None = None,
    context: Context | None = None,
    on_event: OnEvent | None = None,
    code_input: str | None = None,
    interrupted: asyncio.Event | None = None,
    stand_ins: StandIns | None = None,
) -> Report:
    """Find out why ``target`` fails with ``code``, and return the report.

    ``code`` is anything that the command line takes (``10061``, ``WSAECONNREFUSED``, ``ECONNREFUSED``, …),
    ``target`` likewise, or a parsed :class:`Target`. ``options.timeout_s`` bounds the run in seconds. Many
    diagnoses share one ``budget``, without one that of their event loop: each begins, and its time with it, when it can
    have its share. ``interrupted``, once set, ends the run. ``stand_ins`` look from where the failing program stands.

    Raises :class:`troubleshoot.errors.UserError` for a code, a target or an option that means nothing, before any
    packet.
    """
    options = Options() if options is None else options
    check(options)
    if not isinstance(code, str):
        raise Refusal("usage.argument-kind", name="code", value=str(code)[:80], kind="'10061'")
    if not isinstance(target, (str, Target)):
        raise Refusal("usage.argument-kind", name="target", value=str(target)[:80], kind="'example.com:21'")
    catalogue = catalogue or installed()
    given = context or Context(budget=budget or of_loop())
    context = hiding_secrets(options, catalogue, given)
    name = parse_code(code, catalogue)
    parsed = parse_target(target, catalogue) if isinstance(target, str) else target
    parsed = replace(parsed, input=context.masked(parsed.input))
    request = request_of(name, parsed, options, catalogue, privileged=can_send_raw(context))
    run_ = _Run(
        request,
        options,
        catalogue,
        context,
        on_event=on_event,
        interrupted=interrupted or asyncio.Event(),
        stand_ins=stand_ins,
    )
    async with context.budget.turn():
        await run_.go()
    if context is not given:
        given.packets_sent = context.packets_sent
    return run_.report(context.masked(code_input or code))


def run(
    code: str,
    target: str | Target,
    options: Options,
    *,
    on_event: OnEvent | None = None,
    code_input: str | None = None,
    stand_ins: StandIns | None = None,
    context: Context | None = None,
) -> Report:
    """Diagnose without an event loop of one's own; the first Ctrl-C ends the wait and returns what is known."""

    async def main() -> Report:
        interrupted = asyncio.Event()
        loop.on_first_interrupt(interrupted.set)
        return await diagnose(
            code,
            target,
            options=options,
            on_event=on_event,
            code_input=code_input,
            interrupted=interrupted,
            stand_ins=stand_ins,
            context=context,
        )

    return loop.run(main())


def replay(report: Report, language: Language, advice_for: System | None = None) -> Report:
    """Judge a saved report again, with today's rules and in ``language``. Touches no network.

    ``advice_for`` stands for what the report was asked for.
    """
    catalogue = installed()
    request = request_from(report, catalogue)
    request = replace(request, advice_for=advice_for or request.advice_for)
    observations = load_observations(report)
    facts = Facts(request, catalogue.judgement.thresholds, observations)
    circumstances = Circumstances(
        started=report.started,
        duration_ms=report.duration_ms,
        vantage=report.vantage,
        code_input=report.error.input,
        interrupted=report.interrupted,
        packets=report.packets,
        packet_limit=report.packet_limit,
        language=language,
    )
    conclusion = conclude(facts, catalogue.judgement)
    judged = compose(facts, conclusion, views_of(facts, conclusion), catalogue, circumstances)
    return replace(judged, redacted=report.redacted)


class _Run:
    """The state of one diagnosis."""

    def __init__(
        self,
        request: Request,
        options: Options,
        catalogue: Catalogue,
        context: Context,
        *,
        on_event: OnEvent | None,
        interrupted: asyncio.Event,
        stand_ins: StandIns | None,
    ) -> None:
        self.request = request
        self.stand_ins = stand_ins
        self.options = options
        self.catalogue = catalogue
        self.context = context
        self.teller = Teller(options, catalogue, on_event) if on_event is not None else None
        self.interrupted = interrupted
        self.observations: dict[Key, Observation[Any]] = {}
        self.tasks: dict[Key, asyncio.Task[Observation[Any]]] = {}
        self.running: set[Key] = set()
        self.workers: dict[Key, Worker] = {}
        self.began_ms: dict[Key, float] = {}
        self.waiting: set[Key] = set()
        self.packet_limit = int(catalogue.judgement.thresholds["packets_most"])
        self.changed = asyncio.Event()
        self.started = datetime.now(UTC)
        self.began = time.perf_counter()
        self.loop = asyncio.get_running_loop()
        self.was_interrupted = False

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.began) * 1000

    def facts(self) -> Facts:
        running = self.running | self.waiting
        return Facts(self.request, self.catalogue.judgement.thresholds, self.observations, running)

    async def go(self) -> None:
        """Start what is wanted, listen, judge; stop when nothing more can change the verdict, or at the limit."""
        self.started, self.began = datetime.now(UTC), time.perf_counter()
        limit_ms = max(self.options.timeout_s - _RESERVE_S, 0.05) * 1000
        settled_at: float | None = None
        stopping = asyncio.create_task(self.interrupted.wait())
        try:
            facts = self._start_what_is_wanted()
            while True:
                conclusion = judge(facts, self.catalogue.judgement)
                self._tell(facts)
                if not (conclusion.final and conclusion.complete):
                    settled_at, end_ms = None, limit_ms
                else:
                    settled_at = self.elapsed_ms() if settled_at is None else settled_at
                    quick = settled_at < facts.threshold("quick_ms")
                    end_ms = min(limit_ms, _steps_told_by_ms(facts, self.began_ms)) if quick else settled_at
                if not self.running or self.elapsed_ms() >= end_ms or self.interrupted.is_set():
                    break
                facts = await self._burst(facts, stopping, end_ms)
        finally:
            stopping.cancel()
            self.was_interrupted = self.interrupted.is_set()
            await self._stop(out_of_time=settled_at is None and not self.was_interrupted)
        await self._read_statistics_again()
        self._tell(self.facts())

    async def _burst(self, facts: Facts, stopping: asyncio.Task[bool], end_ms: float) -> Facts:
        """Wait for an answer, and a moment for those that come with it, so that all of them are judged once.

        What an answer calls for is started at once. Returns the facts as they are then.
        """
        until_s: float | None = None
        while not stopping.done():
            left_s = (end_ms - self.elapsed_ms()) / 1000
            if until_s is not None:
                left_s = min(left_s, until_s - self.loop.time())
            if left_s <= 0:
                break
            changed = asyncio.create_task(self.changed.wait())
            await asyncio.wait({changed, stopping}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if self.changed.is_set():
                self.changed.clear()
                until_s = self.loop.time() + _BURST_S if until_s is None else until_s
                facts = self._start_what_is_wanted()
                if not self.running:
                    break
        return facts

    def _start_what_is_wanted(self) -> Facts:
        """Start every job that the facts call for and that has not been started, and return the facts.

        One that might send more packets than are left waits until those that run have sent less than they could have;
        where none runs any more it is not started at all.
        """
        facts, waited = self.facts(), self.waiting
        self.waiting = set()
        started = False
        for job in wanted(facts):
            if job.key in self.tasks or job.key in self.observations:
                continue
            try:
                worker = self._worker(job)
            except Exception as bug:  # noqa: BLE001 - an ask that raises, a probe that cannot be imported: bugs like others
                self.observations[job.key] = not_run(job, Status.BROKEN, error=f"{type(bug).__name__}: {bug}")
            else:
                if worker.most <= self._left():
                    self._start(job, worker)
                elif self.running:
                    self.waiting.add(job.key)
                else:
                    reason = note("reason.packet-limit", limit=self.packet_limit)
                    self.observations[job.key] = not_run(job, Status.NOT_APPLICABLE, reason=reason)
            started = True
        return self.facts() if started or waited else facts

    def _left(self) -> int:
        """Return how many packets another probe may send, if those that run send all that they could."""
        mine = (worker for key, worker in self.workers.items() if key in self.running)
        still = sum(worker.most - worker.sent for worker in mine)
        return self.packet_limit - _sent(self.workers) - still

    def _worker(self, job: Job) -> Worker:
        if isinstance(job.request, BrokenAsk):
            raise job.request.bug
        of_job = self.stand_ins.worker if self.stand_ins else Worker
        return of_job(job, load(job.probe), self.context, self._hear)

    def _hear(self, observation: Observation[Any]) -> None:
        """Take in what a probe has seen so far."""
        key = (observation.probe, observation.subject)
        if key in self.running:
            self.observations[key] = observation
            self.changed.set()

    def _start(self, job: Job, worker: Worker) -> None:
        moments = self.context.budget.moments
        shared = None if self.stand_ins and self.stand_ins.of(job.probe) else key_of(job, self.context)
        moment = find(moments, shared)
        if moment is None:
            moment = Moment(worker)
            worker.on_progress = moment.tell
            self.workers[job.key] = worker
            if shared is not None:
                keep(moments, shared, moment)
            moment.begin(self.options.timeout_s)
        self.running.add(job.key)
        self.began_ms[job.key] = self.elapsed_ms()
        followed = moment

        async def work() -> Observation[Any]:
            observation = await followed.follow(self._hear)
            self.observations[job.key] = observation
            self.running.discard(job.key)
            self.changed.set()
            return observation

        self.tasks[job.key] = asyncio.create_task(work(), name=" ".join(job.key))

    async def _stop(self, *, out_of_time: bool) -> None:
        """Cancel what still runs; each leaves the record of what it has seen so far."""
        for worker in self.workers.values():
            worker.out_of_time = out_of_time
        pending = [task for task in self.tasks.values() if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=_CLOSING_S)
        self.running.clear()

    async def _read_statistics_again(self) -> None:
        if ("statistics", BEFORE) in self.observations:
            job = Job("statistics", AFTER, StatisticsRequest())
            self.observations[job.key] = await self._worker(job).run(timeout_s=0.5)

    def _tell(self, facts: Facts) -> None:
        if self.teller is not None:
            self.teller.tell(facts, running=bool(self.running), elapsed_ms=self.elapsed_ms())

    def report(self, code_input: str) -> Report:
        """Compose the report of the finished run."""
        facts = self.facts()
        conclusion = conclude(facts, self.catalogue.judgement)
        circumstances = Circumstances(
            started=self.started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            duration_ms=round(self.elapsed_ms(), 1),
            vantage=vantage(privileged=self.request.privileged, place=self.options.place),
            code_input=code_input,
            interrupted=self.was_interrupted,
            packets=_sent(self.workers),
            packet_limit=self.packet_limit,
            language=self.options.language,
        )
        return compose(facts, conclusion, views_of(facts, conclusion), self.catalogue, circumstances)


def _sent(workers: Mapping[Key, Worker]) -> int:
    return sum(worker.sent for worker in workers.values())


def _steps_told_by_ms(facts: Facts, began_ms: Mapping[Key, float]) -> float:
    """Return until when a verdict that stands may wait for steps whose answers are about to come.

    ``began_ms`` tells when each probe did. Only answers to what was asked a moment ago are about to come: what has
    been silent for longer will not speak in a moment.
    """
    begun = {" ".join(key).strip(): at_ms for key, at_ms in began_ms.items() if key in facts.running}
    awaited = []
    for identifier in facts.request.steps:
        try:
            view_of(facts, identifier)
        except NotYet as question:
            awaited.append(begun.get(str(question)) or max(begun.values(), default=0.0))
    return max(awaited) + facts.threshold("grace_ms") if awaited else 0.0
