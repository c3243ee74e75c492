"""SYNs from sockets that take answers of a least TTL only: which threshold still hears one tells its TTL."""

from __future__ import annotations

import asyncio
import errno as errno_module
import socket
from collections.abc import Callable
from typing import Final

from probes.answer_ttl import AnswerTtlRequest, AnswerTtlResult, TtlAnswer
from probes.base import Context, NotApplicable
from probes.failure import IcmpError, IcmpMeaning, errno_name
from probes.system import need_linux, platform_name
from probes.system.dial import give_up
from probes.system.endpoint import Endpoint, endpoint
from probes.system.linux import errqueue
from probes.system.linux.least_ttl import default_ttl, discarded, require_ttl
from probes.system.watch import Watch

#: What systems and devices send their packets with, and the share of answers that start there.
_INITIAL: Final = {64: 0.5, 128: 0.2, 255: 0.3}
#: How many numbers are tried at once in the first, second, third round and later: 12 connects at most, 8 rounds.
_AT_ONCE: Final = (3, 2, 2, 1)
#: Silence is believed after this many tries, where the kernel does not count what a socket ignores.
_TRIES: Final = 2
#: By how much the SYNs that confirm leave with another TTL, one pair of connects each. TTLs that vary at random fit
#: a pair by chance once in four: two pairs do for what was expected most, everything else takes a third.
_SHIFTS: Final = (16, 32, 24)
#: The least wait for an answer, seconds: a busy host may take that long.
_LEAST_WAIT_S: Final = 0.15
#: An answer may come so much later than what a forger sends for the same SYN, seconds at least.
_LEAST_LINGER_S: Final = 0.02
#: What a socket ignored wakes nobody: its count is looked at this often, at first and at last, seconds.
_LOOK_S: Final = (0.001, 0.02)


class _Shot:
    """One connect. ``least`` is the TTL that its answer must have, ``ttl`` the one of its SYN (``None``: as usual).

    ``heard`` is what came and had that TTL, ``ignored`` tells that something came and had less, ``counts`` whether
    the kernel keeps such a count at all. What is ignored need not be the answer: the kernel looks at the TTL before it
    looks whether a segment acknowledges anything. So the answer is waited for ``linger_s`` longer.
    """

    def __init__(self, least: int, ttl: int | None = None, linger_s: float = 0.0) -> None:
        self.least = least
        self.ttl = ttl
        self.linger_s = linger_s
        self.heard: TtlAnswer | None = None
        self.ignored = False
        self.counts = True
        self.errno = 0
        self.icmp: IcmpError | None = None
        self.icmp_ttl: int | None = None
        self.rtt_ms: float | None = None
        self.usual_ttl = 64

    async def fire(self, target: Endpoint, context: Context, wait_s: float) -> None:
        """Connect, return once something is known or after ``wait_s``, and close at once."""
        async with context.budget.slot():
            await context.sending()
            with Watch() as watch:
                try:
                    opened = context.socket(target.family, socket.SOCK_STREAM)
                    watch.add(opened, writing=True)
                    self._set_up(opened)
                    begun = errqueue.now()
                    number = opened.connect_ex(target.sockaddr)
                except OSError as error:
                    self.heard, self.errno = TtlAnswer.LOCAL_FAILURE, error.errno or errno_module.EIO
                    return
                # refused at once by this machine, or the answer came while connect() ran
                number = 0 if number == errno_module.EINPROGRESS else number
                end = begun.monotonic_s + wait_s
                lingers = False
                while not self._look(opened, begun, number):
                    now = errqueue.now().monotonic_s
                    if self.ignored and not lingers:
                        end, lingers = min(end, now + self.linger_s), True
                    if now >= end:
                        return
                    pause = max(_LOOK_S[0], min(_LOOK_S[1], (now - begun.monotonic_s) / 8))
                    await watch.wait(min(end - now, pause))

    def _set_up(self, opened: socket.socket) -> None:
        errqueue.enable(opened)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
        self.usual_ttl = default_ttl(opened)
        if self.ttl is not None:
            errqueue.set_ttl(opened, self.ttl)
        try:
            require_ttl(opened, self.least)
        except OSError as error:
            raise NotApplicable("reason.platform-lacks", probe="answer-ttl", platform=platform_name()) from error

    def _look(self, opened: socket.socket, begun: errqueue.Stamp, number: int) -> bool:
        """See what has come, beside the ``number`` that connect() gave; true where the socket heard an answer.

        SO_ERROR goes first: draining the queue clears it.
        """
        number = number or opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        received_s: float | None = None
        for entry in errqueue.drain(opened):
            if entry.icmp is not None and entry.icmp.meaning is not IcmpMeaning.TOO_BIG and self.icmp is None:
                self.icmp, self.icmp_ttl = entry.icmp, entry.ttl
                received_s = entry.received_s
                number = number or entry.errno
        if not number:
            try:
                opened.getpeername()
            except OSError:
                count = discarded(opened)
                self.counts, self.ignored = count is not None, bool(count)
                if self.ignored and self.rtt_ms is None:
                    self.rtt_ms = errqueue.elapsed_ms(begun)
                return False
        self.heard = _kind(number, self.icmp) or TtlAnswer.LOCAL_FAILURE
        self.errno = number
        self.rtt_ms = errqueue.elapsed_ms(begun, received_s)
        return True


