"""A sample of the lab's scenarios, played with Windows' Python in the client's namespace; run.py plays all."""

from __future__ import annotations

import pytest

from tests.lab.play import WINDOWS, Outcome, play
from tests.lab.scenario import load_all
from tests.lab.topology import unavailable
from tests.windows import wine

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("name", "cause"),
    [("healthy-plain", None), ("no-default-route", "no-default-route"), ("no-listener", "no-listener")],
)
def test_a_scenario_is_judged_on_windows(name: str, cause: str | None) -> None:
    reason = unavailable() or wine.obstacle()
    if reason is not None:
        pytest.skip(reason)
    scenario = next(one for one in load_all() if one.name == name)
    outcome: Outcome = play(scenario, WINDOWS)
    assert outcome.report is not None, outcome.trouble
    assert not outcome.wrong_and_certain, outcome.said
    assert outcome.report["vantage"]["platform"] == "windows"
    assert outcome.report["verdict"]["cause"] == cause, outcome.trouble
