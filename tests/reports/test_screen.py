"""The screen: compared as a whole with what was judged good by eye, and held to what every screen must keep.

After a change that is meant, ``WSADIAG_UPDATE_SCREENS=1 pytest tests/reports/test_screen.py`` writes the files
anew; look at them before they are committed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.reports import made
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import Language
from troubleshoot.render.layout import cells
from troubleshoot.render.style import Style
from troubleshoot.render.text import Lexicon, headline, outline, screen
from troubleshoot.report import Report, from_json, to_json

SCREENS = Path(__file__).parent / "screens"
PLAIN = Style()


def lexicon(language: Language = "en") -> Lexicon:
    return Lexicon(
        wording=Catalogue().wording(language),
        causes={"firewall-reset": "A firewall refuses in the host's place"},
        codes={10060: "WSAETIMEDOUT"},
    )


CASES = {
    "fault": (made.fault(), PLAIN, False),
    "fault-verbose": (made.fault(), PLAIN, True),
    "fault-ascii": (made.fault(), Style(unicode=False), False),
    "fault-narrow": (made.fault(), Style(width=50), False),
    "fault-colour": (made.fault(), Style(colour=True), False),
    "healthy": (made.healthy(), PLAIN, False),
    "inconclusive": (made.inconclusive(), PLAIN, False),
    "korean": (made.korean(), PLAIN, False),
}


@pytest.mark.parametrize("name", CASES)
def test_the_screen_is_the_one_that_was_judged_good(name: str) -> None:
    report, style, verbose = CASES[name]
    language: Language = "ko" if report.language == "ko" else "en"
    remarks = ("port 21/tcp, from the URL's scheme ftp",) if name == "fault" else ()
    shown = screen(report, lexicon(language), style, verbose=verbose, remarks=remarks)
    file = SCREENS / f"{name}.txt"
    if os.environ.get("WSADIAG_UPDATE_SCREENS"):
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in CASES if name != "fault-colour"])
def test_no_line_is_wider_than_the_screen(name: str) -> None:
    report, style, verbose = CASES[name]
    shown = screen(report, lexicon("ko" if report.language == "ko" else "en"), style, verbose=verbose)
    assert all(cells(line) <= style.width for line in shown.splitlines())


def test_a_long_name_wraps_inside_80_columns() -> None:
    name = ".".join(["x" * 63] * 3) + ".example"
    report = made.hostile(name)
    report = replace(report, steps=tuple(replace(s, by_hand=None) for s in report.steps))
    shown = screen(report, lexicon(), PLAIN)
    assert max(cells(line) for line in shown.splitlines()) <= 80
    assert name in shown.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("make", [made.fault, made.healthy, made.inconclusive])
def test_no_label_is_missing(make: object, language: Language) -> None:
    report: Report = make()  # type: ignore[operator]
    assert "<ui." not in screen(report, lexicon(language), PLAIN, verbose=True)
    assert "<ui." not in headline(report, lexicon(language))


def test_everything_of_the_verdict_is_on_the_screen() -> None:
    report = made.fault()
    shown = " ".join(screen(report, lexicon(), PLAIN, verbose=True).split())
    assert report.verdict.summary in shown
    for piece in report.verdict.evidence:
        assert piece.fact in shown
    for action in report.verdict.actions:
        assert action in shown
    for step in report.steps:
        assert step.title in shown
        assert step.summary in shown
    assert "A firewall refuses in the host's place (possible)" in shown
    assert "netstat -an -p tcp" in shown


def test_a_report_without_steps_or_words_still_shows() -> None:
    report = made.fault()
    bare = replace(
        report,
        steps=(),
        verdict=replace(report.verdict, actions=(), evidence=(), alternatives=(), title=None, summary=""),
    )
    assert "FAULT (likely): no-listener" in screen(bare, lexicon(), PLAIN)


def test_another_error_is_named() -> None:
    assert "another error: 10060 WSAETIMEDOUT" in screen(made.inconclusive(), lexicon(), PLAIN)


def test_quiet_is_one_line() -> None:
    assert (
        headline(made.fault(), lexicon())
        == "FAULT (likely): Nothing listens on the port: 10061 WSAECONNREFUSED, ftp://files.example.org\n"
    )
    assert headline(made.hostile("a\nb"), lexicon()).count("\n") == 1


HOSTILE = st.text(
    st.one_of(
        st.sampled_from("\x00\x07\x08\x1b\x7f\x85\x9b\r\n\t\u200b\u200e\u202e\u2066\u2069\u2028\ufeff\u3164\u00ad"),
        st.characters(exclude_categories=()),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(HOSTILE, st.booleans())
def test_nothing_hostile_reaches_the_terminal(text: str, verbose: bool) -> None:
    shown = screen(made.hostile(text), lexicon(), PLAIN, verbose=verbose) + headline(made.hostile(text), lexicon())
    assert all(c.isprintable() or c == "\n" for c in shown)
    shown.encode()


def test_an_escape_sequence_is_shown_and_not_obeyed() -> None:
    shown = screen(made.hostile("\x1b[2J\x1b]0;gone\x07"), lexicon(), Style(colour=True))
    assert "\\x1b[2J" in shown
    assert "\x1b[2J" not in shown
    assert "\x1b]" not in shown


def test_an_outline_is_bounded_and_readable() -> None:
    lines = list(outline({"hops": [{"ttl": n, "from": None} for n in range(100)], "ok": True, "rtt_ms": 1.25}))
    assert lines[0] == "hops:"
    assert lines[1] == "  - ttl: 0"
    assert "60 more" in lines[41]
    assert lines[-2:] == ["ok: yes", "rtt_ms: 1.25"]


@settings(max_examples=60, deadline=None)
@given(HOSTILE)
def test_nothing_hostile_breaks_the_json(text: str) -> None:
    encoded = to_json(made.hostile(text))
    assert encoded.isascii() or encoded.encode()
    again = from_json(encoded)
    assert again == made.hostile(text.encode("utf-8", "backslashreplace").decode())
