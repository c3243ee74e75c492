"""Why targets failed: the checklist for one or two of each group of failures, a cheap question for each other one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Final

from probes.base import Context
from troubleshoot.check.again import EACH_S, MANY, Said, SecondLook, place_of, said_of
from troubleshoot.check.ahead import ALONE, Ahead
from troubleshoot.check.ask import Questions
from troubleshoot.check.confirm import OnceMore
from troubleshoot.check.diagnoses import Diagnoses
from troubleshoot.check.group import Hint, grouped, network_of
from troubleshoot.check.model import Basis, Group, Outcome, Reading, Status
from troubleshoot.check.patience import Patience
from troubleshoot.check.progress import Progress
from troubleshoot.check.verdicts import agreed, least, of_own_environment, said
from troubleshoot.options import Options
from troubleshoot.report import Confidence, Report

#: Where the members of a group that were diagnosed differ it is split in so many parts.
_PARTS: Final = 4
#: Silent hosts make their router report each of them after 3 s: more than so many would use up what it may say.
_MANY_DEAD: Final = 3
#: A router has enough left for a diagnosis after so long without a report, seconds.
_QUIET_S: Final = 3.0
#: A diagnosis has made its first connection, and been answered, after so long, seconds.
_NEXT_WORD_S: Final = 0.15
#: How long diagnoses take as a rule, for whoever waits: of what answers, and of what is silent, seconds.
_ANSWERED_S: Final = 2.0
_SILENCE_S: Final = 4.0


class Explanations:
    """Explains failures; ``groups`` holds what was found, and each outcome its group and cause."""

    def __init__(
        self,
        context: Context,
        patience: Patience,
        progress: Progress,
        *,
        code: str | None,
        options: Options,
    ) -> None:
        self.groups: list[Group] = []
        self._context = context
        self._questions = Questions(context)
        self._progress = progress
        self._diagnoses = Diagnoses(context, code, options)
        self._once_more = OnceMore(patience)
        self._spoken_s = 0.0
        self._like: list[tuple[Outcome, list[Outcome], Confidence]] = []
        #: Hears of failures while others are still tried.
        self.ahead = Ahead(self._questions, self._diagnoses)

    async def explain(self, failures: Sequence[Outcome]) -> None:
        """Give every failure its verdict; takes about a diagnosis, more where routers may say little at a time."""
        silent = any(each.attempts[-1].reading is Reading.SILENT for each in failures)
        self._progress.expect(2 * _SILENCE_S if silent else _ANSWERED_S)
        hints = await self._hints(failures)
        alive = {id(each): hint.alive for each, hint in zip(failures, hints, strict=True)}
        self._once_more.known(failures, hints)
        groups = grouped(zip(failures, hints, strict=True))
        dead = [those for those in groups if alive[id(those[0])] is False and len(those) > _MANY_DEAD]
        shadowed = [those for those in groups if those not in dead and _shadowed(those, failures)]
        plain = [those for those in groups if those not in shadowed and those not in dead]
        rejected = [those for those in plain if those[0].attempts[-1].reading is Reading.REJECTED]
        self._progress.expect(_ANSWERED_S + (_SILENCE_S if dead or shadowed else 0) * (1 + bool(shadowed)))
        reported_s = self._questions.reported_s(each.attempts[-1].address for those in dead for each in those)
        others = self._all(those for those in plain if those not in rejected)
        if not dead and not shadowed:
            await asyncio.gather(others, self._all(rejected, few=1))
            return
        await others
        # Routers report little at a time: what needs their reports comes after, when they may speak again.
        rest: list[list[Outcome]] = []
        for members in shadowed:
            await self._quiet(reported_s)
            rest += await self._looked_at_again(members, failures)
        self._progress.expect(_SILENCE_S)
        if rejected:
            await self._quiet(reported_s)
        await asyncio.gather(self._rejections(rejected), self._of_silence(rest, dead, bool(rejected)))

    async def _rejections(self, rejected: list[list[Outcome]]) -> None:
        """Explain what routers rejected, and what was found to be like it."""
        await self._all(rejected, few=1)
        for like, those, others in self._like:
            if like.group is None:  # it is open now
                await self._explain(those)
            else:
                self._file(those, self.groups[like.group - 1].report, named=[like], others=others)

    async def _of_silence(self, rest: list[list[Outcome]], dead: list[list[Outcome]], later: bool) -> None:
        """Explain what is left: silent ports, and hosts that are off, of which routers are silent for 3 s.

        With ``later`` somebody else is to have a router's next word.
        """
        if later:
            await asyncio.sleep(_NEXT_WORD_S)
        first = asyncio.create_task(self._diagnoses.of(dead[0][0])) if dead else None
        try:
            await self._all(rest, few=1 if dead else ALONE)  # more would use up what is to be said of the dead host
            for members in dead:
                report = await first if first is not None else None
                if report is None or report.verdict.outcome == "inconclusive":
                    await self._quiet(self._questions.reported_s([members[0].attempts[-1].address]), _QUIET_S)
                    report = await self._diagnoses.anew(members[0])
                first = None
                self._file(members, report, named=members[:1], others="possible")
        finally:
            if first is not None:
                first.cancel()

    async def _quiet(self, reported_s: float, seconds: float = EACH_S) -> None:
        """Wait until a router has been left alone for so long, and has reported what it was asked about."""
        spoken_s = max(self._spoken_s, self._context.budget.ledger.spoken_s, reported_s)
        await asyncio.sleep(spoken_s + seconds - time.monotonic())

    async def _hints(self, failures: Sequence[Outcome]) -> Sequence[Hint]:
        """Ask the cheap questions, where there are so many failures that something depends on them."""
        if len(failures) <= ALONE:
            return [Hint()] * len(failures)
        return await asyncio.gather(
            *(self._questions.hint(each.attempts[-1], each.check.target.port or 0) for each in failures)
        )

    async def _all(self, groups: Iterable[list[Outcome]], few: int = ALONE) -> None:
        those = list(groups)
        if those:
            await asyncio.gather(*(self._explain(members, few) for members in those))

    async def _looked_at_again(self, members: list[Outcome], failures: Sequence[Outcome]) -> list[list[Outcome]]:
        """Put those that a router rejects after all beside what it rejects; return the others, and what is new."""
        network = network_of(members[0].attempts[-1].address)
        rejected = [f for f in failures if said_of(f) is not None and network_of(f.attempts[-1].address) == network]
        look = SecondLook(members, rejected)
        await look.look()
        by_kind: dict[Said, list[Outcome]] = {}
        for each in members:
            by_kind.setdefault(look.kinds[id(each)], []).append(each)
        for each in members:
            each.basis = Basis.INFERRED if id(each) in look.inferred else None
        rest = []
        for kind, those in by_kind.items():
            like = next((f for f in failures if kind is not None and kind == said_of(f)), None)
            if like is None:
                rest.append(those)
                continue
            guessed = [each for each in those if id(each) in look.guessed]
            self._like.append((like, [each for each in those if id(each) not in look.guessed], "likely"))
            self._like.append((like, guessed, "possible"))
        self._spoken_s = look.free_s - EACH_S
        return rest

    async def _explain(self, members: list[Outcome], few: int = ALONE) -> None:
        """Diagnose the first and the last one, or the first alone; give what they agree on to those that confirm it.

        The first is enough of refusals that each were asked how far away they come from. Where they do not agree the
        members are split, by port and then by host, as rules of filters are written. One whose cheap question has
        another answer than before is explained by itself.
        """
        members = sorted(members, key=place_of)
        few = 1 if self._once_more.measured(members[0]) else few
        looked_at = self._examples(members)[:few] if len(members) > few else members
        own = set(map(id, looked_at))
        others = [each for each in members if id(each) not in own]
        reports, unlike = await asyncio.gather(
            asyncio.gather(*map(self._diagnoses.of, looked_at)), self._once_more.unlike(others)
        )
        speaking = agreed(reports)
        if speaking is not None:
            apart = set(map(id, unlike))
            self._file([each for each in members if id(each) not in apart], speaking, named=looked_at)
            if unlike:
                await self._explain(unlike)
        elif not others:
            for each, report in zip(looked_at, reports, strict=True):
                self._file([each], report)
        else:
            size = -(-len(members) // _PARTS)
            parts = [members[start : start + size] for start in range(0, len(members), size)]
            await asyncio.gather(*(self._explain(part) for part in parts))

    def _examples(self, members: list[Outcome]) -> list[Outcome]:
        """Return two that are to speak for all: one that was begun, else the first, and the farthest from it."""
        early = next((index for index, each in enumerate(members) if self._diagnoses.begun(each)), 0)
        return [members[early], members[-1] if early < len(members) / 2 else members[0]]

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
        self._progress.explained += len(members)
        if verdict.outcome == "healthy":
            for each in members:
                each.status, each.basis = Status.FLAKY, None
            return
        group = next((g for g in self.groups if said(g.report) == said(report)), None)
        if group is None:
            group = Group(id=len(self.groups) + 1, report=report)
            self.groups.append(group)
        group.targets += len(members)
        spoken_of = set(map(id, named))
        for each in members:
            each.group = group.id
            each.cause = verdict.cause
            own = not named or id(each) in spoken_of
            each.confidence = verdict.confidence if own else least(verdict.confidence, others)
            each.basis = Basis.DIAGNOSED if own else each.basis or Basis.ASKED
            if of_own_environment(report):
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
