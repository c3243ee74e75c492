"""Two reports side by side: what differs, and only what follows from both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.render.compare import document, page, ticket
from troubleshoot.render.style import Style
from troubleshoot.report import Location, Report, Way, from_json
from troubleshoot.run.compare import compare
from troubleshoot.run.engine import replay

FOLDER = Path(__file__).parents[1] / "data" / "reports"


def saved(name: str, host: str = "", **changes: Any) -> Report:
    report = replay(from_json((FOLDER / f"{name}.nobody.json").read_bytes()), "en")
    verdict = replace(report.verdict, **changes)
    return replace(report, verdict=verdict, vantage=replace(report.vantage, hostname=host or report.vantage.hostname))


def towards(report: Report, other: Report) -> Report:
    """Return a report as if it were about the other's target."""
    return replace(report, target=other.target, error=other.error)


def follows(a: Report, b: Report) -> list[str]:
    return [one.key.removeprefix("ui.compare-") for one in compare(a, b).follows]


FAULT = saved("path-broken-drop", "helpdesk-1")
HEALTHY = towards(saved("healthy-plain", "helpdesk-2"), FAULT)


def test_the_same_report_differs_in_nothing() -> None:
    found = compare(FAULT, FAULT)
    assert found.differences == ()
    assert (found.same_target, found.same_machine) == (True, True)
    assert follows(FAULT, FAULT) == ["still"]


@pytest.mark.parametrize("swapped", [False, True])
def test_what_works_from_another_machine_tells_whose_path_it_is(swapped: bool) -> None:
    pair = (HEALTHY, FAULT) if swapped else (FAULT, HEALTHY)
    found = compare(*pair)
    assert found.follows[0].key == "ui.compare-path-from"
    values = dict(found.follows[0].values)
    assert (values["bad"], values["good"]) == ("helpdesk-1", "helpdesk-2")
    assert FAULT.verdict.location is not None
    assert values["address"] == FAULT.verdict.location.address


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ("this-machine", "near"), ("application", "near"), ("local-network", "near"), ("name-service", "name-service"),
        ("remote-host", "only-from"),
    ],
)  # fmt: skip
def test_what_follows_depends_on_where_the_fault_lies(scope: str, key: str) -> None:
    bad = saved("path-broken-drop", "helpdesk-1", location=Location(scope=scope), ways=())
    assert follows(bad, HEALTHY) == [key]


def test_a_router_that_both_ways_pass_is_named() -> None:
    bad = saved("path-broken-drop", "a", ways=(Way(nodes=("10.0.0.1", "10.0.1.1", "?", "t"), broken=2),))
    good = replace(
        HEALTHY, verdict=replace(HEALTHY.verdict, ways=(Way(nodes=("10.9.0.1", "10.0.1.1", "10.0.2.1", "t")),))
    )
    shared = [one for one in compare(bad, good).follows if one.key == "ui.compare-shared"]
    assert [dict(one.values)["router"] for one in shared] == ["10.0.1.1"]


def test_nothing_follows_from_other_targets_nor_without_a_verdict() -> None:
    assert follows(FAULT, saved("no-listener", "helpdesk-2")) == ["other-targets"]
    unsure = replace(HEALTHY, verdict=replace(HEALTHY.verdict, outcome="inconclusive"))
    assert follows(FAULT, unsure) == ["undecided"]


def test_two_runs_of_one_machine_are_told_apart_by_their_time() -> None:
    later = replace(HEALTHY, vantage=FAULT.vantage, probes=FAULT.probes, started="2026-11-23T01:02:03.000Z")
    found = compare(FAULT, later)
    assert (found.a, found.b) == (FAULT.started, later.started)
    assert "changed" in follows(FAULT, later)


def test_machines_of_one_name_are_told_apart_by_their_addresses() -> None:
    twin = replace(HEALTHY, vantage=FAULT.vantage)
    found = compare(FAULT, twin)
    assert not found.same_machine
    assert (found.a, found.b) == ("helpdesk-1 (A)", "helpdesk-1 (B)")


def test_two_machines_that_fail_alike_share_what_fails() -> None:
    other = saved("path-broken-drop", "helpdesk-2")
    assert follows(FAULT, other) == ["both-fail"]
    near = saved("path-broken-drop", "helpdesk-1", location=Location(scope="local-network"))
    assert follows(near, other) == ["each-its-own"]
    assert follows(FAULT, saved("path-broken-drop", "helpdesk-2", cause="firewall-drop")) == ["other-cause"]


def own(report: Report) -> str:
    (record,) = [one for one in report.probes if one["probe"] == "interfaces"]
    held = [one["address"] for interface in record["result"]["interfaces"] for one in interface["addresses"]]
    return next(one for one in held if "." in one and not one.startswith("127."))


@pytest.mark.parametrize(
    ("outcomes", "key"),
    [
        (("fault", "healthy"), "one-end"),
        (("healthy", "healthy"), "both-ends-work"),
        (("fault", "fault"), "both-ends-fail"),
        (("fault", "inconclusive"), "undecided"),
    ],
)
def test_the_two_ends_of_a_connection(outcomes: tuple[Any, Any], key: str) -> None:
    a, b = saved("path-broken-drop", "a", outcome=outcomes[0]), saved("healthy-plain", "b", outcome=outcomes[1])
    a = replace(a, target=replace(a.target, addresses=(own(b),)))
    b = replace(b, target=replace(b.target, addresses=(own(a),)))
    assert follows(a, b) == [key]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_it_is_told_in_three_forms_and_foreign_names_are_inert(language: Any) -> None:
    wording = catalogue().wording(language)
    bad = replace(FAULT, vantage=replace(FAULT.vantage, hostname="\x1b[31m|<b>`x`\u202e"))
    found = compare(bad, HEALTHY)
    data = document(found, wording)
    assert data["schema"] == "wsadiag/compare/1"
    assert data["follows"][0]["text"] in msgspec.json.encode(data).decode() or "\x1b" in data["follows"][0]["text"]
    text, markup = page(found, wording, Style()), ticket(found, wording)
    for told in (text, markup):
        assert "helpdesk-2" in told.replace("\\", "")
        assert "\x1b" not in told
        assert "\u202e" not in told
        assert "<ui." not in told
    assert not re.search(r"(?<!\\)<b>", markup)
    assert all(line.count("|") - line.count("\\|") == 4 for line in markup.splitlines() if line.startswith("|"))
