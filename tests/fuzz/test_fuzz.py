"""Some hundred fuzzed inputs for each reader, new in each run, and all that were kept; more by ``fuzz_by_hand.py``."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator

import fuzz_inputs as inputs
import pytest
from fuzz_by_hand import _alarm, play
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

#: Examples a target, so that all together take about a minute: those that judge whole reports are slow.
EXAMPLES = {
    "reports": 25, "words-of-the-command-line": 40, "tls-hellos": 150, "dns-messages": 200, "outputs-of-checks": 20,
    "outputs-of-programs": 150, "words-in-any-order": 200, "greetings": 100,
}  # fmt: skip


@pytest.fixture(autouse=True)
def bell() -> Iterator[None]:
    before = signal.signal(signal.SIGPROF, _alarm)
    yield
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("name", TARGETS)
def test_made_inputs_are_read_or_refused(name: str) -> None:
    known = inputs.bases(name)

    @settings(
        max_examples=EXAMPLES.get(name, 500), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.integers(0, 1 << 64), st.binary(max_size=200))
    def one(seed: int, other: bytes) -> None:
        data = inputs.make(name, random.Random(seed), [*known, other])
        wrong = play(name, data)
        assert wrong is None, f"{data!r}\n{wrong}"

    one()


@pytest.mark.parametrize(
    ("name", "data"),
    [pytest.param(name, data, id=f"{name}-{n}") for name in TARGETS for n, data in enumerate(inputs.bases(name))],
)
def test_what_was_found_and_what_is_well_formed_is_read(name: str, data: bytes) -> None:
    assert play(name, data) is None


def test_every_target_has_something_to_start_from() -> None:
    assert inputs.SEEDS.keys() == TARGETS.keys()
    assert {folder.name for folder in inputs.CORPUS.iterdir()} <= TARGETS.keys()
