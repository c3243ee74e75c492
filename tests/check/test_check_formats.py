"""Each format of a check's report, read back by that format's own reader, with hostile names."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import fastjsonschema
import msgspec
import pytest

from probes.base import Context
from troubleshoot.check.explain import Explanations
from troubleshoot.check.model import Attempt, Basis, Check, CheckReport, Group, Outcome, Reading, Status
from troubleshoot.check.patience import Patience
from troubleshoot.check.progress import Progress
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.options import Options
from troubleshoot.render.checks import FORMATS, render
from troubleshoot.render.checks.words import Words
from troubleshoot.render.safe import safe
from troubleshoot.report import from_json

ROOT = Path(__file__).parents[2]
HOSTILE = 'x\x1b[31m"<&>]]>#\\%0A::error::\u202e|`${{}}\n'
WORDS = {lang: Words(catalogue().wording(lang), {"no-listener": "Title <&>"}) for lang in ("en", "ko")}


def outcome(status: Status, name: str = "a.example:80", *readings: Reading, **more: object) -> Outcome:
    attempts = [
        Attempt(
            reading=reading,
            duration_ms=12.5,
            met=reading is Reading.OPEN,
            error=None if reading is Reading.OPEN else "ECONNREFUSED",
            found=None if reading is Reading.OPEN else (f"check.found-{reading}", {"error": HOSTILE}),
        )
        for reading in readings or (Reading.OPEN,)
    ]
    made = Outcome(check=Check(target=parse_target("a.example:80"), name=name), attempts=attempts, status=status)
    for key, value in more.items():
        setattr(made, key, value)
    return made


@pytest.fixture(scope="module")
def report() -> CheckReport:
    saved = next(
        found
        for path in sorted((ROOT / "tests/data/reports").glob("*.json"))
        if (found := from_json(path.read_bytes())).verdict.cause == "no-listener"
    )
    group = Group(id=1, report=saved, targets=2)
    failed = {"cause": "no-listener", "confidence": "likely", "group": 1}
    return CheckReport(
        started="2026-01-02T03:04:05.678Z",
        duration_ms=1234.5,
        hostname="client",
        version="0",
        outcomes=(
            outcome(Status.PASSED),
            outcome(Status.FAILED, HOSTILE, Reading.REFUSED, **failed),
            outcome(Status.FAILED, "b", Reading.REFUSED, **failed),
            outcome(Status.FLAKY, "c", Reading.SILENT, Reading.OPEN),
            outcome(Status.ENVIRONMENT, "d", Reading.LOCAL),
            outcome(Status.UNDECIDED, "e", Reading.SILENT),
        ),
        groups=(group,),
    )


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_nothing_hostile_gets_through(report: CheckReport, name: str, language: str) -> None:
    text = render(name, report, WORDS[language])
    assert text.endswith("\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_json_holds_the_contract(report: CheckReport) -> None:
    found = json.loads(render("json", report, WORDS["en"]))
    assert found["schema"] == "wsadiag/check/1"
    assert found["summary"] == {"passed": 1, "failed": 2, "flaky": 1, "environment": 1, "undecided": 1}
    assert [each["status"] for each in found["targets"]] == [
        "passed", "failed", "failed", "flaky", "environment", "undecided",
    ]  # fmt: skip
    one = found["targets"][1]
    assert (one["reading"], one["cause"], one["confidence"], one["group"]) == ("refused", "no-listener", "likely", 1)
    assert one["attempts"] == [
        {"reading": "refused", "duration_ms": 12.5, "error": "ECONNREFUSED", "address": None, "router": None}
    ]
    assert found["groups"][0]["targets"] == 2
    assert found["groups"][0]["report"]["schema"] == "wsadiag/report/1"


def schema_of(part: str = "") -> dict[str, Any]:
    """Return the schema of a check, or of a ``part`` of it, with the one of reports in its place."""
    whole = json.loads((ROOT / "docs/check.schema.json").read_text())
    reports = json.loads((ROOT / "report.schema.json").read_text())
    parts = {**reports.pop("$defs"), **whole["$defs"], "wholeReport": {k: reports[k] for k in reports if k[0] != "$"}}
    if "$ref" in reports:
        parts["wholeReport"] = {"$ref": reports["$ref"]}
    parts["group"]["properties"]["report"] = {"$ref": "#/$defs/wholeReport"}
    chosen = parts[part] if part else {key: whole[key] for key in whole if key[0] != "$"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **chosen, "$defs": parts}


def test_json_and_jsonl_fit_our_schema(report: CheckReport) -> None:
    fits = fastjsonschema.compile(schema_of())
    document = json.loads(render("json", report, WORDS["en"]))
    fits(document)
    fits(json.loads(render("json", msgspec.structs.replace(report, outcomes=(), groups=()), WORDS["ko"])))
    for place, value in (("status", "fine"), ("reading", "shut"), ("more", 1)):
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            fits({**document, "targets": [{**document["targets"][0], place: value}]})
    kinds = {kind: fastjsonschema.compile(schema_of(kind)) for kind in ("target", "group")}
    for line in map(json.loads, render("jsonl", report, WORDS["en"]).splitlines()):
        kind = line.pop("kind")
        if kind == "summary":
            fits({**line, "targets": [], "groups": []})
        else:
            kinds[kind](line)


def test_jsonl_is_one_document_a_line(report: CheckReport) -> None:
    kinds = [json.loads(line)["kind"] for line in render("jsonl", report, WORDS["en"]).splitlines()]
    assert kinds == ["target"] * 6 + ["group", "summary"]


def test_junit_counts_what_it_holds(report: CheckReport) -> None:
    (suite,) = ET.fromstring(render("junit", report, WORDS["en"]))
    cases = suite.findall("testcase")
    for kind, count in (("failure", 2), ("error", 1), ("skipped", 1)):
        assert sum(case.find(kind) is not None for case in cases) == count
    held = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert held == {"tests": "6", "failures": "2", "errors": "1", "skipped": "1"}
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.get("type") == "no-listener"
    assert "Title <&>" in (failure.get("message") or "")
    flaky = cases[3].findall("flakyFailure")
    assert [each.get("type") for each in flaky] == ["silent"]
    assert "attempts: silent 12 ms, open 12 ms" in (cases[3].findtext("system-out") or "")
    held = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert held["c: attempts"] == "silent 12 ms, open 12 ms"


@pytest.mark.parametrize("language", ["en", "ko"])
def test_junit_fits_the_schema_that_is_strictest(report: CheckReport, language: str) -> None:
    """Jenkins' xUnit plugin refuses a whole file for an element at a place that its schema does not have."""
    xmlschema = pytest.importorskip("xmlschema")
    schema = xmlschema.XMLSchema(ROOT / "tests/data/junit.xsd")
    schema.validate(render("junit", report, WORDS[language]))
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate("<testsuites><testsuite name='a' tests='1' failures='0'/></testsuites>")


