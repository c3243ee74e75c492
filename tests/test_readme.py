"""README.md says what is so: its commands, options, statuses, fields and example are held to the program."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from troubleshoot import report
from troubleshoot.cli import output

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z0-9][a-z-]*")


def blocks(kind: str) -> list[str]:
    """Return the fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def section(heading: str) -> str:
    """Return the text below one second-level heading."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def commands(block: str) -> list[str]:
    return [line for line in block.splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def help_page() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", "--help"],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": "100"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Hold a port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_two_commands_come_first_and_ci_runs_the_second() -> None:
    first, second = (commands(block) for block in blocks("sh")[:2])
    assert len(first) == len(second) == 1
    assert first[0].endswith(".venv/bin/wsadiag 10061 localhost:21")
    (ci,) = [line for line in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines() if line.startswith("exec ")]
    assert ci == f"exec {second[0]}"


def test_options_are_those_of_the_help(help_page: str) -> None:
    options = help_page.partition("Options:")[2].partition("Commands:")[0]
    heads = [line[:29] for line in options.splitlines() if line.startswith("  -")]
    table = [
        line.partition("|")[2].partition("|")[0] for line in section("Use").splitlines() if line.startswith("| `-")
    ]
    assert set(OPTION.findall(" ".join(table))) == set(OPTION.findall(" ".join(heads)))


def test_commands_are_those_of_the_help(help_page: str) -> None:
    listed = re.findall(r"^  ([a-z]+) ", help_page.partition("Commands:")[2], re.MULTILINE)
    assert re.findall(r"^wsadiag ([a-z]+)", section("Use"), re.MULTILINE) == listed


def test_exit_statuses() -> None:
    told = {int(number) for number in re.findall(r"^\| (\d+) \|", section("How to read the verdict"), re.MULTILINE)}
    assert told == {
        *report.EXIT_STATUS.values(),
        2,
        output.INTERRUPTED,
        output.CRASHED,
        output.NOT_WRITTEN,
        output.STARVED,
        output.PIPE_CLOSED,
    }


def test_every_field_of_the_report_is_named() -> None:
    named = set(re.findall(r"`([a-z_]+)(?:\[\])?`", section("JSON")))
    parts = (report.Report, report.Verdict, report.Step, report.ErrorCode, report.TargetInfo, report.Reproduction)
    fields = {field.name for part in parts for field in msgspec.structs.fields(part)} - {"schema"}
    assert fields <= named


def test_library_example_runs_and_prints_what_is_said(closed_port: int, tmp_path: Path) -> None:
    (code,) = blocks("python")
    (said,) = re.findall(r"^```python\n.*?^```\n\n^```text\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(code.replace(":21", f":{closed_port}"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == said.replace(":21", f":{closed_port}")


def test_files_that_are_named_exist() -> None:
    for name in re.findall(r"\]\(([^)#:]+)\)", TEXT) + re.findall(
        r"`((?:tests|probes|troubleshoot|catalogue)/[\w./-]*)`", TEXT
    ):
        if "NUMBER" not in name and "ID." not in name:
            assert (ROOT / name).exists(), name
