"""A program run as if nobody stood between it and the terminal, while what it writes is kept.

Where our own streams are a terminal the program gets one of its own (pty(7)), with the same size; where they are files
or pipes it gets pipes, each copied to its place. Signals are passed on, stopping and going on included. POSIX only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import subprocess
from collections import deque

from troubleshoot.cli.output import NotWritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

#: So much of the end of what the program wrote is kept, bytes.
KEPT = 64 << 10


class Child:
    """One run of a program; :meth:`wait` copies until it has ended and returns its status as a shell would."""

    def __init__(self, words: Sequence[str]) -> None:
        """Start it; raises ``OSError`` as :class:`subprocess.Popen` does."""
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._terminal: int | None = None
        self._unwritten: OSError | None = None
        terminals = [number for number in (0, 1, 2) if _is_terminal(number)]
        inner = self._open_terminal() if 0 in terminals and len(terminals) > 1 else None
        self._before: list[Any] | None = None
        streams: dict[str, Any] = {}
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            if number in terminals and inner is not None:
                streams[name] = inner
            elif number:
                streams[name] = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                list(words),
                **streams,
                start_new_session=inner is not None,
                preexec_fn=_attach if inner is not None else None,  # noqa: PLW1509 - no thread has been started yet
            )
        finally:
            if inner is not None:
                os.close(inner)
        self._ends: dict[int, int] = {}
        if self._terminal is not None:
            self._ends[self._terminal] = 1 if 1 in terminals else 2
        for pipe, place in ((self._process.stdout, 1), (self._process.stderr, 2)):
            if pipe is not None:
                self._ends[pipe.fileno()] = place

    @property
    def said(self) -> str:
        """The end of what it wrote, both streams as they came."""
        return b"".join(self._kept).decode("utf-8", "replace")

    def wait(self) -> int:
        """Copy its streams until it has ended; returns its status, 128 and the number for a signal's.

        Raises :class:`~troubleshoot.cli.output.NotWritten` where standard output did not take all of it.
        """
        with self._signals(), self._raw():
            self._copy()
            status = self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        if self._terminal is not None:
            os.close(self._terminal)
        if self._unwritten is not None:
            raise NotWritten(self._unwritten.errno, self._unwritten.strerror)
        return status if status >= 0 else 128 - status

    def _open_terminal(self) -> int:
        import pty  # noqa: PLC0415 - POSIX, and only where there is a terminal

        self._terminal, inner = pty.openpty()
        with contextlib.suppress(OSError):
            import termios  # noqa: PLC0415

            termios.tcsetattr(inner, termios.TCSANOW, termios.tcgetattr(0))
        self._resize()
        return inner

    def _resize(self, *_: object) -> None:
        if self._terminal is None:
            return
        import fcntl  # noqa: PLC0415
        import termios  # noqa: PLC0415

        with contextlib.suppress(OSError):
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))

    @contextlib.contextmanager
    def _raw(self) -> Iterator[None]:
        """Hand the terminal's keys on as they are typed, and put it back at the end."""
        if self._terminal is None:
            yield
            return
        import termios  # noqa: PLC0415
        import tty  # noqa: PLC0415

        self._before = termios.tcgetattr(0)
        tty.setraw(0)
        try:
            yield
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def _stop_with_it(self) -> None:
        """Where the program was stopped from its terminal (Ctrl-Z), stop as the shell expects, and go on with it."""
        if self._terminal is None or not hasattr(os, "waitid"):
            return
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOHANG) is None:
                return
            import termios  # noqa: PLC0415
            import tty  # noqa: PLC0415

            termios.tcsetattr(0, termios.TCSADRAIN, self._before or termios.tcgetattr(0))
            os.kill(0, signal.SIGTSTP)  # the whole job, as the terminal does; we go on from here with SIGCONT
            self._before = termios.tcgetattr(0)
            tty.setraw(0)
            self._resize()
            self._process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def pass_on(number: int, _frame: object) -> None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

        before: dict[int, Any] = {}
        from troubleshoot.cli.monitor import PASSED_ON  # noqa: PLC0415 - POSIX

        for name in PASSED_ON:
            number = getattr(signal, name, None)
            if number is not None:
                before[number] = signal.signal(number, pass_on)
        if self._terminal is not None:
            before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._resize)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _copy(self) -> None:
        """Copy until the program has ended and nothing of it is left, or its streams are closed."""
        with selectors.DefaultSelector() as watched:
            for end in self._ends:
                watched.register(end, selectors.EVENT_READ)
            if self._terminal is not None:
                watched.register(0, selectors.EVENT_READ)
            while any(key.fd != 0 for key in watched.get_map().values()):
                ready = watched.select(0.1)
                for key, _ in ready:
                    if not self._move(key.fd):
                        watched.unregister(key.fd)
                        self._close(key.fd)
                self._stop_with_it()
                # Somebody else may hold the streams open: a daemon that the program left behind.
                if not ready and self._process.poll() is not None:
                    return

    def _move(self, end: int) -> bool:
        """Copy what there is; false where no more will come."""
        try:
            data = os.read(end, 65536)
        except OSError as error:
            if error.errno == errno.EIO:  # the terminal's other side is closed
                return False
            raise
        if not data:
            return False
        if end == 0 and self._terminal is not None:
            _write(self._terminal, data)
            return True
        self._keep(data)
        try:
            _write(self._ends[end], data)
        except BrokenPipeError:  # nobody reads it any more
            return False
        except OSError as error:
            if self._ends[end] == 2:  # standard error that takes nothing: the status alone has to tell
                return True
            self._unwritten = error
            return False
        return True

    def _close(self, end: int) -> None:
        """Close our side of a pipe that is not copied any more: the program meets that at its next write."""
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None and not pipe.closed and pipe.fileno() == end:
                pipe.close()
                return

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._size += len(data)
        while self._size - len(self._kept[0]) >= KEPT:
            self._size -= len(self._kept.popleft())


def _is_terminal(number: int) -> bool:
    try:
        return os.isatty(number)
    except OSError:
        return False


def _attach() -> None:
    from troubleshoot.cli.monitor import attach  # noqa: PLC0415 - POSIX, and only where there is a terminal

    attach()


def _write(place: int, data: bytes) -> None:
    """Write it whole."""
    view = memoryview(data)
    while view:
        view = view[os.write(place, view) :]


def supported() -> bool:
    """Whether this system has what a child needs here."""
    return hasattr(os, "openpty")
