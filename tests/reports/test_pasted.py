"""Texts, and words in any order, given to the program itself: what it makes of them, and what it asks."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reports.test_command_line import PLAIN, wsadiag

TWO = "first: connection refused\nthen: no route to host"


@pytest.fixture
def closed() -> str:
    """A port of this machine on which nothing listens, and nobody else will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"  # type: ignore[misc]


def test_a_text_alone_is_diagnosed(closed: str) -> None:
    done = wsadiag(f"Error: connect ECONNREFUSED {closed}", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["error"]["name"] == "WSAECONNREFUSED"
    assert report["target"]["input"] == closed
    assert "from the text" in done.stderr


def test_a_target_of_ones_own_comes_before_that_of_the_text(closed: str) -> None:
    report = json.loads(wsadiag("connect ECONNREFUSED 192.0.2.1:80", closed, "--json").stdout)
    assert report["target"]["input"] == closed


@pytest.mark.parametrize(
    "order", ["{0} 10061", "{1} {2} 10061", "10061 {1} {2}", "10061 {1} port {2}", "{1} 10061 {2}"]
)
def test_words_are_put_in_order_with_a_remark(closed: str, order: str) -> None:
    host, _, port = closed.partition(":")
    done = wsadiag(*order.format(closed, host, port).split(), "--json")
    report = json.loads(done.stdout)
    assert (report["target"]["host"], report["target"]["port"]) == (host, int(port))
    assert report["error"]["number"] == 10061
    assert f"wsadiag 10061 {closed}" in done.stderr


def test_a_target_may_be_a_line_of_the_message(closed: str) -> None:
    host, _, port = closed.partition(":")
    report = json.loads(wsadiag("10061", f"connect to host {host} port {port}: no luck", "--json").stdout)
    assert (report["target"]["host"], report["target"]["port"]) == (host, int(port))


def test_an_unquoted_text_is_read_as_one(closed: str) -> None:
    report = json.loads(wsadiag(*f"connect ECONNREFUSED {closed}".split(), "--json").stdout)
    assert (report["error"]["number"], report["target"]["input"]) == (10061, closed)


def test_the_screen_says_what_was_read_from_the_text(closed: str) -> None:
    done = wsadiag(f"dial tcp {closed}: connect: connection refused password=geheim")
    assert "connection refused" in done.stdout
    assert "from the text" in " ".join(done.stdout.split())
    assert "geheim" not in done.stdout + done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["WinError 10061"], "TARGET is missing: the text says WSAECONNREFUSED"),
        (["Unable to connect to the remote server", "host:1"], "10060 WSAETIMEDOUT"),
        ([TWO, "host:1"], "then: no route to host"),
        (["explain", TWO], "10065 WSAEHOSTUNREACH"),
        (["reproduce", TWO], "10065 WSAEHOSTUNREACH"),
        (["nothing of the kind", "host:1"], "no error that is known here"),
        (["10061", "unix:/run/x.sock"], "is on this machine"),
        (["connect() to unix:/run/x.sock failed (111: Connection refused)"], "is on this machine"),
        (["parse", "/no/such/file"], "cannot read /no/such/file"),
        (["parse", "/"], "cannot read /"),
    ],
)
def test_what_is_not_clear_is_one_line_and_status_2(words: list[str], said: str) -> None:
    done = wsadiag(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_a_command_explains_what_a_text_means() -> None:
    done = wsadiag("explain", "[Errno 111] Connection refused")
    assert done.stdout.startswith("10061 WSAECONNREFUSED")


# -- parse ----------------------------------------------------------------------------------------------------------


def test_parse_reads_a_file_and_standard_input(tmp_path: Path) -> None:
    text = "dial tcp [2001:db8::1]:443: connect: network is unreachable"
    (tmp_path / "log.txt").write_text(text, encoding="utf-8")
    for done in (
        wsadiag("parse", str(tmp_path / "log.txt")),
        wsadiag("parse", stdin=text.encode()),
        wsadiag("parse", "-", stdin=text.encode("utf-16")),
        wsadiag("parse", text),
    ):
        assert done.returncode == 0
        assert "10051 WSAENETUNREACH" in done.stdout
        assert "[2001:db8::1]:443" in done.stdout


def test_parse_gives_a_document() -> None:
    done = wsadiag("parse", "--json", stdin=b"Failed:\n\n[WinError 10061] refused, connecting to a.example:21")
    document = json.loads(done.stdout)
    assert document["schema"] == "wsadiag/parse/1"
    assert document["code"]["number"] == 10061
    assert document["target"] == "a.example:21"
    assert document["caller_system"] == "windows"
    (one,) = document["candidates"]
    assert one["text"].startswith("[WinError 10061]")
    told = one["number"], one["target"], one["also_target"], one["line"], one["system"]
    assert told == (10061, "a.example:21", [], 3, "windows")


def test_parse_lists_several_and_says_that_it_is_not_clear() -> None:
    done = wsadiag("parse", stdin=TWO.encode())
    assert done.returncode == 2
    assert "10061" in done.stdout
    assert "10065" in done.stdout
    assert done.stderr.count("\n") == 1
    listed = wsadiag("parse", "--json", stdin=TWO.encode())
    assert (listed.returncode, listed.stderr) == (0, "")  # whoever reads it chooses
    document = json.loads(listed.stdout)
    assert document["code"] is None
    assert len(document["candidates"]) == 2


def test_parse_says_where_to_even_where_it_finds_no_code() -> None:
    done = wsadiag("parse", "--json", stdin=b"net::ERR_EMPTY_RESPONSE at http://a.example")
    assert done.returncode == 2
    assert json.loads(done.stdout)["target"] == "http://a.example"


def test_parse_shows_no_secret() -> None:
    text = b"GET https://me:geheim@a.example/x?token=geheim password=geheim: connection refused"
    done = wsadiag("parse", stdin=text)
    as_json = wsadiag("parse", "--json", stdin=text)
    assert "https://a.example/x" in done.stdout
    assert "geheim" not in done.stdout + as_json.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["timeout"], "10060"),
        (["firewall"], "10061"),
        (["actively"], "10061"),
        (["forcibly"], "10054"),
        (["dns"], "11001"),
        (["busy"], "10048"),
        (["port", "already", "in", "use"], "10048"),
        (["firewall"], "10013"),
        (["wifi"], "10050"),
        (["disconnected"], "10054"),
        (["방화벽"], "10060"),
        (["강제로", "원격"], "10054"),
        (["no", "route", "to", "host"], "10065"),
    ],
)
def test_codes_are_found_by_what_systems_and_people_say(words: list[str], number: str) -> None:
    assert number in [line.split()[0] for line in wsadiag("codes", *words).stdout.splitlines()]


