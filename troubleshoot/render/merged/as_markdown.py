"""Merged reports in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from troubleshoot.render.escape import markdown, row
from troubleshoot.render.merged import words

if TYPE_CHECKING:
    from troubleshoot.fleet import Merged


def render(found: Sequence[Merged], wording: Mapping[str, str]) -> str:
    """Return the document, a heading for each target."""
    return "\n".join("\n".join(_target(one, wording)) for one in found)


def _target(merged: Merged, wording: Mapping[str, str]) -> Iterator[str]:
    yield f"# {markdown(merged.target)}\n"
    yield f"**{markdown(words.headline(merged, wording))}**\n"
    yield markdown(words.counted(merged, wording)) + "\n"
    for key, sentences in words.said(merged, wording):
        if sentences:
            yield f"## {markdown(wording[f'ui.{key}'])}\n"
            yield from (f"- {markdown(sentence)}" for sentence in sentences)
            yield ""
    yield f"## {markdown(wording['ui.merge-matrix'])}\n"
    yield row((wording["ui.merge-by-site"], wording["ui.compare-machine"], "", wording["ui.compare-cause"]))
    yield "| --- | --- | --- | --- |"
    for site, machine, views in words.by_machine(merged):
        yield row((site, machine, " ".join(map(words.sign, views)), words.cause(views)))
    yield ""
    for table in merged.tables:
        first, *rows = words.table(table, wording)
        yield row(first)
        yield "| --- | ---: | ---: | ---: |"
        yield from map(row, rows)
        yield ""
