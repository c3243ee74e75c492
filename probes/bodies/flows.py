"""Connects from many source ports, and datagrams up the path for those that differ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import zip_longest
from typing import Final

import msgspec

from probes.base import Context
from probes.failure import IcmpMeaning, errno_name
from probes.flows import CHANCE, Flow, FlowHop, FlowOutcome, FlowsRequest, FlowsResult, by_chance, repetitions
from probes.system import need_linux
from probes.system.dial import Dial, give_up
from probes.system.endpoint import endpoint

#: No more of the ports that fail are tried again.
_AGAIN: Final = 5
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
        )

    def failing(self) -> list[int]:
        """Return the ports that fared worse than the best at their first try, if there are both sorts."""
        rank = (FlowOutcome.ACCEPTED, FlowOutcome.RESET, FlowOutcome.ICMP, FlowOutcome.SILENCE)
        first = {port: rank.index(tries[0]) for port, tries in self.tries.items() if tries[0] in rank}
        best = min(first.values(), default=0)
        return [port for port, found in first.items() if found > best]

    async def run(self) -> None:
        await self._round([0] * self.request.count)
        if not any(FlowOutcome.ACCEPTED in tries for tries in self.tries.values()):
            await self._round([0] * self.request.count)  # who asks has seen one that fared better
        while failing := self.failing():
            steady = [port for port in failing if len(set(self.tries[port])) == 1]
            if len(steady) < len(failing):
                return  # what failed at first did not fail again: it is not the port
            again = sum(repetitions(self.tries[port]) for port in failing)
            if by_chance(len(failing), len(self.tries), again) < CHANCE:
                break
            fresh = 2 if len(self.fresh_last) < self.request.count else 1
            if self.sent + min(len(failing), _AGAIN) + fresh > self.request.most - self.request.hops:
                return
            known = set(self.tries)
            # in turns, so that what changes with time strikes both
            turns = zip_longest(failing[:_AGAIN], [0] * fresh)
            await self._round([port for pair in turns for port in pair if port is not None])
            self.fresh_last += [tries[0] for port, tries in self.tries.items() if port not in known]
        if failing:
            await self._follow(failing[0])

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

    async def _dial(self, port: int, ttl: int | None = None) -> Dial:
        self.sent += 1
        target = endpoint(self.request.address, self.request.port)
        dial = Dial(target, ttl=ttl, retransmissions=1, flow=port)
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