def _kind(number: int, icmp: IcmpError | None) -> TtlAnswer | None:
    """Say what a connect's end means; ``None`` for an error of this machine. A reset at once was accepted first."""
    if icmp is not None:
        return TtlAnswer.ICMP
    if number in (0, errno_module.ECONNRESET, errno_module.EPIPE):
        return TtlAnswer.ACCEPTED
    return TtlAnswer.RESET if number == errno_module.ECONNREFUSED else None


def _weight(ttl: int, expected: tuple[int, ...]) -> float:
    """Return how likely a TTL is, on no particular scale: expected ones, then few routers below a usual start."""
    found = 0.002 + (20 / len(expected) if ttl in expected else 0.0)
    for start, share in _INITIAL.items():
        if 0 <= start - ttl <= 40:
            found += share / (start - ttl + 3) / 3
    return found


def thresholds(least: int, beyond: int, expected: tuple[int, ...], count: int) -> list[int]:
    """Return up to ``count`` numbers that part ``least`` to ``beyond`` - 1 into pieces of like probability."""
    weights = [_weight(ttl, expected) for ttl in range(least, beyond)]
    whole, below = sum(weights), 0.0
    cuts: list[tuple[int, float]] = []
    for ttl, weight in zip(range(least + 1, beyond), weights, strict=False):
        below += weight
        cuts.append((ttl, below / whole))
    shares = [part / (count + 1) for part in range(1, count + 1)]
    return sorted({min(cuts, key=lambda cut: abs(cut[1] - share))[0] for share in shares})


