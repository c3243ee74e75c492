"""Run the probes that the facts call for, side by side, until the verdict stands; then compose the report.

The engine is a library: :func:`diagnose` can be awaited any number of times at once in one event loop, under one
shared :class:`probes.base.Budget`; it keeps no global state. :func:`run` is the same for a program without a loop,
and lets Ctrl-C end the wait and still returns what is known. :func:`replay` judges a saved report again.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from probes.base import Budget, CannotObserve, Context, Observation, Probe, ProbeTarget, Status, load, note
from probes.statistics import StatisticsRequest
from probes.system import can_send_raw, loop, platform_name
from troubleshoot.asks.model import Job
from troubleshoot.errors import bug_text
from troubleshoot.facts import AFTER, BEFORE, Facts, Key, NotYet
from troubleshoot.intake.codes import parse_code
from troubleshoot.intake.request import Request, request_of
from troubleshoot.intake.target import Target, parse_target
from troubleshoot.judge import Conclusion, judge
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.catalogue import catalogue as installed
from troubleshoot.knowledge.kinds import Language
from troubleshoot.knowledge.text import say
from troubleshoot.options import Options
from troubleshoot.report import Report, Vantage
from troubleshoot.run.compose import Circumstances, compose
from troubleshoot.run.conclude import conclude
from troubleshoot.run.events import StepEvent
from troubleshoot.run.plan import wanted
from troubleshoot.run.saved import load_observations, request_from
from troubleshoot.steps import StepView, view_of

#: A cancelled probe gets this long to close its sockets.
_CLOSING_S = 0.2
#: The share of the whole time-out that is kept for the report itself.
_RESERVE_S = 0.05

OnEvent = Callable[[StepEvent], None]


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
) -> Report:
    """Find out why ``target`` fails with ``code``, and return the report.

    ``code`` is anything that the command line takes (``10061``, ``WSAECONNREFUSED``, ``ECONNREFUSED``, …),
    ``target`` likewise, or a parsed :class:`Target`. ``options.timeout_s`` bounds the run in seconds. Many
    diagnoses may share one ``budget`` of sockets and packets. ``interrupted``, once set, ends the waiting.

    Raises :class:`troubleshoot.errors.UserError` for a code or target that means nothing, before any packet.
    """
    options = options or Options()
    catalogue = catalogue or installed()
    context = context or Context(budget=budget or Budget())
    name = parse_code(code, catalogue)
    parsed = parse_target(target, catalogue) if isinstance(target, str) else target
    request = request_of(name, parsed, options, catalogue, privileged=can_send_raw(context))
    run_ = _Run(request, options, catalogue, context, on_event=on_event, interrupted=interrupted or asyncio.Event())
    await run_.go()
    return run_.report(code_input or code)


def run(
    code: str,
    target: str | Target,
    options: Options,
    *,
    on_event: OnEvent | None = None,
    code_input: str | None = None,
) -> Report:
    """Diagnose without an event loop of one's own; the first Ctrl-C ends the wait and returns what is known."""

    async def main() -> Report:
        interrupted = asyncio.Event()
        loop.on_first_interrupt(interrupted.set)
        return await diagnose(
            code, target, options=options, on_event=on_event, code_input=code_input, interrupted=interrupted
        )

    return loop.run(main())


def replay(report: Report, language: Language) -> Report:
    """Judge a saved report again, with today's rules and in ``language``. Touches no network."""
    catalogue = installed()
    request = request_from(report, catalogue)
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
    return compose(facts, conclusion, _views(facts, conclusion), catalogue, circumstances)


async def observe(name: str, target: Target, options: Options) -> Observation[Any]:
    """Run one probe by itself against ``target`` and return its record."""
    context = Context()
    probe = load(name)
    aim = ProbeTarget(
        host=target.host,
        address=await _first_address(target, options, context)
        if name not in ("resolve", "hosts-file", "proxy")
        else None,
        port=target.port if target.port is not None else _port_of(target.service, target.transport),
        service=target.service,
        transport=target.transport,
        family=options.family,
        pid=options.pid,
    )
    started = time.time()
    try:
        request = probe.request_for(aim)
    except CannotObserve as reason:
        return Observation(
            probe=name,
            subject=target.input,
            status=reason.status,
            started=started,
            duration_ms=0.0,
            reason=reason.reason,
        )
    job = Job(name, probe.subject(request), request)
    return await _Worker(job, probe, context, lambda _: None).run(timeout_s=options.timeout_s)


async def _first_address(target: Target, options: Options, context: Context) -> str | None:
    """Return the first address of the target, by the same probe that a diagnosis uses."""
    if target.host is None or target.literal:
        return target.host
    probe = load("resolve")
    request = probe.request_for(ProbeTarget(host=target.host, family=options.family))
    job = Job("resolve", target.host, request)
    found = await _Worker(job, probe, context, lambda _: None).run(timeout_s=options.timeout_s)
    return next(iter(getattr(found.result, "addresses", ())), None)


