"""Show a run while it goes: what runs, what came back, how much time is left. On a terminal only.

The view is drawn by a thread of its own, so that a spinner turns while the engine waits; events only replace
entries of a table, which is safe between threads. It leaves nothing behind: the screen follows.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from troubleshoot.knowledge.text import fill
from troubleshoot.render.layout import cells, cut, pad
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text

    from troubleshoot.run.events import StepEvent

_TURN = {True: "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", False: "|/-\\"}


class LiveView:
    """A context manager whose :meth:`event` is the engine's ``on_event``."""

    def __init__(self, heading: str, wording: Mapping[str, str], style: Style, *, height: int = 24) -> None:
        self._heading = heading
        self._wording = wording
        self._style = style
        self._height = height
        self._steps: dict[str, StepEvent] = {}
        self._began = time.monotonic()
        self._limit_s = 0.0

    def __enter__(self) -> Self:
        from rich.console import Console  # noqa: PLC0415 - 45 ms that only a terminal pays
        from rich.live import Live  # noqa: PLC0415

        console = Console(highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=console,
            get_renderable=self._draw,
            transient=True,
            refresh_per_second=10,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def event(self, event: StepEvent) -> None:
        """Take the state of one step."""
        self._limit_s = event.limit_ms / 1000
        self._steps[event.step] = event

    def lines(self, now: float | None = None) -> list[tuple[str, str]]:
        """Return the view as lines, each with the SGR-like status that colours it (empty for none)."""
        elapsed = (time.monotonic() if now is None else now) - self._began
        left = max(0.0, self._limit_s - elapsed)
        signs = _TURN[self._style.unicode]
        turn = signs[int(elapsed * 10) % len(signs)]
        steps = list(self._steps.values())
        column = min(max((cells(safe(s.title)) for s in steps), default=0), self._style.width * 2 // 5)
        sign = cells(self._style.mark("passed")[0])
        lines = [(cut(safe(self._heading), self._style.width), "heading")]
        for step in self._fitting(steps):
            if step.status is not None:
                mark, said = self._style.mark(step.status)[0], step.summary
            elif step.running:
                mark, said = turn, step.summary or self._say("running")
            else:
                mark, said = " ", step.summary or self._say("waiting")
            title = pad(cut(safe(step.title), column), column)
            text = cut(f"  {pad(mark, sign)} {title}  {safe(said)}", self._style.width)
            lines.append((text, step.status or ("running" if step.running else "waiting")))
        if self._limit_s:
            lines.append(("  " + fill(self._say("left"), {"seconds": f"{left:.0f}"}), "waiting"))
        return lines

    def _fitting(self, steps: list[StepEvent]) -> list[StepEvent]:
        """Return what the terminal's height has room for: steps that run or went wrong before all others."""
        room = max(3, self._height - 3)
        if len(steps) <= room:
            return steps
        urgent = sorted(steps, key=lambda s: 0 if s.running else 1 if s.status in ("failed", "warning") else 2)
        kept = {step.step for step in urgent[:room]}
        return [step for step in steps if step.step in kept]

    def _say(self, key: str) -> str:
        return self._wording.get(f"ui.{key}", f"<ui.{key}>")

    def _draw(self) -> Text:
        from rich.text import Text  # noqa: PLC0415

        colours = {
            "heading": "bold",
            "passed": "green",
            "failed": "red",
            "warning": "yellow",
            "running": "",
            "waiting": "dim",
            "skipped": "dim",
            "unavailable": "cyan",
        }
        drawn = Text(no_wrap=True, overflow="crop")
        for n, (line, kind) in enumerate(self.lines()):
            drawn.append("\n" if n else "").append(line, style=colours[kind] if self._style.colour else "")
        return drawn