def test_tap_is_read_by_a_parser_of_its_own(report: CheckReport) -> None:
    parser = pytest.importorskip("tap.parser")
    lines = list(parser.Parser().parse_text(render("tap", report, WORDS["en"])))
    assert {line.category for line in lines} <= {"version", "plan", "test"}
    tests = [line for line in lines if line.category == "test"]
    assert [(line.ok, bool(line.skip)) for line in tests] == [
        (True, False), (False, False), (False, False), (True, False), (False, False), (False, True),
    ]  # fmt: skip
    assert [bool(line.yaml_block) for line in tests] == [False, *[True] * 5]


def test_tap_numbers_every_target(report: CheckReport) -> None:
    lines = render("tap", report, WORDS["en"]).splitlines()
    assert lines[:2] == ["TAP version 14", "1..6"]
    points = [re.match(r"(not ok|ok) (\d+) - ", line) for line in lines if not line.startswith(" ")][2:]
    assert [point and (point[1], int(point[2])) for point in points] == [
        ("ok", 1), ("not ok", 2), ("not ok", 3), ("ok", 4), ("not ok", 5), ("not ok", 6),
    ]  # fmt: skip
    assert sum(line == "  ---" for line in lines) == sum(line == "  ..." for line in lines) == 5


def test_github_annotations_are_one_line_each(report: CheckReport) -> None:
    *annotations, last = render("github", report, WORDS["en"]).splitlines()
    pattern = r"::(error|warning) title=[^:,]*::.+"
    assert [found and found[1] for found in (re.fullmatch(pattern, line) for line in annotations)] == [
        "error", "error", "warning", "error", "warning",
    ]  # fmt: skip
    assert "6 targets" in last


