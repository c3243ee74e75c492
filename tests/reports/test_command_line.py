"""The command line as a user meets it: a process, its two streams and its exit status. No packet leaves here."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.reports import made
from troubleshoot.cli import plain
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.render.layout import cells
from troubleshoot.report import to_json

ROOT = Path(__file__).parents[2]
PLAIN = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "HOME": "/nonexistent"}


def wsadiag(*words: str | bytes, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", *words],
        input=stdin,
        capture_output=True,
        env={**PLAIN, **environment},
        cwd="/",
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(
        words, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "CODE and TARGET are missing"),
        (["10061"], "TARGET is missing"),
        (["10061", ""], "TARGET is empty"),
        (["banana", "host:1"], "CODE banana is unknown"),
        (["ECONREFUSED", "host:1"], "ECONNREFUSED"),
        (["111", "host:1"], "Linux: ECONNREFUSED"),
        (["-2", "host:1"], "CODE -2 differs"),
        (["-2147014835", "ho st:1"], "TARGET ho st:1 holds a space"),
        (["10061", "host:99999"], "99999 is out of range"),
        (["10061", "10.0.0.256"], "10.0.0.256 is no IPv4 address"),
        (["10061", "host:ftpp"], "knows a service ftpp"),
        (["10061", "host:ftpp"], "near it: ftp"),
        (["10061", "host:21", "more"], "more"),
        (["10061", "host:21", "--timeout", "0"], "--timeout 0"),
        (["10061", "host:21", "--timeout", "-5"], "--timeout -5"),
        (["10061", "host:21", "--timeout", "nan"], "--timeout nan"),
        (["10061", "host:21", "--timeout=1e99"], "--timeout 1e99"),
        (["10061", "host:21", "--timeout"], "--timeout"),
        (["10061", "host:21", "--pid", "-1"], "--pid -1"),
        (["10061", "host:21", "--pid", "x"], "--pid x"),
        (["10061", "host:21", "--router", "gateway"], "--router gateway is no address"),
        (["10061", "host:21", "--local-host", "10.0.0.300"], "--local-host 10.0.0.300"),
        (["10061", "host:21", "--remote-neighbour", "x"], "--remote-neighbour x"),
        (["10061", "host:21", "-4", "-6"], "-4 and -6"),
        (["10061", "host:21", "-q", "-v"], "--quiet and --verbose"),
        (["10061", "host:21", "--lang", "fr"], "--lang fr is unknown"),
        (["10061", "host:21", "--errno", "bsd"], "--errno bsd is unknown"),
        (["10061", "host:21", "--jsn"], "--jsn"),
        (["explain"], "CODE"),
        (["explain", "nonsense"], "CODE nonsense is unknown"),
        (["explain", "--lang", "fr", "10061"], "--lang fr is unknown"),
        (["probe", "conect", "host:1"], "NAME conect is no probe; the nearest are connect"),
        (["reproduce"], "CODE"),
        (["reproduce", "nonsense"], "CODE nonsense is unknown"),
        (["reproduce", "10105"], "CODE WSAEINVALIDPROVIDER has no claim"),
        (["replay", "/no/such/file"], "cannot read /no/such/file: No such file"),
        (["replay", "/"], "cannot read /: Is a directory"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(words: list[str], said: str) -> None:
    done = wsadiag(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.startswith("wsadiag: ")
    assert done.stderr.count("\n") == 1


def test_a_complaint_is_in_the_language_asked_for() -> None:
    assert "범위를 벗어났습니다" in wsadiag("--lang", "ko", "10061", "host:99999").stderr
    assert "범위를 벗어났습니다" in wsadiag("10061", "host:99999", LANG="ko_KR.UTF-8", LC_ALL="").stderr


def test_a_hostile_word_is_shown_and_not_obeyed() -> None:
    done = wsadiag("10061", "\x1b[2Jhost:1")
    assert done.returncode == 2
    assert "\\x1b[2Jhost:1" in done.stderr
    assert "\x1b" not in done.stderr
    for words in (
        ["10061", b"h\xffst:1"],
        ["\x1b[2J", "host:1"],
        ["10061", "h:1", "--\x1b[2J"],
        ["replay", "/\x1b[2J"],
    ):
        done = wsadiag(*words)
        assert done.returncode == 2
        assert "\x1b" not in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_version() -> None:
    for words in (["--version"], ["--version", "--lang", "en"]):
        done = wsadiag(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("wsadiag ")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["10061", "--help"], ["--json", "--help"]])
def test_help_teaches(words: list[str]) -> None:
    done = wsadiag(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "wsadiag 10061 example.com:21" in done.stdout
    for option in ("--json", "--timeout", "-4", "-6", "--pid", "--router", "--errno", "--verbose", "--quiet", "--lang"):
        assert option in done.stdout
    for command in ("explain", "codes", "probe", "replay", "reproduce"):
        assert f"\n  {command} " in done.stdout
    assert "Exit status: 0 healthy" in done.stdout
    assert max(map(cells, done.stdout.splitlines())) <= 80
    assert max(map(cells, wsadiag("--lang", "ko", *words).stdout.splitlines())) <= 80
    assert "\n  diagnose" not in done.stdout  # the default has no line of its own


@pytest.mark.parametrize("command", ["explain", "codes", "probe", "replay", "reproduce"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_option_of_every_command_is_explained(command: str, language: str) -> None:
    shown = wsadiag(command, "--help", "--lang", language).stdout
    lines = shown.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  -"):
            assert len(line.split("  ")) >= 3 or lines[number + 1].startswith(" " * 10), line
    assert "<" not in shown


def test_explain_is_a_page() -> None:
    shown = wsadiag("explain", "10061").stdout
    assert "ECONNREFUSED (Linux 111, macOS 61, Windows 107)" in shown
    assert "0x0000274D" in shown
    assert "0x8007274D = -2147014835" in shown
    assert "Added by wsadiag" in shown
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_both_ways_to_explain_say_the_same() -> None:
    quick, slow = wsadiag("explain", "-2147014835"), wsadiag("explain", "--", "-2147014835")
    assert plain.read(["explain", "-2147014835"]) is not None
    assert plain.read(["explain", "--", "-2147014835"]) is None
    assert quick.stdout == slow.stdout
    assert quick.stdout.startswith("10061 WSAECONNREFUSED: Connection refused\n")


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("name", ["WSAECONNRESET", "WSANO_ADDRESS", "WSA_QOS_SENDERS", "WSAEINTR"])
def test_explain_json_is_the_contract(name: str, language: str) -> None:
    done = wsadiag("explain", name, "--json", "--lang", language)
    assert done.returncode == 0
    document = json.loads(done.stdout)
    keys = (
        "schema number name posix hex hresult title meaning berkeley tcpip functions also_raised_by see_also kind "
        "checklist developer_hints"
    )
    assert list(document)[:16] == keys.split()
    assert document["schema"] == "wsadiag/code/1"
    assert document["name"] == name
    catalogue = Catalogue()
    assert document["title"] == catalogue.code(name).title.in_("ko" if language == "ko" else "en")
    assert [line["id"] for line in document["checklist"]] == [step.id for step in catalogue.checklist(name)]
    for line in document["checklist"]:
        assert {"id", "title", "from"} <= line.keys()
        assert line["from"] != name
        assert not (line["from"] and line.get("added"))


def test_an_inherited_step_says_whose_it_is() -> None:
    document = json.loads(wsadiag("explain", "10054", "--json").stdout)
    origins = {line["from"] for line in document["checklist"] if not line.get("added")}
    assert origins == {None, "WSAECONNABORTED"}


def test_codes_are_listed_and_narrowed() -> None:
    everything = json.loads(wsadiag("codes", "--json").stdout)
    assert everything["schema"] == "wsadiag/codes/1"
    assert len(everything["codes"]) == len(Catalogue().numbers)
    assert everything["codes"][0].keys() == {"number", "name", "posix", "title", "kind"}
    assert "WSAECONNREFUSED" in wsadiag("codes", "refused").stdout
    assert "WSAECONNREFUSED" in wsadiag("codes", "거부").stdout
    assert wsadiag("codes", "econnrefused", "10061").stdout.count("\n") == 1
    nothing = wsadiag("codes", "nothing-like-it")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "nothing-like-it" in nothing.stderr


def test_probes_are_listed() -> None:
    shown = wsadiag("probe").stdout
    assert "\ntraceroute " in shown
    names = {row["name"] for row in json.loads(wsadiag("probe", "--json").stdout)["probes"]}
    assert {"connect", "resolve", "ping"} <= names


def test_a_probe_is_run_by_itself() -> None:
    done = wsadiag("probe", "hosts-file", "localhost")
    assert done.returncode == 0
    assert done.stdout.startswith("hosts-file localhost: observed (")
    document = json.loads(wsadiag("probe", "hosts-file", "localhost", "--json").stdout)
    assert document["schema"] == "wsadiag/observation/1"
    assert document["status"] == "observed"


def complete(words: str, index: int) -> list[str]:
    done = wsadiag(_WSADIAG_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(index))
    return done.stdout.split()


def test_the_shell_completes_codes_commands_options_and_probes() -> None:
    assert "WSAECONNREFUSED" in complete("wsadiag WSAECONN", 1)
    assert "econnrefused" in complete("wsadiag econn", 1)
    assert complete("wsadiag 1006", 1)[:2] == ["10060", "10061"]
    assert complete("wsadiag expl", 1) == ["explain"]
    assert "--remote-neighbour" in complete("wsadiag --re", 1)
    assert "--json" in complete("wsadiag 10061 host:21 --j", 3)
    assert "WSAECONNRESET" in complete("wsadiag explain WSAECONNR", 2)
    assert complete("wsadiag probe trace", 2) == ["traceroute"]
    assert complete("wsadiag --errno ma", 2) == ["macos"]


def test_completion_can_be_shown() -> None:
    shown = wsadiag("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1").stdout
    assert "_WSADIAG_COMPLETE=complete_bash" in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not a report"),
        (b'{"schema": "wsadiag/report/1"}', "not a report"),
        (b"[" * 100_000, "report"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_bytes(content)
    for done in (wsadiag("replay", str(file)), wsadiag("replay", "-", stdin=content)):
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_report_of_another_schema_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(to_json(made.fault()).replace("wsadiag/report/1", "wsadiag/report/9"), encoding="utf-8")
    done = wsadiag("replay", str(file))
    assert done.returncode == 2
    assert "wsadiag/report/9" in done.stderr


def test_a_closed_pipe_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "troubleshoot", "codes"],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=PLAIN,
            cwd="/",
            timeout=60,
            check=False,
        )
    assert done.stderr == b""
    assert done.returncode == 141


@pytest.mark.parametrize(
    "words", [["codes"], ["--version"], ["explain", "10061"], ["10048", ":1", "--json"], ["--help"]]
)
def test_a_full_disk_is_no_bug_of_ours(words: list[str]) -> None:
    for unbuffered in ("", "1"):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "troubleshoot", *words],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=PLAIN | {"PYTHONUNBUFFERED": unbuffered},
                cwd="/",
                timeout=60,
                check=False,
            )
        assert done.stderr == "wsadiag: the result cannot be written to standard output (No space left on device)\n"
        assert done.returncode == 74


def test_an_encoding_without_hangul_gets_english() -> None:
    done = wsadiag("explain", "10061", "--lang", "ko", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0
    assert done.stdout.startswith("10061 WSAECONNREFUSED: Connection refused")
    assert wsadiag("--lang", "ko", "--help", PYTHONIOENCODING="ascii").returncode == 0


def on_a_terminal(*words: str, **environment: str) -> str:
    """Run on a terminal of our own and return all that was written to it."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "troubleshoot", *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**PLAIN, "TERM": "xterm", **environment},
        cwd="/",
    ) as running:
        os.close(theirs)
        written = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                break
            if not data:
                break
            written += data
        running.wait(60)
    os.close(ours)
    return written.decode("utf-8", "replace")


