"""The live view: what it says of each step, and that it leaves nothing behind."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.render.layout import cells
from troubleshoot.render.live import LiveView
from troubleshoot.render.style import Style, style_of
from troubleshoot.run.events import StepEvent

WORDING = Catalogue().wording("en")


def event(step: str, **more: Any) -> StepEvent:
    values: dict[str, Any] = {
        "title": step.title(),
        "status": None,
        "running": False,
        "summary": "",
        "elapsed_ms": 0.0,
        "limit_ms": 10_000.0,
        **more,
    }
    return StepEvent(step=step, **values)


def view(style: Style | None = None, **more: Any) -> LiveView:
    return LiveView("10061 WSAECONNREFUSED: host:21", WORDING, style or Style(), **more)


def test_it_shows_what_runs_what_came_back_and_the_time_left() -> None:
    shown = view()
    shown.event(event("resolve", status="passed", summary="2 addresses"))
    shown.event(event("connect", running=True))
    shown.event(event("traceroute"))
    lines = [line for line, _ in shown.lines(shown._began + 3.0)]
    assert lines[0] == "10061 WSAECONNREFUSED: host:21"
    assert re.fullmatch(r"  ✓ Resolve +2 addresses", lines[1])
    assert re.fullmatch(r"  \S Connect +running", lines[2])
    assert re.fullmatch(r" +Traceroute +waiting", lines[3])
    assert lines[4].strip() == "7 s left at most"
    assert "0 s left" in shown.lines(shown._began + 60.0)[-1][0]


def test_a_later_event_replaces_an_earlier_one() -> None:
    shown = view()
    shown.event(event("connect", running=True))
    shown.event(event("connect", status="failed", summary="refused"))
    assert sum("Connect" in line for line, _ in shown.lines()) == 1
    assert "✗" in shown.lines()[1][0]


@pytest.mark.parametrize("style", [Style(), Style(unicode=False), Style(width=40)])
def test_hostile_and_long_summaries_stay_on_one_line(style: Style) -> None:
    shown = view(style)
    shown.event(event("connect", title="\x1b[2J" * 30, running=True, summary="한국" * 100 + "\x1b]0;x\x07\n"))
    for line, _ in shown.lines():
        assert line.isprintable()
        assert cells(line) <= style.width


def test_a_low_terminal_keeps_what_runs_and_what_went_wrong() -> None:
    shown = view(height=8)
    for n in range(20):
        shown.event(event(f"step{n}", status="passed"))
    shown.event(event("connect", running=True))
    shown.event(event("ping", status="failed"))
    text = "\n".join(line for line, _ in shown.lines())
    assert len(shown.lines()) <= 8
    assert "Connect" in text
    assert "Ping" in text


def test_the_view_is_drawn_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with view(Style(colour=True)) as shown:
        shown.event(event("connect", running=True))
        shown._live.refresh()
    written = terminal.getvalue()
    assert "Connect" in written
    assert "\x1b[?25l" in written  # the cursor was hidden …
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # … and came back
    assert "\x1b[2K" in written[written.rindex("Connect") :]  # the lines were erased


def test_a_plain_stream_gets_no_colour_and_a_terminal_may_refuse_it() -> None:
    class Terminal(io.StringIO):
        encoding = "ascii"

        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            raise OSError

    assert style_of(io.StringIO(), {}) == Style(width=80, unicode=False, colour=False)
    assert style_of(Terminal(), {"TERM": "xterm"}) == Style(width=80, unicode=False, colour=True, last=True)
    assert not style_of(Terminal(), {"NO_COLOR": "1"}).colour
    assert style_of(Terminal(), {"NO_COLOR": ""}).colour
    assert not style_of(Terminal(), {"TERM": "dumb"}).colour
