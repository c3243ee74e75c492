"""``wsadiag/report/1``: what ``--json`` prints."""

from __future__ import annotations

from troubleshoot.render.lexicon import Lexicon
from troubleshoot.report import Report, to_json


def render(report: Report, lexicon: Lexicon) -> str:
    """Return the report as its JSON document; its words stand in it already."""
    del lexicon
    return to_json(report) + "\n"