def test_colour_is_for_terminals_that_want_it() -> None:
    assert "\x1b[1m" in on_a_terminal("explain", "10061")
    assert "\x1b" not in on_a_terminal("explain", "10061", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal("explain", "10061", TERM="dumb")
    assert "\x1b" not in wsadiag("explain", "10061").stdout


def test_a_bug_of_ours_says_so(tmp_path: Path) -> None:
    (tmp_path / "troubleshoot").mkdir()
    broken = """import sys; sys.path.insert(0, sys.argv.pop(1))
import troubleshoot.intake.codes as codes; codes.parse_code = 1"""
    command = [sys.executable, "-c", f"{broken}\nfrom troubleshoot.cli.entry import main; sys.exit(main())", str(ROOT)]
    done = subprocess.run(
        [*command, "explain", "10061"], capture_output=True, env=PLAIN, cwd="/", timeout=60, check=False
    )
    assert done.returncode == 70
    assert b"this is a bug in wsadiag: TypeError" in done.stderr
    assert done.stderr.count(b"\n") == 1
    shown = subprocess.run(
        [*command, "explain", "10061"],
        capture_output=True,
        env={**PLAIN, "WSADIAG_TRACEBACK": "1"},
        cwd="/",
        timeout=60,
        check=False,
    )
    assert b"Traceback" in shown.stderr


def test_a_diagnosis_of_this_machine_in_every_form(tmp_path: Path) -> None:
    """One refused port of the loopback, looked at through each output; the words of the verdict are others' matter."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else can take it
        target = f"127.0.0.1:{held.getsockname()[1]}"
        plain = wsadiag("10061", target)
        as_json = wsadiag("--json", "10061", target, "--timeout", "5")
        quiet = wsadiag("10061", "-q", target)
        verbose = wsadiag("10061", target, "-v")
        korean = wsadiag("--lang=ko", "10061", target)
        hresult = wsadiag("--json", "-2147014835", target)
        seen = on_a_terminal("10061", target)
    report = json.loads(as_json.stdout)
    assert report["schema"] == "wsadiag/report/1"
    assert json.loads(hresult.stdout)["error"] == {**report["error"], "input": "-2147014835"}
    status = {"healthy": 0, "fault": 1, "inconclusive": 3}[report["verdict"]["outcome"]]
    for done in (plain, as_json, quiet, verbose, korean, hresult):
        assert done.returncode == status
        assert done.stderr == ""
        assert "\x1b" not in done.stdout
        assert "<ui." not in done.stdout
    assert plain.stdout.startswith(f"10061 WSAECONNREFUSED, {target}\nFAULT (")
    assert quiet.stdout.count("\n") == 1
    assert len(verbose.stdout.splitlines()) > len(plain.stdout.splitlines())
    assert korean.stdout.startswith(f"10061 WSAECONNREFUSED, {target}\n장애 (")
    assert "\x1b[?25l" in seen  # a live view ran,
    assert "  2. " in "".join(seen.rstrip().splitlines()[-4:])  # and the screen ends with what to do
    file = tmp_path / "r.json"
    file.write_text(as_json.stdout, encoding="utf-8")
    again = wsadiag("replay", str(file), "--json")
    assert again.returncode == status
    assert json.loads(again.stdout)["verdict"] == report["verdict"]
    korean = wsadiag("replay", "-", "--lang", "ko", stdin=as_json.stdout.encode())
    assert "\n장애 (" in korean.stdout


@pytest.mark.lab
def test_ctrl_c_still_reports() -> None:
    """Interrupted after the first moments, towards an address that stays silent in a namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a network namespace")
    name = f"cli-{os.getpid()}"
    rules = "add table inet t; add chain inet t o { type filter hook input priority 0; }; "
    rules += "add rule inet t o tcp dport 4444 drop"
    try:
        subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespace: {error}")
    try:
        inside = ["ip", "netns", "exec", name]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        subprocess.run([*inside, "nft", rules], check=True)
        words = ["--json", "10060", "127.0.0.1:4444", "--timeout", "60"]
        command = [*inside, sys.executable, "-m", "troubleshoot", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=PLAIN, cwd="/") as running:
            attempt = [*inside, "ss", "-Htn", "state", "syn-sent", "dport", "=", ":4444"]
            for _ in range(300):
                if subprocess.run(attempt, capture_output=True, check=True).stdout:
                    break
                time.sleep(0.1)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=30)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
    assert err == b""
    report = json.loads(out)
    assert report["interrupted"] is True
    assert running.returncode == 130


