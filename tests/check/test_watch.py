"""``wsadiag watch``: faults that come and go, each change with its report."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from troubleshoot.check.watch import Log
from troubleshoot.report import from_json

PROGRAM = str(Path(sys.executable).with_name("wsadiag"))
REPORTS = sorted((Path(__file__).parents[1] / "data/reports").glob("*.json"))


@pytest.fixture
def port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def lines_of(running: subprocess.Popen[str], count: int) -> list[str]:
    assert running.stdout is not None
    return [running.stdout.readline() for _ in range(count)]


def test_a_fault_that_goes_ends_the_watch(port: int, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    words = [PROGRAM, "watch", "10061", f"127.0.0.1:{port}", "--interval", "1", "--until", "healthy", "--log", str(log)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert "FAULT (certain)" in lines_of(running, 1)[0]
            serving = subprocess.Popen(
                [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            healthy, sums = lines_of(running, 2)
        finally:
            running.terminate()
            serving.kill()
            serving.wait()
    assert "HEALTHY" in healthy
    assert "1 healthy" in sums
    assert "1 changes" in sums
    assert running.returncode == 0
    kept = [from_json(line) for line in log.read_text().splitlines()]
    assert [report.verdict.outcome for report in kept] == ["fault", "healthy"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_with_the_sums(number: signal.Signals) -> None:
    words = [PROGRAM, "watch", "10061", "127.0.0.1:1", "--interval", "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert "FAULT" in lines_of(running, 1)[0]
        running.send_signal(number)
        rest, errors = running.communicate(timeout=60)
    assert errors == ""
    assert rest.splitlines()[-1].endswith("0 changes")
    assert running.returncode == 1


def test_the_log_is_bounded(tmp_path: Path) -> None:
    report = from_json(REPORTS[0].read_bytes())
    log = Log(str(tmp_path / "log"), most=300_000)
    for _ in range(60):
        log.write(report)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log", "log.1"]
    for file in files:
        assert file.stat().st_size <= 300_000
        assert all(json.loads(line)["schema"] == report.schema for line in file.read_text().splitlines())


@pytest.mark.parametrize(
    "words",
    [["--interval", "0"], ["--interval", "x"], ["--until", "never"], ["--log", "/nonexistent/log"]],
)
def test_bad_usage_is_one_line_and_2(words: list[str]) -> None:
    ended = subprocess.run(
        [PROGRAM, "watch", "10061", "127.0.0.1:1", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="network namespaces need root")
def test_it_survives_that_its_machine_loses_the_network() -> None:
    script = f"""
        ip link set lo up
        {PROGRAM} watch 10061 127.0.0.1:1 --interval 1 --timeout 4 &
        sleep 8; ip link set lo down; sleep 10; ip link set lo up; sleep 8; kill $!; wait $!
    """
    ended = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, timeout=110, check=False
    )
    told = [line.split("  ", 1)[1] for line in ended.stdout.splitlines()[:-1]]
    assert told[0].startswith("FAULT (certain): Nothing listens")
    assert any("Nothing listens" not in line for line in told)
    assert told[-1].startswith("FAULT (certain): Nothing listens")
