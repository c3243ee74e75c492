"""What the engine tells a live view while it runs."""

from __future__ import annotations

import msgspec

from troubleshoot.report import StepStatus


class StepEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one step of the checklist at ``elapsed_ms`` into a run that may take ``limit_ms`` in all.

    ``status`` is ``None`` while it waits or runs (``running`` tells which); ``summary`` is its one line of fact.
    Events come for every step whose state changed, and once for each step when the run starts.
    """

    step: str
    title: str
    status: StepStatus | None
    running: bool
    summary: str
    elapsed_ms: float
    limit_ms: float
