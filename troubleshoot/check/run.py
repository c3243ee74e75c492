"""The whole check: triage, groups of failures, the checklist for one or two of each group, and what follows."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from probes.base import Budget, Context
from troubleshoot import __version__
from troubleshoot.check.again import EACH_S, MANY, Said, SecondLook, place_of, said_of
from troubleshoot.check.ask import Questions
from troubleshoot.check.group import Hint, grouped, network_of
from troubleshoot.check.model import Check, CheckReport, Group, Outcome, Reading, Status
from troubleshoot.check.names import Names
from troubleshoot.check.triage import triage
from troubleshoot.intake.codes import is_plain
from troubleshoot.knowledge.catalogue import catalogue as installed
from troubleshoot.options import Options
from troubleshoot.report import Confidence, Location, Report
from troubleshoot.run.engine import diagnose

#: What a diagnosis is asked about where the error itself is no code.
_CODES: Final = {
    Reading.REFUSED: "WSAECONNREFUSED",
    Reading.SILENT: "WSAETIMEDOUT",
    Reading.REJECTED: "WSAEHOSTUNREACH",
    Reading.UNRESOLVED: "WSAHOST_NOT_FOUND",
    Reading.LOCAL: "WSAENETUNREACH",
}
#: The scopes of a cause that lie on this machine's side: where one of them is at fault nothing is known of a target.
_OWN: Final = ("this-machine",)
#: What all diagnoses of a check share: more than one run by itself, less than would look like a scan.
_SOCKETS: Final = 256
_PACKETS_PER_S: Final = 500.0
#: So many members of a group are each diagnosed; of more, three. Those that differ split the group in so many parts.
_ALONE: Final = 3
_PARTS: Final = 4
#: What a router rejected is diagnosed so often where it keeps silent meanwhile.
_TIMES: Final = 3
#: Silent hosts make their router report each of them after 3 s: more than so many would use up what it may say.
_MANY_DEAD: Final = 3
#: So long after the last packet to them a router has said all that it will of hosts that are off (RFC 4861, section
#: 7.2.2, and arp(7): three questions, a second apart), and it has enough left for a diagnosis after so long, seconds.
_REPORTED_S: Final = 3.2
_QUIET_S: Final = 3.0

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
    interrupted: asyncio.Event | None = None,
    context: Context | None = None,
) -> CheckReport:
    """Try every target, diagnose what the failures have in common, and return what each came to, in the order given.

    ``told`` hears of each target when its attempts are over. ``interrupted``, once set, ends the run; what is not known
    by then is ``UNDECIDED``. Checks of one ``context`` share its budget; without one each has its own.
    """
    plan = plan or Plan()
    started, began = datetime.now(UTC), time.perf_counter()
    outcomes = [Outcome(check=each) for each in checks]
    whole = _Whole(plan, outcomes, context or Context(budget=Budget(sockets=_SOCKETS, packets_per_s=_PACKETS_PER_S)))
    stop = interrupted or asyncio.Event()
    working = asyncio.create_task(whole.go(told))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    was_interrupted = not working.done()
    whole.questions.end()
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

    def __init__(self, plan: Plan, outcomes: list[Outcome], context: Context) -> None:
        self.plan = plan
        self.outcomes = outcomes
        self.groups: list[Group] = []
        self.context = context
        self.questions = Questions(context)
        self.reporting = asyncio.Lock()
        self.family = {4: socket.AF_INET, 6: socket.AF_INET6}.get(plan.options.family or 0, 0)
        self.last_s = 0.0
        self.reports: dict[int, Report] = {}

    async def go(self, told: Told) -> None:
        failed = 0

        def heard(outcome: Outcome) -> None:
            nonlocal failed
            told(outcome)
            if self.plan.diagnose and outcome.status is Status.FAILED and _diagnosable(outcome):
                failed += 1
                if failed > _ALONE:
                    self.questions.begin(outcome.attempts[-1])

        async with Names() as names:
            await triage(self.outcomes, names, family=self.family, rate=self.plan.rate, told=heard)
        self.last_s = time.monotonic()
        failures = [each for each in self.outcomes if each.status is Status.FAILED and _diagnosable(each)]
        if not self.plan.diagnose or not failures:
            return
        hints = await self._hints(failures)
        groups = grouped(zip(failures, hints, strict=True))
        alive = {id(each): hint.alive for each, hint in zip(failures, hints, strict=True)}
        dead = [members for members in groups if alive[id(members[0])] is False and len(members) > _MANY_DEAD]
        shadowed = [members for members in groups if members not in dead and _shadowed(members, failures)]
        reported_s = time.monotonic() + (_REPORTED_S if dead else 0.0)
        plain = [members for members in groups if members not in shadowed and members not in dead]
        await asyncio.gather(
            self._all(members for members in plain if members[0].attempts[-1].reading is not Reading.REJECTED),
            self._all((members for members in plain if members[0].attempts[-1].reading is Reading.REJECTED), few=1),
        )
        # Routers report little at a time: what needs their reports comes after, when they may speak again.
        rest: list[list[Outcome]] = []
        for members in shadowed:
            await asyncio.sleep(max(self.last_s, reported_s) + EACH_S - time.monotonic())
            rest += await self._looked_at_again(members, failures)
        # One of the hosts that are off beside those: its router is silent for three seconds before it reports it.
        first = asyncio.create_task(self._report_of(dead[0][0])) if dead else None
        await self._all(rest, few=2)
        for members in dead:
            report = await first if first is not None else None
            if report is None or report.verdict.outcome == "inconclusive":
                await asyncio.sleep(max(self.last_s, reported_s) + _QUIET_S - time.monotonic())
                report = await self._diagnose(members[0])
            first = None
            self._file(members, report, named=members[:1], others="possible")
            self.last_s = time.monotonic()

    async def _hints(self, failures: Sequence[Outcome]) -> Sequence[Hint]:
        """Ask the cheap questions, where there are so many failures that something depends on them."""
        if len(failures) <= _ALONE:
            return [Hint()] * len(failures)
        return await asyncio.gather(
            *(self.questions.hint(each.attempts[-1], each.check.target.port or 0) for each in failures)
        )

    async def _all(self, groups: Iterable[list[Outcome]], few: int = _ALONE) -> None:
        await asyncio.gather(*(self._explain(members, few) for members in groups))
        self.last_s = time.monotonic()

    async def _looked_at_again(self, members: list[Outcome], failures: Sequence[Outcome]) -> list[list[Outcome]]:
        """File those that a router rejects after all with what it rejects; return the others, and what is new."""
        network = network_of(members[0].attempts[-1].address)
        rejected = [f for f in failures if said_of(f) is not None and network_of(f.attempts[-1].address) == network]
        look = SecondLook(members, rejected)
        await look.look()
        by_kind: dict[Said, list[Outcome]] = {}
        for each in members:
            by_kind.setdefault(look.kinds[id(each)], []).append(each)
        rest = []
        for kind, those in by_kind.items():
            like = next((f for f in failures if f.group and kind is not None and kind == said_of(f)), None)
            if like is None:
                rest.append(those)
                continue
            report = self.groups[(like.group or 1) - 1].report
            guessed = [each for each in those if id(each) in look.guessed]
            self._file([each for each in those if id(each) not in look.guessed], report, named=[like])
            self._file(guessed, report, named=[like], others="possible")
        self.last_s = time.monotonic()
        return rest

    async def _explain(self, members: list[Outcome], few: int = _ALONE) -> None:
        """Diagnose the first, the last and the middle one, or as ``few`` of them; give the others what they agree on.

        Where they do not agree the members are split, by port and then by host, as rules of filters are written.
        """
        members = sorted(members, key=place_of)
        last = len(members) - 1
        chosen = sorted({0, last, last // 2})[:few] if few != 2 else [0, last]
        looked_at = [members[index] for index in chosen] if len(members) > few else members
        reports = await asyncio.gather(*map(self._report_of, looked_at))
        agreed = _agreed(reports)
        if agreed is not None:
            self._file(members, agreed, named=looked_at)
        elif len(members) <= few:
            for each, report in zip(looked_at, reports, strict=True):
                self._file([each], report)
        else:
            size = -(-len(members) // _PARTS)
            parts = [members[start : start + size] for start in range(0, len(members), size)]
            await asyncio.gather(*(self._explain(part) for part in parts))

    async def _report_of(self, outcome: Outcome) -> Report:
        """Return the diagnosis of a target, which is made once."""
        key = id(outcome)
        if key not in self.reports:
            rejected = outcome.attempts[-1].reading is Reading.REJECTED
            self.reports[key] = await (self._reported(outcome) if rejected else self._diagnose(outcome))
        return self.reports[key]

    async def _reported(self, outcome: Outcome) -> Report:
        """Diagnose what a router rejected, one such target after another, when the router can say so once more."""
        async with self.reporting:
            for _ in range(_TIMES):
                report = await self._diagnose(outcome)
                seen = report.reproduction.outcome
                if seen != "different" or report.verdict.outcome == "healthy":
                    break
                await asyncio.sleep(2 * EACH_S)
            return report

    async def _diagnose(self, outcome: Outcome) -> Report:
        attempt = outcome.attempts[-1]
        known = attempt.error is not None and is_plain(attempt.error, installed())
        code = self.plan.code or (attempt.error if known and attempt.error else _CODES[attempt.reading])
        return await diagnose(code, outcome.check.target, options=self.plan.options, context=self.context)

    def _file(
        self,
        members: list[Outcome],
        report: Report,
        *,
        named: Sequence[Outcome] = (),
        others: Confidence = "likely",
    ) -> None:
        """Take the report's verdict for all members; those that were not ``named`` are no more sure than ``others``."""
        verdict = report.verdict
        if verdict.outcome == "healthy":
            for each in members:
                each.status = Status.FLAKY
            return
        group = next((g for g in self.groups if _said(g.report) == _said(report)), None)
        if group is None:
            group = Group(id=len(self.groups) + 1, report=report)
            self.groups.append(group)
        group.targets += len(members)
        for each in members:
            each.group = group.id
            each.cause = verdict.cause
            own = not named or each in named
            each.confidence = verdict.confidence if own else _least(verdict.confidence, others)
            if _environment(report):
                each.status = Status.ENVIRONMENT


