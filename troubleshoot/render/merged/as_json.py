"""Merged reports as data, ``wsadiag/merge/1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from troubleshoot.knowledge.text import say
from troubleshoot.render.merged import words

if TYPE_CHECKING:
    from troubleshoot.fleet import Merged
    from troubleshoot.fleet.model import View

SCHEMA = "wsadiag/merge/1"
#: What of a report stands in the document.
_FIELDS = (
    *("machine", "site", "user", "started", "outcome", "cause", "confidence", "scope", "source", "network", "servers"),
    *("resolved", "routers", "redacted"),
)


def document(found: Sequence[Merged], wording: Mapping[str, str], unread: int) -> dict[str, Any]:
    """Return a verdict for each target; ``unread`` counts what was given and is no report."""
    return {"schema": SCHEMA, "unread": unread, "targets": [_target(one, wording) for one in found]}


def _target(merged: Merged, wording: Mapping[str, str]) -> dict[str, Any]:
    finding = merged.finding
    return {
        "target": merged.target,
        "verdict": {
            "outcome": finding.outcome,
            "kind": finding.kind,
            "confidence": finding.confidence,
            "summary": words.what(finding, wording),
            "fails": finding.keys,
            "works": finding.works,
            "router": finding.router,
            "beside": finding.beside,
            "rivals": finding.rivals,
            "evidence": [say(one, wording) for one in finding.evidence],
            "look": wording[f"ui.merge-look-{finding.kind}"],
            "settle": [say(one, wording) for one in finding.settle],
        },
        "duplicates": merged.duplicates,
        "tables": {table.by: [msgspec.to_builtins(row) for row in table.rows] for table in merged.tables},
        "reports": [_report(view) for view in merged.views],
    }


def _report(view: View) -> dict[str, Any]:
    cells = [{"address": cell.address, "works": cell.works} for cell in view.cells]
    return {"file": view.label, **{field: getattr(view, field) for field in _FIELDS}, "addresses": cells}
