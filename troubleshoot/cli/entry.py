"""The console script: plain command lines go to their command at once, all others through the parser.

An interpreter starts in about ten milliseconds and the parser's library costs five times that. For the same reason
nothing is imported here at the top that an empty interpreter has not loaded already.
"""

from __future__ import annotations

import errno
import os
import sys

from troubleshoot.cli.interrupt import hold, let
from troubleshoot.cli.output import (
    BAD_USAGE,
    CRASHED,
    INTERRUPTED,
    NOT_WRITTEN,
    PIPE_CLOSED,
    STARVED,
    NotWritten,
    complain,
    korean_in_vain,
    language_of,
    sentence,
    style,
    told_apart,
)

#: What a machine says that is short of something, or that withholds it: no mistake of ours can be behind these.
_SHORT = (
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.ENODEV),
)
_VERSION = ["--version"]


def main() -> int:
    """Run the command line of this process and return its exit status."""
    try:
        hold()
        status = _main(sys.argv[1:])
        let()
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _main(argv: list[str]) -> int:
    if sys.stdout is None:
        return _not_written(os.strerror(errno.EBADF), argv)  # it was closed before we started
    sys.stdout = told_apart(sys.stdout)
    # What a stream's encoding lacks is escaped, never a crash.
    getattr(sys.stderr, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        status = _run(argv)
        sys.stdout.flush()
    except NotWritten as error:
        # The rest goes nowhere. The interpreter would flush once more at its end and make a status of its own of it.
        _drain()
        sys.stdout = None
        return PIPE_CLOSED if error.errno == errno.EPIPE else _not_written(error.strerror or str(error), argv)
    except Exception as error:  # noqa: BLE001 - the one place where everything unexpected ends
        return _failed(error, argv)
    return status


def _drain() -> None:
    """Let what standard output still holds go nowhere: Python 3.13 complains of a stream that ends with a failure."""
    from contextlib import suppress  # noqa: PLC0415

    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _not_written(reason: str, argv: list[str]) -> int:
    """Say that standard output takes nothing: a full disk, no bug."""
    from troubleshoot.knowledge.text import Refusal  # noqa: PLC0415

    complain(sentence(Refusal("usage.not-written", reason=reason), language_of(argv)))
    return NOT_WRITTEN


def _run(argv: list[str]) -> int:
    if argv == _VERSION:
        from troubleshoot import __version__  # noqa: PLC0415

        sys.stdout.write(f"wsadiag {__version__}\n")
        return 0
    import gc  # noqa: PLC0415

    from troubleshoot.cli.plain import read  # noqa: PLC0415

    gc.disable()  # until the program is loaded: what is imported and read stays
    from troubleshoot.cli.session import Session  # noqa: PLC0415

    session = Session(language_of(argv))
    if korean_in_vain(argv, session.language):
        complain(session.wording["usage.lang-unshown"])
    plain = None if "_WSADIAG_COMPLETE" in os.environ else read(argv)
    if plain is None:
        from troubleshoot.cli.app import run  # noqa: PLC0415

        return run(argv, session)
    command, values = plain
    if values["help"]:
        from troubleshoot.cli.help import page  # noqa: PLC0415

        sys.stdout.write(f"{page(command, session.wording, style())}\n")
        return 0
    from troubleshoot.cli.commands import carry_out  # noqa: PLC0415

    return carry_out(command, session, values)


def _failed(error: Exception, argv: list[str]) -> int:
    """Say in one line what the user did wrong (2), what this machine lacks (71), or that the bug is ours (70)."""
    from troubleshoot.errors import UserError  # noqa: PLC0415

    if isinstance(error, UserError):
        complain(sentence(error, language_of(argv)))
        return BAD_USAGE
    lacking = _lacking(error)
    if lacking is not None:
        sys.unraisablehook = lambda _: None  # what falls apart behind it is no news
        # Not even the catalogue's sentences may be readable.
        complain(f"this machine does not let wsadiag go on: {lacking}")
        return STARVED
    if os.environ.get("WSADIAG_TRACEBACK") or "--verbose" in argv:
        import traceback  # noqa: PLC0415

        for line in "".join(traceback.format_exception(error)).splitlines():
            complain(line, prefix="")
        more = ""
    else:
        more = " (WSADIAG_TRACEBACK=1 shows where)"
    # The catalogue may be what is broken: this sentence stands here.
    complain(f"this is a bug in wsadiag: {type(error).__name__}: {error}{more}")
    return CRASHED


def _lacking(error: Exception) -> str | None:
    """Return what this machine lacks or withholds, ``None`` where the error has another reason."""
    if isinstance(error, ExceptionGroup):
        found = [_lacking(one) for one in error.exceptions]
        return None if None in found else found[0]
    if isinstance(error, MemoryError):
        return os.strerror(errno.ENOMEM)
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":  # CPython, Modules/_threadmodule.c
        return f"{error} (see `ulimit -u`)"
    if not isinstance(error, OSError) or error.errno not in _SHORT:
        return None
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{os.strerror(error.errno)} (see `ulimit -n` and /proc/sys/fs/file-nr)"
    return os.strerror(error.errno) + (f": {error.filename}" if error.filename else "")
