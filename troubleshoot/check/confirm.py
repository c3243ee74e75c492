"""One more connection to each target that is to be given the verdict of others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from probes.base import CannotObserve
from probes.system.endpoint import endpoint
from troubleshoot.check.attempt import TIMEOUT_S
from troubleshoot.check.dial import dial
from troubleshoot.check.group import Hint
from troubleshoot.check.model import Basis, Outcome, Reading
from troubleshoot.check.patience import Patience
from troubleshoot.check.triage import Pace, at_once

#: They are made beside diagnoses, which they are not to disturb: so many a second.
_PER_S: Final = 1000.0


class OnceMore:
    """Asks each failure that was asked nothing by itself whether it fails as before.

    A name's own answer and a router's own rejection say enough, and so does the missing echo of a host that is off; of
    a refusal the hint has compared how far away its sender and the host are.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._pace, self._room = Pace(_PER_S), asyncio.Semaphore(at_once())
        self._told: set[int] = set()

    def known(self, failures: Sequence[Outcome], hints: Sequence[Hint]) -> None:
        """Take note of what the hints have told already."""
        for each, hint in zip(failures, hints, strict=True):
            if hint.nearer is not None or (each.attempts[-1].reading is Reading.SILENT and hint.alive is False):
                self._told.add(id(each))

    def measured(self, outcome: Outcome) -> bool:
        """Whether a hint has told already how far away a refusal comes from."""
        return outcome.attempts[-1].reading is Reading.REFUSED and id(outcome) in self._told

    async def unlike(self, members: Sequence[Outcome]) -> list[Outcome]:
        """Return those that do not fail as before; each is asked once."""
        asked = [each for each in members if self._has_a_question(each)]
        same = await asyncio.gather(*map(self._same_again, asked))
        return [each for each, like in zip(asked, same, strict=True) if not like]

    def _has_a_question(self, outcome: Outcome) -> bool:
        return outcome.attempts[-1].reading in (Reading.REFUSED, Reading.SILENT) and id(outcome) not in self._told

    async def _same_again(self, outcome: Outcome) -> bool:
        attempt = outcome.attempts[-1]
        self._told.add(id(outcome))
        outcome.basis = Basis.ASKED
        try:
            aim = endpoint(attempt.address or "", outcome.check.target.port or 0)
        except CannotObserve:  # the system no longer reads the address
            return True
        await self._pace.turn()
        async with self._room:
            dialled = await dial(aim, lambda: self._patience.limit_s(aim.text, TIMEOUT_S))
        if dialled.opened is not None:
            dialled.opened.close()
        return dialled.reading is attempt.reading
