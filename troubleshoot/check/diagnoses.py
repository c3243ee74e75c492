"""The checklist for single targets of a check, carried out once for each of them."""

from __future__ import annotations

import asyncio
from typing import Final

from probes.base import Context
from troubleshoot.check.again import EACH_S
from troubleshoot.check.model import Outcome, Reading
from troubleshoot.intake.codes import is_plain
from troubleshoot.knowledge.catalogue import catalogue as installed
from troubleshoot.options import Options
from troubleshoot.report import Report
from troubleshoot.run.engine import diagnose

#: What a diagnosis is asked about where the error itself is no code.
_CODES: Final = {
    Reading.REFUSED: "WSAECONNREFUSED",
    Reading.SILENT: "WSAETIMEDOUT",
    Reading.REJECTED: "WSAEHOSTUNREACH",
    Reading.UNRESOLVED: "WSAHOST_NOT_FOUND",
    Reading.LOCAL: "WSAENETUNREACH",
}
#: What a router rejected is diagnosed so often where it keeps silent meanwhile.
_TIMES: Final = 3


class Diagnoses:
    """Diagnoses of targets, asked about ``code``, without one about what was met."""

    def __init__(self, context: Context, code: str | None, options: Options) -> None:
        self._context = context
        self._code = code
        self._options = options
        self._reporting = asyncio.Lock()
        self._early: dict[int, asyncio.Task[Report]] = {}
        self._reports: dict[int, Report] = {}

    def begin(self, outcome: Outcome) -> None:
        """Begin with a target of which :meth:`of` will be asked, while others are still tried."""
        self._early[id(outcome)] = asyncio.create_task(self.anew(outcome))

    def begun(self, outcome: Outcome) -> bool:
        """Whether this target's diagnosis was begun early."""
        return id(outcome) in self._early

    def end(self) -> None:
        """Stop what was begun early."""
        for task in self._early.values():
            task.cancel()

    async def of(self, outcome: Outcome) -> Report:
        """Return the diagnosis of a target, which is made once; one more where the early one could not tell."""
        key = id(outcome)
        if key not in self._reports:
            early = self._early.get(key)
            report = await early if early else None
            if report is None or report.verdict.outcome == "inconclusive":
                rejected = outcome.attempts[-1].reading is Reading.REJECTED
                report = await (self._reported(outcome) if rejected else self.anew(outcome))
            self._reports[key] = report
        return self._reports[key]

    async def _reported(self, outcome: Outcome) -> Report:
        """Diagnose what a router rejected, one such target after another, when the router can say so once more."""
        async with self._reporting:
            for _ in range(_TIMES):
                report = await self.anew(outcome)
                seen = report.reproduction.outcome
                if seen != "different" or report.verdict.outcome == "healthy":
                    break
                await asyncio.sleep(2 * EACH_S)
            return report

    async def anew(self, outcome: Outcome) -> Report:
        """Diagnose a target, whatever was found before."""
        attempt = outcome.attempts[-1]
        known = attempt.error is not None and is_plain(attempt.error, installed())
        code = self._code or (attempt.error if known and attempt.error else _CODES[attempt.reading])
        return await diagnose(code, outcome.check.target, options=self._options, context=self._context)
