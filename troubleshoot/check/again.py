"""A second look at silence beside rejections: was it a router that may not say more?

A router reports a few rejected packets in a row to one sender and then one a second (RFC 1812, section 4.3.2.8; Linux:
icmp_ratelimit). Of many targets that it rejects at once the others look as if they were dropped. So the silent ones are
tried again at a pace that it can answer: not all of them, but the ends and the middle of each stretch of neighbouring
ports, as rules of filters are written; a stretch whose ends and middle agree is taken to be of one kind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from probes.system.endpoint import endpoint
from troubleshoot.check.dial import dial
from troubleshoot.check.model import Outcome, Reading

#: A router has its whole allowance again after so long without a report to us, seconds.
QUIET_S: Final = 6.5
#: So many reports in a row, and then one each so many seconds; a little less than routers allow.
_AT_ONCE: Final = 5
_EACH_S: Final = 1.05
#: Without so many failures in one network no router was kept from speaking.
MANY: Final = 6

Said = tuple[str | None, str] | None


class SecondLook:
    """Tries silent targets again, one router's allowance at a time; ``kinds`` holds what each is taken to be."""

    def __init__(self) -> None:
        self.kinds: dict[int, Said] = {}
        self._tried: dict[int, Said] = {}
        self._left = _AT_ONCE
        self._next_s = 0.0

    async def look(self, members: Sequence[Outcome]) -> None:
        """Fill in ``kinds`` for the members, sorted by port and address: the error and its sender, ``None`` silence."""
        middle = len(members) // 2
        ends = sorted({0, middle, len(members) - 1})
        found = await asyncio.gather(*(self._try(members[index]) for index in ends))
        if len(set(found)) == 1 or len(members) <= len(ends):
            for index, each in enumerate(members):
                self.kinds[id(each)] = found[min(index, len(found) - 1)]
            return
        await self.look(members[: middle + 1])
        await self.look(members[middle:])

    async def _try(self, outcome: Outcome) -> Said:
        key = id(outcome)
        if key not in self._tried:
            await self._turn()
            check, last = outcome.check, outcome.attempts[-1]
            dialled = await dial(endpoint(last.address or "", check.target.port or 0), _EACH_S)
            rejected = dialled.reading is Reading.REJECTED and dialled.router is not None
            self._tried[key] = (dialled.error, dialled.router or "") if rejected else None
        return self._tried[key]

    async def _turn(self) -> None:
        if self._left:
            self._left -= 1
            return
        self._next_s = max(self._next_s + _EACH_S, time.monotonic())
        await asyncio.sleep(self._next_s - time.monotonic())
