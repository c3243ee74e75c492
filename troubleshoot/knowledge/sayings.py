"""What systems and programs say of errors, as parts of the catalogue."""

from __future__ import annotations

import functools

from troubleshoot.knowledge.labels import LabelEntry
from troubleshoot.knowledge.model import EndEntry, PlaceEntry, TextEntry
from troubleshoot.knowledge.record import Table

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
    def texts(self) -> Table[TextEntry]:
        """Name → what programs say of errors, and how it is known."""
        return Table(TextEntry, self._source.part("texts"))

    @functools.cached_property
    def ends(self) -> Table[EndEntry]:
        """Name → how programs say that a connection came about and was then ended."""
        return Table(EndEntry, self._source.part("ends"))

    @functools.cached_property
    def places(self) -> Table[PlaceEntry]:
        """Name → how texts say where to."""
        return Table(PlaceEntry, self._source.part("places"))

    @functools.cached_property
    def labels(self) -> Table[LabelEntry]:
        """Meaning → how the commands of a system say it, in each language."""
        return Table(LabelEntry, self._source.part("labels"))
