"""What the lab's tables count: verdicts folded, refusals repeated, tools' words read."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.lab.matrix import matrix, put_in, refusers, verdict
from tests.lab.play import Outcome, judge
from tests.lab.run import EVERYTHING, REPETITIONS, chosen
from tests.lab.scenario import Accepted, Expected, load_all
from tests.lab.tools import PLAYED, names

TRACED = "traceroute to 10.0.0.9 (10.0.0.9), 12 hops max, 60 byte packets\n 1  10.0.0.1  0.6 ms  0.5 ms  0.6 ms\n"
VERDICT: dict[str, Any] = {"outcome": "fault", "location": None, "failed_step": "connect", "alternatives": []}


#: The parts of a report that the contradictions look into.
NOTHING_TRIED: dict[str, Any] = {"target": {"port": 1, "addresses": []}, "probes": []}


def outcome(scenario: str, grade: str, cause: str | None, confidence: str = "likely") -> Outcome:
    outcome = "fault" if cause else "healthy"
    report: dict[str, Any] = {
        "verdict": {"outcome": outcome, "cause": cause, "confidence": confidence},
        **NOTHING_TRIED,
    }
    return Outcome(
        scenario=scenario,
        who="root",
        grade=grade,
        said=f"{cause or outcome} ({confidence})",
        trouble="",
        verdict_ms=1.0,
        wall_ms=1.0,
        up_ms=1.0,
        report=report,
    )


def test_the_matrix_counts_what_came_out() -> None:
    (refused,) = [scenario for scenario in load_all() if scenario.name == "no-listener"]
    outcomes = [
        outcome("no-listener", "right", "no-listener"),
        outcome("no-listener", "wrong", "firewall-reset"),
        outcome("no-listener", "wrong", "firewall-reset", "possible"),
    ]
    assert [verdict(one) for one in outcomes] == ["no-listener", "firewall-reset", "abstained"]
    text = matrix([refused] * 3, outcomes, 3)
    assert "3 runs: 1 came out as what was put in, 1 abstained, 0 came out as another" in text
    assert "| no-listener | 3 | 1 | 0 | 1 |  | firewall-reset 1 |" in text
    assert "0 of 1 gave the same" in text
    assert text.rstrip().endswith("| 1 |")


def test_the_matrix_tells_what_is_allowed_from_what_is_wrong() -> None:
    scenarios = {scenario.name: scenario for scenario in load_all()}
    played = [
        ("firewall-reset-host", outcome("firewall-reset-host", "right", "no-listener")),
        ("mask-too-narrow", outcome("mask-too-narrow", "accepted", "no-default-route")),
        ("firewall-drop-path", outcome("firewall-drop-path", "wrong", "firewall-drop")),
        ("healthy-plain", outcome("healthy-plain", "false-accusation", "packet-loss")),
        ("healthy-plain", replace(outcome("healthy-plain", "unverified", None), report=None)),
    ]
    text = matrix([scenarios[name] for name, _ in played], [one for _, one in played], 3)
    assert "| firewall-reset by the host's own filter | 1 | 0 | 0 | 0 | no-listener 1 |  |" in text
    assert "| wrong-subnet-mask | 1 | 0 | 0 | 0 | no-default-route 1 |  |" in text
    assert "| firewall-drop | 1 | 0 | 1 | 0 |  |  |" in text
    assert "| healthy | 1 | 0 | 0 | 0 |  | packet-loss 1 |" in text
    assert text.startswith("4 runs: ")
    assert "In 1 more the fault could not be made" in text


def test_the_matrix_is_of_every_cause_and_repeats_refusals() -> None:
    asked = {"only": EVERYTHING, "who": None, "repeat": 1, "sample": True, "matrix": True, "table": False}
    runs = chosen(argparse.Namespace(windows=False, **asked))
    times = Counter(scenario.name for scenario, _ in runs)
    often = {scenario.name for scenario in refusers(load_all())}
    assert {name for name, count in times.items() if count == REPETITIONS} == often
    assert {count for name, count in times.items() if name not in often} == {1}
    assert {put_in(scenario) for scenario, _ in runs} == {put_in(scenario) for scenario in load_all()}
    assert abs(Counter(who for _, who in runs)["root"] / len(runs) - 0.5) < 0.1


def test_repeated_runs_may_abstain_but_not_differ() -> None:
    (refused,) = [scenario for scenario in load_all() if scenario.name == "no-listener"]
    one, other = outcome("a", "right", "no-listener"), outcome("a", "right", "no-listener", "certain")
    silent = outcome("a", "accepted", "no-listener", "possible")
    text = matrix([refused] * 3, [one, other, silent], 3)
    assert "1 of 1 gave the same cause at the same hop every time or abstained (1 of the runs)" in text
    assert "0 of 1" in matrix([refused] * 3, [one, one, outcome("a", "accepted", "firewall-reset")], 3)


@pytest.mark.parametrize(
    ("tool", "text", "named"),
    [
        ("nmap", "8080/tcp closed http-proxy conn-refused\n", {"no-listener"}),
        ("nmap", "8080/tcp filtered http-proxy no-response\n", {"firewall-drop"}),
        ("nmap", "8080/tcp open  http-proxy syn-ack\n", {"healthy"}),
        ("traceroute", TRACED + " 2  10.0.0.9  0.8 ms  0.8 ms  0.8 ms\n", set()),
        ("traceroute", TRACED + " 2  10.0.0.9  0.8 ms *  0.8 ms\n", {"packet-loss"}),
        ("traceroute", TRACED + " 2  * * *\n 3  * * *\n", {"firewall-drop", "path-broken"}),
        ("traceroute", TRACED + " 2  10.0.0.1  0.8 ms !X  0.8 ms !X *\n", {"firewall-reject"}),
        (
            "traceroute",
            TRACED + " 2  10.0.0.2  0.8 ms 0.8 ms 0.8 ms\n 3  10.0.0.1  0.6 ms 0.5 ms 0.6 ms\n",
            {"routing-loop"},
        ),
        ("mtr", "  1.|-- 10.0.0.1   0.0%  5  0.9\n  2.|-- ???   100.0  5  0.0\n", {"firewall-drop", "path-broken"}),
        ("mtr", "  1.|-- 10.0.0.1   0.0%  5  0.9\n  2.|-- 10.0.0.9  20.0%  5  0.0\n", {"packet-loss"}),
        ("mtr", "  1.|-- 10.0.0.1   0.0%  5  0.9\n  2.|-- 10.0.0.9  0.0%  5  0.0\n", set()),
        ("curl", "* Connected to 10.0.0.9 port 80\n* Recv failure: Connection reset by peer\n", {"service-resets"}),
    ],
)
def test_what_a_tool_names(tool: str, text: str, named: set[str]) -> None:
    assert set(names(tool, text)) == named


def test_every_scenario_for_the_tools_exists() -> None:
    assert set(PLAYED) <= {scenario.name for scenario in load_all()}


@pytest.mark.parametrize(
    ("who", "confidence", "grade"),
    [
        ("root", "certain", "wrong"),
        ("root", "likely", "right"),
        ("root", "possible", "unsure"),
        ("nobody", "certain", "right"),
        ("nobody", "likely", "right"),
        ("nobody", "possible", "unsure"),
    ],
)
def test_confidence_is_held_from_both_sides(who: str, confidence: str, grade: str) -> None:
    (refused,) = [scenario for scenario in load_all() if scenario.name == "no-listener"]
    expect = Expected(
        outcome="fault", cause="no-listener", confidence="likely", confidence_nobody=("certain", "likely")
    )
    report = {
        "verdict": {**VERDICT, "cause": "no-listener", "confidence": confidence},
        "reproduction": {"outcome": "same"},
        "steps": [],
        **NOTHING_TRIED,
    }
    with_expect = replace(refused, expect=expect, accept=())
    assert judge(with_expect, who, report, refused.lab())[0] == grade
    elsewhere = {**report, "verdict": {**report["verdict"], "cause": "host-down"}}
    assert judge(with_expect, who, elsewhere, refused.lab())[0] == "wrong"


def test_a_weaker_verdict_may_be_allowed_with_a_reason() -> None:
    (refused,) = [scenario for scenario in load_all() if scenario.name == "no-listener"]
    expect = Expected(outcome="fault", cause="no-listener", confidence="certain")
    allowed = Accepted(reason="nothing is heard", cause="no-listener", confidence_at_most="likely")
    report = {
        "verdict": {**VERDICT, "cause": "no-listener", "confidence": "likely"},
        "reproduction": {"outcome": "same"},
        "steps": [],
        **NOTHING_TRIED,
    }
    assert judge(replace(refused, expect=expect, accept=(allowed,)), "root", report, refused.lab())[0] == "accepted"