def test_github_annotations_are_read_as_the_runner_reads_them(report: CheckReport) -> None:
    """As ``ActionCommand.TryParseV2`` of actions/runner does: properties apart by commas, then what was escaped."""
    for outcome, line in zip(
        (o for o in report.outcomes if o.status is not Status.PASSED),
        render("github", report, WORDS["en"]).splitlines()[:-1],
        strict=True,
    ):
        command, message = line.removeprefix("::").split("::", 1)
        name, _, rest = command.partition(" ")
        properties = dict(each.split("=", 1) for each in rest.strip().split(",") if each)
        assert (name in ("error", "warning"), list(properties)) == (True, ["title"])
        assert unescaped(properties["title"], ":", ",").startswith(safe(outcome.check.name))
        said = unescaped(message).splitlines()
        assert all(said)
        assert len(said) == len(set(said))


def unescaped(text: str, *more: str) -> str:
    for letter in ("\r", "\n", *more, "%"):
        text = text.replace(f"%{ord(letter):02X}", letter)
    return text


def test_openmetrics_is_read_by_the_reference_parser(report: CheckReport) -> None:
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    text = render("openmetrics", report, WORDS["en"])
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    assert [sample.value for sample in families["wsadiag_check_success"].samples] == [1, 0, 0, 1, 0, 0]
    failures = families["wsadiag_check_failure"].samples
    assert [sample.labels["cause"] for sample in failures] == ["no-listener", "no-listener", "", ""]
    assert failures[0].labels["scope"]


def test_markdown_keeps_its_table(report: CheckReport) -> None:
    text = render("markdown", report, WORDS["en"])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 5
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}
    assert "<" not in re.sub(r"\\<", "", text)


def test_markdown_is_read_by_a_parser(report: CheckReport) -> None:
    """Whatever stands in a name is text: no HTML, no links, no rows but ours."""
    reader = pytest.importorskip("markdown_it").MarkdownIt().enable("table")
    tokens = reader.parse(render("markdown", report, WORDS["en"]))
    kinds = [token.type for token in tokens]
    assert (kinds.count("table_open"), kinds.count("tr_open"), kinds.count("td_open")) == (1, 1 + 5, 5 * 3)
    inside = {child.type for token in tokens for child in token.children or ()}
    assert inside <= {"text", "strong_open", "strong_close", "softbreak", "text_special", "code_inline"}
    assert not {kind for kind in kinds if kind.startswith(("html", "fence", "code"))}
    said = "".join(child.content for token in tokens for child in token.children or ())
    assert "]]>#" in said


def test_the_screen_names_what_did_not_pass(report: CheckReport) -> None:
    text = render("text", report, WORDS["en"])
    assert "Title <&>" in text
    assert text.splitlines()[-1].startswith("6 targets: 1 passed, 2 failed, 1 flaky, 1 ")


def test_every_sentence_of_a_check_is_said_somewhere() -> None:
    source = "".join(
        path.read_text()
        for folder in ("troubleshoot/check", "troubleshoot/render/checks", "troubleshoot/cli/commands")
        for path in sorted((ROOT / folder).glob("*.py"))
    )
    keys = [key.removeprefix("check.") for key in catalogue().wording("en") if key.startswith("check.")]
    spelt = {*Status, *(f"found-{reading}" for reading in Reading), *("expected-open",)}
    spelt |= {"basis-asked", "basis-inferred"}  # of which a check in a lab says both
    spelt |= {f"expected-{kind}" for kind in ("open", "refused", "unreachable")}
    assert [key for key in keys if key not in spelt and key not in source] == []


def test_what_a_diagnosis_finds_healthy_rests_on_nothing() -> None:
    """It was asked, or inferred, as one of those that fail: it is not one of them."""
    found = Explanations(Context(), Patience(), Progress(), code=None, options=Options())
    healthy = from_json((ROOT / "tests/data/reports/healthy-plain.nobody.json").read_bytes())
    members = [
        outcome(Status.FAILED, "a", Reading.SILENT, basis=basis) for basis in (None, Basis.ASKED, Basis.INFERRED)
    ]
    found._file(members, healthy)
    assert [(each.status, each.basis) for each in members] == [(Status.FLAKY, None)] * 3
