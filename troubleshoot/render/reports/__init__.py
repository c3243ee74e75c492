"""A report as a document: each module of this folder takes it with its words and returns text."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.render.lexicon import Lexicon
    from troubleshoot.report import Report

#: The form of a file by how its name ends; each is a module of this folder with a function ``render``.
FORMS = {".json": "json", ".md": "markdown", ".html": "html", ".xml": "junit"}


def render(form: str, report: Report, lexicon: Lexicon) -> str:
    """Return the report in ``form``, one of the values of :data:`FORMS`, with a line break at its end."""
    module = importlib.import_module(f"{__name__}.as_{form}")
    text: str = module.render(report, lexicon)
    return text
