"""``wsadiag reproduce`` on a machine that is short of everything, and killed: it ends, and leaves nothing.

Each shortage is a real one: limits of the kernel, folders covered or removed in a mount namespace of our own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from troubleshoot.reproduce.claims import codes

ROOT = Path(__file__).resolve().parents[2]
RUN = (sys.executable, "-m", "troubleshoot")
#: The statuses that a reproduction may end with: all as claimed, or not to be carried out here.
ENDED = {0, 3}


def run(*words: str, before: str = "", wait_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run ``wsadiag words`` after the shell's ``before``."""
    return subprocess.run(
        ["bash", "-c", f'{before}\nexec "$@"', "bash", *RUN, *words],
        capture_output=True, text=True, timeout=wait_s, check=False, cwd=ROOT, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip


def left() -> set[str]:
    """Return what stands in the places where a run could leave something."""
    return {str(one) for folder in {"/", tempfile.gettempdir()} for one in Path(folder).glob("*")}


def mine(leftovers: set[str]) -> set[str]:
    return {one for one in leftovers if "wsadiag" in one or Path(one).parent == Path("/")}


@pytest.mark.parametrize("most", [10, 12, 16, 24])
def test_few_descriptors_end_it_and_do_not_hang_it(most: int) -> None:
    done = run("reproduce", "10057", before=f"ulimit -n {most}")
    assert done.returncode in ENDED, done.stderr
    assert done.stderr == ""
    if done.returncode == 3:
        assert "no child process can be started here (Too many open files)" in " ".join(done.stdout.split())


def need_mount_namespace() -> str:
    """Return the command that runs a shell in a mount namespace of its own, where one is to be had."""
    for command in ("unshare --mount", "unshare --user --map-root-user --mount"):
        if shutil.which("unshare") and not subprocess.run([*command.split(), "true"], check=False).returncode:
            return command
    pytest.skip("no mount namespace can be had here")


@pytest.mark.lab
@pytest.mark.parametrize(
    ("missing", "change"),
    [
        ("no temporary folder", "mount -t tmpfs -o ro none /tmp; mount -t tmpfs -o ro none /var/tmp; cd /"),
        ("no /dev/null", "mount -t tmpfs none /dev"),
        ("no /proc", "mount -t tmpfs none /proc"),
    ],
)
def test_what_a_small_root_lacks_is_no_bug(missing: str, change: str) -> None:
    shell = need_mount_namespace()
    command = [*shell.split(), "bash", "-c", f'{change}\nexec "$@"', "bash", *RUN, "reproduce", "10057"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode in ENDED, (missing, done.stderr)
    assert done.stderr == ""
    assert "on Linux and Windows only" not in done.stdout


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("after_s", [0.3, 0.7, 1.2])
def test_a_killed_run_leaves_neither_child_nor_folder(end: signal.Signals, after_s: float) -> None:
    before = left()
    with subprocess.Popen(
        [*RUN, "reproduce", "10052"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as parent:  # its keep-alives take two seconds
        time.sleep(after_s)
        parent.send_signal(end)
        assert parent.wait(20) in {-end, 130}
    ends = time.monotonic() + 3
    while (orphans := children_of_a_run()) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not orphans
    assert not mine(left() - before)


def children_of_a_run() -> list[int]:
    """Return the processes that carry out the reproductions of ``10052``, whoever started them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"WSAENETRESET" in words:
            found.append(int(folder.name))
    return found


def test_no_reproduction_leaves_a_file() -> None:
    before = left()
    for code in codes():
        words = [sys.executable, "-m", "troubleshoot", "reproduce", code, "--json"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
        assert done.returncode in (0, 3), code
    assert not mine(left() - before)
