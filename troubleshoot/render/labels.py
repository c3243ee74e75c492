"""The labels that pages and screens share."""

from __future__ import annotations

from troubleshoot.knowledge.text import fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def labels_in(wording: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of pages, without the name of their table."""
    return {key[3:]: text for key, text in wording.items() if key.startswith("ui.")}


def checklist_heading(origin: str | None, ui: dict[str, str], *, added: bool) -> str:
    """Return the heading of a run of steps with one origin."""
    if added:
        return ui["checklist-added"]
    return fill(ui["checklist-from"], {"origin": origin}) if origin else ui["checklist"]
