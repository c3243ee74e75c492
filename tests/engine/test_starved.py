"""Many diagnoses in one loop that gets too little of the processor: nothing is called silent that nobody listened to.

``tests/bench/size.py`` plays it at any size: 150 to 250 diagnoses by hand, a tenth of them here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: What each kind of target may be called; nothing at all is always allowed.
MAY_BE = {
    "open": {"healthy"},
    "refused": {"no-listener"},
    "dropped": {"firewall-drop"},
    "resets": {"service-resets"},
    "dead": {"host-down"},
}


def others_can_run_it() -> bool:
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", "import msgspec"]
    return not subprocess.run(words, cwd=ROOT, capture_output=True, check=False).returncode


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="builds a network: needs root and nft")
@pytest.mark.parametrize("who", ["root", "nobody"])
def test_a_starved_loop_takes_nothing_for_silence(who: str) -> None:
    if who == "nobody" and not others_can_run_it():
        pytest.skip("another user may not read this checkout or its Python")
    size = ["--targets", "6", "--dead", "10", "--resetting", "4", "--burn", str(2 * (os.cpu_count() or 1))]
    command = [sys.executable, "tests/bench/size.py", "--only", "mixed", *size]
    command += ["--nobody"] if who == "nobody" else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    rows = re.findall(r"^  (\w+) +(\d+) (\S+) \(", done.stdout, re.MULTILINE)
    assert sum(int(count) for _, count, _ in rows) == 20, done.stdout + done.stderr
    wrong = [row for row in rows if row[2] not in MAY_BE[row[0]] | {"inconclusive"}]
    assert not wrong, done.stdout
