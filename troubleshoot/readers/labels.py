"""The words of commands in the languages that they speak: data of the catalogue, looked up by meaning."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from troubleshoot.knowledge.labels import LabelEntry

LANGUAGES = ("en", "ko", "de", "ja")
#: What may stand between a label and its value.
_END = " \t\u00a0\u3000.:\uff1a"


class Labels:
    """The labels of ``table``: meaning → how each language says it."""

    def __init__(self, table: Mapping[str, LabelEntry]) -> None:
        self._words = {
            name: tuple((language, word) for language in LANGUAGES for word in getattr(entry, language))
            for name, entry in table.items()
        }
        self._folded = {
            name: tuple(dict.fromkeys(word.casefold() for _, word in words)) for name, words in self._words.items()
        }
        said = [(language, word.casefold()) for words in self._words.values() for language, word in words]
        self._english = frozenset(word for language, word in said if language == LANGUAGES[0] and len(word) > 2)
        self._own = {
            one: frozenset(
                word
                for language, word in said
                if language == one and (len(word) > 4 or not word.isascii()) and not self._of_english(word)
            )
            for one in LANGUAGES[1:]
        }

    def _of_english(self, word: str) -> bool:
        return any(word in other for other in self._english)

    def says(self, line: str, *meanings: str) -> bool:
        """Whether a line says one of the meanings."""
        folded = line.casefold()
        return any(word in folded for meaning in meanings for word in self._folded[meaning])

    def meant(self, line: str, meanings: tuple[str, ...]) -> str | None:
        """Return the first of the meanings that a line says."""
        return next((meaning for meaning in meanings if self.says(line, meaning)), None)

    def label(self, key: str, meanings: tuple[str, ...]) -> str | None:
        """Return the meaning of which ``key`` (what stands before a colon) is the label."""
        folded = key.strip().casefold().rstrip(_END)
        return self._of_label(folded, meanings)

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one object in a process
    def _of_label(self, folded: str, meanings: tuple[str, ...]) -> str | None:
        return next((meaning for meaning in meanings if folded in self._folded[meaning]), None)

    def language(self, text: str) -> str | None:
        """Return the language that a text speaks: the one of which it holds most labels that English does not have.

        English, where it holds labels of that alone; ``None`` where it holds none at all.
        """
        folded = text.casefold()
        counts = {one: sum(word in folded for word in words) for one, words in self._own.items()}
        best = max(counts, key=lambda one: counts[one])
        if counts[best]:
            return best
        return LANGUAGES[0] if any(word in folded for word in self._english) else None

    def found(self, text: str) -> int:
        """Return how many labels that no ASCII text could hold stand in a text."""
        folded = text.casefold()
        return sum(word in folded for words in self._folded.values() for word in words if not word.isascii())
