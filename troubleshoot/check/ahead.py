"""What is begun while other targets are still tried: the cheap questions, and a diagnosis of each kind of failure."""

from __future__ import annotations

import asyncio
from typing import Final

from troubleshoot.check.ask import Questions
from troubleshoot.check.diagnoses import Diagnoses
from troubleshoot.check.group import key_of, network_of
from troubleshoot.check.model import Outcome, Reading

#: So many members of a group are diagnosed; as few failures are asked nothing beside.
ALONE: Final = 2


class Ahead:
    """Hears of failures as they come."""

    def __init__(self, questions: Questions, diagnoses: Diagnoses) -> None:
        self._questions = questions
        self._diagnoses = diagnoses
        self._heard: list[Outcome] = []
        self._asking: list[asyncio.Task[None]] = []
        self._begun: set[tuple[object, ...]] = set()
        self._rejecting: set[str] = set()

    def heard(self, failure: Outcome, ended_s: float) -> None:
        """Take note of a failure, whose last attempt ended at ``ended_s`` (monotonic).

        Where there are many the cheap questions are asked at once, and the first of each group is diagnosed.
        """
        attempt = failure.attempts[-1]
        self._questions.ended(attempt, ended_s, alone=len(failure.attempts) == 1)
        if attempt.reading is Reading.REJECTED:
            self._rejecting.add(network_of(attempt.address))
        self._heard.append(failure)
        if len(self._heard) > ALONE:
            fresh = self._heard[-1:] if len(self._heard) > ALONE + 1 else self._heard
            self._asking += [asyncio.create_task(self._look(each)) for each in fresh]

    def end(self) -> None:
        """Stop what was begun."""
        for task in self._asking:
            task.cancel()
        self._questions.end()
        self._diagnoses.end()

    async def _look(self, failure: Outcome) -> None:
        """Ask the cheap questions; begin with a diagnosis where the failure is the first of its kind.

        What needs the words of a router that has others to report is left for later.
        """
        attempt = failure.attempts[-1]
        hint = await self._questions.hint(attempt, failure.check.target.port or 0)
        key = key_of(failure, hint)
        silent = attempt.reading is Reading.SILENT
        later = silent and (not hint.alive or network_of(attempt.address) in self._rejecting)
        if key not in self._begun and not later and attempt.reading is not Reading.REJECTED:
            self._begun.add(key)
            self._diagnoses.begin(failure)
