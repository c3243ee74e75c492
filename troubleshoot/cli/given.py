"""The code that a command is given: a plain one, or a text that may have to be asked about."""

from __future__ import annotations

import sys

from troubleshoot.cli.interrupt import hold, let
from troubleshoot.cli.options import system_of
from troubleshoot.intake.codes import is_plain, parse_code, several
from troubleshoot.knowledge.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session
    from troubleshoot.intake.texts import Reading
    from troubleshoot.intake.words import Said


def code_of(word: str, session: Session, errno: str | None) -> str:
    """Return the entry of the code that ``word`` is or speaks for."""
    system = system_of(errno)
    if is_plain(word, session.catalogue):
        return parse_code(word, session.catalogue, system)
    return chosen(words_of([word], session, errno), session)


def words_of(words: list[str], session: Session, errno: str | None) -> Said:
    """Return what the words of a diagnosis say, whatever their order."""
    from troubleshoot.intake.words import said  # noqa: PLC0415 - a plain code costs none of it

    return said(words, session.catalogue, system_of(errno))


def chosen(given: Said, session: Session) -> str:
    """Return the code: the one that is clear, else the one that is chosen on a terminal.

    Raises :class:`~troubleshoot.knowledge.text.Refusal` where nobody can be asked.
    """
    if given.name is not None:
        return given.name
    reading = given.reading
    assert reading is not None  # noqa: S101 - there is no code only where a text has several
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()):
        raise several(reading, session.catalogue)
    return _asked(reading, session)


def _asked(reading: Reading, session: Session) -> str:
    from troubleshoot.render.reading import choices  # noqa: PLC0415 - only where somebody is asked

    sys.stderr.write(choices(reading, session.catalogue, session.language))
    sys.stderr.flush()
    let()  # standard input is a person
    answer = sys.stdin.readline().strip()
    hold()
    if not answer:
        return reading.candidates[0].code
    if answer.isdecimal() and 1 <= int(answer[:3]) <= len(reading.candidates):
        return reading.candidates[int(answer[:3]) - 1].code
    if is_plain(answer, session.catalogue):
        return parse_code(answer, session.catalogue)
    raise several(reading, session.catalogue)


def remark(given: Said, session: Session) -> tuple[str, ...]:
    """Return what was concluded from the form of the words, as sentences."""
    return tuple(say(one, session.wording) for one in given.remarks)
