"""``wsadiag parse [FILE|-]``: read an error message and say which code and target it means."""

from __future__ import annotations

import os
import sys

from troubleshoot.cli.interrupt import hold, let
from troubleshoot.cli.options import system_of
from troubleshoot.cli.output import BAD_USAGE, complain, style, write_json
from troubleshoot.intake.codes import several
from troubleshoot.intake.texts import LONGEST, read_text
from troubleshoot.knowledge.text import Refusal, say
from troubleshoot.render.reading import document, page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session


def run(session: Session, *, file: str | None, json: bool, errno: str | None) -> int:
    """Print what the text in ``file`` (nothing or ``-``: standard input) says; exit with 2 where no code is clear."""
    shown = file or "-"
    let()  # standard input may be a person
    text = _read(shown)
    hold()
    if not text.strip():
        raise Refusal("usage.text-empty", file=shown)
    reading = read_text(text, session.catalogue, system_of(errno))
    if json:
        write_json(document(reading, session.catalogue, session.language))
        if reading.code is not None:
            return 0  # whoever reads it chooses
    elif reading.code is not None:
        sys.stdout.write(page(reading, session.catalogue, session.language, style()))
    if reading.clear:
        return 0
    if reading.code is None:
        places = ", ".join(reading.targets[:3])
        word = " ".join(text.split())[:60]
        complain(say(Refusal("usage.text-no-code", word=places or word), session.wording))
    else:
        complain(say(several(reading, session.catalogue), session.wording))
    return BAD_USAGE


def _read(file: str) -> str:
    """Return the text in ``file``; words that name no file are the text itself."""
    if " " in file and not os.path.exists(file):
        return file
    try:
        # By its number: a standard input that was closed before we started is no object at all.
        with open(0 if file == "-" else file, "rb", closefd=file != "-") as opened:
            data = opened.read(4 * LONGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refusal("usage.text-unreadable", file=file, reason=reason) from None
    if len(data) > 4 * LONGEST:
        raise Refusal("usage.text-large", file=file, kilobytes=4 * LONGEST >> 10)
    for encoding in ("utf-8-sig", "utf-16") if data[:2] not in (b"\xff\xfe", b"\xfe\xff") else ("utf-16",):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace")
