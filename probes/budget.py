"""What the diagnoses of one event loop share: sockets, packets, turns, and what routers may still say.

All of it has one purpose: what this process does to itself is never taken for an answer of the network. A diagnosis
starts when it can have its share; a wait for a socket, a packet or the processor is counted and told; and a question
that a router would not answer, because it has just answered others, is not asked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

#: What a diagnosis wants of the budget when it starts: sockets open at once, packets of its first quarter of a second.
_SHARE_SOCKETS: Final = 12
_SHARE_PACKETS: Final = 24
_FIRST_S: Final = 0.25
#: How often a diagnosis that waits for its turn looks whether it has come, seconds.
_LOOK_AGAIN_S: Final = 0.01
#: How often the event loop's punctuality is looked at, seconds; being late by less than the second figure is usual.
_TICK_S: Final = 0.025
_USUAL_S: Final = 0.05
#: A loop that was later than this lately takes on nothing more.
_BUSY_S: Final = 0.15
_LATELY_S: Final = 0.25
#: What a Linux router says to one sender: so many ICMP errors in a row, then one a second (icmp_ratelimit,
#: ratelimit in net/ipv6/icmp.c; RFC 1812, section 4.3.2.8, asks every router for such a limit).
_ERRORS_AT_ONCE: Final = 6.0
_ERRORS_PER_S: Final = 1.0
#: What must be left for a question, so that no rounding stands between its clock and ours.
_SURE: Final = 1.05
#: A question that was not answered for so long has used up nothing, seconds.
_ON_ITS_WAY_S: Final = 1.0
#: A destination from which nothing came for so long may be one that its router is about to report, or has reported:
#: up to 3 s after the first of its packets, in as many messages as packets waited (RFC 4861, section 7.2.2), seconds.
_REPORTED_FOR_S: Final = 5.0
#: So many places of routers are remembered; the oldest are forgotten first.
_KNOWN: Final = 1024


class Punctuality:
    """How late the running event loop wakes up: for that long nobody has polled, whatever has come meanwhile.

    ``lost_s`` is the sum of all that while :meth:`watch` was in force, seconds.
    """

    def __init__(self) -> None:
        self.lost_s = 0.0
        self._late: deque[tuple[float, float]] = deque()
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Begin to look."""
        if self._timer is None:
            self._again(asyncio.get_running_loop())

    def rest(self) -> None:
        """Stop looking; nothing is left in the loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._late.clear()

    def _again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due_s = loop.time() + _TICK_S
        self._timer = loop.call_at(self._due_s, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = now - self._due_s
        if late > _USUAL_S:
            self.lost_s += late
            self._late.append((now, late))
        self._again(loop)

    def lost_until_now_s(self) -> float:
        """Return ``lost_s`` with the delay that is still going on."""
        if self._timer is None:
            return self.lost_s
        late = asyncio.get_running_loop().time() - self._due_s
        return self.lost_s + (late if late > _USUAL_S else 0.0)

    def busy(self) -> bool:
        """Whether the loop was much too late within the last moment."""
        now = asyncio.get_running_loop().time()
        while self._late and self._late[0][0] < now - _LATELY_S:
            self._late.popleft()
        return any(late > _BUSY_S for _, late in self._late)


class _Speaker(msgspec.Struct):
    """A router or host that sends ICMP errors: how many it may send now, and when it was asked in vain so far."""

    left: float = _ERRORS_AT_ONCE
    stamp_s: float = 0.0
    asked_s: deque[float] = msgspec.field(default_factory=deque)

    def free(self, now_s: float) -> float:
        """Return how many questions more it would answer, those on their way taken into account."""
        self.left = min(_ERRORS_AT_ONCE, self.left + (now_s - self.stamp_s) * _ERRORS_PER_S)
        self.stamp_s = now_s
        while self.asked_s and self.asked_s[0] < now_s - _ON_ITS_WAY_S:
            self.asked_s.popleft()
        return self.left - len(self.asked_s)


def _forget(known: dict[Any, Any]) -> None:
    """Drop what is known for longest."""
    while len(known) > _KNOWN:
        del known[next(iter(known))]


class Ledger:
    """How many ICMP errors each router may still send us, by what it has sent to anybody who shares this.

    Which router stands at which hop is known once it has answered; until then everything may be asked there. A
    destination that nothing is known of is taken to lie behind the routers last seen on other ways.
    """

    def __init__(self) -> None:
        self._speakers: dict[str, _Speaker] = {}
        self._places: dict[tuple[str, int], str] = {}
        self._last: dict[str, tuple[int, str]] = {}
        self._silent: dict[str, float] = {}
        #: When somebody last sent an ICMP error, by the event loop's clock.
        self.spoken_s = 0.0

    def _expected(self, destination: str, ttl: int) -> str | None:
        usual = self._places.get(("6" if ":" in destination else "4", ttl))
        return self._places.get((destination, ttl), usual)

    def _speaker(self, address: str, now_s: float) -> _Speaker:
        return self._speakers.setdefault(address, _Speaker(stamp_s=now_s))

    def ask(self, destination: str, ttl: int, now_s: float, *, anyway: bool = False) -> bool:
        """Whether whoever stands at ``ttl`` on the way to ``destination`` may still report a packet; it is then asked.

        With ``anyway`` it is asked even where it may not.
        """
        router = self._expected(destination, ttl)
        if router is None:
            return True
        speaker = self._speaker(router, now_s)
        if speaker.free(now_s) < _SURE and not anyway:
            return False
        speaker.asked_s.append(now_s)
        return True

    def at_end(self, destination: str, ttl: int) -> bool:
        """Whether ``ttl`` is known to lead to the destination itself."""
        return self._places.get((destination, ttl)) == destination

    def answered(self, destination: str, ttl: int, router: str, now_s: float, *, limited: bool) -> None:
        """Take note of who answered from there, and whether by an ICMP error or by something that is not limited."""
        expected = self._expected(destination, ttl)
        if expected is not None and (asked := self._speaker(expected, now_s).asked_s):
            asked.popleft()
        if limited:
            self.spoke(router, now_s)
        family = "6" if ":" in destination else "4"
        places = [(destination, ttl)]
        if router != destination:
            places.append((family, ttl))
            for way in (destination, family):
                self._last[way] = max(self._last.get(way, (0, "")), (ttl, router))
        for place in places:
            self._places.pop(place, None)
            self._places[place] = router
        for known in (self._places, self._speakers, self._last):
            _forget(known)

    def spoke(self, router: str, now_s: float) -> None:
        """Take note of an ICMP error that ``router`` sent, whatever it was about."""
        speaker = self._speaker(router, now_s)
        speaker.free(now_s)
        speaker.left = max(0.0, speaker.left - 1.0)
        self.spoken_s = max(self.spoken_s, now_s)

    def unanswered(self, destination: str, now_s: float) -> None:
        """Take note that nothing comes back from ``destination``: its router may have to report every packet to it."""
        self._silent.pop(destination, None)
        self._silent[destination] = now_s
        _forget(self._silent)

    def crowded(self, destination: str, now_s: float) -> bool:
        """Whether others that do not answer stand behind the last router before ``destination``, as far as known.

        What it says of them is what it cannot say of ``destination``, so that its silence tells nothing.
        """
        lately = (other for other, stamp_s in self._silent.items() if stamp_s > now_s - _REPORTED_FOR_S)
        return any(other != destination and self._router_of(other) == self._router_of(destination) for other in lately)

    def _router_of(self, destination: str) -> str:
        usual = self._last.get("6" if ":" in destination else "4", (0, ""))
        return self._last.get(destination, usual)[1]


class Budget:
    """One bound on open sockets and sent packets, shared by every diagnosis of one event loop that is given it.

    ``sockets`` is the greatest number of sockets open at once, ``packets_per_s`` the sustained rate at which
    all probes together may send. A burst of ``burst`` packets passes unpaced. A diagnosis waits for its turn until
    both leave it its share, and while the event loop is behind with what runs already.
    """

    def __init__(self, sockets: int = 256, packets_per_s: float = 1000.0, burst: int = 64) -> None:
        self._sockets = asyncio.Semaphore(sockets)
        self._rate = packets_per_s
        self._burst = burst
        self._tokens = float(burst)
        self._stamp: float | None = None
        self._most = max(1, sockets // _SHARE_SOCKETS)
        self._door = asyncio.Lock()
        self._begun: deque[float] = deque()
        #: How many diagnoses have their turn.
        self.active = 0
        self._beside_s: float | None = None
        self.punctuality = Punctuality()
        self.ledger = Ledger()
        #: What side by side is looked at once, for whoever runs the probes.
        self.moments: dict[object, object] = {}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one more diagnosis can have its share, first come first served, and hold its turn.

        One that is alone never waits.
        """
        async with self._door:
            while not self._has_room():  # noqa: ASYNC110 - time alone makes room, too
                await asyncio.sleep(_LOOK_AGAIN_S)
            self._begun.append(asyncio.get_running_loop().time())
            self.active += 1
            self._note_company()
        self.punctuality.watch()
        try:
            yield
        finally:
            self._note_company()
            self.active -= 1
            if not self.active:
                self.punctuality.rest()
                self._begun.clear()
                self.moments.clear()

    def _note_company(self) -> None:
        if self.active > 1:
            self._beside_s = asyncio.get_running_loop().time()

    def _has_room(self) -> bool:
        if not self.active:
            return True
        if self.active >= self._most or self.punctuality.busy():
            return False
        now = asyncio.get_running_loop().time()
        while self._begun and self._begun[0] < now - _FIRST_S:
            self._begun.popleft()
        self._refill(now)
        share = min(_SHARE_PACKETS, self._burst)
        return self._tokens >= share * (1 + len(self._begun)) or (not self._begun and self._tokens >= self._burst)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold the right to one open socket."""
        async with self._sockets:
            yield

    def may_ask(self, destination: str, ttl: int, *, end_limited: bool) -> bool:
        """Whether the router at ``ttl`` may still report a packet; one diagnosis alone is never held back.

        ``end_limited`` tells that the destination, too, would answer with an ICMP error.
        """
        if not end_limited and self.ledger.at_end(destination, ttl):
            return True
        now = asyncio.get_running_loop().time()
        return self.ledger.ask(destination, ttl, now, anyway=self.active <= 1)

    def crowded(self, destination: str) -> bool:
        """Whether the router before ``destination`` may have kept silent about it because of other diagnoses."""
        self._note_company()
        now = asyncio.get_running_loop().time()
        if self._beside_s is None or self._beside_s < now - _REPORTED_FOR_S:
            return False  # what one diagnosis asks by itself is chosen so that its answers can be told
        return self.ledger.crowded(destination, now)

    def full(self) -> bool:
        """Whether the next socket would have to wait."""
        return self._sockets.locked()

    def _refill(self, now: float) -> None:
        if self._stamp is not None:
            self._tokens = min(float(self._burst), self._tokens + (now - self._stamp) * self._rate)
        self._stamp = now

    def take(self, count: int) -> bool:
        """Take ``count`` packets if they may be sent now (a token bucket)."""
        self._refill(asyncio.get_running_loop().time())
        if self._tokens < min(count, self._burst):
            return False
        self._tokens -= count
        return True

    async def packets(self, count: int = 1) -> None:
        """Wait until ``count`` more packets may be sent."""
        while not self.take(count):  # noqa: ASYNC110 - time alone makes room
            await asyncio.sleep((count - self._tokens) / self._rate)


#: The budgets of event loops whose diagnoses were given none.
_OF_LOOPS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Budget]] = WeakKeyDictionary()


def of_loop() -> Budget:
    """Return the budget that everybody in the running event loop shares who brings none."""
    return _OF_LOOPS.setdefault(asyncio.get_running_loop(), Budget())


class Share(Budget):
    """The budget as one probe sees it: while it has to wait for a socket or a packet, ``held`` says so.

    ``held`` is called with true when the probe begins to wait and with false when nothing of it waits any more.
    """

    def __init__(self, whole: Budget, held: Callable[[bool], None]) -> None:
        self._whole = whole
        self._held = held
        self._waiting = 0
        self.ledger = whole.ledger

    def may_ask(self, destination: str, ttl: int, *, end_limited: bool) -> bool:
        """Whether the router at ``ttl`` may still report a packet."""
        return self._whole.may_ask(destination, ttl, end_limited=end_limited)

    def crowded(self, destination: str) -> bool:
        """Whether the router before ``destination`` may have kept silent about it because of other diagnoses."""
        return self._whole.crowded(destination)

    @contextmanager
    def _wait(self) -> Iterator[None]:
        self._waiting += 1
        if self._waiting == 1:
            self._held(True)
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._held(False)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold the right to one open socket."""
        async with AsyncExitStack() as stack:
            with self._wait() if self._whole.full() else nullcontext():
                await stack.enter_async_context(self._whole.slot())
            yield

    async def packets(self, count: int = 1) -> None:
        """Wait until ``count`` more packets may be sent."""
        if not self._whole.take(count):
            with self._wait():
                await self._whole.packets(count)
