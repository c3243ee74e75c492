"""``wsadiag CODE TARGET --evidence FILE``: verdicts from pasted outputs of Windows, and hostile pastes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troubleshoot.intake.codes import parse_code
from troubleshoot.intake.request import request_of
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.options import Options
from troubleshoot.readers import read
from troubleshoot.report import Report, from_json, to_json
from troubleshoot.run.engine import replay
from troubleshoot.run.pasted import judge_pasted, of_one_machine

FOLDER = Path(__file__).parents[1] / "data" / "pasted"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.txt"))}
LINES = sorted({line for text in TEXTS.values() for line in text.split("\n")})
KNOWN = catalogue()
CASES = [
    ("10061", "shop.example:81"),
    ("10060", "198.51.100.7:443"),
    ("11001", "nowhere.example"),
    ("10048", ":5432"),
    ("10013", ":5432"),
]
IPCONFIG = TEXTS["windows-ipconfig"].partition("\n\nC:\\")[0]


def judged(code: str, target: str, text: str) -> Report:
    aim = parse_target(target, KNOWN)
    request = request_of(parse_code(code, KNOWN), aim, Options(), KNOWN, privileged=False)
    readings, _ = of_one_machine(read(text, KNOWN))
    given: dict[str, Any] = {"started": "2026-11-29T08:00:00.000Z", "epoch_s": 1796198400.0, "code_input": code}
    return judge_pasted(request, readings, KNOWN, **given, language="en")


def wsadiag(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "troubleshoot", *words]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("code", "target", "text", "cause"),
    [
        ("11001", "nowhere.example", IPCONFIG + "\n" + TEXTS["windows-nslookup"], "name-does-not-exist"),
        ("10013", ":49750", TEXTS["windows-netsh-ports"].partition("\n\nC:\\")[0], "port-not-permitted"),
        ("10048", "127.0.0.1:5432", TEXTS["windows-netstat"].partition("\n\nC:\\")[0], "port-in-use"),
    ],
)
def test_what_windows_says_is_judged(code: str, target: str, text: str, cause: str) -> None:
    report = judged(code, target, text)
    assert report.verdict.cause == cause
    assert report.verdict.confidence != "certain"
    assert report.vantage.platform == "windows"
    assert {record["vantage"] for record in report.probes} == {"pasted, Windows"}


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_command_says_whose_eyes_these_are(tmp_path: Path, language: str) -> None:
    file = tmp_path / "session.txt"
    file.write_text(IPCONFIG + "\n" + TEXTS["windows-nslookup"], encoding="utf-16")
    done = wsadiag("11001", "nowhere.example", "--evidence", str(file), "--json", "--lang", language)
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, b"")
    assert report["vantage"]["hostname"] == "PC-KIM"
    assert report["packets"] == 0


def test_a_report_from_a_paste_is_judged_the_same_again() -> None:
    report = judged("11001", "nowhere.example", IPCONFIG + "\n" + TEXTS["windows-nslookup"])
    again = replay(from_json(to_json(report).encode()), "en")
    assert again.verdict == report.verdict


def test_of_two_machines_one_is_judged(tmp_path: Path) -> None:
    file = tmp_path / "session.txt"
    file.write_text(TEXTS["windows-ping"] + "\n" + TEXTS["linux-ip-route"], encoding="utf-8")
    done = wsadiag("10060", "198.51.100.7:443", "--evidence", str(file), "-q")
    assert b"another system" in done.stderr
    report = judged("10060", "198.51.100.7:443", file.read_text(encoding="utf-8"))
    assert done.returncode == {"healthy": 0, "fault": 1, "inconclusive": 3}[report.verdict.outcome]
    assert {record["vantage"] for record in report.probes} == {"pasted, Windows"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pid", "1"), b"--pid"),
        (("--as", "root"), b"--as"),
        ((), b"no output that is read"),
        (("--lang", "ko"), "출력".encode()),
    ],
)
def test_what_cannot_be_judged_is_refused(words: tuple[str, ...], said: bytes) -> None:
    done = wsadiag("10060", "198.51.100.7:443", "--evidence", "-", *words, stdin=b"nothing of interest\n")
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(("code", "target"), CASES)
@pytest.mark.parametrize("system", ["windows", "linux", "macos"])
def test_all_samples_of_a_system_together_are_judged(system: str, code: str, target: str) -> None:
    report = judged(code, target, "\n".join(text for name, text in TEXTS.items() if name.startswith(system)))
    assert "observed" in {record["status"] for record in report.probes}
    assert report.verdict.confidence != "certain"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CASES), st.lists(st.sampled_from(LINES), max_size=60), st.sampled_from(sorted(TEXTS.values())))
def test_no_paste_breaks_the_judge(case: tuple[str, str], lines: list[str], text: str) -> None:
    report = judged(*case, "\n".join((*lines, text)))
    assert report.verdict.confidence != "certain"
    assert replay(from_json(to_json(report).encode()), "en").verdict == report.verdict
