"""``wsadiag/check/1``: one JSON document."""

from __future__ import annotations

from typing import Any

import msgspec

from troubleshoot.check.model import CheckReport, Outcome, Status
from troubleshoot.render.checks.words import Words
from troubleshoot.report import written

SCHEMA = "wsadiag/check/1"


def render(report: CheckReport, words: Words) -> str:
    """Return the whole check as one document; targets in the order given."""
    return written(document(report, words)) + "\n"


def document(report: CheckReport, words: Words) -> dict[str, Any]:
    """Return the document as plain data."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "wsadiag", "version": report.version},
        "started": report.started,
        "duration_ms": report.duration_ms,
        "hostname": report.hostname,
        "interrupted": report.interrupted,
        "summary": {str(status): report.count(status) for status in Status},
        "targets": [target_document(outcome, words) for outcome in report.outcomes],
        "groups": [
            {
                "id": group.id,
                "cause": group.cause,
                "summary": group.report.verdict.summary,
                "targets": group.targets,
                "report": msgspec.to_builtins(group.report),
            }
            for group in report.groups
        ],
    }


def target_document(outcome: Outcome, words: Words) -> dict[str, Any]:
    """Return one target as plain data."""
    check, last = outcome.check, outcome.last
    return {
        "target": check.target.input,
        "name": check.name,
        "tags": list(check.tags),
        "status": str(outcome.status),
        "reading": str(last.reading) if last else None,
        "found": words.found(last) or None,
        "cause": outcome.cause,
        "confidence": outcome.confidence,
        "group": outcome.group,
        "basis": str(outcome.basis) if outcome.basis else None,
        "attempts": [
            {
                "reading": str(each.reading),
                "duration_ms": round(each.duration_ms, 1),
                "error": each.error,
                "address": each.address,
                "router": each.router,
            }
            for each in outcome.attempts
        ],
        "expected": check.expect.connection,
    }