def _port_of(service: str | None, transport: str) -> int | None:
    if service is None:
        return None
    try:
        return socket.getservbyname(service, transport)
    except OSError:
        entry = installed().service(service, transport)
        return entry.port if entry is not None else None


class _Worker(msgspec.Struct):
    """One probe's run: keeps the last partial result, and turns every end into a record."""

    job: Job
    probe: Probe[Any, Any]
    context: Context
    on_progress: Callable[[Observation[Any]], None]
    started: float = 0.0
    began: float = 0.0
    partial: Any = None
    own: Context | None = None
    at_limit: bool = False

    @property
    def sent(self) -> int:
        """How many packets it has sent."""
        return self.own.packets_sent if self.own is not None else 0

    @property
    def most(self) -> int:
        """How many packets it sends at most."""
        return self.probe.most_packets(self.job.request)

    def _record(self, status: Status, **more: Any) -> Observation[Any]:
        duration = (time.perf_counter() - self.began) * 1000
        return Observation(
            probe=self.job.probe,
            subject=self.job.subject,
            status=status,
            started=self.started,
            duration_ms=round(duration, 3),
            **more,
        )

    def _progress(self, result: Any) -> None:
        self.partial = result
        self.on_progress(self._record(Status.CUT_SHORT, result=result))

    async def run(self, timeout_s: float) -> Observation[Any]:
        """Run the probe to its end, its deadline, or a cancellation; never raises but for our own cancellation."""
        self.started, self.began = time.time(), time.perf_counter()
        limit = min(timeout_s, max(self.probe.deadline_s, 0.1))
        try:
            async with asyncio.timeout(limit) as patience:

                def stop() -> None:
                    self.at_limit = True
                    patience.reschedule(asyncio.get_running_loop().time())

                self.own = self.context.share(self.most, stop)
                result = await self.probe.observe(self.job.request, self.own, self._progress)
        except CannotObserve as reason:
            return self._record(reason.status, reason=reason.reason)
        except TimeoutError:
            reason_ = note("reason.deadline", seconds=f"{limit:.1f}")
            if self.at_limit:
                reason_ = note("reason.packets-spent", packets=self.most)
            return self._record(Status.CUT_SHORT, result=self.partial, reason=reason_)
        except asyncio.CancelledError:
            reason_ = note("reason.cancelled")
            return self._record(Status.CUT_SHORT, result=self.partial, reason=reason_)
        except Exception as bug:  # noqa: BLE001 - a bug in one probe never harms another
            return self._record(Status.BROKEN, error=bug_text(bug))
        finally:
            self.context.packets_sent += self.sent
        return self._record(Status.OBSERVED, result=result)


