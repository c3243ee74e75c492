"""Connects from many source ports, and datagrams up the path for those that differ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import zip_longest
from typing import Final

import msgspec

from probes.base import Context
from probes.failure import IcmpError, IcmpMeaning, errno_name
from probes.flows import (
    CHANCE,
    Flow,
    FlowHop,
    FlowOutcome,
    FlowsRequest,
    FlowsResult,
    by_chance,
    enough_for_a_limit,
    repetitions,
)
from probes.system import need_linux
from probes.system.dial import Dial, give_up
from probes.system.endpoint import endpoint

#: No more of the ports that fail are tried again, and as many others are tried two at a time.
_AGAIN: Final = 5
_FRESH: Final = 8
#: So many refusals among connections that are made are no accident of one moment.
_REFUSALS: Final = 2
#: The better an outcome, the further its packets got.
_RANK: Final = (FlowOutcome.ACCEPTED, FlowOutcome.RESET, FlowOutcome.ICMP, FlowOutcome.SILENCE)
#: A silent TTL of the walk is tried so often.
_WALK_TRIES: Final = 2
#: Silent TTLs in a row after which the walk ends.
_SILENT_HOPS: Final = 2


class _Search(msgspec.Struct):
    request: FlowsRequest
    context: Context
    progress: Callable[[FlowsResult], None]
    tries: dict[int, list[FlowOutcome]] = msgspec.field(default_factory=dict)
    fresh_last: list[FlowOutcome] = msgspec.field(default_factory=list)
    walked: int | None = None
    walk: list[FlowHop] = msgspec.field(default_factory=list)
    row: list[FlowOutcome] = msgspec.field(default_factory=list)
    parted: list[bool | None] = msgspec.field(default_factory=list)
    refused_by: IcmpError | None = None
    sent: int = 0

    def result(self, *, complete: bool) -> FlowsResult:
        return FlowsResult(
            self.request.address,
            self.request.port,
            tuple(Flow(port, tuple(tries)) for port, tries in self.tries.items()),
            tuple(self.fresh_last),
            self.walked,
            tuple(self.walk),
            complete,
            tuple(self.row),
            tuple(self.parted),
            self.refused_by,
        )

    def failing(self) -> list[int]:
        """Return the ports that fared worse than the best at their first try, if there are both sorts."""
        first = {port: _RANK.index(tries[0]) for port, tries in self.tries.items() if tries[0] in _RANK}
        best = 0 if self.request.accepted else min(first.values(), default=0)
        return [port for port, found in first.items() if found > best]

    async def run(self) -> None:
        if not self.request.accepted:
            await self._round([0] * self.request.count)
            if not any(FlowOutcome.ACCEPTED in tries for tries in self.tries.values()):
                await self._round([0] * self.request.count)  # who asks has seen one that fared better
            await self._again()
            return
        for _ in range(self.request.count):
            if await self._next() is not FlowOutcome.ACCEPTED:
                break
        if self.failing() and await self._goes_on():
            await self._again()

    async def _next(self) -> FlowOutcome:
        """Connect from a port that the system chooses; it may choose one that was refused before."""
        dial = await self._dial(0, part_s=self.request.wait_s)
        outcome = _outcome(dial)
        self.row.append(outcome)
        self.parted += [dial.parted] if dial.connected else []
        self.refused_by = dial.icmp or self.refused_by
        if dial.source_port:
            self.tries.setdefault(dial.source_port, []).append(outcome)
        self.progress(self.result(complete=False))
        return outcome

    async def _goes_on(self) -> bool:
        """Whether a connection is made again after one that failed, from a port that was not tried before."""
        count = 1
        while not enough_for_a_limit(self.row[-1], count):
            if await self._next() is FlowOutcome.ACCEPTED:
                self.fresh_last.append(FlowOutcome.ACCEPTED)
                return True
            count += 1
        return False

    async def _again(self) -> None:
        """Try the ports that fail again and again, and others between them, until chance is ruled out; follow one."""
        while failing := self.failing():
            steady = [port for port in failing if len(set(self.tries[port])) == 1]
            if len(steady) < len(failing):
                await self._count()
                return  # what failed at first did not fail again: it is not the port
            again = sum(repetitions(self.tries[port]) for port in failing)
            if by_chance(len(failing), len(self.tries), again) < CHANCE:
                await self._follow(failing[0])
                return
            fresh = 2 if len(self.fresh_last) < _FRESH else 1
            if self.sent + min(len(failing), _AGAIN) + fresh > self.request.most - self.request.hops:
                return
            known = set(self.tries)
            # in turns, so that what changes with time strikes both
            turns = zip_longest(failing[:_AGAIN], [0] * fresh)
            await self._round([port for pair in turns for port in pair if port is not None])
            self.fresh_last += [tries[0] for port, tries in self.tries.items() if port not in known]

    async def _count(self) -> None:
        """See how often connections are refused whatever their port, until that is no accident of one moment."""
        for _ in range(_FRESH if FlowOutcome.RESET in self.row else 0):
            if self.row.count(FlowOutcome.RESET) >= _REFUSALS:
                return
            await self._next()

    async def _round(self, ports: list[int]) -> None:
        tasks: list[asyncio.Task[None]] = []
        try:
            for number, port in enumerate(ports):
                if number:
                    await asyncio.sleep(self.request.interval_s)
                tasks.append(asyncio.create_task(self._try(port)))
            for task in tasks:
                await task
        finally:
            await give_up(tasks)
        self.progress(self.result(complete=False))

    async def _try(self, port: int) -> None:
        dial = await self._dial(port)
        if dial.source_port:
            self.tries.setdefault(dial.source_port, []).append(_outcome(dial))

    async def _dial(self, port: int, ttl: int | None = None, part_s: float = 0.0) -> Dial:
        self.sent += 1
        target = endpoint(self.request.address, self.request.port)
        dial = Dial(target, ttl=ttl, retransmissions=1, flow=port, part_s=part_s)
        await dial.run(self.context, self.request.wait_s)
        return dial

    async def _follow(self, port: int) -> None:
        """Walk a port that fails: up to the one that answers, or to where its SYNs are heard of no more."""
        self.walked = port
        silent = 0
        for ttl in range(1, self.request.hops + 1):
            for _ in range(_WALK_TRIES):
                if self.sent >= self.request.most:
                    return
                dial = await self._dial(port, ttl)
                if (outcome := _outcome(dial)) is not FlowOutcome.SILENCE:
                    break
            self.walk.append(FlowHop(ttl, outcome, dial.icmp))
            self.progress(self.result(complete=False))
            silent = silent + 1 if outcome is FlowOutcome.SILENCE else 0
            if silent >= _SILENT_HOPS or outcome not in (FlowOutcome.SILENCE, FlowOutcome.TIME_EXCEEDED):
                return


def _outcome(dial: Dial) -> FlowOutcome:
    """Say what came of an attempt; a SYN that was sent again, as after the rest of a lost one, got through as well."""
    if dial.at_once:
        return FlowOutcome.LOCAL_FAILURE
    if not dial.answered:
        return FlowOutcome.SILENCE
    if dial.icmp is not None:
        exceeded = dial.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
        return FlowOutcome.TIME_EXCEEDED if exceeded else FlowOutcome.ICMP
    if dial.connected or errno_name(dial.errno) in ("ECONNRESET", "EPIPE"):
        return FlowOutcome.ACCEPTED
    return FlowOutcome.RESET if errno_name(dial.errno) == "ECONNREFUSED" else FlowOutcome.LOCAL_FAILURE


async def observe(request: FlowsRequest, context: Context, progress: Callable[[FlowsResult], None]) -> FlowsResult:
    """Connect from several ports; where they fare differently, do so again and follow one that fails.

    Raises :class:`NotApplicable` for an address that is no literal.
    """
    need_linux("flows")
    endpoint(request.address, request.port)
    search = _Search(request, context, progress)
    await search.run()
    return search.result(complete=True)
