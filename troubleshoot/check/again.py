"""A second look at silence beside rejections: was it a router that may not say more?

A router reports a few rejected packets in a row to one sender and then one a second (RFC 1812, section 4.3.2.8; Linux:
icmp_ratelimit). Of many targets that it rejects at once the others look as if they were dropped. So silent ones are
tried again at a pace that it can answer, but not all of them: rules of filters are written for stretches of
neighbouring ports. What was rejected at once is known already; between two neighbours of different kinds the border is
sought at the widest gap of ports; a stretch whose ends and middle agree is taken to be of one kind.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import time
from collections.abc import Sequence
from typing import Final

from probes.base import CannotObserve
from probes.system.endpoint import endpoint
from troubleshoot.check.dial import dial
from troubleshoot.check.model import Outcome, Reading

#: A router may say one thing more so long after its last, seconds; a little more than routers allow.
EACH_S: Final = 1.1
#: A rejection comes as fast as any answer of the network: so many round trips are waited for it, seconds at least and
#: at most.
_ROUND_TRIPS: Final = 4
_ANSWER_S: Final = (0.2, 0.5)
#: No more are tried; what lies between those that were is then no more than possible.
_MOST: Final = 24
#: Without so many failures in one network no router was kept from speaking.
MANY: Final = 6

#: What a target came to: the error and who sent it; ``None`` is silence.
Said = tuple[str | None, str] | None


def place_of(outcome: Outcome) -> tuple[int, int, str]:
    """Return what failures are sorted by: port, then address."""
    address = outcome.last.address if outcome.last else None
    number = int(ipaddress.ip_address(address.partition("%")[0])) if address else 0
    return outcome.check.target.port or 0, number, outcome.check.name


def said_of(outcome: Outcome) -> Said:
    """Return what its last attempt came to."""
    last = outcome.attempts[-1]
    rejected = last.reading is Reading.REJECTED and last.router is not None
    return (last.error, last.router or "") if rejected else None


class SecondLook:
    """Finds out of what kind silent targets are; ``kinds`` holds each one's.

    ``inferred`` are those that were not tried, ``guessed`` those of them that stayed unsure.
    """

    def __init__(self, silent: Sequence[Outcome], rejected: Sequence[Outcome]) -> None:
        self.kinds: dict[int, Said] = {}
        self.inferred: set[int] = set()
        self.guessed: set[int] = set()
        self.tried: set[int] = set()
        self._all = sorted((*silent, *rejected), key=place_of)
        self._known = {index: said_of(each) for index, each in enumerate(self._all) if said_of(each) is not None}
        self._silent = {id(each) for each in silent}
        #: From then on a router may speak once more; what it was not asked meanwhile is left to it.
        self.free_s = time.monotonic()
        slowest_s = max((each.attempts[-1].duration_ms / 1000 for each in rejected), default=_ANSWER_S[1])
        self._answer_s = min(_ANSWER_S[1], max(_ANSWER_S[0], _ROUND_TRIPS * slowest_s))

    async def look(self) -> None:
        """Fill in ``kinds``; takes up to a second for each one that is tried."""
        last = len(self._all) - 1
        for end in (0, last):
            await self._kind(end)
        known = sorted(self._known)
        for left, right in itertools.pairwise(known):
            await self._between(left, right)
        for index, each in enumerate(self._all):
            if id(each) in self._silent:
                self.kinds[id(each)] = self._known[index]

    async def _between(self, left: int, right: int) -> None:
        """Find the kinds of all between two that are known."""
        if right - left < 2:
            return
        if self._known[left] == self._known[right]:
            middle = (left + right) // 2
            kind = await self._kind(middle) if len(self.tried) < _MOST else None
            if len(self.tried) >= _MOST or kind == self._known[left]:
                self._fill(left, right, self._known[left])
                return
            cuts = [middle]
        elif len(self.tried) >= _MOST:
            self._fill(left, right, self._known[left])
            return
        else:
            cut = self._gap(left, right)
            cuts = [cut, cut + 1]
        for each in cuts:
            await self._kind(each)
        points = sorted({left, *cuts, right})
        for near, far in itertools.pairwise(points):
            await self._between(near, far)

    def _fill(self, left: int, right: int, kind: Said) -> None:
        unsure = len(self.tried) >= _MOST
        for index in range(left + 1, right):
            if index not in self._known:
                self._known[index] = kind
                self.inferred.add(id(self._all[index]))
                if unsure:
                    self.guessed.add(id(self._all[index]))

    def _gap(self, left: int, right: int) -> int:
        """Return the one before the widest gap: of ports, of addresses at one port, the nearest to the middle."""

        def width(index: int) -> tuple[int, int, int]:
            (port, address, _), (port2, address2, _) = (place_of(self._all[i]) for i in (index, index + 1))
            ports = port2 - port
            return ports, 0 if ports else address2 - address, -abs(2 * index + 1 - left - right)

        return max(range(left, right), key=width)

    async def _kind(self, index: int) -> Said:
        """Try one, where it is not known, when its router may speak."""
        if index in self._known:
            return self._known[index]
        outcome = self._all[index]
        await asyncio.sleep(max(0.0, self.free_s - time.monotonic()))
        try:
            aim = endpoint(outcome.attempts[-1].address or "", outcome.check.target.port or 0)
        except CannotObserve:  # the system no longer reads the address
            self._known[index] = None
            return None
        dialled = await dial(aim, self._answer_s)
        rejected = dialled.reading is Reading.REJECTED and dialled.router is not None
        if rejected:
            self.free_s += EACH_S
        self._known[index] = (dialled.error, dialled.router or "") if rejected else None
        self.tried.add(id(outcome))
        return self._known[index]
