"""The words of other programs: how commands say, in several languages, what carries no number of its own."""

from __future__ import annotations

from troubleshoot.knowledge.record import Record


class LabelEntry(Record):
    """How the commands of a system say one thing, in each language: words that stand in a line, or its label."""

    en: tuple[str, ...] = ()
    ko: tuple[str, ...] = ()
    de: tuple[str, ...] = ()
    ja: tuple[str, ...] = ()