def _shadowed(members: Sequence[Outcome], failures: Sequence[Outcome]) -> bool:
    """Whether a router that rejected others on this network may have rejected these, too, without a word."""
    first = members[0].attempts[-1]
    if first.reading is not Reading.SILENT:
        return False
    network = network_of(first.address)
    beside = [f for f in failures if network_of(f.attempts[-1].address) == network]
    rejected = sum(f.attempts[-1].reading is Reading.REJECTED and f.attempts[-1].router is not None for f in beside)
    return bool(rejected) and rejected + len(members) > MANY


def _diagnosable(outcome: Outcome) -> bool:
    """Whether there is a fault of the network to look for: a connection was wanted, and it did not come about."""
    last = outcome.last
    return last is not None and outcome.check.expect.connection == "open" and last.reading is not Reading.OPEN


def _said(report: Report) -> tuple[object, ...]:
    """Return what makes two verdicts the same."""
    verdict, place = report.verdict, report.verdict.location
    where = (place.scope, *_device(place)) if place else None
    return verdict.cause, where, None if verdict.cause else report.target.input


def _agreed(reports: Sequence[Report]) -> Report | None:
    """Return the report that speaks for all, ``None`` where they differ.

    One that could not tell the place of the fault, or whose it is, agrees with one that could.
    """
    if reports[0].verdict.cause is None or len({report.verdict.cause for report in reports}) > 1:
        return None
    told = [(at.scope, *_device(at)) if (at := each.verdict.location) else (None,) * 3 for each in reports]
    if any(len({each[part] for each in told} - {None}) > 1 for part in range(3)):
        return None
    return max(reports, key=lambda report: sum(part is not None for part in told[reports.index(report)]))


def _device(place: Location) -> tuple[int | None, str | None]:
    """Return hop and address of a device on the way, which is one place for all that lies behind it.

    A host is its own.
    """
    return (None, None) if place.scope in ("remote-host", "name-service") else (place.hop, place.address)


def _least(*levels: Confidence) -> Confidence:
    order: tuple[Confidence, ...] = ("possible", "likely", "certain")
    return min(levels, key=order.index)


def _environment(report: Report) -> bool:
    place = report.verdict.location
    cause = report.verdict.cause
    known = cause is not None and cause in installed().cause_names
    return (place is not None and place.scope in _OWN) or (known and installed().cause(cause or "").environment)
