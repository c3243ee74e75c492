"""Two reports side by side as text, as Markdown and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from troubleshoot.knowledge.text import say
from troubleshoot.render.escape import markdown, row
from troubleshoot.render.layout import wrap
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style

if TYPE_CHECKING:
    from troubleshoot.run.compare import Comparison

SCHEMA = "wsadiag/compare/1"
#: Fields of a report whose values are words of ours, by the labels that translate them.
_LABELS = {"outcome": "outcome-{}", "confidence": "confidence-{}", "scope": "scope-{}"}


def document(found: Comparison, wording: Mapping[str, str]) -> dict[str, Any]:
    """Return the comparison as plain data, ``wsadiag/compare/1``; ``follows`` are sentences with their keys."""
    follows = [{"key": one.key.partition("compare-")[2], "text": say(one, wording)} for one in found.follows]
    return {"schema": SCHEMA, **msgspec.to_builtins(found), "follows": follows}


def page(found: Comparison, wording: Mapping[str, str], style: Style) -> str:
    """Return the comparison as text: what follows first, then what differs."""
    lines = [line for one in found.follows for line in wrap(safe(say(one, wording)), style.width)]
    lines += ["", style.heading(wording["ui.compare-differs" if found.differences else "ui.compare-no-difference"])]
    for what, a, b in _rows(found, wording):
        lines += wrap(safe(what), style.width, "  ")
        lines += wrap(safe(f"{found.a}: {a}"), style.width, "    A  ")
        lines += wrap(safe(f"{found.b}: {b}"), style.width, "    B  ")
    return "\n".join(lines) + "\n"


def ticket(found: Comparison, wording: Mapping[str, str]) -> str:
    """Return the comparison in Markdown."""
    lines = [markdown(say(one, wording)) + "\n" for one in found.follows]
    lines.append(f"## {wording['ui.compare-differs' if found.differences else 'ui.compare-no-difference']}\n")
    if found.differences:
        lines += [row(("", f"A: {found.a}", f"B: {found.b}")), "| --- | --- | --- |"]
        lines += map(row, _rows(found, wording))
    return "\n".join(lines) + "\n"


def _rows(found: Comparison, wording: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield what differs, and both sides, in the reader's words."""
    for one in found.differences:
        label = wording.get(f"ui.compare-{one.what}", one.what)
        form = _LABELS.get(one.what, "{}")
        a, b = (wording.get(f"ui.{form.format(side)}", side) if side else "-" for side in (one.a, one.b))
        yield label, a, b
