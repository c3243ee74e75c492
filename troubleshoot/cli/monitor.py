"""A process between us and a program on a terminal of its own, so that Ctrl-Z stops the program there.

A session's first process and its group are orphaned (its parent is of another session), and the kernel does not let
the terminal stop such a group (setpgid(2), "orphaned process group"). So the session's first process is this one: it
starts the program in a group of its own, hands signals on to it, and stops itself when the program stops, which its
parent sees. Sent SIGCONT it has the program go on. POSIX only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import termios

PASSED_ON = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2")


def attach() -> None:
    """Take the terminal that stands on a standard stream, and go on as the program; to be called before exec.

    The caller is the first process of a new session. It stays behind as the monitor and never returns from here; what
    returns is its child.
    """
    terminal = next((number for number in (0, 1, 2) if os.isatty(number)), None)
    if terminal is None:
        return
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    numbers = {getattr(signal, name) for name in PASSED_ON if hasattr(signal, name)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*numbers, signal.SIGTTOU})
    program = os.fork()
    if program:
        _watch(program, terminal, numbers)
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(program: int, terminal: int, numbers: set[int]) -> None:
    """Follow the program until it has ended, then end as it did."""
    os.closerange(3, 4096)  # the pipe by which the program's start is told, among others
    with contextlib.suppress(OSError):  # both sides do it: whoever comes first
        os.setpgid(program, program)

    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, number)

    for number in numbers:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    while True:
        _, status = os.waitpid(program, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            ended = os.waitstatus_to_exitcode(status)
            os._exit(ended if ended >= 0 else 128 - ended)
        os.kill(os.getpid(), signal.SIGSTOP)
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, program)
            os.killpg(program, signal.SIGCONT)
