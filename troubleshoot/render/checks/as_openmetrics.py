"""OpenMetrics 1.0 (RFC-less; the CNCF's specification), as a textfile collector takes it."""

from __future__ import annotations

from troubleshoot.check.model import CheckReport, Outcome, Status
from troubleshoot.render.checks.words import Words, group_of
from troubleshoot.render.safe import safe


def render(report: CheckReport, words: Words) -> str:
    """Return gauges for each target: whether it passed, how long its last attempt took, and why it failed."""
    del words
    lines = _family("wsadiag_check_success", "gauge", "Whether the target met its expectation.")
    lines += [_sample("wsadiag_check_success", _labels(o), int(_good(o))) for o in report.outcomes]
    lines += _family("wsadiag_check_duration_seconds", "gauge", "Duration of the last attempt.", unit="seconds")
    lines += [
        _sample("wsadiag_check_duration_seconds", _labels(o), round(o.last.duration_ms / 1000, 6))
        for o in report.outcomes
        if o.last is not None
    ]
    lines += _family("wsadiag_check_attempts", "gauge", "Attempts that were made.")
    lines += [_sample("wsadiag_check_attempts", _labels(o), len(o.attempts)) for o in report.outcomes]
    lines += _family("wsadiag_check_failure", "gauge", "Why a target did not pass; always 1.")
    lines += [
        _sample("wsadiag_check_failure", {**_labels(o), **_why(o, report)}, 1) for o in report.outcomes if not _good(o)
    ]
    lines += _family("wsadiag_check_targets", "gauge", "Targets by status.")
    lines += [_sample("wsadiag_check_targets", {"status": str(s)}, report.count(s)) for s in Status]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _good(outcome: Outcome) -> bool:
    return outcome.status in (Status.PASSED, Status.FLAKY)


def _family(name: str, kind: str, about: str, unit: str = "") -> list[str]:
    return [f"# TYPE {name} {kind}", *([f"# UNIT {name} {unit}"] if unit else []), f"# HELP {name} {about}"]


def _labels(outcome: Outcome) -> dict[str, str]:
    return {"target": outcome.check.target.input, "name": outcome.check.name}


def _why(outcome: Outcome, report: CheckReport) -> dict[str, str]:
    group = group_of(outcome, report)
    place = group.report.verdict.location if group else None
    return {
        "status": str(outcome.status),
        "reading": str(outcome.last.reading) if outcome.last else "",
        "cause": outcome.cause or "",
        "confidence": outcome.confidence or "",
        "scope": place.scope if place else "",
    }


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{shown}}} {value}"


def _escaped(text: str) -> str:
    return safe(text).replace("\\", "\\\\").replace('"', '\\"')
