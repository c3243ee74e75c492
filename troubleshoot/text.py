"""Turn notes into sentences, and find out in which language to say them.

A sentence of the catalogue holds named places, ``{port}``, and nothing else of Python's format language: values
come from the network, and neither an attribute nor a format width may be reached through them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from troubleshoot.errors import UserError

if TYPE_CHECKING:
    from troubleshoot.catalogue import Language

_PLACE = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}")


class Sayable(Protocol):
    """What :func:`say` takes: :class:`probes.base.Note`, or a :class:`Refusal`."""

    @property
    def key(self) -> str:
        """``table.name`` of the sentence."""
        ...

    @property
    def values(self) -> tuple[tuple[str, str], ...]:
        """The values that fill its places."""
        ...


class Refusal(UserError):  # noqa: N818 - a sentence for the user, not a failure of ours
    """Words of the command line that mean nothing: which, and what would fit, as a sentence of the catalogue."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = tuple((name, str(value)) for name, value in values.items())

    def __str__(self) -> str:
        from troubleshoot.catalogue import Catalogue  # noqa: PLC0415 - only where somebody reads it

        return say(self, Catalogue().wording("en"))


def fill(sentence: str, values: Mapping[str, str]) -> str:
    """Put ``values`` into the places of ``sentence``; a place without a value stays visible as ``<name>``."""

    def place(found: re.Match[str]) -> str:
        name = found[1]
        return found[0][0] if name is None else values.get(name, f"<{name}>")

    return _PLACE.sub(place, sentence)


def places(sentence: str) -> frozenset[str]:
    """Return the names of the places in ``sentence``."""
    return frozenset(name for name in _PLACE.findall(sentence) if name)


def say(note: Sayable, wording: Mapping[str, str]) -> str:
    """Return the sentence that ``note`` stands for; a key that ``wording`` lacks stays visible as ``<key>``."""
    sentence = wording.get(note.key)
    return f"<{note.key}>" if sentence is None else fill(sentence, dict(note.values))


def preferred_language(environment: Mapping[str, str]) -> Language:
    """Return the language that the environment's locale asks for (POSIX.1-2024, 8.2: LC_ALL, LC_MESSAGES, LANG)."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(variable)
        if value:
            return "ko" if re.match(r"ko([_.@-]|$)", value.lower()) else "en"
    return "en"


def can_show(text: str, encoding: str | None = None) -> bool:
    """Whether ``text`` can be written in ``encoding`` (standard output's where none is given)."""
    try:
        text.encode(encoding or getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
