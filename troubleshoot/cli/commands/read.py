"""``wsadiag read [FILE|-]``: say what pasted outputs of network commands show."""

from __future__ import annotations

import os
import sys

from troubleshoot.cli.interrupt import hold, let
from troubleshoot.cli.output import BAD_USAGE, complain, style, write_json
from troubleshoot.knowledge.text import Refusal, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session

#: A session of all commands of a system takes some hundred kilobytes.
MOST_MB = 8


def run(session: Session, *, file: str | None, json: bool) -> int:
    """Print what each output in ``file`` (nothing or ``-``: standard input) shows; exit with 2 where none was read."""
    shown = file or "-"
    data = bytes_of(shown)

    from troubleshoot.readers import labels_of, read  # noqa: PLC0415 - all readers
    from troubleshoot.readers.text import text_of  # noqa: PLC0415
    from troubleshoot.render.readings import document, page  # noqa: PLC0415

    text = text_of(data, labels_of(session.catalogue))
    if not text.strip():
        raise Refusal("usage.read-empty", file=shown)
    readings = read(text, session.catalogue)
    if json:
        write_json(document(readings, session.wording))
    else:
        sys.stdout.write(page(readings, session.wording, style()))
    if any(reading.seen for reading in readings):
        return 0
    complain(say(Refusal("usage.read-nothing", file=shown), session.wording))
    return BAD_USAGE


def bytes_of(file: str) -> bytes:
    """Return the bytes of a file (``-``: standard input); words that name no file are the text itself."""
    if "\n" in file and not os.path.exists(file):
        return file.encode("utf-8", "surrogateescape")
    let()  # standard input may be a person
    try:
        # By its number: a standard input that was closed before we started is no object at all.
        with open(0 if file == "-" else file, "rb", closefd=file != "-") as opened:
            data = opened.read((MOST_MB << 20) + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refusal("usage.text-unreadable", file=file, reason=reason) from None
    finally:
        hold()
    if len(data) > MOST_MB << 20:
        raise Refusal("usage.read-large", file=file, megabytes=MOST_MB)
    return data
