"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = """
import socket, urllib.request
import pytest

def test_fixture(reachable): reachable("127.0.0.1:1")
def test_met(reachable): reachable("127.0.0.1:1", expect="refused")
def test_bare(): socket.create_connection(("127.0.0.1", 1))
def test_url(): urllib.request.urlopen("http://127.0.0.1:1/")
def test_other(): assert "Connection refused" == "127.0.0.1:1"
"""
_INSTALLED = {point.name for point in importlib.metadata.entry_points(group="pytest11")}


def ran(folder: Path, *words: str) -> str:
    (folder / "test_it.py").write_text(_TESTS)
    known = [] if "wsadiag" in _INSTALLED else ["-p", "troubleshoot.testing"]
    command = [sys.executable, "-m", "pytest", *known, "-p", "no:cacheprovider", "-p", "no:xdist", "-rN", *words]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110, check=False)
    return ended.stdout + ended.stderr


def sections(said: str) -> dict[str, str]:
    """Return the report of each failure by its test."""
    parts = said.partition("= FAILURES =")[2].split("\n___")[1:]
    return {part.strip("_ ").split()[0]: part for part in parts}


@pytest.mark.parametrize("tests", ["test_fixture", "test_met"])
def test_the_fixture_tells_why(tmp_path: Path, tests: str) -> None:
    said = ran(tmp_path, f"test_it.py::{tests}")
    if tests == "test_met":
        assert "1 passed" in said
    else:
        assert "127.0.0.1:1 is not open: the connection is refused" in said
        assert "FAULT (certain): Nothing listens on that port" in said


def test_failures_are_diagnosed_where_that_is_asked_for(tmp_path: Path) -> None:
    found = sections(ran(tmp_path, "--wsadiag"))
    assert {name for name, text in found.items() if "Nothing listens on that port" in text} == {
        "test_fixture", "test_bare", "test_url",
    }  # fmt: skip
    assert all(text.count("Nothing listens on that port") == 1 for name, text in found.items() if name != "test_other")
    assert "wsadiag" not in found["test_other"]


def test_a_run_that_does_not_use_it_loads_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    print(sorted(m for m in sys.modules if m.split('.')[0] in ('troubleshoot', 'probes', 'msgspec')))\n"
    )
    said = ran(tmp_path, "-s", "test_it.py::test_bare")
    assert "['troubleshoot', 'troubleshoot.testing']" in said
    assert "Nothing listens" not in said
