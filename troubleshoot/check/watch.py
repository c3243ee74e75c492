"""One target looked at again and again: every change of its verdict is told, and kept with its whole report."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from troubleshoot.knowledge.letters import escape_json
from troubleshoot.report import Report

Until = Literal["change", "fault", "healthy"]
#: A log longer than this becomes ``FILE.1``, in the place of an older one: two such files are kept, bytes.
LOG_BYTES: Final = 16 << 20


class Sums(msgspec.Struct):
    """What was seen while watching: how often each outcome, how many changes, and the last report."""

    runs: dict[str, int] = msgspec.field(default_factory=dict)
    changes: int = 0
    last: Report | None = None


def state_of(report: Report) -> tuple[object, ...]:
    """Return what makes two reports tell the same: verdict, place, and what the attempt came to."""
    verdict = report.verdict
    place = verdict.location
    return (
        verdict.outcome,
        verdict.cause,
        (place.scope, place.hop, place.address) if place else None,
        report.reproduction.outcome,
    )


async def watch(
    once: Callable[[], Awaitable[Report]],
    *,
    every_s: float,
    until: Until | None,
    stop: asyncio.Event,
    told: Callable[[Report, Sums], None],
) -> Sums:
    """Diagnose every ``every_s`` seconds, from one beginning to the next; ``told`` hears of the first and each change.

    Ends where ``until`` has come true, or ``stop`` is set; what runs then is waited for.
    """
    sums = Sums()
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + every_s
        report = await once()
        if not report.interrupted or sums.last is None:
            outcome = report.verdict.outcome
            sums.runs[outcome] = sums.runs.get(outcome, 0) + 1
            changed = sums.last is not None and state_of(report) != state_of(sums.last)
            sums.changes += changed
            first, sums.last = sums.last is None, report
            if first or changed:
                told(report, sums)
            if (until == "change" and changed) or until == outcome:
                return sums
        if stop.is_set():
            return sums
        try:
            async with asyncio.timeout_at(due_s):
                await stop.wait()
        except TimeoutError:
            continue
        return sums


class Log:
    """An append-only file of changes, a JSON document a line, each on the disk before the next; bounded."""

    def __init__(self, path: str, most: int = LOG_BYTES) -> None:
        """Open the file for appending, so that what is wrong with it is told at once; raises ``OSError``."""
        self.path = path
        self._path = Path(path)
        self._most = most
        with self._path.open("ab"):
            pass

    def write(self, report: Report) -> None:
        """Add a report; raises ``OSError``."""
        line = escape_json(json.dumps(msgspec.to_builtins(report), ensure_ascii=False)).encode() + b"\n"
        with self._path.open("ab") as file:
            size = file.tell()
        if size and size + len(line) > self._most:
            self._path.replace(f"{self._path}.1")
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
