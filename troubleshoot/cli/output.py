"""What the console script and the commands both need: statuses, the streams, the language."""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from troubleshoot.knowledge.kinds import Language
    from troubleshoot.render.style import Style

#: ``sysexits.h`` EX_SOFTWARE: our own bug. No diagnosis ends with it.
CRASHED = 70
#: ``sysexits.h`` EX_OSERR: this machine lacks or withholds what no run can do without: files, memory, threads.
STARVED = 71
#: ``sysexits.h`` EX_IOERR: the result could not be written.
NOT_WRITTEN = 74
#: What a shell reports of a program that SIGPIPE ended.
PIPE_CLOSED = 141
INTERRUPTED = 130
BAD_USAGE = 2


class NotWritten(OSError):  # noqa: N818 - how a run may end, no mistake
    """Standard output does not take what is written to it: told apart from every other error of the system."""


class _Output(io.TextIOWrapper):
    """Standard output, whose failures are :class:`NotWritten`."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise NotWritten(error.errno, error.strerror) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise NotWritten(error.errno, error.strerror) from error


def told_apart(stream: TextIO) -> TextIO:
    """Return standard output as one whose failures are :class:`NotWritten`; a stream of somebody else's as it is.

    What its encoding lacks is escaped.
    """
    if type(stream) is not io.TextIOWrapper:
        return stream
    encoding, by_line, through = stream.encoding, stream.line_buffering, stream.write_through
    return _Output(stream.detach(), encoding, "backslashreplace", line_buffering=by_line, write_through=through)


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


def korean_in_vain(argv: list[str], language: Language) -> bool:
    """Whether Korean was asked for by name and standard output cannot show it."""
    return language == "en" and ("--lang=ko" in argv or " --lang ko " in f" {' '.join(argv)} ")


def complain(text: str, prefix: str = "wsadiag: ") -> None:
    """Write a line to standard error; where that is closed or full, the status alone has to tell."""
    if sys.stderr is None:
        return
    text = _without_secrets(text)
    shown = text.encode("ascii", "backslashreplace").decode()
    try:
        from troubleshoot.render.safe import safe  # noqa: PLC0415

        shown = safe(text)
    except OSError:
        pass  # no more files
    try:
        sys.stderr.write(f"{prefix}{shown}\n")
        sys.stderr.flush()
    except OSError:
        sys.stderr = None  # nothing is to be flushed at the end, either


def _without_secrets(text: str) -> str:
    """Return what standard error may show: it ends in logs, and in what people pass on."""
    try:
        from troubleshoot.cli.words import OPTIONS  # noqa: PLC0415
        from troubleshoot.knowledge.secrets import masked  # noqa: PLC0415

        own = (
            sys.argv[: sys.argv.index("--")] if "--" in sys.argv else sys.argv
        )  # others belong to the program of `run`
        return text if OPTIONS["show_secrets"].names[0] in own else masked(text)
    except Exception:  # noqa: BLE001 - it is the catalogue that the text complains of, or there are no more files
        return text


def sentence(error: Exception, language: Language) -> str:
    """Return what the user is told of an error."""
    from troubleshoot.knowledge.text import Refusal, say  # noqa: PLC0415

    if isinstance(error, Refusal):
        from troubleshoot.knowledge.catalogue import catalogue  # noqa: PLC0415

        return say(error, catalogue().wording(language))
    return str(error)


def style(instant: str = "") -> Style:
    """Return how standard output wants to be written to, and ``instant`` (RFC 3339, UTC) as the clock here shows it."""
    from troubleshoot.render.style import style_of  # noqa: PLC0415

    return style_of(sys.stdout, os.environ, clock_time(instant))


def clock_time(instant: str) -> str:
    """Return an instant (RFC 3339, UTC) in the time zone of this machine; an empty text where it is none, or is UTC."""
    import time  # noqa: PLC0415

    try:
        parts = [int(instant[at : at + 2]) for at in (5, 8, 11, 14, 17)]
        seconds = time.mktime((int(instant[:4]), *parts, 0, 0, 0)) - time.timezone  # type: ignore[arg-type]
        there = time.localtime(seconds)
    except (ValueError, OverflowError, OSError):
        return ""
    if not instant.endswith("Z") or not there.tm_gmtoff:
        return ""
    hours, minutes = divmod(abs(there.tm_gmtoff) // 60, 60)
    sign = "-" if there.tm_gmtoff < 0 else "+"
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', there)} {sign}{hours:02}:{minutes:02}"


def write_json(document: object) -> None:
    """Print one JSON document of plain data, in UTF-8 whatever the locale says (RFC 8259, section 8.1)."""
    import json  # noqa: PLC0415

    from troubleshoot.knowledge.letters import escape_json  # noqa: PLC0415

    write_utf8(escape_json(json.dumps(document, indent=2, ensure_ascii=False)).encode() + b"\n")


def write_records(document: object) -> None:
    """Print one JSON document that holds records, likewise."""
    from troubleshoot.report import written  # noqa: PLC0415

    write_utf8(written(document).encode() + b"\n")


def write_utf8(data: bytes) -> None:
    """Write bytes to standard output, after what was written as text."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a test's stream of text
        sys.stdout.write(data.decode())
    else:
        try:
            buffer.write(data)
        except OSError as error:
            raise NotWritten(error.errno, error.strerror) from error
