"""The words of a screen in one language."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from troubleshoot.knowledge.text import fill
from troubleshoot.render.labels import labels_in


class Lexicon(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a screen in one language.

    ``wording`` is :meth:`~troubleshoot.knowledge.catalogue.Catalogue.wording`, ``causes`` the title of each cause id,
    ``codes`` the name of each Winsock number that the report mentions, ``steps`` the title of each step id: evidence
    may come from a step that is not on the code's list. ``owner`` is who can mend what the verdict names, an id of the
    labels ``ui.owner-ID``.
    """

    wording: Mapping[str, str]
    causes: Mapping[str, str] = msgspec.field(default_factory=dict)
    codes: Mapping[int, str] = msgspec.field(default_factory=dict)
    steps: Mapping[str, str] = msgspec.field(default_factory=dict)
    owner: str | None = None

    def ui(self, key: str, **values: str) -> str:
        """Return a label of the screen."""
        sentence = self.wording.get(f"ui.{key}")
        return f"<ui.{key}>" if sentence is None else fill(sentence, values)

    @property
    def labels(self) -> dict[str, str]:
        """All labels by their name."""
        return labels_in(self.wording)

    def cause(self, cause: str) -> str:
        """Return the title of a cause, its id where it is unknown here (a report of a newer version)."""
        return self.causes.get(cause, cause)
