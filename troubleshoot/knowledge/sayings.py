"""What systems and programs say of errors, as parts of the catalogue."""

from __future__ import annotations

import functools

from troubleshoot.knowledge.model import PlaceEntry, TextEntry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.knowledge.cache import Source
    from troubleshoot.knowledge.kinds import Sayer


class Sayings:
    """The half of the catalogue that texts are read with; whoever has a plain code never asks for it."""

    _source: Source

    @functools.cached_property
    def sentences(self) -> dict[str, dict[Sayer, list[str]]]:
        """Code name → what systems say for it, by who says it (:data:`troubleshoot.knowledge.kinds.Sayer`)."""
        found: dict[str, dict[Sayer, list[str]]] = self._source.part("sentences")
        return found

    @functools.cached_property
    def texts(self) -> dict[str, TextEntry]:
        """Name → what programs say of errors, and how it is known."""
        return {name: TextEntry.of(entry) for name, entry in self._source.part("texts").items()}

    @functools.cached_property
    def places(self) -> dict[str, PlaceEntry]:
        """Name → how texts say where to."""
        return {name: PlaceEntry.of(entry) for name, entry in self._source.part("places").items()}
