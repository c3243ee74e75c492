"""JUnit XML: a case for each step of the checklist, in one suite for the diagnosis."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from troubleshoot.render.block import code, titled
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.render.reports import head
from troubleshoot.render.safe import safe
from troubleshoot.render.xml import suite, written
from troubleshoot.report import Report, Step


def render(report: Report, lexicon: Lexicon) -> str:
    """Return one ``testsuites`` with one suite: what failed is a failure, what could not be looked at is skipped."""
    kinds = [_kind(step, report) for step in report.steps]
    sums = {
        "name": safe(f"wsadiag {code(report)} {report.target.input}"),
        "tests": str(len(kinds)),
        "failures": str(kinds.count("failure")),
        "errors": "0",
        "skipped": str(kinds.count("skipped")),
        "time": f"{report.duration_ms / 1000:.3f}",
    }
    top, cases = suite(sums, report.started, safe(report.vantage.hostname))
    properties = ET.SubElement(cases, "properties")
    title, summary = titled(report.verdict, lexicon)
    verdict = report.verdict
    known = [("verdict", title), ("summary", summary), ("cause", verdict.cause), ("confidence", verdict.confidence)]
    for name, value in [*known, *head.facts(report, lexicon), *head.owner(lexicon)]:
        if value:
            ET.SubElement(properties, "property", {"name": safe(name), "value": safe(value)})
    for step, kind in zip(report.steps, kinds, strict=True):
        _case(cases, step, kind, report)
    return written(top)


def _kind(step: Step, report: Report) -> str | None:
    if step.status in ("skipped", "unavailable"):
        return "skipped"
    named = report.verdict.outcome == "fault" and step.id == report.verdict.failed_step
    return "failure" if step.status == "failed" or named else None


def _case(cases: ET.Element, step: Step, kind: str | None, report: Report) -> None:
    took_s = (step.duration_ms or 0.0) / 1000
    names = {"name": safe(step.title), "classname": f"wsadiag.{safe(step.id)}", "time": f"{took_s:.3f}"}
    case = ET.SubElement(cases, "testcase", names)
    said = safe(step.summary or step.why)
    if kind is not None:
        told = ET.SubElement(case, kind, {"message": said})
        if kind == "failure":
            told.set("type", safe(report.verdict.cause or step.status))
            told.text = "\n".join(map(safe, [report.verdict.summary, *report.verdict.actions]))
    elif said:
        ET.SubElement(case, "system-out").text = said
