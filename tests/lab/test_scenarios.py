"""Every scenario file, played in a lab of its own; and what must hold for the files themselves."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.daemons import RECIPES
from tests.lab.knock_out import knock_outs
from tests.lab.play import play
from tests.lab.scenario import FOLDER, Scenario, in_turns, load, load_all, sample
from tests.lab.topology import unavailable
from troubleshoot.report import from_json

#: Of these one variant is played here: nothing answers in them, which takes seconds to be sure of.
WAITING = frozenset({
    "address-conflict-taken", "path-broken-next-hop", "wrong-route-rule", "wrong-route-stray-packets",
    "wrong-route-tunnel",
})  # fmt: skip


def played(scenarios: list[Scenario]) -> list[Scenario]:
    """Leave one variant of each real service in a file: they take seconds to start, and their states are many.

    Those that are only played by hand are left out.
    """
    once = {}
    for number, one in enumerate(scenarios):
        daemons = tuple(fault["daemon"] for fault in one.faults if fault["kind"] == "daemon")
        if any(RECIPES[daemon].by_hand for daemon in daemons):
            continue
        once.setdefault((one.file, daemons) if daemons or one.file in WAITING else number, one)
    return list(once.values())


#: Of one play in so many every observation is taken out in turn, and as many drawn pairs (tests/lab/knock_out.py).
KNOCKED_OUT, PAIRS = 8, 10
#: Files with variants are sampled here, and played by one user each; `python tests/lab/run.py` plays them all.
CASES = [
    pytest.param(scenario, who, id=f"{scenario.name}-{who}")
    for scenario, one_of_them in in_turns(played(sample(load_all())))
    for who in ((one_of_them,) if scenario.values else scenario.who)
]


@pytest.fixture(scope="session")
def lab_possible() -> None:
    why = unavailable()
    if why:
        pytest.skip(f"{why}; `python tests/lab/run.py` tries a user namespace")


@pytest.mark.lab
@pytest.mark.usefixtures("lab_possible")
@pytest.mark.parametrize(("scenario", "who"), CASES)
def test_scenario(scenario: Scenario, who: str, record_property: Callable[[str, object], None]) -> None:
    why = scenario.lacks()
    if why:
        pytest.skip(why)
    outcome = play(scenario, who)
    if outcome.grade not in ("right", "accepted"):
        # Losses, limits and equal-cost ways are drawn anew each time, and a busy machine may disturb a lab: what is
        # wrong twice is wrong. `run.py` counts every run and repeats none.
        outcome = play(scenario, who)
    assert outcome.grade in ("right", "accepted"), f"{outcome.said}: {outcome.trouble}"
    if outcome.report is not None and zlib.crc32(f"{scenario.name} {who}".encode()) % KNOCKED_OUT == 0:
        tally = knock_outs(from_json(json.dumps(outcome.report).encode()), PAIRS, scenario.name)
        record_property("knock-outs", tally.judged)
        assert tally.broken == []


def test_there_are_scenarios() -> None:
    assert len(CASES) > 100


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_file_says_what_is_wrong(path: Path) -> None:
    """A scenario that expects a fault makes one that the lab can check; each accepted verdict has its reason."""
    for scenario in load(path):
        assert scenario.title
        if scenario.expect.outcome == "fault":
            assert scenario.faults, "a fault is expected and none is made"
            assert scenario.expect.cause
        else:
            assert scenario.expect.cause is None
        assert all(scenario.expect.firmness(who) for who in scenario.who), "how sure a verdict must be is not said"
        assert all(len(item.reason) > 20 for item in scenario.accept)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_no_confident_verdict_of_another_cause_is_accepted(path: Path) -> None:
    """Another cause may be called likely, and the one that was put in, if any, must then stand beside it."""
    for scenario in load(path):
        for item in scenario.accept:
            if item.outcome == "inconclusive" or (item.outcome == "fault" and item.cause == scenario.expect.cause):
                continue
            assert item.confidence_at_most != "certain"
            assert item.outcome == "healthy" or scenario.expect.cause in (None, *item.alternatives)


def test_names_are_unique() -> None:
    names = [scenario.name for scenario in load_all()]
    assert len(set(names)) == len(names)


def test_a_sample_holds_every_value_of_every_variant() -> None:
    everything, chosen = load_all(), sample(load_all())
    assert len(chosen) < len(everything)

    def values(scenarios: list[Scenario]) -> set[tuple[str, str, str]]:
        return {(one.file, key, str(value)) for one in scenarios for key, value in one.values.items()}

    assert values(chosen) == values(everything)


def test_a_variant_may_say_how_sure_its_verdicts_must_be(tmp_path: Path) -> None:
    """By a key that is no value: it names no combination and fills in no text."""
    path = tmp_path / "two.toml"
    path.write_text(
        'title = "$at"\ncode = "10060"\ntarget = "{server}:{port}"\n'
        '[[variant]]\nat = [1, 2]\nconfidence = "likely"\n[[variant]]\nat = 3\n'
        '[expect]\noutcome = "healthy"\nconfidence = "certain"\n',
        encoding="utf-8",
    )
    told = {one.name: (one.values, one.expect.firmness("nobody")) for one in load(path)}
    assert told == {
        "two.1": ({"at": 1}, ("likely",)),
        "two.2": ({"at": 2}, ("likely",)),
        "two.3": ({"at": 3}, ("certain",)),
    }
