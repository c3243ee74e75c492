"""A file of checks: what it may hold, and every complaint at once with its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from troubleshoot.check.file import BadFileError, duration_s, read_file, read_lines, read_words
from troubleshoot.check.model import Check, Expectation
from troubleshoot.errors import UserError
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.knowledge.text import Refusal

CATALOGUE = catalogue()
WORDING = CATALOGUE.wording("en")
GOOD = """
[defaults]
retries = 1
timeout = "500ms"
[[check]]
target = "${HOST:-localhost}:80"
tags = ["a"]
[[check]]
hosts = ["a.example", "2001:db8::1"]
ports = [80, 443]
expect = "refused"
timeout = 2
[[check]]
target = "https://x.example/"
name = "shop"
tls = { days = 14 }
http = [200, 301]
"""


def read(text: str, **environment: str) -> list[Check]:
    return read_file(text, CATALOGUE, environment, WORDING)


def test_defaults_matrix_environment_and_expectations() -> None:
    first, *matrix, last = read(GOOD)
    assert (first.name, first.retries, first.timeout_s, first.tags) == ("localhost:80", 1, 0.5, ("a",))
    assert [check.name for check in matrix] == [
        "a.example:80", "a.example:443", "[2001:db8::1]:80", "[2001:db8::1]:443",
    ]  # fmt: skip
    assert {(check.expect.connection, check.timeout_s, check.retries) for check in matrix} == {("refused", 2.0, 1)}
    assert (last.name, last.target.port) == ("shop", 443)
    assert last.expect.tls is not None
    assert last.expect.tls.days == 14
    assert last.expect.http is not None
    assert last.expect.http.statuses == (200, 301)
    assert read(GOOD, HOST="db.example")[0].name == "db.example:80"


BAD = """\
[default]
x = 1
[defaults]
retries = -1
[[check]]
target = "10.0.0.0/24"
tiimeout = 3

[[check]]
# a comment = 1
hosts = ["a"]
expect = "closed"
tls = { day = 3 }
[[check]]
target = "${NOPE}:80"
timeout = "long"
[[check]]
target = "dns.example:53/udp"
[[check]]
target = "host.example"
"""


def test_every_complaint_comes_at_once_with_its_line() -> None:
    with pytest.raises(BadFileError) as complaint:
        read(BAD)
    found = [line.partition(": ") for line in str(complaint.value).splitlines()]
    assert [int(place) for place, _, _ in found] == [1, 4, 6, 7, 9, 12, 13, 15, 16, 18, 20]
    for line, word in ((1, "default"), (4, "retries"), (6, "10.0.0.0/24"), (7, "tiimeout"), (12, "expect"),
                       (15, "NOPE"), (16, "timeout"), (18, "UDP"), (20, "port")):  # fmt: skip
        assert word in next(text for place, _, text in found if int(place) == line)


@pytest.mark.parametrize(
    ("text", "line"),
    [("[[check]]\ntarget = ]", 2), ("", 1), ("[check]\ntarget = 'a:1'", 1), ("check = 3", 1), ("defaults = 3", 1)],
)
def test_a_file_that_is_no_file_of_checks(text: str, line: int) -> None:
    with pytest.raises(BadFileError, match=f"^{line}: "):
        read(text)


def test_lines_and_words() -> None:
    checks = read_lines(["# comment", "", "a.example:1", " b.example:ssh ", "a.example:1"], CATALOGUE)
    assert [(check.name, check.target.port) for check in checks] == [
        ("a.example:1", 1), ("b.example:ssh", 22), ("a.example:1 (2)", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["10.0.0.0/8", "2001:db8::/64", "udp://a.example:53", "a.example", "a.example:0x"])
def test_no_scanner_and_nothing_that_no_connection_can_try(word: str) -> None:
    with pytest.raises(UserError):
        read_words([word], CATALOGUE)


@pytest.mark.parametrize(
    "word",
    ["10.0.0.0/8", "10.0.0.0/24:80", "10.0.0.0/255.255.255.0:80", "[2001:db8::/64]:443", "[2001:db8::]/64:443"],
)
def test_a_network_is_told_as_one(word: str) -> None:
    with pytest.raises(Refusal) as told:
        read_words([word], CATALOGUE)
    assert told.value.key == "usage.check-network"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2", 2.0), ("500ms", 0.5), ("1.5s", 1.5), ("2m", 120.0), (3, 3.0), ("x", None), ("-1", None), (True, None)],
)
def test_durations(text: str | float, seconds: float | None) -> None:
    assert duration_s(text) == seconds


def test_the_command_names_every_line_and_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(BAD)
    program = Path(sys.executable).with_name("wsadiag")
    ended = subprocess.run(
        [program, "check", "bad.toml"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    *lines, last = ended.stderr.splitlines()
    assert len(lines) == 11
    assert all(line.startswith("bad.toml:") for line in lines)
    assert last.startswith("wsadiag: bad.toml ")


def test_what_a_file_leaves_open_is_as_the_options_say() -> None:
    base = Check(
        target=parse_target("localhost:1"),
        name="",
        expect=Expectation(connection="refused"),
        timeout_s=0.7,
        retries=4,
        backoff_s=0.3,
        wait_s=9.0,
    )
    text = '[defaults]\nretries = 2\n[[check]]\ntarget = "localhost:2"\n'
    text += '[[check]]\ntarget = "localhost:3"\nwait = "1s"\nexpect = "open"\ntimeout = 3\nbackoff = 5\n'
    text += '[[check]]\ntarget = "localhost:4"\ntls = true\n'
    first, second, third = read_file(text, CATALOGUE, {}, WORDING, base)
    assert (first.expect.connection, first.timeout_s, first.retries, first.backoff_s, first.wait_s) == (
        "refused", 0.7, 2, 0.3, 9.0,
    )  # fmt: skip
    assert (second.expect.connection, second.timeout_s, second.retries, second.backoff_s, second.wait_s) == (
        "open", 3.0, 2, 5.0, 1.0,
    )  # fmt: skip
    assert third.expect.connection == "open"
