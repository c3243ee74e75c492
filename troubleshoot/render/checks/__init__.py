"""A check's report in the formats that people and CI systems read: each module takes it and returns text."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.check.model import CheckReport
    from troubleshoot.render.checks.words import Words

#: The formats, each a module of this folder with a function ``render``.
FORMATS = ("text", "json", "jsonl", "junit", "tap", "github", "openmetrics", "markdown")


def render(name: str, report: CheckReport, words: Words) -> str:
    """Return the report in the format ``name``, one of :data:`FORMATS`, with a line break at its end."""
    module = importlib.import_module(f"{__name__}.as_{name}")
    text: str = module.render(report, words)
    return text
