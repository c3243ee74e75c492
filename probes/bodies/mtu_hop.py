"""Long packets with growing TTLs, until a hop does not pass them on."""

from __future__ import annotations

import asyncio
import errno as errno_module
import os
import socket
from collections.abc import Callable
from typing import Final

from probes.base import Context
from probes.failure import IcmpMeaning, errno_name
from probes.mtu_hop import MtuHopRequest, MtuHopResult, MtuHopStep
from probes.system import chance, need_linux
from probes.system.endpoint import endpoint
from probes.system.linux import errqueue
from probes.system.linux.icmp import OVERHEAD
from probes.system.watch import Watch

#: TTLs beyond this are not tried.
_MAX_TTL: Final = 32
#: So many times a device must answer a small packet and not the large one before it.
_ENOUGH: Final = 2
#: A router that limits its errors to one a second owes the next one after this long, seconds.
_REFILL_S: Final = 1.1
#: A TTL that stays silent is asked again after that pause; so often in all.
_TRIES: Final = 2
#: How often it is looked whether a router that has said too much to others may speak again, seconds.
_ASK_AGAIN_S: Final = 0.1
#: The time to live of packets that are meant to arrive.
_FULL_TTL: Final = 64


class _Spent(Exception):  # noqa: N818 - no failure, the bound of the request
    """No packet or no time is left."""