def test_parse_of_nothing_is_one_line() -> None:
    done = wsadiag("parse", stdin=b" \n")
    assert done.returncode == 2
    assert "there is no text" in done.stderr


@pytest.mark.parametrize("language", ["en", "ko"])
def test_parse_speaks_both_languages(language: str) -> None:
    done = wsadiag("parse", "--lang", language, stdin=b"connection refused: a.example:21")
    assert ("Target" if language == "en" else "대상") in done.stdout


# -- the question ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "number"), [("2", "10065"), ("", "10061"), ("10060", "10060")])
def test_a_person_is_asked_once(answer: str, number: str) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "troubleshoot", "explain", TWO, "--lang", "en"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**PLAIN, "TERM": "xterm"},
        cwd="/",
    ) as running:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        assert running.stdout is not None
        shown = running.stdout.read().decode()
        running.wait(60)
    asked = os.read(ours, 65536).decode()
    os.close(ours)
    assert shown.startswith(number)
    assert "then: no route to host" in asked
    assert asked.count("Which one is it?") == 1


# -- what it costs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["explain", "10061"], ["codes", "--json"], ["--help"], ["10061", "127.0.0.1:1", "--timeout", "0.2"]]
)
def test_a_plain_code_and_target_load_nothing_for_texts(words: list[str]) -> None:
    code = (
        "import sys; sys.argv = ['wsadiag', *sys.argv[1:]]\n"
        "from troubleshoot.cli.entry import main\nmain()\n"
        "print([m for m in sys.modules if m.startswith('troubleshoot.intake.')], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=PLAIN, timeout=60, check=False
    )
    loaded = done.stderr.splitlines()[-1]
    for heavy in ("texts", "evidence", "places", "forms", "words"):
        assert f"troubleshoot.intake.{heavy}'" not in loaded
