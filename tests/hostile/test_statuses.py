"""Status 1 says that a fault was found and nothing else.

Broken streams, Ctrl-C at any moment and poor machines have statuses of their own, and what is said of them is one line.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = (sys.executable, "-m", "troubleshoot")
REPORT = ROOT / "tests/data/reports/healthy-plain.nobody.json"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}


def shell(line: str, *before: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which ``$W`` is wsadiag; ``more`` goes to its environment."""
    command = [*before, "bash", "-c", line.replace("$W", " ".join(RUN)).replace("$REPORT", str(REPORT))]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**ENVIRONMENT, **more}, cwd="/"
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("line", "status"),
    [
        # standard error takes nothing
        ("$W nonsense :80 2>&-", 2),
        ("$W nonsense :80 2>/dev/full", 2),
        ("$W replay /no/such/file 2>&-", 2),
        ("$W --no-such-option 2>/dev/full", 2),
        ("$W replay $REPORT 2>&-", 0),
        ("$W codes nosuchword 2>&-", 0),
        ("$W codes nosuchword 2>/dev/full", 0),
        ("$W explain 10061 >/dev/full 2>&-", 74),
        ("$W explain 10061 >/dev/full 2>/dev/full", 74),
        ("$W explain 10061 >&- 2>&-", 74),
        # standard output takes nothing
        ("$W explain 10061 >&-", 74),
        ("$W --version >/dev/full", 74),
        ("$W explain 10061 1</dev/null", 74),
        ("$W replay $REPORT 1</dev/null", 74),
        ("$W replay $REPORT --json 1</dev/null", 74),
        ("$W codes --json >/dev/full", 74),
        ("$W --help >/dev/full", 74),
        ("set -o pipefail; $W codes --json | true", 141),
        # standard input gives nothing
        ("$W replay - <&-", 2),
        ("$W replay - >/dev/null </dev/null", 2),
        ("$W replay /", 2),
        ("$W replay /proc/self/mem", 2),
        # short of something
        ("ulimit -n 5; $W 10061 127.0.0.1:1", 71),
        ("ulimit -v 120000; $W replay $REPORT", 0),
    ],
)
def test_each_broken_stream_has_its_documented_status(line: str, status: int, unbuffered: str) -> None:
    done = shell(line, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) <= 1, done.stderr
    assert "bug in wsadiag" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("explain", "10061"), ("replay", str(REPORT)), ("codes",)])
def test_ctrl_c_at_any_moment_is_130(command: tuple[str, ...]) -> None:
    script = "import sys; from troubleshoot.cli.start import main; sys.exit(main())"  # what pip installs
    seen = set()
    for delay_ms in range(0, 150, 3):
        with subprocess.Popen(
            [sys.executable, "-c", script, *command],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT,
        ) as run:  # fmt: skip
            time.sleep(delay_ms / 1000)
            run.send_signal(signal.SIGINT)
            _, said = run.communicate(timeout=20)
        if run.returncode == 1:
            # The interpreter was still starting itself, which no program can guard.
            assert b"troubleshoot" not in said, said
            continue
        assert run.returncode in {0, 130, -signal.SIGINT}, said
        seen.add(run.returncode)
    assert 130 in seen or -signal.SIGINT in seen


def in_small_root(change: str, *words: str, ordinary: bool = False) -> subprocess.CompletedProcess[str]:
    """Run wsadiag after ``change`` was made in a mount namespace of our own."""
    for command in ("unshare --mount", "unshare --user --map-root-user --mount"):
        if shutil.which("unshare") and not subprocess.run([*command.split(), "true"], check=False).returncode:
            break
    else:
        pytest.skip("no mount namespace can be had here")
    # With the right to read the interpreter wherever it stands, a home of root included.
    rights = "--inh-caps +dac_read_search --ambient-caps +dac_read_search"
    # An id that no other process has: the kernel counts the processes of a user, wherever they were started.
    alone = 60_000 + os.getpid() % 5_000
    user = f"setpriv --reuid {alone} --regid {alone} --clear-groups {rights} " if ordinary else ""
    line = f"{change}\nexec {user}{' '.join(RUN)} {' '.join(words)}"
    return shell(line, *command.split())


@pytest.mark.lab
@pytest.mark.parametrize(
    ("change", "words", "statuses"),
    [
        ("mount -t tmpfs -o ro none /mnt; export HOME=/mnt", ("--install-completion", "bash"), {71}),
        ("mount -t tmpfs none /proc", ("reproduce", "10057"), {0, 3}),
        ("mount -t tmpfs none /proc", ("doctor", "--no-network"), {0}),
        ("mount -t tmpfs none /proc", ("10061", "127.0.0.1:1"), {0, 1, 3}),
        ("mount -t tmpfs none /proc", ("10048", ":80"), {0, 1, 3}),
        ("mount -t tmpfs none /dev", ("10061", "127.0.0.1:1"), {0, 1, 3}),
        ("mount -t tmpfs none /dev", ("doctor", "--no-network"), {0}),
        ("mount -t tmpfs -o ro none /tmp; mount -t tmpfs -o ro none /var/tmp", ("doctor", "--no-network"), {0}),
        ("mount -t tmpfs none /sys", ("10061", "127.0.0.1:1"), {0, 1, 3}),
        ("mount -t tmpfs none /etc", ("10061", "127.0.0.1:1"), {0, 1, 3}),
    ],
)
def test_what_a_machine_lacks_is_no_bug_of_ours(change: str, words: tuple[str, ...], statuses: set[int]) -> None:
    done = in_small_root(change, *words)
    assert done.returncode in statuses, done.stderr
    assert len(done.stderr.splitlines()) <= 1
    assert "bug in wsadiag" not in done.stderr
    assert "on Linux and Windows only" not in done.stderr + done.stdout


@pytest.mark.lab
@pytest.mark.parametrize("words", [("10061", "127.0.0.1:1", "--json"), ("reproduce", "10057", "--json"), ("doctor",)])
@pytest.mark.parametrize("limit", ["ulimit -u 1", "ulimit -n 9", "ulimit -n 12", "ulimit -v 200000"])
def test_short_of_processes_descriptors_and_memory(limit: str, words: tuple[str, ...]) -> None:
    done = in_small_root(limit, *words, ordinary=os.geteuid() == 0)
    assert done.returncode in {0, 1, 3, 71}, done.stderr
    assert len(done.stderr.splitlines()) <= 1, done.stderr
    if done.returncode == 1:
        assert json.loads(done.stdout)["verdict"]["outcome"] == "fault"