def test_reproduce_shows_the_calls_and_what_each_returned() -> None:
    done = wsadiag("reproduce", "10057")
    assert done.returncode == 0
    assert "= -1 ENOTCONN" in done.stdout
    assert "the equivalent of WSAENOTCONN" in done.stdout
    assert done.stderr == ""
    assert wsadiag("reproduce", "ENOTCONN", "--lang", "ko").stdout.count("(WSAENOTCONN에 해당)") >= 1


def test_reproduce_as_json() -> None:
    done = wsadiag("reproduce", "WSAENOTSOCK", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert (document["schema"], document["number"], document["impossible"]) == (
        "wsadiag/reproduction/1",
        10038,
        None,
    )
    assert [one["observed"] for one in document["reproductions"]] == ["ENOTSOCK", "ENOTSOCK", "EBADF"]
    assert all(one["matches"] and one["calls"] for one in document["reproductions"])


def test_reproduce_says_what_cannot_happen() -> None:
    done = wsadiag("reproduce", "10093")
    assert done.returncode == 3
    assert done.stdout.startswith("WSANOTINITIALISED cannot be made to happen here.")
    document = json.loads(wsadiag("reproduce", "10093", "--json").stdout)
    assert document["reproductions"] == []
    assert "WSAStartup" in document["impossible"]


def test_explain_says_which_claims_can_be_reproduced() -> None:
    text = wsadiag("explain", "10057").stdout
    assert "Shown by running it" in text
    assert "wsadiag reproduce 10057" in text
    assert "ENOTCONN" in text
    document = json.loads(wsadiag("explain", "10057", "--json").stdout)
    assert document["not_reproducible"] is None
    assert {claim["errno"] for claim in document["reproducible"]} >= {"ENOTCONN"}
    assert "cannot be made to happen here" in wsadiag("explain", "10093").stdout