class _Search:
    """What is known of the TTL: answers had ``least`` or more and less than ``beyond``."""

    def __init__(self, request: AnswerTtlRequest) -> None:
        self.request = request
        self.expected = tuple(dict.fromkeys(ttl for ttl in request.expected if 1 <= ttl <= 255))[:8]
        self.start = errqueue.now()
        self.least, self.beyond = 1, 256
        self.connects = self.rounds = 0
        self.kinds: set[TtlAnswer] = set()
        self.ignored = False
        self.tries: dict[tuple[int, int | None], int] = {}
        self.pending: list[_Shot] = []
        self.confirming: list[_Shot] = []
        self.confirmed = False
        self.follows: bool | None = None
        self.varies = False
        self.icmp: IcmpError | None = None
        self.icmp_ttl: int | None = None
        self.errno = 0
        self.rtt_ms: float | None = None
        self.usual_ttl = 64
        self.over = False

    @property
    def wait_s(self) -> float:
        """How long an answer is waited for now; what stayed silent once is given twice the time."""
        known = [rtt for rtt in (self.rtt_ms, self.request.rtt_ms) if rtt is not None]
        if not known:
            return self.request.wait_s
        again = 2 if any(self.tries.get((s.least, s.ttl)) for s in self.pending) else 1
        return min(self.request.wait_s, again * max(_LEAST_WAIT_S, 4 * max(known) / 1000))

    @property
    def _linger_s(self) -> float:
        """How long an answer is still waited for after something else was ignored."""
        return max(_LEAST_LINGER_S, 2 * (self.rtt_ms or 0.0) / 1000)

    def next(self) -> list[_Shot]:
        """Return the connects to make now, side by side; none where the search is over."""
        left = self.request.most - self.connects
        if self.over or left <= 0:
            return []
        if not self.pending:
            self.pending = self._plan()
        return self.pending[:left]

    def _plan(self) -> list[_Shot]:
        if self.beyond - self.least > 1:
            at_once = _AT_ONCE[min(self.rounds, len(_AT_ONCE) - 1)]
            return [_Shot(n) for n in thresholds(self.least, self.beyond, self.expected, at_once)]
        shifts = self._shifts()[: 2 if self.expected[:1] == (self.least,) else None]
        pairs = [_pair(self.least, self.usual_ttl + shift, self._linger_s) for shift in shifts]
        # first those that must be heard, then those that must not: TTLs that alternate fit no such order
        self.confirming = [shot for part in zip(*pairs, strict=True) for shot in part]
        return list(self.confirming)

    def _shifts(self) -> list[int]:
        sign = 1 if self.usual_ttl + max(_SHIFTS) <= 255 else -1
        return [sign * shift for shift in _SHIFTS]

    def take(self, shots: list[_Shot]) -> None:
        """Take in a round's outcome."""
        self.rounds += 1
        self.connects += len(shots)
        for shot in shots:
            key = (shot.least, shot.ttl)
            self.tries[key] = self.tries.get(key, 0) + 1
            self.usual_ttl = shot.usual_ttl
            self._hear(shot)
        known = [shot for shot in self.pending if shot.heard is not None or shot.ignored]
        silent = [shot for shot in self.pending if shot not in known]
        if self.over:
            return
        if not self.kinds and not self.ignored:
            self._nothing_yet(silent)
            return
        # without a count, silence that lasts is all that tells of an answer ignored
        believed = [s for s in silent if not s.counts and self.tries.get((s.least, s.ttl), 0) >= _TRIES]
        known, silent = known + believed, [shot for shot in silent if shot not in believed]
        if self.confirming:
            self.pending = [self._again(shot) for shot in silent]
            if not silent:
                self._confirm()
            return
        for shot in known:
            if shot.heard is not None:
                self.least = max(self.least, shot.least)
            else:
                self.beyond = min(self.beyond, shot.least)
        if self.least >= self.beyond:
            self.varies = self.over = True
            return
        self.pending = [_Shot(shot.least) for shot in silent if self.least < shot.least < self.beyond]

    def _again(self, shot: _Shot) -> _Shot:
        twin = _Shot(shot.least, shot.ttl, shot.linger_s)
        self.confirming[self.confirming.index(shot)] = twin
        return twin

    def _hear(self, shot: _Shot) -> None:
        self.ignored |= shot.ignored
        if shot.rtt_ms is not None:
            self.rtt_ms = shot.rtt_ms if self.rtt_ms is None else min(self.rtt_ms, shot.rtt_ms)
        if shot.heard is None:
            return
        if shot.ignored:
            self.varies = self.over = True  # two answers to one SYN
        self.kinds.add(shot.heard)
        if shot.icmp is not None and self.icmp is None:
            self.icmp, self.icmp_ttl = shot.icmp, shot.icmp_ttl
        if shot.heard is TtlAnswer.LOCAL_FAILURE:
            self.errno = shot.errno
        # of an ICMP error the kernel compares another TTL: it cannot be searched for
        self.over |= shot.heard in (TtlAnswer.ICMP, TtlAnswer.LOCAL_FAILURE) or len(self.kinds) > 1

    def _nothing_yet(self, silent: list[_Shot]) -> None:
        """Ask once without any condition, since an ICMP error may have been ignored; silence then is silence."""
        if any(shot.least == 1 for shot in silent):
            self.over = True
        else:
            self.pending = [_Shot(1)]

    def _confirm(self) -> None:
        """Compare the answers to SYNs that left with another TTL."""
        ttl, shift = self.confirming[0].least, self._shifts()[0]
        fits = all((shot.heard is not None) == (shot.least == ttl) for shot in self.confirming)
        if ttl != self.least:
            self.follows = True if fits else None
            self.varies, self.over = not fits, True
        elif fits:
            self.confirmed, self.follows, self.over = True, False, True
        elif 1 <= self.least + shift <= 255:
            self.confirming = _pair(self.least + shift, self.usual_ttl + shift, self._linger_s)
            self.pending = list(self.confirming)
        else:
            self.over = True

    def result(self) -> AnswerTtlResult:
        """Return all of it as it stands."""
        kinds = self.kinds or {TtlAnswer.SILENCE}
        found = self.beyond - self.least == 1 and not self.varies and len(self.kinds) == 1 and not self.icmp
        return AnswerTtlResult(
            self.request.address,
            self.request.port,
            ttl=self.least if found else None,
            answer=next(iter(kinds)) if len(kinds) == 1 else TtlAnswer.MIXED,
            confirmed=self.confirmed and found,
            connects=self.connects,
            rounds=self.rounds,
            duration_ms=errqueue.elapsed_ms(self.start),
            follows=self.follows,
            varies=self.varies,
            icmp=self.icmp,
            icmp_ttl=self.icmp_ttl,
            errno=errno_name(self.errno) if self.errno else None,
            rtt_ms=self.rtt_ms,
        )