class _Search:
    def __init__(
        self, request: MtuHopRequest, context: Context, progress: Callable[[MtuHopResult], None], watch: Watch
    ) -> None:
        self.request = request
        self.context = context
        self.progress = progress
        self.watch = watch
        self.target = endpoint(request.address, 33434 + 100 + chance.below(1000))
        self.queue = errqueue.QueuedSocket(context.socket(self.target.family, socket.SOCK_DGRAM))
        watch.add(self.queue.socket)
        errqueue.never_fragment(self.queue.socket)
        self.wait_s = min(1.0, max(0.2, 3 * request.rtt_ms / 1000))
        self.end_s = errqueue.now().monotonic_s + request.patience_s
        self.sent = 0
        self.steps: dict[int, MtuHopStep] = {}
        self.answered_s: dict[int, float] = {}
        self.hops = request.hops
        self.settled = self.reached = False
        self.told: str | None = None
        self.errno: str | None = None

    def result(self) -> MtuHopResult:
        passed = max(
            (ttl for ttl, step in self.steps.items() if step.large_answers and not self._final(ttl)), default=0
        )
        return MtuHopResult(
            self.request.address,
            self.request.large,
            self.request.small,
            tuple(self.steps[ttl] for ttl in sorted(self.steps)),
            passed,
            self.steps[passed].sender if passed else None,
            self.settled,
            self.reached,
            self.told,
            self.errno,
        )

    def _final(self, ttl: int) -> bool:
        return self.hops is not None and ttl >= self.hops

    async def run(self) -> None:
        """Halve the gap between a TTL that large packets pass and one that they do not, then make sure of its ends."""
        low, high = 0, self.hops
        mute = set(self.request.silent)
        while not self.reached:
            ttl = self._next(low, high, mute)
            if ttl is None:
                break
            passed = await self._ask(ttl)
            if passed is None:
                mute.add(ttl)
            elif passed:
                low = max(low, ttl)
                high = high if high is not None and high > low else self.hops  # a packet was lost by chance before
            else:
                high = min(ttl, self.hops or ttl)
                if self._enough(high) and high == low + 1:
                    self.settled = True
                    return
            if self.hops is not None and high is not None:
                high = min(high, self.hops)

    def _next(self, low: int, high: int | None, mute: set[int]) -> int | None:
        if high is None:
            wanted = max(1, 2 * low)
            between = [ttl for ttl in range(low + 1, _MAX_TTL + 1) if ttl not in mute]
        else:
            wanted = (low + high) // 2
            between = [ttl for ttl in range(low + 1, high) if ttl not in mute]
            if not between:  # the far end itself is asked last, and again until it is sure
                return high if high not in mute and not self._enough(high) else None
        return min(between, key=lambda ttl: (abs(ttl - wanted), ttl)) if between else None

    def _enough(self, ttl: int) -> bool:
        step = self.steps.get(ttl)
        return step is not None and step.small_answers >= _ENOUGH and not step.large_answers

    async def _ask(self, ttl: int) -> bool | None:
        """Tell whether a large packet gets as far as ``ttl``; ``None`` where nothing is answered there."""
        for attempt in range(_TRIES):
            owed_s = self.answered_s.get(ttl, 0.0) + _REFILL_S - errqueue.now().monotonic_s
            if attempt:
                await self._pause(_REFILL_S if owed_s <= 0 else owed_s)
            if await self._once(ttl, large=True):
                return True
            if await self._once(ttl, large=False):
                return False
        return None

    async def _turn(self, ttl: int) -> None:
        """Wait until whoever stands at that TTL may be asked."""
        while not self._final(ttl) and not self.context.may_ask(self.target.text, ttl):
            await self._pause(_ASK_AGAIN_S)  # its silence would tell nothing now
        if self.sent >= self.request.packets or errqueue.now().monotonic_s >= self.end_s:
            raise _Spent

    async def _once(self, ttl: int, *, large: bool) -> bool:
        """Send one packet; whether it was answered by the device at that TTL."""
        await self._turn(ttl)
        self.queue.errors()
        self.sent += 1
        cookie = os.urandom(8)
        size = self.request.large if large else self.request.small
        payload = cookie + bytes(max(0, size - OVERHEAD[self.target.version] - len(cookie)))
        await self.context.sending()
        try:
            self.queue.send(payload, ttl=_FULL_TTL if self._final(ttl) else ttl, to=self.target.sockaddr)
        except OSError as error:
            if error.errno != errno_module.ENOBUFS:  # the interface dropped it: lost like any other (send(2))
                raise
        end_s = errqueue.now().monotonic_s + self.wait_s
        sender: str | None = None
        while sender is None and (left_s := end_s - errqueue.now().monotonic_s) > 0:
            await self.watch.wait(left_s)
            sender = self._heard(cookie, ttl, large=large)
        self._note(ttl, sender, large=large)
        return sender is not None

    def _heard(self, cookie: bytes, ttl: int, *, large: bool) -> str | None:
        for error in self.queue.errors():
            icmp = error.icmp
            if icmp is None or icmp.sender is None or not cookie.startswith(error.payload[: len(cookie)]):
                continue
            if icmp.meaning is IcmpMeaning.PORT_UNREACHABLE and self.target.sent(icmp.sender):
                self.hops = min(ttl, self.hops or ttl)
                self.reached = self.reached or large
                return icmp.sender
            if icmp.meaning is IcmpMeaning.TOO_BIG:
                self.told = icmp.sender
            if icmp.meaning is IcmpMeaning.TIME_EXCEEDED:
                return icmp.sender
        return None

    def _note(self, ttl: int, sender: str | None, *, large: bool) -> None:
        old, heard = self.steps.get(ttl, MtuHopStep(ttl)), int(sender is not None)
        if sender is not None:
            self.answered_s[ttl] = errqueue.now().monotonic_s
            self.context.reported(self.target.text, None if self._final(ttl) else ttl, sender)
        self.steps[ttl] = MtuHopStep(
            ttl,
            old.large + large,
            old.large_answers + (heard if large else 0),
            old.small + (not large),
            old.small_answers + (0 if large else heard),
            sender or old.sender,
        )
        self.progress(self.result())

    async def _pause(self, seconds: float) -> None:
        if errqueue.now().monotonic_s + seconds >= self.end_s:
            raise _Spent
        await asyncio.sleep(seconds)


async def observe(request: MtuHopRequest, context: Context, progress: Callable[[MtuHopResult], None]) -> MtuHopResult:
    """Search for the hop. Raises :class:`NotApplicable` for an address that is no literal."""
    need_linux("mtu-hop")
    async with context.budget.slot():
        with Watch() as watch:
            search = _Search(request, context, progress, watch)
            try:
                await search.run()
            except _Spent:
                pass
            except OSError as error:
                search.errno = errno_name(error.errno or 0)
            return search.result()
