"""Silence is evidence only where somebody could have spoken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from troubleshoot.report import Report, from_json
from troubleshoot.run.engine import replay

REPORTS = Path(__file__).parents[1] / "data/reports"
BROKEN = REPORTS / "path-broken-drop.nobody.json"


def pings(report: Report, subject: str) -> list[dict[str, Any]]:
    return [p for p in report.probes if p["probe"] == "ping" and p["subject"] == subject]


def changed(report: Report, subject: str, **fields: object) -> Report:
    """Return a report whose ping of ``subject`` had another result."""
    assert pings(report, subject)
    probes = tuple(
        {**p, "result": {**p["result"], **fields}} if p in pings(report, subject) else p for p in report.probes
    )
    return replace(report, probes=probes)


def with_living_neighbour(report: Report) -> Report:
    """Let a guessed neighbour of the silent target answer."""
    silent = next(p["subject"] for p in report.probes if p["probe"] == "ping" and p["subject"] not in about(report))
    living = next(p["result"] for p in report.probes if p["probe"] == "ping" and p["result"]["received"])
    return changed(report, silent, **{k: v for k, v in living.items() if k != "address"})


def about(report: Report) -> set[str]:
    """The subjects of pings that are not the target's neighbours: itself, and whoever answered."""
    answered = {p["subject"] for p in report.probes if p["probe"] == "ping" and p["result"]["received"]}
    own = {p["subject"] for p in report.probes if p["subject"].startswith(report.target.addresses[0])}
    return answered | own


@pytest.mark.parametrize(("living", "cause"), [(False, "path-broken"), (True, "firewall-drop")])
def test_a_router_that_had_others_to_report_has_not_been_observed_to_be_silent(living: bool, cause: str) -> None:
    saved = from_json(BROKEN.read_bytes())
    report = with_living_neighbour(saved) if living else saved
    heard = replay(report, "en").verdict
    assert (heard.outcome, heard.cause, heard.confidence) == ("fault", cause, "likely")
    withheld = replay(changed(report, saved.target.addresses[0], withheld=True), "en").verdict
    assert (withheld.outcome, withheld.cause) == ("inconclusive", None)
    assert any("by itself" in action for action in withheld.actions)


@pytest.mark.parametrize("living", [False, True])
def test_pings_that_a_busy_machine_never_looked_after_are_no_silence(living: bool) -> None:
    saved = from_json(BROKEN.read_bytes())
    report = with_living_neighbour(saved) if living else saved
    ours = {p["subject"] for p in report.probes if p["subject"].startswith(saved.target.addresses[0])}
    starved = {"key": "reason.starved", "values": [["lost", "4.3"], ["seconds", "4.9"]]}
    probes = tuple(
        {**p, "status": "cut-short", "reason": starved, "result": None}
        if p["probe"] == "ping" and p["subject"] in ours
        else p
        for p in report.probes
    )
    verdict = replay(replace(report, probes=probes), "en").verdict
    assert (verdict.outcome, verdict.cause) == ("inconclusive", None)
