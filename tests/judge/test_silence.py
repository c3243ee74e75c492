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
    assert "this machine was too busy to look, for 4.3 s of 4.9 s" in verdict.summary
    assert any("less to do" in action for action in verdict.actions)


def with_result(report: Report, probe: str, subject: str, **fields: object) -> Report:
    """Return a report of which one observation had another result."""
    found = [p for p in report.probes if (p["probe"], p["subject"]) == (probe, subject)]
    assert found
    probes = tuple({**p, "result": {**p["result"], **fields}} if p in found else p for p in report.probes)
    return replace(report, probes=probes)


def without(report: Report, probe: str) -> Report:
    """Return a report in which one probe was not carried out."""
    return replace(report, probes=tuple(p for p in report.probes if p["probe"] != probe))


def test_a_router_that_this_machine_looked_for_in_vain_is_down_whatever_the_table_shows_by_now() -> None:
    """Another packet makes the kernel begin its search anew; what it told the first ones stands."""
    saved = from_json((REPORTS / "router-down.nobody.json").read_bytes())
    for report in (saved, without(saved, "neighbours")):
        heard = replay(report, "en").verdict
        assert (heard.cause, heard.outcome) == ("router-down", "fault")
    echoes = next(p for p in saved.probes if p["probe"] == "ping")["result"]["echoes"]
    at_once = [{**echo, "rtt_ms": 0.2} for echo in echoes]
    router = next(p for p in saved.probes if p["probe"] == "route")["result"]["gateway"]
    rejected = with_result(without(saved, "neighbours"), "ping", router, echoes=at_once)
    assert replay(rejected, "en").verdict.cause != "router-down"  # so says a filter of our own


@pytest.mark.parametrize(
    ("waits_ms", "tried_ms", "cause", "confidence"),
    [
        ((1.4,), 1.4, "network-unreachable", "certain"),
        ((557.0,), 557.0, "host-down", "likely"),
        ((198.0, 98.0), 135.0, "host-down", "likely"),
    ],
)
def test_a_report_later_than_round_trips_is_of_a_search(
    waits_ms: tuple[float, ...], tried_ms: float, cause: str, confidence: str
) -> None:
    """Who comes late in a router's search for its next hop waits for its rest only, and all hear in one moment."""
    saved = from_json((REPORTS / "network-unreachable-host.nobody.json").read_bytes())
    target = saved.target.addresses[0]
    ping = next(p for p in saved.probes if (p["probe"], p["subject"]) == ("ping", target))["result"]
    told = [{**ping["echoes"][0], "sequence": number, "rtt_ms": ms} for number, ms in enumerate(waits_ms)]
    echoes = [*told, *ping["echoes"][len(told) :]]
    tried = next(p for p in saved.probes if p["probe"] == "connect")
    attempts = [{**tried["result"]["attempts"][0], "duration_ms": tried_ms}]
    trace = next(p for p in saved.probes if p["probe"] == "traceroute")["result"]
    router = {"address": ping["echoes"][0]["icmp"]["sender"], "rtt_ms": 0.7, "reply_ttl": 64}
    passed = {**ping["echoes"][0]["icmp"], "type": 11, "code": 0}
    hops = [{"ttl": 1, "sent": 1, "answers": [{**router, "icmp": passed}]}, *trace["hops"][1:]]
    report = with_result(saved, "ping", target, echoes=echoes)
    report = with_result(report, "connect", tried["subject"], attempts=attempts)
    report = with_result(report, "traceroute", target, hops=hops)
    heard = replay(report, "en").verdict
    assert (heard.cause, heard.confidence) == (cause, confidence)


def test_one_early_report_of_a_host_is_no_decision_for_certain() -> None:
    saved = from_json((REPORTS / "network-unreachable-host.nobody.json").read_bytes())
    target = saved.target.addresses[0]
    ping = next(p for p in saved.probes if (p["probe"], p["subject"]) == ("ping", target))["result"]
    unheard = [{**echo, "rtt_ms": None, "icmp": None} for echo in ping["echoes"]]
    assert replay(with_result(saved, "ping", target, echoes=unheard), "en").verdict.confidence != "certain"
