"""Who a process is, held to what psutil says of the same process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from probes.system.identity import Identity, identify


def of_psutil(pid: int) -> Identity:
    process = psutil.Process(pid)
    with process.oneshot():
        command = " ".join(process.cmdline()).rstrip() or None
        return Identity(process.name(), process.username(), command, process.create_time(), process.status())


def bare(command: str | None) -> str | None:
    """Return a command line without the quotes around words with blanks, which psutil does not write."""
    return command and command.translate({ord('"'): None, ord("'"): None})


@pytest.mark.parametrize("name", ["short", "a name (with brackets) that is longer than the kernel keeps"])
def test_a_process_is_told_as_psutil_tells_it(tmp_path: Path, name: str) -> None:
    link = tmp_path / name
    link.symlink_to("/bin/sleep")
    with subprocess.Popen([link, "60"]) as child:
        try:
            child.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
            told = identify(child.pid)
            shown = f'"{link}" 60' if " " in name else f"{link} 60"
            assert told == replace(of_psutil(child.pid), command=shown)
            assert (told.name, told.state) == (name, "stopped")
        finally:
            child.kill()


def test_whoever_runs_here_is_told_as_psutil_tells_it() -> None:
    """Every process that stays for both looks; states change between them."""
    seen = 0
    for pid in psutil.pids():
        try:
            before, told, after = of_psutil(pid), identify(pid), of_psutil(pid)
        except psutil.Error:
            continue
        if (before.name, before.command) != (after.name, after.command):
            continue
        command = after.command or ""
        if len(command) > 300 or not command.isprintable():
            continue  # of such a one a record holds less
        seen += 1
        assert (told.name, told.user, told.started) == (after.name, after.user, after.started)
        assert bare(told.command) == bare(after.command)
    assert seen > 1


def test_its_command_line_is_masked_while_it_is_whole() -> None:
    code = "import time; print(flush=True); time.sleep(60)"
    words = [sys.executable, "-c", code, "--password", "geheim" * 200]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline()  # the kernel shows nothing of it while exec is under way
            told = identify(child.pid, lambda text: text.replace("geheim", "***"))
        finally:
            child.kill()
    assert told.command is not None
    assert "geheim" not in told.command


def test_nothing_is_told_of_a_process_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert identify(child.pid) == Identity()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["app", "plain"], "app plain"),
        (["app", "two words", "--name=two words"], 'app "two words" --name="two words"'),
        (["app", """it's "quoted" here"""], """app "it's 'quoted' here\""""),
    ],
)
def test_words_with_blanks_are_seen_as_words(words: list[str], shown: str) -> None:
    # A shell whose first word is a title takes the rest for its arguments, and waits for what is never written.
    script = "echo; read -r _; :"
    pipe = subprocess.PIPE
    with subprocess.Popen(["bash", "-c", script, *words], stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()  # before that the kernel may still be laying out its command line
        command = identify(child.pid).command
        child.kill()
    assert command == f'bash -c "{script}" {shown}'
