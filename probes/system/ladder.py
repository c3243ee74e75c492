"""Which TTL to try next, and when: the plan shared by everything that walks a path. It has no clock and no socket.

All TTLs at once would be quickest, and wrong: routers and hosts answer about six packets of one sender with an
ICMP error, then one a second (Linux: ``icmp_ratelimit``, RFC 1812 4.3.2.8), and other probes draw on the same
allowance. So TTLs go out in waves, a few milliseconds apart; the next wave waits until the last one is answered
or has been quiet for longer than the round trips seen so far; and silence counts only after spaced retries.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

#: TTLs released together, and the distance between two packets.
WAVE = 4
GAP_S = 0.003
#: Silent TTLs tried beyond the last one that answered, and their number where none did.
TRAIL = 5
TRAIL_OF_NOTHING = 8
#: After how long a silent TTL is tried again: soon for a lost packet, then when a limit of one a second allows it.
RETRY_AFTER_S = (0.3, 0.8)
#: Silent TTLs beyond the last answer are tried no more often than this: they are probably beyond the end.
TRAILING_TRIES = 2


class _Step(msgspec.Struct):
    sent: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    rtt_s: float | None = None


class Turn(msgspec.Struct, frozen=True):
    """What to do now: send with ``ttl``, or wait ``wait_s`` for answers; both ``None`` where all is done."""

    ttl: int | None = None
    wait_s: float | None = None


class Ladder(msgspec.Struct):
    """The plan for one path. Times are seconds of any clock that does not jump.

    ``first`` to ``max_ttl`` are the TTLs allowed, each up to ``tries`` times; ``wait_s`` is how long the last
    packet of a TTL is waited for where nothing lies beyond it.
    """

    max_ttl: int
    tries: int
    wait_s: float
    first: int = 1
    trailing_tries: int = TRAILING_TRIES
    #: The least TTL that brought a final answer, of the target or of whoever refuses in its name.
    end: int | None = None
    #: The greatest TTL that a router answered.
    last: int = 0
    #: Nothing is gained by going on: the same routers have come round again, or the path has no end in reach.
    looping: bool = False
    #: No more packets may be sent: only the answers to those on their way are waited for.
    spent: bool = False
    _steps: dict[int, _Step] = msgspec.field(default_factory=dict)
    _top: int = 0
    _free_s: float = 0.0
    _wave_s: float = 0.0
    _slowest_s: float | None = None
    _seen: dict[str, list[int]] = msgspec.field(default_factory=dict)
    _far: bool = False

    def __post_init__(self) -> None:
        self.max_ttl = max(self.first, self.max_ttl)
        self._top = min(self.max_ttl, self.first + WAVE - 1)
        self.last = self.first - 1

    def sent(self, ttl: int, now_s: float) -> None:
        """Take note of a packet."""
        step = self._steps.setdefault(ttl, _Step())
        step.sent += 1
        step.last_s = now_s
        self._free_s = now_s + GAP_S
        if step.sent == 1:
            step.first_s = now_s
            if ttl <= self._top:
                self._wave_s = now_s

    def answered(self, ttl: int, rtt_s: float, sender: str | None, *, final: bool) -> None:
        """Take note of an answer; ``final`` where no greater TTL can bring another one."""
        step = self._steps.setdefault(ttl, _Step())
        if step.rtt_s is None:
            step.rtt_s = rtt_s
        self._slowest_s = max(rtt_s, self._slowest_s or 0.0)
        if final:
            self.end = ttl if self.end is None else min(ttl, self.end)
            return
        if ttl > self._top:
            # the look at the far end met a router: a loop, or a path longer than anybody asked to follow
            self.looping = True
            return
        self.last = max(self.last, ttl)
        if sender is not None:
            ttls = self._seen.setdefault(sender, [])
            if ttl not in ttls:
                ttls.append(ttl)
            # twice the same address may be an address translator, two rounds of several routers are a loop
            spread = max(ttls) - min(ttls)
            self.looping = self.looping or (len(ttls) >= 3 and spread >= 4) or len(ttls) >= 4

    def found_elsewhere(self, end: int | None, answered: Iterable[int]) -> None:
        """Take over what another kind of packet has shown: the TTL of the end, and those that answered."""
        for ttl in answered:
            step = self._steps.setdefault(ttl, _Step(sent=1))
            if step.rtt_s is None:
                step.rtt_s = 0.0
        if end is not None:
            self.end = end if self.end is None else min(end, self.end)

    @property
    def quiet_s(self) -> float:
        """How long a wave is silent before the next one goes out, seconds."""
        return 0.25 if self._slowest_s is None else min(0.3, max(0.06, 2 * self._slowest_s + 0.03))

    def quiet_beyond(self, now_s: float) -> bool:
        """Tell whether nothing came for the TTLs behind the last answer although an answer was due."""
        quiet_at = self._quiet_at()
        return quiet_at is not None and quiet_at <= now_s

    def _quiet_at(self) -> float | None:
        """Return when the silence behind the last answer begins to mean something, if it lasts."""
        behind = [step.first_s for ttl, step in self._steps.items() if ttl > self.last and step.sent]
        return None if self.end is not None or not behind else max(behind) + self.quiet_s

    def turn(self, now_s: float) -> Turn:
        """Say what to do now."""
        if self.spent:
            open_s = [s.last_s + self._patience(ttl) - now_s for ttl, s in self._steps.items() if s.rtt_s is None]
            left_s = max(open_s, default=0.0)
            return Turn(wait_s=left_s) if left_s > 0 else Turn()
        self._release(now_s)
        if now_s < self._free_s:
            return Turn(wait_s=self._free_s - now_s)
        waits: list[float] = []
        for ttl in range(self.first, self._bound() + 1):
            step = self._steps.get(ttl)
            if step is None or not step.sent:
                if step is None:
                    return Turn(ttl=ttl)
                continue
            if step.rtt_s is not None:
                continue
            retry = self._retry_at(ttl, step)
            if retry is None:
                settled = step.last_s + self._patience(ttl)
                if settled > now_s:
                    waits.append(settled - now_s)
            elif retry <= now_s:
                return Turn(ttl=ttl)
            else:
                waits.append(retry - now_s)
        if self._far and self.end is None:  # the one packet that looks whether there is an end at all
            far = self._steps.get(self.max_ttl)
            if far is None:
                return Turn(ttl=self.max_ttl)
            if far.last_s + self.wait_s > now_s:
                waits.append(far.last_s + self.wait_s - now_s)
        elif self._may_look_far() and (quiet_at := self._quiet_at()) is not None:
            waits.append(max(0.001, quiet_at - now_s))
        if (more := self._next_wave_at()) is not None:
            waits.append(max(0.001, more - now_s))
        return Turn(wait_s=min(waits)) if waits else Turn()

    def _may_look_far(self) -> bool:
        return self.end is None and not self.looping and self._limit() <= self._top < self.max_ttl

    def _limit(self) -> int:
        """Return the greatest TTL worth trying as far as is known."""
        if self.end is not None:
            return self.end
        if self.looping:
            return self._top
        nothing = self.last < self.first
        return min(self.max_ttl, self.last + (TRAIL_OF_NOTHING if nothing else TRAIL))

    def _bound(self) -> int:
        return min(self._top, self.end if self.end is not None else self.max_ttl)

    def _next_wave_at(self) -> float | None:
        """Return when the next wave may go out, or ``None`` where there is none to come."""
        if self._top >= self._limit():
            return None
        top = self._steps.get(self._top)
        if top is not None and top.rtt_s is not None:
            return 0.0
        return self._wave_s + self.quiet_s

    def _release(self, now_s: float) -> None:
        unsent = any(ttl not in self._steps for ttl in range(self.first, self._bound() + 1))
        if unsent:
            return
        limit = self._limit()
        if self._top < limit:
            due = self._next_wave_at()
            if due is not None and due <= now_s:
                self._top = min(limit, self._top + WAVE)
                self._wave_s = now_s
        elif self._may_look_far() and self.quiet_beyond(now_s):
            self._far = True

    def _retry_at(self, ttl: int, step: _Step) -> float | None:
        """Return when a silent TTL is due again, or ``None`` where it has been tried often enough."""
        below = ttl < self.last or self.end is not None
        if step.sent >= (self.tries if below else min(self.tries, self.trailing_tries)):
            return None
        return step.last_s + RETRY_AFTER_S[min(step.sent - 1, len(RETRY_AFTER_S) - 1)]

    def _patience(self, ttl: int) -> float:
        """Return how long the last packet of a silent TTL is waited for, seconds."""
        if self._slowest_s is None or (ttl > self.last and self.end is None):
            return self.wait_s
        return min(self.wait_s, max(0.3, 4 * self._slowest_s))
