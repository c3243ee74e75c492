"""Every scenario file, played in a lab of its own; and what must hold for the files themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.scenario import FOLDER, Scenario, load, load_all, play
from tests.lab.topology import unavailable

CASES = [pytest.param(scenario, who, id=f"{scenario.name}-{who}") for scenario in load_all() for who in scenario.who]


@pytest.fixture(scope="session")
def lab_possible() -> None:
    why = unavailable()
    if why:
        pytest.skip(f"{why}; `python tests/lab/run.py` tries a user namespace")


@pytest.mark.lab
@pytest.mark.usefixtures("lab_possible")
@pytest.mark.parametrize(("scenario", "who"), CASES)
def test_scenario(scenario: Scenario, who: str) -> None:
    outcome = play(scenario, who)
    assert outcome.grade in ("right", "accepted"), f"{outcome.said}: {outcome.trouble}"


def test_there_are_scenarios() -> None:
    assert len(CASES) > 100


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_file_says_what_is_wrong(path: Path) -> None:
    """A scenario that expects a fault makes one that the lab can check; each accepted verdict has its reason."""
    scenario = load(path)
    assert scenario.title
    if scenario.expect.outcome == "fault":
        assert scenario.faults, "a fault is expected and none is made"
        assert scenario.expect.cause
    else:
        assert scenario.expect.cause is None
    assert all(len(item.reason) > 20 for item in scenario.accept)
