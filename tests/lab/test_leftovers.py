"""What a killed run leaves behind is removed by the next one, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.topology import NETNS, NETNS_ETC, PREFIX, ROOT, Lab, leftovers, unavailable

#: A run that is killed: it says which lab it made, and which processes ran in it.
KILLED = """
import os, signal
from tests.lab.plan import draw
from tests.lab.topology import Lab
lab = Lab(draw(3, 1)).__enter__()
print(lab.tag, *[child.pid for child in lab.children], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
REMOVES = "from tests.lab.plan import draw; from tests.lab.topology import Lab\nwith Lab(draw(3, 1)): pass"


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )


def holds_within(wait_s: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + wait_s
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def runs(pid: str) -> bool:
    """Whether a process is there and is no zombie that nobody has asked after."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.lab
def test_the_next_run_removes_what_a_killed_one_left() -> None:
    why = unavailable()
    if why:
        pytest.skip(why)
    foreign = f"{PREFIX}-{os.getpid()}"  # not the name of a lab's machine
    subprocess.run(["ip", "netns", "add", foreign], check=True)
    try:
        with Lab() as mine:
            killed = python(KILLED)
            assert killed.returncode == -signal.SIGKILL
            tag, *children = killed.stdout.split()
            left = [name for name in leftovers() if name.startswith(f"{tag}-")]
            # Another run of the lab on this machine may start just now and remove them first.
            assert left or not any(path.name.startswith(f"{tag}-") for path in NETNS.iterdir())

            assert python(REMOVES).returncode == 0
            assert not [path for path in NETNS.iterdir() if path.name.startswith(f"{tag}-")]
            assert not [path for path in NETNS_ETC.iterdir() if path.name.startswith(f"{tag}-")]
            assert holds_within(2.0, lambda: not any(runs(pid) for pid in children))
            assert all((NETNS / mine.ns(name)).exists() for name in mine.names)
            assert mine.run("client", "ping", "-n", "-c1", "-W2", mine.values["server"]).returncode == 0
        assert (NETNS / foreign).exists()
    finally:
        subprocess.run(["ip", "netns", "del", foreign], check=True)
