"""Make code and target out of the words of a command line, in whatever order and pieces they come.

``10061 example.com:21`` is the plain form. Swapped (``example.com:21 10061``) and split (``10061 example.com 21``)
words are put right with a remark; a text may come as one word or as many, with its target in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probes.base import Note, note
from troubleshoot.errors import UserError
from troubleshoot.intake.caller import caller_system
from troubleshoot.intake.codes import is_plain, parse_code
from troubleshoot.intake.forms import rewritten
from troubleshoot.intake.login import without_odd_login
from troubleshoot.intake.target import parse_target
from troubleshoot.intake.texts import Reading, read_text
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import System
from troubleshoot.knowledge.text import Refusal

#: Below this a number is as likely a port, or a system's own.
_PLAIN_FROM = 1000


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the words say: ``code`` as it was written or the line of a text that speaks for it, and ``target``.

    ``name`` is the code's entry, ``None`` where ``reading`` holds several of which one is to be chosen.
    """

    code: str
    name: str | None
    target: str | None
    reading: Reading | None = None
    remarks: tuple[Note, ...] = ()
    caller_system: System | None = None


def said(words: Sequence[str], catalogue: Catalogue, system: System | None = None) -> Said:
    """Return what ``words``, of which there is one at least, say.

    Raises :class:`~troubleshoot.knowledge.text.Refusal` where they hold no code.
    """
    first, *rest = words
    whole = " ".join(words)
    if is_plain(first, catalogue):
        return _plain(first, " ".join(rest) or None, catalogue, system, moved=len(rest) > 1)
    swapped = _swapped(words, catalogue)
    if swapped is not None:
        return _plain(*swapped, catalogue, system, moved=True)
    if len(rest) <= 1 or " " in first:
        reading = read_text(first, catalogue, system)
        return _of_text(first, reading, " ".join(rest) or None, catalogue, system)
    reading = read_text(whole, catalogue, system)
    return _of_text(whole if reading.code is not None else first, reading, None, catalogue, system)


def _plain(code: str, target: str | None, catalogue: Catalogue, system: System | None, *, moved: bool) -> Said:
    name = parse_code(code, catalogue, system)
    target = target if target is None or " " not in target else _one_word(target, catalogue)
    remarks = (note("usage.remark-order", code=code, target=target or ""),) if moved else ()
    whose = caller_system(code, catalogue, system)
    return Said(code=code, name=name, target=target, remarks=remarks, caller_system=whose)


def _one_word(target: str, catalogue: Catalogue) -> str:
    """Return the target that several words say: ``host port 22``, or the line of an error message."""
    target = without_odd_login(target)
    if " " not in target:
        return target
    plainer = rewritten(target)
    if plainer is not None:
        return plainer[0]
    if all(_is_whole(word, catalogue) for word in target.split()):
        return target  # two targets: which one is meant is not ours to say
    return read_text(target, catalogue).target or target


def _is_whole(word: str, catalogue: Catalogue) -> bool:
    """Whether a word by itself is a target with its port."""
    try:
        found = parse_target(word, catalogue)
    except UserError:
        return False
    return found.port is not None


def _swapped(words: Sequence[str], catalogue: Catalogue) -> tuple[str, str] | None:
    """Return code and target where one of the later words is a code and all others are a target."""
    for index in range(len(words) - 1, 0, -1):
        word = words[index]
        if not is_plain(word, catalogue) or (word.isdecimal() and int(word[:9]) < _PLAIN_FROM):
            continue
        others = " ".join((*words[:index], *words[index + 1 :]))
        try:
            parse_code(word, catalogue)
            parse_target(others, catalogue)
        except Refusal:
            continue
        return word, others
    return None


def _of_text(text: str, reading: Reading, target: str | None, catalogue: Catalogue, system: System | None) -> Said:
    if reading.code is None:
        parse_code(text, catalogue, system)  # it has the words for what is unknown
        raise AssertionError(text)
    best = reading.candidates[0]
    remarks = [note("usage.remark-text-code", code=best.code, line=best.line)] if reading.clear else []
    if target is None and reading.target is not None:
        remarks.append(note("usage.remark-text-target", target=reading.target))
    return Said(
        code=best.line,
        name=reading.code if reading.clear else None,
        target=target or reading.target,
        reading=reading,
        remarks=tuple(remarks),
        caller_system=reading.caller_system,
    )
