"""No paste makes a reader fail, takes long, or gets through to the screen as more than text."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.readers import labels_of, read
from troubleshoot.readers.model import LONGEST_LINE, MOST_UNREAD
from troubleshoot.readers.tell import tell
from troubleshoot.readers.text import text_of
from troubleshoot.render.readings import document, page
from troubleshoot.render.style import Style

FOLDER = Path(__file__).parents[1] / "data" / "pasted"
TEXTS = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.txt"))]
LINES = sorted({line for text in TEXTS for line in text.split("\n")})
CATALOGUE = catalogue()
WORDING = CATALOGUE.wording("en")
MEGABYTE = 1 << 20
#: What a terminal, a web page or a careless parser would take for more than text.
HOSTILE = (
    "\x1b[2J",
    "\x1b]0;title\x07",
    "<script>alert(1)</script>",
    "\x00",
    "\u202e",
    "%s%n{0.__class__}",
    "\r",
    "'; --",
)


def check(text: str) -> None:
    """Read a text and hold the readings to what is promised of all of them."""
    readings = read(text, CATALOGUE)
    for reading in readings:
        assert len(reading.unread) <= MOST_UNREAD
        assert all(len(one.text) <= LONGEST_LINE for one in reading.unread)
        for seen in reading.seen:
            assert tell(seen).key.startswith("ui.read-")
    msgspec.json.encode(document(readings, WORDING))
    shown = page(readings, WORDING, Style(width=80))
    assert not {"\x1b", "\x07", "\x00", "\r", "\u202e"} & set(shown)


mixed = st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=80), st.sampled_from(HOSTILE)), max_size=40)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mixed)
def test_no_mixture_of_lines_makes_a_reader_fail(lines: list[str]) -> None:
    check("\n".join(lines))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TEXTS), st.integers(0, 1 << 30), st.sampled_from(HOSTILE))
def test_a_sample_with_a_hole_or_a_thing_in_it_is_still_read(text: str, where: int, thing: str) -> None:
    at = where % max(len(text), 1)
    check(text[:at] + thing + text[at:])
    check(text[:at])
    check(text[at:])
    check(text[:at] + text[at + 1 :])


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_a_text(data: bytes) -> None:
    check(text_of(data, labels_of(CATALOGUE)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_the_encodings_of_windows_are_read_alike(encoding: str) -> None:
    text = (FOLDER / "windows-ping.txt").read_text(encoding="utf-8")
    assert text_of(text.encode(encoding), labels_of(CATALOGUE)) == text


@pytest.mark.parametrize(("page_", "language"), [("cp949", "ko"), ("cp932", "ja"), ("cp850", "de")])
def test_the_code_pages_of_consoles_are_told_apart(page_: str, language: str) -> None:
    readings = read((FOLDER / "windows-ping.txt").read_text(encoding="utf-8"), CATALOGUE)
    lines = (FOLDER / "windows-ping.txt").read_text(encoding="utf-8").split("\n")
    mine = [one for one in readings if one.language == language]
    for one in mine:
        text = "\n".join(lines[one.line - 2 : one.line + 10]).split("\nC:\\")[0]
        assert text_of(text.encode(page_), labels_of(CATALOGUE)) == text
    assert mine


def megabytes() -> dict[str, str]:
    rng = random.Random(7)
    return {
        "one line": "a" * MEGABYTE,
        "colons": (":" * 1999 + "\n") * 520,
        "spaces": (" " * 1999 + "x\n") * 520,
        "prompts": "C:\\Users\\kim>ping 1.2.3.4\n" * (MEGABYTE // 27),
        "ping": "Reply from 192.0.2.1: bytes=32 time=1ms TTL=64\n" * (MEGABYTE // 48),
        "sockets": "  TCP    192.0.2.10:50123   198.51.100.7:443   ESTABLISHED   9876\n" * (MEGABYTE // 70),
        "all samples": ("".join(rng.sample(TEXTS, len(TEXTS))) * 20)[:MEGABYTE],
        "pingping": ("ping " * 380 + "32 bytes\n") * 520,
    }


def many(count: int) -> list[str]:
    return [f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(count)]


#: Outputs that are read in less than a second; of each, something once took time by the square of its length.
LONG = {
    "letters": "C:\\>ping 1.2.3.4\n" + ("a" * 1999 + "\n") * 520,
    "dots": "C:\\>route print\n" + (". " * 999 + "x\n") * 520,
    "servers": "kim@client:~$ resolvectl\nDNS Servers: " + "\n".join(many(55_000)),
    "addresses": "kim@client:~$ curl -v http://x.example/\n" + "".join(f"*   Trying {a}:80...\n" for a in many(38_000)),
    "adapters": "C:\\>ipconfig\n   DNS Servers . . . : " + "\n                 ".join(many(30_000)),
}


@pytest.mark.parametrize("kind", megabytes())
def test_a_megabyte_is_read_in_bounded_time(kind: str) -> None:
    text = megabytes()[kind]
    began = time.process_time()
    check(text)
    assert time.process_time() - began < 8  # about a second; only what grows with the square of the text takes longer


def test_a_paste_from_nowhere_is_shown_and_refused(tmp_path: Path) -> None:
    file = tmp_path / "paste.txt"
    file.write_bytes(b"Bonjour \x1b[31mle monde\xff\n" * 3)
    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", "read", str(file)], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert b"Bonjour" in done.stdout
    assert b"\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", LONG)
def test_what_is_long_takes_no_longer_than_it_is(kind: str) -> None:
    began = time.process_time()
    read(LONG[kind], CATALOGUE)
    assert time.process_time() - began < 4
