"""A sample of the mutation run: no verdict may be wrong, and the draw must be the same each time."""

from __future__ import annotations

import pytest

from tests.lab.matrix import ABSTAINED
from tests.lab.mutate import DRAWN, draw_case, play_case, told
from tests.lab.scenario import Scenario
from tests.lab.topology import unavailable

SEED, COUNT = 20, 12


@pytest.mark.lab
@pytest.mark.parametrize("number", range(COUNT))
def test_no_verdict_is_wrong(number: int) -> None:
    why = unavailable()
    if why:
        pytest.skip(why)
    found, scenario, outcome = play_case(SEED, number)
    assert found in ("right", ABSTAINED), told(found, scenario, outcome, SEED, number)


def test_a_case_is_drawn_from_its_numbers_alone() -> None:
    assert [draw_case(5, number) for number in range(50)] == [draw_case(5, number) for number in range(50)]
    assert draw_case(5, 0) != draw_case(6, 0)


def test_every_fault_is_drawn_and_can_be_made() -> None:
    cases = [draw_case(seed, number)[0] for seed in range(3) for number in range(200)]
    assert len({case.title.split(",")[0] for case in cases}) == len(DRAWN)
    assert all(isinstance(case, Scenario) and (case.made() or case.expect.outcome == "healthy") for case in cases)