async def _side_by_side(shots: list[_Shot], target: Endpoint, context: Context, wait_s: float) -> None:
    """Make connects at the same time; once one has its answer, the others have theirs soon or never."""
    tasks = {asyncio.create_task(shot.fire(target, context, wait_s)) for shot in shots}
    waiting, timeout_s = tasks, None
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a bug of ours comes to light here
            if not done:
                break
            rtts = [shot.rtt_ms for shot in shots if shot.rtt_ms is not None]
            if rtts:
                timeout_s = min(wait_s, max(_LEAST_WAIT_S, 4 * min(rtts) / 1000))
    finally:
        await give_up(list(tasks))


def _pair(ttl: int, sent: int, linger_s: float) -> list[_Shot]:
    """Return the connects that show together that answers have exactly this TTL; 255 is the greatest there is."""
    return [_Shot(least, sent, linger_s) for least in (ttl, ttl + 1) if least <= 255]


async def observe(
    request: AnswerTtlRequest, context: Context, progress: Callable[[AnswerTtlResult], None]
) -> AnswerTtlResult:
    """Search for the TTL of the answer to a SYN, and confirm it with SYNs that leave with another TTL.

    What stays silent is tried again; where the kernel counts ignored answers, silence never counts as one.
    Answers whose TTLs contradict each other end the search without a number. An accepted connection is closed
    at once. Raises :class:`NotApplicable` for an address that is no literal, and where the system knows no such
    socket option.
    """
    need_linux("answer-ttl")
    target = endpoint(request.address, request.port)
    search = _Search(request)
    while shots := search.next():
        await _side_by_side(shots, target, context, search.wait_s)
        search.take(shots)
        progress(search.result())
    return search.result()
