"""The screen on real terminals and in a pipe, from saved reports: kept as it was judged good, in both languages.

After a change that is meant, ``WSADIAG_UPDATE_SCREENS=1 pytest tests/reports/test_block.py`` writes the files anew;
look at them before they are committed.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.reports import made
from troubleshoot.cli.show import lexicon
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import Language
from troubleshoot.render.block import MOST, block
from troubleshoot.render.layout import cells
from troubleshoot.render.style import Style
from troubleshoot.render.text import screen
from troubleshoot.render.way import draw
from troubleshoot.report import Report, Way, from_json
from troubleshoot.run.engine import replay

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "tests/data/reports"
SCREENS = Path(__file__).parent / "screens"
CATALOGUE = Catalogue()
FAULTS = (
    "no-listener",
    "firewall-drop-path",
    "firewall-reset-path",
    "firewall-reject-admin-ipv6",
    "host-down",
    "router-down",
    "routing-loop",
    "name-does-not-exist",
    "nameserver-unreachable-dropped",
    "some-addresses-dead",
    "port-in-use",
    "no-default-route",
)
HEALTHY = ("healthy-plain", "healthy-name", "healthy-udp")
#: What the screens are shown on, by the size of the terminal.
SURFACES = {
    "80x24": Style(last=True),
    "120x40": Style(width=100, last=True),
    "60x24": Style(width=60, last=True),
    "pipe": Style(),
}


def report_of(name: str, language: Language) -> Report:
    (file,) = sorted(REPORTS.glob(f"{name}.nobody.json")) or sorted(REPORTS.glob(f"{name}.root.json"))
    return replay(from_json(file.read_bytes()), language)


def shown(report: Report, language: Language, style: Style) -> str:
    return screen(report, lexicon(report, CATALOGUE, language), style)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("name", [*FAULTS, *HEALTHY])
def test_the_screens_are_those_that_were_judged_good(name: str, language: Language) -> None:
    report = report_of(name, language)
    pages = [f"== {surface}\n{shown(report, language, style)}" for surface, style in SURFACES.items()]
    # The version of the program changes with each release.
    text = re.sub(r"wsadiag\s+\d+\.\d+\.\d+", "wsadiag VERSION", "\n".join(pages))
    file = SCREENS / f"{name}.{language}.txt"
    if os.environ.get("WSADIAG_UPDATE_SCREENS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def holds_what_matters(lines: list[str], report: Report, language: Language) -> None:
    """Check that a block is whole: code and target, the verdict, from where it was seen, and what to do first."""
    text = " ".join(" ".join(lines).split())
    assert text.startswith(f"{report.error.number} {report.error.name}, ")
    assert CATALOGUE.wording(language)[f"ui.outcome-{report.verdict.outcome}"] in " ".join(lines[1:3])
    assert report.vantage.hostname in text
    assert "  1. " in "\n".join(lines)
    if len(report.verdict.actions) > 1:
        assert "  2. " in "\n".join(lines)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("file", sorted(REPORTS.glob("*.json")), ids=lambda file: file.stem)
def test_the_block_is_at_the_end_of_a_terminal_and_at_the_beginning_of_a_pipe(file: Path, language: Language) -> None:
    report = replay(from_json(file.read_bytes()), language)
    for surface, style in SURFACES.items():
        lines = shown(report, language, style).splitlines()
        assert all(cells(line) <= style.width for line in lines), surface
        if style.width >= 80:
            assert len(lines) <= 30, surface
        blank = len(lines) - 1 - lines[::-1].index("") if style.last else lines.index("")
        first = lines[blank + 1 :] if style.last else lines[:blank]
        assert len(first) <= MOST
        assert "".join(first).count("`") % 2 == 0  # no half of a command
        if style.width >= 80:
            assert not [line for line in first if line.endswith("…")], "a sentence of the block is cut"
        holds_what_matters(first, report, language)


#: Letters of double width, without width, that steer a terminal, and names as long as DNS allows.
_TEXT = st.one_of(
    st.text(st.sampled_from("가힣\x1b\u202e\n\r\t\u0301z.漢 "), min_size=1, max_size=300),
    st.just(".".join(["x" * 63] * 3) + ".example"),
    st.just("한국" * 120),
)


@settings(max_examples=60, deadline=None)
@given(_TEXT, st.sampled_from([40, 60, 80, 100]), st.sampled_from(["en", "ko"]), st.booleans())
def test_the_block_keeps_its_lines_whatever_a_report_holds(
    text: str, width: int, language: Language, unicode: bool
) -> None:
    report = made.hostile(text)
    ways = (Way(nodes=(text,) * 9, broken=4), Way(nodes=(text,), kind="name-server", end="says", said=text))
    verdict = replace(report.verdict, actions=(text,) * 5, ways=ways, elsewhere=text)
    report = replace(report, verdict=verdict, interrupted=True)
    words = lexicon(report, CATALOGUE, language)
    lines = block(report, words, Style(width=width, unicode=unicode)).lines
    assert len(lines) <= MOST
    assert all(cells(line) <= width and line.isprintable() for line in lines)
    assert [line for line in lines if line.startswith("  1.")]
    assert [line for line in lines if line.startswith("  2.")]


@pytest.mark.parametrize("text", ["a. " * 20_000, "`a. " * 20_001, "`b. " + "a. " * 20_000, "a " * 50_000])
def test_a_text_of_many_sentences_takes_no_longer_than_its_length_asks(text: str) -> None:
    report = made.hostile("x")
    report = replace(report, verdict=replace(report.verdict, summary=text, elsewhere=text, actions=(text,) * 2))
    words = lexicon(report, CATALOGUE, "en")
    start = time.process_time()
    lines = block(report, words, Style()).lines
    assert len(lines) <= MOST
    assert time.process_time() - start < 5  # each further sentence once more from the start: minutes


R1, R2, TARGET = "10.50.1.1", "10.50.12.2", "ftp.corp.example:21"


@pytest.mark.parametrize(
    ("way", "line"),
    [
        (Way(nodes=(R1, R2, TARGET)), f"here ── {R1} ── {R2} ── {TARGET}"),
        (Way(nodes=(R1, R2, TARGET), broken=2), f"here ── {R1} ── {R2} ──✗ {TARGET}"),
        (Way(nodes=(R1, R2, TARGET), broken=2, end="refuses"), f"here ── {R1} ── {R2} ✗── {TARGET}"),
        (Way(nodes=(R1,), broken=0), f"here ──✗ {R1}"),
        (Way(nodes=(R1, TARGET), end="refuses"), f"here ── {R1} ── {TARGET} ✗ refuses"),
        (
            Way(nodes=("10.53.0.1",), kind="name-server", end="says", said="NXDOMAIN"),
            "here ── name server 10.53.0.1 ✗ NXDOMAIN",
        ),
        (Way(nodes=("10.53.0.1",), kind="name-server", broken=0), "here ──✗ name server 10.53.0.1"),
        (
            Way(nodes=(R1, *(f"10.50.{n}.1" for n in range(20)), R2, TARGET), broken=22),
            f"here ── {R1} ── (20 more) ── {R2} ──✗ {TARGET}",
        ),
    ],
)
def test_the_way_is_drawn_in_one_line(way: Way, line: str) -> None:
    words = lexicon(made.fault(), CATALOGUE, "en")
    assert draw(way, words, Style(), 78) == line
    plain = line.replace("──", "--").replace("✗", "X")
    assert draw(way, words, Style(unicode=False), 78) == plain


def on_a_terminal(file: Path, columns: int, rows: int) -> list[str]:
    """Return what ``wsadiag replay`` leaves on a terminal, line by line."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "troubleshoot", "replay", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:  # EIO: nobody holds the other end any more
                break
            if not read:
                break
            written += read
        assert process.wait(60) == 1
    os.close(ours)
    return written.decode().replace("\r", "").splitlines()


@pytest.mark.parametrize(("columns", "rows", "width"), [(80, 24, 80), (120, 40, 100), (60, 24, 60)])
def test_a_real_terminal_ends_with_the_block(columns: int, rows: int, width: int) -> None:
    file = REPORTS / "firewall-drop-path.nobody.json"
    lines = on_a_terminal(file, columns, rows)
    report = report_of("firewall-drop-path", "en")
    assert lines == shown(report, "en", Style(width=width, last=True)).splitlines()
    last = lines[-rows:]
    assert any(line.startswith("10060 WSAETIMEDOUT, ") for line in last)
    assert any(line.startswith("FAULT (") for line in last)
