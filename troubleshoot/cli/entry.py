"""The console script: plain command lines go to their command at once, all others through the parser.

An interpreter starts in about ten milliseconds and the parser's library costs five times that. For the same reason
nothing is imported here at the top that an empty interpreter has not loaded already.
"""

from __future__ import annotations

import errno
import os
import sys

from troubleshoot.cli.output import (
    BAD_USAGE,
    CRASHED,
    INTERRUPTED,
    NOT_WRITTEN,
    PIPE_CLOSED,
    STARVED,
    language_of,
    sentence,
    style,
)

#: What a write says where a disk is full, broken or limited; no socket says any of it.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> int:
    """Run the command line of this process and return its exit status."""
    argv = sys.argv[1:]
    if sys.stdout is None:
        return _not_written(os.strerror(errno.EBADF), argv)  # it was closed before we started
    for stream in (sys.stdout, sys.stderr):
        # What the stream's encoding lacks is escaped, never a crash.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        status = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up_output()  # whoever reads has seen enough
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place where everything unexpected ends
        if isinstance(error, OSError) and error.filename is None and error.errno in _FULL:
            _give_up_output()
            return _not_written(os.strerror(error.errno), argv)
        return _failed(error, argv)
    return status


def _give_up_output() -> None:
    """Let the rest go nowhere: the interpreter flushes once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _not_written(reason: str, argv: list[str]) -> int:
    """Say that standard output takes nothing: a full disk, no bug."""
    from troubleshoot.knowledge.text import Refusal  # noqa: PLC0415

    sys.stderr.write(f"wsadiag: {sentence(Refusal('usage.not-written', reason=reason), language_of(argv))}\n")
    return NOT_WRITTEN


def _run(argv: list[str]) -> int:
    if argv == ["--version"]:
        from troubleshoot import __version__  # noqa: PLC0415

        sys.stdout.write(f"wsadiag {__version__}\n")
        return 0
    import gc  # noqa: PLC0415

    from troubleshoot.cli.plain import read  # noqa: PLC0415

    gc.disable()  # until the program is loaded: what is imported and read stays
    from troubleshoot.cli.session import Session  # noqa: PLC0415

    session = Session(language_of(argv))
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
    """Say in one line what the user did wrong (2), or that the bug is ours (70)."""
    from troubleshoot.errors import UserError  # noqa: PLC0415
    from troubleshoot.render.safe import safe  # noqa: PLC0415

    if isinstance(error, UserError):
        told = sentence(error, language_of(argv))
        sys.stderr.write(f"wsadiag: {safe(_without_secrets(told, argv))}\n")
        return BAD_USAGE
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        # Not even the catalogue's sentences can be read.
        sys.stderr.write(f"wsadiag: {os.strerror(error.errno)}: see `ulimit -n` and /proc/sys/fs/file-nr\n")
        return STARVED
    if os.environ.get("WSADIAG_TRACEBACK") or "--verbose" in argv:
        import traceback  # noqa: PLC0415

        lines = "".join(traceback.format_exception(error)).splitlines()
        sys.stderr.write("".join(f"{safe(_without_secrets(line, argv))}\n" for line in lines))
        more = ""
    else:
        more = " (WSADIAG_TRACEBACK=1 shows where)"
    # The catalogue may be what is broken: this sentence stands here.
    told = _without_secrets(f"{type(error).__name__}: {error}", argv)
    sys.stderr.write(f"wsadiag: this is a bug in wsadiag: {safe(told)}{more}\n")
    return CRASHED


def _without_secrets(text: str, argv: list[str]) -> str:
    """Return what standard error may show: it ends in logs, and in what people pass on."""
    from troubleshoot.cli.words import OPTIONS  # noqa: PLC0415

    if OPTIONS["show_secrets"].names[0] in argv:
        return text
    from troubleshoot.errors import CatalogueError  # noqa: PLC0415
    from troubleshoot.knowledge.secrets import masked  # noqa: PLC0415

    try:
        return masked(text)
    except CatalogueError:
        return text  # it is the catalogue that the text complains of
