"""Each call to the system fails once: ``failing_calls.py [--every 1] [--errors all] [COMMAND ...]``.

For each command and each number n, wsadiag is run with its n-th call to the system failing: opening and reading
files, sockets and everything that is done with them, pipes, threads, children. All in a network namespace in which only
loopback is up. A run must end with a documented status and at most one line on standard error, and leave nothing.

Each run is a fork of this process, in which the modules are loaded already; the catalogue and all else is not.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import ctypes
import errno
import functools
import io
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

REPORT = str(ROOT / "tests/data/reports/healthy-plain.nobody.json")
#: The commands: words of the command line by a name.
COMMANDS = {
    "explain": ("explain", "10061"),
    "codes": ("codes", "--json"),
    "replay": ("replay", REPORT, "--json"),
    "refused": ("10061", "127.0.0.1:1", "--json", "--timeout", "3"),
    "no-route": ("10051", "192.0.2.1:80", "--json", "--timeout", "3"),
    "no-name": ("11001", "no-such-name.invalid:80", "--json", "--timeout", "3"),
    "port": ("10048", ":80", "--json", "--timeout", "3"),
    "files": ("10024", ":80", "--json", "--timeout", "3"),
    "doctor": ("doctor", "--no-network"),
    "reproduce": ("reproduce", "10057", "--json"),
    "probe": ("probe", "interfaces"),
    "screen": ("10061", "localhost:1", "--timeout", "3"),
    "parse": ("parse", "psql: connection to server at 127.0.0.1, port 5432 failed: Connection refused", "--json"),
    "check": ("check", "127.0.0.1:1", "localhost:2", "--format", "json=report.json", "--format", "text"),
    "run": ("run", "--", "sh", "-c", "echo connect to 127.0.0.1 port 1: Connection refused >&2; exit 7"),
    "watch": ("watch", "10061", "127.0.0.1:1", "--until", "fault", "--interval", "1", "--timeout", "3"),
    "page": ("--help",),
}
#: Statuses of a command beside those of all: a program's own, and what shells answer where it could not be run.
ALSO = {"run": {7, 126, 127}}
#: Files that a command is asked to write.
WRITTEN = {"check": "report.json"}
ERRORS = (errno.EMFILE, errno.ENOMEM, errno.EPERM, errno.EIO, errno.ENOSPC)
#: What README documents, without what no failing call can bring about: Ctrl-C, a reader that goes away, our own bug.
DOCUMENTED = {0, 1, 2, 3, 71, 74}
HANG_S = 30.0
#: A home in which the compiled catalogue is kept between the runs.
HOME = Path(tempfile.mkdtemp(prefix="failing-home-"))
_SOCKET = (
    *("__init__", "bind", "connect", "connect_ex", "listen", "accept", "send", "sendall", "sendto", "sendmsg", "recv"),
    *("recv_into", "recvfrom", "recvmsg", "setsockopt", "getsockopt", "getsockname", "getpeername", "shutdown"),
)
_OS = (
    *("open", "read", "write", "stat", "lstat", "listdir", "scandir", "readlink", "getxattr", "pipe", "dup", "dup2"),
    *("memfd_create", "mkdir", "unlink", "rename", "replace", "fstat", "statvfs", "get_terminal_size", "uname"),
)


class Fault:
    """The call that fails: the ``number``-th of those that are counted, with ``error``."""

    def __init__(self, number: int, error: int) -> None:
        self.number, self.error = number, error
        self.seen = 0
        self.name = ""
        self.lock = threading.Lock()

    def due(self, name: str) -> bool:
        with self.lock:
            self.seen += 1
            if self.seen == self.number:
                self.name = name
                return True
            return False

    def wrap(self, holder: Any, name: str) -> None:
        """Put a function in the place of ``holder.name`` that counts, and fails when it is its turn."""
        real = getattr(holder, name)
        label = f"{getattr(holder, '__name__', holder)}.{name}"

        @functools.wraps(real)
        def call(*given: Any, **more: Any) -> Any:
            if not self.due(label):
                return real(*given, **more)
            if name == "connect_ex":
                return self.error
            if label == "Thread.start":
                raise RuntimeError("can't start new thread")
            raise OSError(self.error, os.strerror(self.error))

        setattr(holder, name, call)

    def install(self) -> None:
        for name in _SOCKET:
            self.wrap(socket.socket, name)
        for name in _OS:
            self.wrap(os, name)
        self.wrap(socket, "socketpair")
        self.wrap(socket, "getaddrinfo")
        self.wrap(builtins, "open")
        io.open = builtins.open  # pathlib's
        self.wrap(select, "epoll")
        self.wrap(subprocess.Popen, "__init__")
        self.wrap(threading.Thread, "start")


class Ended(NamedTuple):
    """How a run ended: ``calls`` that were made, ``failed`` the one that failed."""

    status: int
    out: str
    err: str
    calls: int
    failed: str
    hung: bool
    left: list[str]


def load() -> None:
    """Import what the commands import; a fork has it then."""
    import asyncio.unix_events  # noqa: F401

    import troubleshoot.check.run
    import troubleshoot.check.watch
    import troubleshoot.cli.app
    import troubleshoot.cli.child
    import troubleshoot.cli.commands.check
    import troubleshoot.cli.commands.codes
    import troubleshoot.cli.commands.diagnose
    import troubleshoot.cli.commands.doctor
    import troubleshoot.cli.commands.explain
    import troubleshoot.cli.commands.parse
    import troubleshoot.cli.commands.probe
    import troubleshoot.cli.commands.replay
    import troubleshoot.cli.commands.reproduce
    import troubleshoot.cli.commands.run
    import troubleshoot.cli.commands.watch
    import troubleshoot.cli.show
    import troubleshoot.run.engine  # noqa: F401
    from probes.base import TABLE, load

    for name in TABLE:
        load(name)
    import dns.message  # noqa: F401
    import psutil  # noqa: F401

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans of a run come to us


def run(words: tuple[str, ...], number: int, error: int) -> Ended:
    """Run one command line in a fork, with its ``number``-th call failing (0: none)."""
    out, err, told = (os.memfd_create(name) for name in ("out", "err", "told"))
    with tempfile.TemporaryDirectory(prefix="failing-") as folder:
        child = os.fork()
        if child == 0:
            _be(words, Fault(number, error), (out, err, told), folder)
        status, hung = _wait(child)
        left = [str(path) for path in Path(folder).rglob("*")]
        left += [f"process {pid}" for pid in _orphans()]
    texts = []
    for file in (out, err, told):
        os.lseek(file, 0, os.SEEK_SET)
        with os.fdopen(file, "rb") as opened:
            texts.append(opened.read().decode("utf-8", "replace"))
    calls, _, failed = texts[2].partition(" ")
    return Ended(status, texts[0], texts[1], int(calls or 0), failed, hung, left)


def _be(words: tuple[str, ...], fault: Fault, streams: tuple[int, int, int], folder: str) -> None:
    """Be the run; never returns."""
    out, err, told = streams
    os.chdir(folder)
    os.environ.update(TMPDIR=folder, HOME=str(HOME), XDG_CACHE_HOME=str(HOME), LC_ALL="C.UTF-8")
    tempfile.tempdir = None
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8", newline="\n")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)), "utf-8", newline="\n", line_buffering=True
    )
    sys.argv = ["wsadiag", *words]
    from troubleshoot.cli import entry

    write, leave = os.write, os._exit
    fault.install()
    status = 98
    try:
        status = entry.main()
    except BaseException as caught:  # noqa: BLE001 - a traceback is what must not be
        sys.__stderr__ = sys.stderr
        with contextlib.suppress(Exception):
            sys.stderr.write(f"Traceback: {caught!r}\n")
        status = 99
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    write(told, f"{fault.seen} {fault.name}".encode())
    leave(status)


def _wait(child: int) -> tuple[int, bool]:
    ends = time.monotonic() + HANG_S
    while time.monotonic() < ends:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), True


def _orphans() -> list[int]:
    """Return the children that a run has left to us, half a second after its end, and end them."""
    ends = time.monotonic() + 0.5
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = [int(pid) for pid in Path("/proc/self/task", str(os.getpid()), "children").read_text().split()]
        if not left or time.monotonic() > ends:
            break
        time.sleep(0.01)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left


def wrong(words: tuple[str, ...], ended: Ended) -> str | None:
    """Return what is wrong with how a run ended, ``None`` for nothing."""
    # What the program of `run` said may be lost; behind it stands the diagnosis, a page.
    said = f"\n{ended.err}".partition("\n\n")[0].strip() if words[0] == "run" else ended.err
    if ended.hung:
        return f"it did not end within {HANG_S:g} s"
    if ended.status not in DOCUMENTED | ALSO.get(words[0], set()):
        return f"status {ended.status}"
    if len(said.splitlines()) > (2 if words[0] == "run" else 1) or "bug in wsadiag" in ended.err:
        return "more than one sentence on standard error"
    if [one for one in ended.left if Path(one).name != WRITTEN.get(words[0])]:
        return f"left behind: {ended.left}"
    if ended.status in {2, 71, 74} and not ended.err:
        return f"status {ended.status} without a word" if not ended.failed.endswith(".write") else None
    if "--json" in words and ended.status in {0, 1, 3}:
        verdict = json.loads(ended.out).get("verdict")
        if verdict is not None and ended.status != {"healthy": 0, "fault": 1, "inconclusive": 3}[verdict["outcome"]]:
            return f"status {ended.status} for {verdict['outcome']}"
    return None


def accused(words: tuple[str, ...], ended: Ended) -> str | None:
    """Return the cause that a report is certain of, ``None`` for none."""
    if "--json" not in words or ended.status not in {0, 1, 3}:
        return None
    verdict = json.loads(ended.out).get("verdict")
    return verdict["cause"] if verdict is not None and verdict["confidence"] == "certain" else None


def each(
    command: str, every: int, errors: Callable[[int], tuple[int, ...]]
) -> Iterator[tuple[int, int, Ended, str | None]]:
    """Give (n, error, how it ended, what is wrong) for each n-th call, until a run makes fewer than n."""
    words, number = COMMANDS[command], 1
    run(words, 0, 0)  # it leaves what it keeps for the next time
    usual = accused(words, run(words, 0, 0))
    while True:
        for error in errors(number):
            ended = run(words, number, error)
            if not ended.failed and not ended.hung:
                return
            complaint = wrong(words, ended)
            cause = accused(words, ended)
            if complaint is None and cause not in {None, usual} and not ended.failed.startswith("socket.connect"):
                complaint = f"{cause} is certain because a call of our own has failed"
            yield number, error, ended, complaint
        number += every


def in_own_network() -> None:
    """Move into a network namespace in which nothing but loopback is up; needs root or a user namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0 and libc.unshare(0x10000000 | 0x40000000) != 0:
        raise PermissionError(ctypes.get_errno(), "no network namespace can be had")
    from troubleshoot.reproduce.isolation import loopback

    loopback(up=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("--every", type=int, default=1, help="only each so-many-th call")
    parser.add_argument("--errors", choices=("one", "all"), default="one", help="one error a call in turn, or all five")
    options = parser.parse_args()
    in_own_network()
    load()
    total = finds = 0

    def errors(number: int) -> tuple[int, ...]:
        return ERRORS if options.errors == "all" else (ERRORS[number % len(ERRORS)],)

    for command in options.commands or COMMANDS:
        played, statuses = 0, dict[int, int]()
        for number, error, ended, complaint in each(command, options.every, errors):
            played += 1
            statuses[ended.status] = statuses.get(ended.status, 0) + 1
            if complaint is not None:
                finds += 1
                name = errno.errorcode[error]
                sys.stdout.write(f"  {command} {number} {name} {ended.failed}: {complaint}: {ended.err[:300]!r}\n")
        total += played
        sys.stdout.write(f"{command:10} {played:6} runs, statuses {dict(sorted(statuses.items()))}\n")
        sys.stdout.flush()
    shutil.rmtree(HOME)
    sys.stdout.write(f"{total} runs, {finds} went wrong\n")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
