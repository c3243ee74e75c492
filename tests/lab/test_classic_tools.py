"""Faults seen through nothing but the classic tools' output, against the live verdict that the scenario's file says.

``python -m tests.lab.classic`` plays all ten; three of them here.
"""

from __future__ import annotations

import pytest

from tests.lab.classic import FAULTS, commands, play_by_paste
from tests.lab.scenario import FOLDER, load
from tests.lab.topology import unavailable
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.readers import read
from troubleshoot.report import from_json, to_json
from troubleshoot.run.engine import replay

SURE = ("possible", "likely", "certain")
PLAYED = {"no-listener": True, "name-does-not-exist": True, "firewall-reject-admin": False}


@pytest.fixture(scope="module", autouse=True)
def lab_possible() -> None:
    why = unavailable()
    if why:
        pytest.skip(why)


def test_ten_faults_are_of_ten_kinds() -> None:
    causes = [load(FOLDER / f"{name}.toml")[0].expect.cause for name in FAULTS]
    assert len(set(causes)) == len(FAULTS) == 10
    assert PLAYED.keys() <= set(FAULTS)


def test_what_is_typed_is_read() -> None:
    target = parse_target("shop.example:443", catalogue())
    for typed in commands(target, "198.51.100.7", "192.0.2.1"):
        (reading,) = read(f"kim@client:~$ {typed}\nx\n", catalogue())
        assert reading.typed == typed


@pytest.mark.lab
@pytest.mark.parametrize("name", PLAYED)
def test_a_pasted_session_is_judged_as_the_machine_or_less_surely(name: str) -> None:
    scenario, text, report = play_by_paste(name)
    expected, verdict = scenario.expect, report.verdict
    if PLAYED[name]:
        assert verdict.cause == expected.cause, text
    assert verdict.cause in (expected.cause, None), text
    assert SURE.index(verdict.confidence or "possible") <= SURE.index(str(expected.firmness("root")[-1])), text
    assert verdict.confidence != "certain", text  # much was not looked at
    assert {record["vantage"] for record in report.probes} == {"pasted, Linux"}
    assert report.packets == 0
    again = replay(from_json(to_json(report).encode()), "en")
    assert (again.verdict.cause, again.verdict.confidence) == (verdict.cause, verdict.confidence)
