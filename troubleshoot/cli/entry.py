"""The console script: the errands that need no more than the catalogue at once, everything else through ``cli``.

An interpreter starts in about ten milliseconds and the command line library costs five times that, so that
``--version`` and ``explain CODE`` are answered before it is imported. For the same reason this module imports
nothing at its top that an empty interpreter has not loaded already.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.knowledge.catalogue import Language

#: ``sysexits.h`` EX_SOFTWARE: our own bug. No diagnosis ends with it.
CRASHED = 70
#: ``sysexits.h`` EX_OSERR: this run may open no files itself.
STARVED = 71
#: ``sysexits.h`` EX_IOERR: the result could not be written.
NOT_WRITTEN = 74
#: What a write says where a disk is full, broken or limited; no socket says any of it.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
#: What a shell reports of a program that SIGPIPE ended.
PIPE_CLOSED = 141
INTERRUPTED = 130


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

    sys.stderr.write(f"wsadiag: {_sentence(Refusal('usage.not-written', reason=reason), language_of(argv))}\n")
    return NOT_WRITTEN


def _run(argv: list[str]) -> int:
    if argv == ["--version"]:
        from troubleshoot import __version__  # noqa: PLC0415

        sys.stdout.write(f"wsadiag {__version__}\n")
        return 0
    language = language_of(argv)
    request = None if "_WSADIAG_COMPLETE" in os.environ else explain_request(argv)
    if request is not None:
        return explain(*request, language)
    from troubleshoot.cli.app import run  # noqa: PLC0415

    return run(argv, language)


def language_of(argv: list[str]) -> Language:
    """Return the language to speak: ``--lang``, else the locale's; English where Hangul cannot be written."""
    from troubleshoot.knowledge.text import can_show, preferred_language  # noqa: PLC0415

    asked = preferred_language(os.environ)
    for index, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name == "--lang":
            value = value if equals else "".join(argv[index + 1 : index + 2])
            asked = "ko" if value == "ko" else "en"
    return asked if asked == "en" or can_show("한국어") else "en"


def explain_request(argv: list[str]) -> tuple[str, bool] | None:
    """Return CODE and whether JSON is wanted, if ``argv`` is an ``explain`` with nothing unusual about it."""
    if argv[:1] != ["explain"]:
        return None
    codes = []
    json = False
    words = iter(argv[1:])
    for word in words:
        if word == "--json":
            json = True
        elif word in ("--lang=en", "--lang=ko"):
            continue
        elif word == "--lang":
            if next(words, None) not in ("en", "ko"):
                return None
        elif word.startswith("-") and not word[1:].isdecimal():
            return None
        else:
            codes.append(word)
    return (codes[0], json) if len(codes) == 1 else None


def explain(word: str, json: bool, language: Language, system: str | None = None) -> int:
    """Print what ``word`` means."""
    import gc  # noqa: PLC0415

    gc.disable()  # a page of text leaves nothing worth collecting: 4 ms of 60
    from troubleshoot.intake.codes import SYSTEMS, parse_code  # noqa: PLC0415
    from troubleshoot.knowledge.catalogue import Catalogue  # noqa: PLC0415
    from troubleshoot.render.explain import code_document, code_page  # noqa: PLC0415

    catalogue = Catalogue()
    name = parse_code(word, catalogue, next((s for s in SYSTEMS if s == system), None))
    from troubleshoot.reproduce.claims import reproducible  # noqa: PLC0415

    shown = reproducible(catalogue.code(name).alias_of or name, "en" if json else language)
    if json:
        write_json(code_document(name, catalogue, language, shown))
        return 0
    from troubleshoot.render.style import style_of  # noqa: PLC0415

    sys.stdout.write(code_page(name, catalogue, language, style_of(sys.stdout, os.environ), shown))
    return 0


def write_json(document: object) -> None:
    """Print one JSON document, in UTF-8 whatever the locale says (RFC 8259, section 8.1)."""
    import msgspec  # noqa: PLC0415

    try:
        data = msgspec.json.encode(document)
    except UnicodeEncodeError:
        from troubleshoot.report import encode  # noqa: PLC0415

        data = encode(document)
    write_utf8(msgspec.json.format(data, indent=2) + b"\n")


def write_utf8(data: bytes) -> None:
    """Write bytes to standard output, after what was written as text."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a test's stream of text
        sys.stdout.write(data.decode())
    else:
        buffer.write(data)


def _failed(error: Exception, argv: list[str]) -> int:
    """Say in one line what the user did wrong (2), or that the bug is ours (70)."""
    from troubleshoot.errors import UserError  # noqa: PLC0415
    from troubleshoot.render.safe import safe  # noqa: PLC0415

    if isinstance(error, UserError):
        sys.stderr.write(f"wsadiag: {safe(_sentence(error, language_of(argv)))}\n")
        return 2
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        # Not even the catalogue's sentences can be read.
        sys.stderr.write(f"wsadiag: {os.strerror(error.errno)}: see `ulimit -n` and /proc/sys/fs/file-nr\n")
        return STARVED
    if os.environ.get("WSADIAG_TRACEBACK") or "--verbose" in argv:
        import traceback  # noqa: PLC0415

        sys.stderr.write("".join(f"{safe(line)}\n" for line in "".join(traceback.format_exception(error)).splitlines()))
        more = ""
    else:
        more = " (WSADIAG_TRACEBACK=1 shows where)"
    # The catalogue may be what is broken: this sentence stands here.
    sys.stderr.write(f"wsadiag: this is a bug in wsadiag: {safe(f'{type(error).__name__}: {error}')}{more}\n")
    return CRASHED


def _sentence(error: Exception, language: Language) -> str:
    from troubleshoot.knowledge.text import Refusal, say  # noqa: PLC0415

    if isinstance(error, Refusal):
        from troubleshoot.knowledge.catalogue import Catalogue  # noqa: PLC0415

        return say(error, Catalogue().wording(language))
    return str(error)
