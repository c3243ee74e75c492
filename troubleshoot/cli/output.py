"""What the console script and the commands both need: statuses, the streams, the language."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.knowledge.kinds import Language
    from troubleshoot.render.style import Style

#: ``sysexits.h`` EX_SOFTWARE: our own bug. No diagnosis ends with it.
CRASHED = 70
#: ``sysexits.h`` EX_OSERR: this run may open no files itself.
STARVED = 71
#: ``sysexits.h`` EX_IOERR: the result could not be written.
NOT_WRITTEN = 74
#: What a shell reports of a program that SIGPIPE ended.
PIPE_CLOSED = 141
INTERRUPTED = 130
BAD_USAGE = 2


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


def sentence(error: Exception, language: Language) -> str:
    """Return what the user is told of an error."""
    from troubleshoot.knowledge.text import Refusal, say  # noqa: PLC0415

    if isinstance(error, Refusal):
        from troubleshoot.knowledge.catalogue import catalogue  # noqa: PLC0415

        return say(error, catalogue().wording(language))
    return str(error)


def style() -> Style:
    """Return how standard output wants to be written to."""
    from troubleshoot.render.style import style_of  # noqa: PLC0415

    return style_of(sys.stdout, os.environ)


def write_json(document: object) -> None:
    """Print one JSON document of plain data, in UTF-8 whatever the locale says (RFC 8259, section 8.1)."""
    import json  # noqa: PLC0415

    write_utf8(json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")


def write_records(document: object) -> None:
    """Print one JSON document that holds records, likewise."""
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
