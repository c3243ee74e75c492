"""Some of the calls to the system fail once, for each command; ``failing_calls.py`` lets every one of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("failing_calls.py")
#: Command → only each so-many-th call fails, so that all together take less than a minute.
SAMPLED = {
    "explain": 2, "codes": 2, "replay": 2, "probe": 3, "refused": 17, "no-route": 11, "no-name": 11, "port": 37,
    "files": 37, "doctor": 41, "reproduce": 13, "screen": 29,
    "parse": 3, "check": 61, "run": 41, "watch": 29, "page": 4,
}  # fmt: skip


@pytest.mark.lab
@pytest.mark.parametrize("command", SAMPLED)
def test_a_failing_call_has_a_documented_end(command: str) -> None:
    done = subprocess.run(
        [sys.executable, DRIVER, "--every", str(SAMPLED[command]), command],
        capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    if "no network namespace can be had" in done.stderr:
        pytest.skip("no network namespace can be had")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = re.search(r"^(\d+) runs, 0 went wrong$", done.stdout, re.MULTILINE)
    assert runs is not None
    assert int(runs[1]) >= 3
