"""``wsadiag run``: real clients, run unchanged; where they fail with an error of the network, the verdict follows."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import run_clients

PROGRAM = str(Path(sys.executable).with_name("wsadiag"))
PYTHON = "import urllib.request as u; u.urlopen('http://127.0.0.1:9/')"
#: Clients, how each is pointed at a closed port of loopback, and the status that it ends with by itself.
CLIENTS = {
    "curl": (["curl", "-sS", "http://127.0.0.1:9/"], 7),
    "python": ([sys.executable, "-c", PYTHON], 1),
    "ssh": (["ssh", "-o", "BatchMode=yes", "-p", "9", "127.0.0.1"], 255),
    "psql": (["psql", "-h", "127.0.0.1", "-p", "9", "-c", "select 1"], 2),
    "redis-cli": (["redis-cli", "-h", "127.0.0.1", "-p", "9", "ping"], 1),
    "mysql": (["mysql", "-h", "127.0.0.1", "-P", "9", "-u", "x", "-e", "select 1"], 1),
}


def ran(*words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "run", *words], input=given, capture_output=True, text=True, timeout=90, check=False
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_a_refusal_is_explained_and_the_status_stays(client: str) -> None:
    words, status = CLIENTS[client]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    alone = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    ended = ran("--", *words)
    assert ended.returncode == alone.returncode == status
    assert ended.stdout == alone.stdout
    assert "127.0.0.1:9" in ended.stderr.partition("FAULT")[0]
    assert "Nothing listens on that port" in ended.stderr


def test_the_verdicts_status_where_it_is_asked_for() -> None:
    assert ran("--verdict-status", "--", sys.executable, "-c", PYTHON).returncode == 1
    assert ran("--verdict-status", "--", "sh", "-c", "exit 9").returncode == 9


@pytest.mark.parametrize(
    ("words", "status"), [(["true"], 0), (["sh", "-c", "exit 42"], 42), (["sh", "-c", "kill -9 $$"], 137)]
)
def test_what_is_no_error_of_the_network_is_left_alone(words: list[str], status: int) -> None:
    ended = ran("--", *words)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", "")


def test_an_error_that_did_not_make_it_fail_is_left_alone() -> None:
    ended = ran("--", "sh", "-c", "echo connect to 127.0.0.1 port 9: Connection refused >&2")
    assert (ended.returncode, ended.stderr.count("\n")) == (0, 1)


def test_its_input_and_output_are_its_own() -> None:
    ended = ran("--", "sh", "-c", "cat; echo told >&2", given="first\nsecond\n")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "first\nsecond\n", "told\n")


def test_a_megabyte_is_copied_whole() -> None:
    ended = ran("--", sys.executable, "-c", "print('x' * 1_000_000)")
    assert len(ended.stdout) == 1_000_001


@pytest.mark.parametrize(("word", "status"), [("no-such-program", 127), ("/", 126)])
def test_what_cannot_be_run_is_told_as_a_shell_tells_it(word: str, status: int) -> None:
    ended = ran("--", word)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (status, "", 1)


def test_nothing_to_run_is_bad_usage() -> None:
    assert ran().returncode == 2


def test_signals_are_passed_on() -> None:
    script = "trap 'echo heard; exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    with subprocess.Popen([PROGRAM, "run", "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.read() == "heard\n"
    assert running.returncode == 5


def test_a_terminal_is_a_terminal_for_the_program(tmp_path: Path) -> None:
    """It sees a terminal on every stream, of our size, and its keys arrive."""
    script = "test -t 0 && test -t 1 && test -t 2 && stty size && read line && echo got $line"
    child, ours = pty.fork()
    if not child:
        os.chdir(tmp_path)
        os.execv("/bin/sh", ["sh", "-c", f"stty rows 33 cols 101; exec {PROGRAM} run -- sh -c '{script}'"])  # noqa: S606
    said = b""
    until = time.monotonic() + 60
    while b"33 101" not in said and time.monotonic() < until:
        said += os.read(ours, 4096)
    os.write(ours, b"hello\r")
    while b"got hello" not in said and time.monotonic() < until:
        said += os.read(ours, 4096)
    _, status = os.waitpid(child, 0)
    os.close(ours)
    assert b"got hello" in said
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize(
    ("line", "status"),
    [
        # whoever reads it goes away: the program meets that, as it would by itself
        ("set -o pipefail; $W run -- yes | head -n 1", 141),
        ("$W run -- sh -c 'yes | head -n 100000; exit 0' >/dev/full", 74),
        ("$W run -- sh -c 'echo x >&2; exit 3' 2>/dev/full", 3),
        ("$W run -- sh -c 'exec >&-; echo x >&2; exit 5'", 5),
    ],
)
def test_places_that_take_nothing_hang_nobody(line: str, status: int) -> None:
    words = ["bash", "-c", line.replace("$W", PROGRAM)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert "bug in wsadiag" not in done.stderr


def test_ctrl_z_stops_the_job_and_fg_goes_on() -> None:
    """A shell with job control sees the job stopped, gets its terminal back as it was, and has the program go on."""
    child, ours = pty.fork()
    if not child:
        os.environ.update(PS1="ready> ", HISTFILE="/dev/null")
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])  # noqa: S606
    said = b""
    until = time.monotonic() + 90

    def wait_for(word: bytes) -> None:
        nonlocal said
        while word not in said and time.monotonic() < until:
            if select.select([ours], [], [], 1)[0]:
                said += os.read(ours, 4096)
        assert word in said, said
        said = said.partition(word)[2]

    try:
        wait_for(b"ready> ")
        script = "echo be''gun; read line; echo go''t $line; exit 7"
        os.write(ours, f"{PROGRAM} run -- sh -c '{script}'\n".encode())
        wait_for(b"begun")
        os.write(ours, b"\x1a")
        wait_for(b"Stopped")
        wait_for(b"ready> ")
        os.write(ours, b"stty -a\n")
        wait_for(b" icanon")
        wait_for(b"ready> ")
        os.write(ours, b"fg\n")
        wait_for(b"run --")
        time.sleep(0.5)
        os.write(ours, b"again\n")
        wait_for(b"got again")
        wait_for(b"ready> ")
        os.write(ours, b"echo status $?\n")
        wait_for(b"status 7")
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(ours)
        os.waitpid(child, 0)


def test_a_program_that_a_signal_ends_on_a_terminal_ends_as_a_shell_tells_it() -> None:
    child, ours = pty.fork()
    if not child:
        os.execv(PROGRAM, [PROGRAM, "run", "--", "sh", "-c", "kill -9 $$"])  # noqa: S606
    with contextlib.suppress(OSError):
        while os.read(ours, 4096):
            pass
    _, status = os.waitpid(child, 0)
    os.close(ours)
    assert os.waitstatus_to_exitcode(status) == 137


#: A sample of all pairs: each client, and each way twice. ``tests/real/run_clients.py`` plays all 54.
SAMPLE = [
    ("curl", "certificate"), ("psql", "refuses"), ("psql", "dropped"), ("redis-cli", "certificate"), ("ssh", "reset"),
    ("ssh", "certificate"), ("mysql", "refused"), ("mysql", "refuses"), ("python", "name"), ("node", "dropped"),
    ("java", "name"), ("go", "reset"),
]  # fmt: skip


@pytest.fixture(scope="module")
def net() -> Iterator[run_clients.Net]:
    with run_clients.network() as built:
        yield built


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="network namespaces need root")
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("client", "way"), SAMPLE)
def test_clients_fail_in_six_ways(net: run_clients.Net, client: str, way: str) -> None:
    """Each failure gets its cause behind the client's own words, as far as those tell one."""
    if run_clients.missing(client):
        pytest.skip(f"{client} is not installed")
    cell = net.cell(client, way)
    assert cell.right, cell
