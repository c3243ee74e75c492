"""Who a process is: its name, user, command line, start and state, as far as they may be seen.

Sources: proc_pid_stat(5), proc_pid_cmdline(5), proc_pid_comm(5), proc_stat(5); where there is no ``/proc``, psutil.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from probes.system import on_linux
from probes.system.linux.holders import tame
from probes.system.rights import TO_LOOK, using

#: The kernel's letters for what a process does, in psutil's words (fs/proc/array.c, task_state_array).
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "disk-sleep",
    "T": "stopped",
    "t": "tracing-stop",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
    "P": "parked",
}
#: The kernel keeps no more of a name (TASK_COMM_LEN, without the NUL).
_NAME_KEPT = 15
#: Places in ``/proc/PID/stat``, counted from the one behind the name: what the process does, and its start in ticks.
_STATE, _STARTED = 0, 19
_MOST_BYTES = 1 << 18


class Identity(msgspec.Struct, frozen=True):
    """Who a process is and what it does; what may not be seen is ``None``. ``started`` is seconds since the epoch."""

    name: str | None = None
    user: str | None = None
    command: str | None = None
    started: float | None = None
    state: str | None = None


def identify(pid: int, masked: Callable[[str], str] = str) -> Identity:
    """Return who process ``pid`` of this machine is, as far as it may be seen.

    Its command line goes through ``masked`` while it is still whole: half a secret has no form to know it by.
    """
    with using(*TO_LOOK):
        return _by_proc(pid, masked) if on_linux() else _by_psutil(pid, masked)


def _by_proc(pid: int, masked: Callable[[str], str]) -> Identity:
    folder = Path(f"/proc/{pid}")
    # The name stands in brackets and may hold some itself.
    _, _, rest = _text(folder / "stat").rpartition(")")
    fields = rest.split()
    if len(fields) <= _STARTED:
        return Identity()
    name = _text(folder / "comm").removesuffix("\n")
    words = _text(folder / "cmdline").rstrip("\0 ")
    if len(name.encode()) >= _NAME_KEPT:  # cut there, while the command line mostly has all of it
        whole = os.path.basename(words.partition("\0")[0])  # noqa: PTH119 - a word that another process chose
        name = whole if whole.startswith(name) else name
    return Identity(
        name=tame(name) or None,
        user=_user(folder),
        command=tame(masked(_line(words.split("\0")))) or None,
        started=_since_boot(int(fields[_STARTED])),
        state=_STATES.get(fields[_STATE]),
    )


def _line(words: list[str]) -> str:
    """Return the words of a command as one line, those with blanks in quotes: where a secret ends must still be seen.

    A title that a process has given itself is one word, and stays as it is.
    """
    return " ".join(words if len(words) == 1 else [_quoted(word) for word in words])


def _quoted(word: str) -> str:
    if not any(map(str.isspace, word)):
        return word
    option, equals, value = word.partition("=")
    if not equals or any(map(str.isspace, option)):
        option, equals, value = "", "", word
    # Nobody is to run this: one kind of quotes inside of the other is all that it takes to be read.
    return option + equals + '"' + value.replace('"', "'") + '"'


def _text(path: Path) -> str:
    """Return the file's text, nothing where it may not be read or the process is gone."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _user(folder: Path) -> str | None:
    """Return the name of the real user, its number where it has none."""
    import pwd  # noqa: PLC0415 - Windows has none

    uids = [line.split()[1] for line in _text(folder / "status").splitlines() if line.startswith("Uid:")]
    if not uids:
        return None
    try:
        return tame(pwd.getpwuid(int(uids[0])).pw_name) or None
    except KeyError:
        return uids[0]


def _since_boot(ticks: int) -> float | None:
    """Return an instant, given in ticks of the clock after the system's start, as seconds since the epoch."""
    booted = [line.split()[1] for line in _text(Path("/proc/stat")).splitlines() if line.startswith("btime ")]
    return int(booted[0]) + ticks / os.sysconf("SC_CLK_TCK") if booted else None


def _by_psutil(pid: int, masked: Callable[[str], str]) -> Identity:
    import psutil  # noqa: PLC0415 - as much as an interpreter takes to start

    def attempt(ask: Callable[[], str]) -> str | None:
        try:
            return tame(ask()) or None
        except (psutil.Error, OSError, KeyError):
            return None

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return Identity(
                name=attempt(process.name),
                user=attempt(process.username),
                command=attempt(lambda: masked(_line(process.cmdline()))),
                started=process.create_time(),
                state=attempt(process.status),
            )
    except (psutil.Error, OSError):
        return Identity()
