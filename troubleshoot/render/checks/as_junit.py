"""JUnit XML, as Jenkins, GitLab and others read it: a case a target (the Ant and Surefire schema)."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from troubleshoot.check.model import CheckReport, Outcome, Status
from troubleshoot.render.checks.words import Words, group_of
from troubleshoot.render.safe import safe
from troubleshoot.render.xml import suite, written


def render(report: CheckReport, words: Words) -> str:
    """Return one ``testsuites`` with one suite; a failed target is a failure, this machine's own fault an error."""
    counts = {status: report.count(status) for status in Status}
    sums = {
        "name": "wsadiag",
        "tests": str(len(report.outcomes)),
        "failures": str(counts[Status.FAILED]),
        "errors": str(counts[Status.ENVIRONMENT]),
        "skipped": str(counts[Status.UNDECIDED]),
        "time": f"{report.duration_ms / 1000:.3f}",
    }
    top, cases = suite(sums, report.started, safe(report.hostname))
    properties = ET.SubElement(cases, "properties")
    for outcome in report.outcomes:
        _case(cases, properties, outcome, report, words)
    if len(cases[0]) == 0:
        cases.remove(cases[0])
    return written(top)


def _case(cases: ET.Element, properties: ET.Element, outcome: Outcome, report: CheckReport, words: Words) -> None:
    """Add a case, and what is known of it to the suite's properties: the schema gives cases none of their own."""
    took_s = sum(each.duration_ms for each in outcome.attempts) / 1000
    names = {"name": safe(outcome.check.name), "classname": "wsadiag.check", "time": f"{took_s:.3f}"}
    case = ET.SubElement(cases, "testcase", names)
    known = {
        "target": outcome.check.target.input,
        "status": str(outcome.status),
        "cause": outcome.cause,
        "confidence": outcome.confidence,
        "tags": " ".join(outcome.check.tags),
        "attempts": ", ".join(f"{each.reading} {each.duration_ms:.0f} ms" for each in outcome.attempts),
    }
    told = {name: safe(value) for name, value in known.items() if value}
    for name, value in told.items():
        ET.SubElement(properties, "property", {"name": f"{names['name']}: {name}", "value": value})
    group = group_of(outcome, report)
    reason = safe(words.reason(outcome, group))
    kinds = {Status.FAILED: "failure", Status.ENVIRONMENT: "error", Status.UNDECIDED: "skipped"}
    kind = kinds.get(outcome.status)
    if kind is not None:
        said = ET.SubElement(case, kind, {"message": reason or str(outcome.status)})
        if kind != "skipped":
            said.set("type", outcome.cause or str(outcome.status))
        if group is not None:
            verdict = group.report.verdict
            said.text = "\n".join(map(safe, [verdict.summary, *verdict.actions]))
    _attempts(case, outcome, words)
    if outcome.status is not Status.PASSED:
        ET.SubElement(case, "system-out").text = "\n".join(f"{name}: {value}" for name, value in told.items())


def _attempts(case: ET.Element, outcome: Outcome, words: Words) -> None:
    """Add the failed attempts beside the one that counts, as Surefire tells reruns."""
    kind = "flakyFailure" if outcome.status is Status.FLAKY else "rerunFailure"
    others = outcome.attempts[:-1] if outcome.status in (Status.FLAKY, Status.FAILED) else []
    for each in others:
        said = {"type": str(each.reading), "message": safe(words.found(each)) or str(each.reading)}
        ET.SubElement(case, kind, said)