def _not_run(job: Job, status: Status, **more: Any) -> Observation[Any]:
    """Record a probe that was not started."""
    return Observation(
        probe=job.probe, subject=job.subject, status=status, started=time.time(), duration_ms=0.0, **more
    )


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
    ) -> None:
        self.request = request
        self.options = options
        self.catalogue = catalogue
        self.context = context
        self.on_event = on_event
        self.interrupted = interrupted
        self.observations: dict[Key, Observation[Any]] = {}
        self.tasks: dict[Key, asyncio.Task[Observation[Any]]] = {}
        self.running: set[Key] = set()
        self.workers: dict[Key, _Worker] = {}
        self.waiting: set[Key] = set()
        self.packet_limit = int(catalogue.judgement.thresholds["packets_most"])
        self.changed = asyncio.Event()
        self.started = datetime.now(UTC)
        self.began = time.perf_counter()
        self.shown: dict[str, StepEvent] = {}
        self.was_interrupted = False

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.began) * 1000

    def facts(self) -> Facts:
        running = self.running | self.waiting
        return Facts(self.request, self.catalogue.judgement.thresholds, self.observations, running)

    @property
    def sent(self) -> int:
        """How many packets were sent so far."""
        return sum(worker.sent for worker in self.workers.values())

    async def go(self) -> None:
        """Start what is wanted, listen, judge; stop when nothing more can change the verdict, or at the limit."""
        limit_ms = max(self.options.timeout_s - _RESERVE_S, 0.05) * 1000
        thresholds = self.catalogue.judgement.thresholds
        settled_at: float | None = None
        stopping = asyncio.create_task(self.interrupted.wait())
        try:
            while True:
                self.changed.clear()
                facts = self._start_what_is_wanted()
                conclusion = judge(facts, self.catalogue.judgement)
                self._tell(facts)
                settled = conclusion.final and conclusion.complete
                if settled and settled_at is None:
                    settled_at = self.elapsed_ms()
                elif not settled:
                    settled_at = None
                end_ms = limit_ms
                if settled_at is not None:
                    # What has not answered for long will not do so in a moment: only quick runs wait for the rest.
                    quick = settled_at < thresholds["quick_ms"]
                    end_ms = min(limit_ms, settled_at + (thresholds["grace_ms"] if quick else 0.0))
                left_s = (end_ms - self.elapsed_ms()) / 1000
                if not self.running or left_s <= 0 or self.interrupted.is_set():
                    break
                changed = asyncio.create_task(self.changed.wait())
                await asyncio.wait({changed, stopping}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            stopping.cancel()
            self.was_interrupted = self.interrupted.is_set()
            await self._stop()
        await self._read_statistics_again()
        self._tell(self.facts())

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
            except Exception as bug:  # noqa: BLE001 - a probe that cannot even be imported is a bug like any other
                self.observations[job.key] = _not_run(job, Status.BROKEN, error=f"{type(bug).__name__}: {bug}")
            else:
                if worker.most <= self._left():
                    self._start(job, worker)
                elif self.running:
                    self.waiting.add(job.key)
                else:
                    reason = note("reason.packet-limit", limit=self.packet_limit)
                    self.observations[job.key] = _not_run(job, Status.NOT_APPLICABLE, reason=reason)
            started = True
        return self.facts() if started or waited else facts

    def _left(self) -> int:
        """Return how many packets another probe may send, if those that run send all that they could."""
        still = sum(self.workers[key].most - self.workers[key].sent for key in self.running)
        return self.packet_limit - self.sent - still

    def _worker(self, job: Job) -> _Worker:
        def progress(observation: Observation[Any]) -> None:
            if job.key in self.running:
                self.observations[job.key] = observation
                self.changed.set()

        return _Worker(job, load(job.probe), self.context, progress)

    def _start(self, job: Job, worker: _Worker) -> None:
        self.running.add(job.key)
        self.workers[job.key] = worker

        async def work() -> Observation[Any]:
            observation = await worker.run(self.options.timeout_s)
            self.observations[job.key] = observation
            self.running.discard(job.key)
            self.changed.set()
            return observation

        self.tasks[job.key] = asyncio.create_task(work(), name=" ".join(job.key))

    async def _stop(self) -> None:
        """Cancel what still runs; each leaves the record of what it has seen so far."""
        pending = [task for task in self.tasks.values() if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=_CLOSING_S)
        self.running.clear()

    async def _read_statistics_again(self) -> None:
        if ("statistics", BEFORE) in self.observations:
            job = Job("statistics", AFTER, StatisticsRequest())
            worker = _Worker(job, load("statistics"), self.context, lambda _: None)
            self.observations[job.key] = await worker.run(timeout_s=0.5)

    def _tell(self, facts: Facts) -> None:
        """Send an event for every step whose state changed."""
        if self.on_event is None:
            return
        wording = self.catalogue.wording(self.options.language)
        limit_ms = self.options.timeout_s * 1000
        for identifier in self.request.steps:
            try:
                view: StepView | None = view_of(facts, identifier)
            except NotYet:
                view = None
            event = StepEvent(
                step=identifier,
                title=self.catalogue.steps[identifier].title.in_(self.options.language),
                status=view.status if view else None,
                running=view is None and bool(self.running),
                summary=say(view.summary, wording) if view else "",
                elapsed_ms=0.0,
                limit_ms=limit_ms,
            )
            if self.shown.get(identifier) != event:
                self.shown[identifier] = event
                self.on_event(replace(event, elapsed_ms=self.elapsed_ms()))

    def report(self, code_input: str) -> Report:
        """Compose the report of the finished run."""
        facts = self.facts()
        conclusion = conclude(facts, self.catalogue.judgement)
        circumstances = Circumstances(
            started=self.started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            duration_ms=round(self.elapsed_ms(), 1),
            vantage=Vantage(
                hostname=socket.gethostname(),
                platform=platform_name(),
                privileged=self.request.privileged,
            ),
            code_input=code_input,
            interrupted=self.was_interrupted,
            packets=self.sent,
            packet_limit=self.packet_limit,
            language=self.options.language,
        )
        return compose(facts, conclusion, _views(facts, conclusion), self.catalogue, circumstances)


def _views(facts: Facts, conclusion: Conclusion) -> dict[str, StepView]:
    """Return the view of every step of the checklist; one whose probe did not end is skipped, and says so."""
    views = {}
    cut = "reason.not-finished" if conclusion.final else "reason.time-up"
    for identifier in facts.request.steps:
        try:
            views[identifier] = view_of(facts, identifier)
        except NotYet:
            reason = note(cut)
            views[identifier] = StepView("skipped", reason, reason)
    return views
