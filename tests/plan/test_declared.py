"""What steps and rules rest on: each names its asks, the plan asks for nothing else, and nothing is read unasked."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import TypeVar

import pytest
from msgspec.structs import replace

from probes.table import TABLE
from tests.plan.table import REPORTS, saved
from troubleshoot.asks import COMMON, Ask
from troubleshoot.facts import Facts, NotYet
from troubleshoot.intake.request import Request
from troubleshoot.judge.model import DECLARED, RULES
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.run import plan
from troubleshoot.run.saved import load_observations, request_from
from troubleshoot.steps import ASKS, STEPS

CATALOGUE = Catalogue()
NAMES = sorted(path.stem for path in REPORTS.glob("*.json"))
IN_ORDER = {one for group in plan.ORDER for one in group.asks}
BY_NAME = {one.name: one for one in IN_ORDER}
T = TypeVar("T")


class Watched(Facts):
    """Facts that note of which probes anything was read."""

    def __init__(self, request: Request, observations: Mapping[tuple[str, str], object]) -> None:
        super().__init__(request, CATALOGUE.judgement.thresholds, observations)  # type: ignore[arg-type]
        self.read: set[str] = set()

    def peek(self, probe: str, kind: type[T], subject: str = "") -> T | None:
        self.read.add(probe)
        return super().peek(probe, kind, subject)

    def wait_for(self, probe: str, subject: str = "") -> None:
        self.read.add(probe)
        super().wait_for(probe, subject)

    def observation(self, probe: str, subject: str = "") -> object:  # type: ignore[override]
        self.read.add(probe)
        return super().observation(probe, subject)

    def of(self, probe: str) -> tuple[object, ...]:  # type: ignore[override]
        self.read.add(probe)
        return super().of(probe)


def probes_of(asks: tuple[Ask, ...]) -> set[str]:
    return {probe for one in (*COMMON, *asks) for probe in one.probes}


def test_every_ask_is_named_by_whoever_rests_on_it() -> None:
    named = {one for asks in (COMMON, *ASKS.values(), *(d.asks for d in DECLARED.values())) for one in asks}
    assert {one.name for one in IN_ORDER - named} == set(), "no step or rule rests on it: name it there, or delete it"
    for one in named - IN_ORDER:  # comes last, once
        only_facts = len(inspect.signature(one.jobs).parameters) == 1
        assert only_facts, f"{one.name} looks at an address: give it a place in the order of troubleshoot/run/plan.py"
    assert len(BY_NAME) == len(IN_ORDER)


def test_an_ask_names_probes_that_exist() -> None:
    assert {probe for one in IN_ORDER for probe in one.probes} <= TABLE.keys()


def test_every_probe_is_asked_for() -> None:
    asks = {one for asks in (COMMON, *ASKS.values(), *(d.asks for d in DECLARED.values())) for one in asks}
    asked = {probe for one in asks for probe in one.probes}
    # The doctor runs that one; a probe that nobody asks for is never run.
    assert TABLE.keys() - asked == {"capabilities"}


@pytest.mark.parametrize("name", NAMES)
def test_an_ask_asks_for_the_probes_that_it_names(name: str) -> None:
    report = saved(name)
    facts = Facts(request_from(report, CATALOGUE), CATALOGUE.judgement.thresholds, load_observations(report))
    for group in plan.ORDER:
        for given in [()] if group.each is None else [(address,) for address in group.each(facts)]:
            for one in group.asks:
                assert {job.probe for job in one.jobs(facts, *given)} <= set(one.probes), one.name


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_read_that_nobody_asks_for(name: str) -> None:
    report = saved(name)
    request, observations = request_from(report, CATALOGUE), load_observations(report)
    for kind, table in (("rule", RULES), ("step", STEPS)):
        for identifier, function in table.items():
            if kind == "step" and identifier not in request.steps:
                continue
            facts = Watched(request, observations)
            with contextlib.suppress(NotYet):
                function(facts)
            asks = DECLARED[identifier].asks if kind == "rule" else ASKS[identifier]
            unasked = facts.read - probes_of(asks)
            assert unasked == set(), f"the {kind} {identifier} reads {sorted(unasked)}: add their ask to asks=(…)"


@pytest.mark.parametrize("cause", sorted(c for c, d in DECLARED.items() if d.asks))
def test_what_a_rule_no_longer_names_is_no_longer_asked(cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: tuple[str, ...] = ()
    for one in DECLARED[cause].asks:
        others = {o for c, d in DECLARED.items() if c != cause for o in d.asks}
        without = tuple(o for o in DECLARED[cause].asks if o != one)
        with monkeypatch.context() as patched:
            patched.setitem(DECLARED, cause, replace(DECLARED[cause], asks=without))
            assert (one in plan.declared(steps)) == (one in others or one in COMMON)
        assert one in plan.declared(steps)


def test_the_plan_leaves_out_what_nobody_names(monkeypatch: pytest.MonkeyPatch) -> None:
    report = saved("local-firewall-drop.root")
    facts = Facts(request_from(report, CATALOGUE), CATALOGUE.judgement.thresholds, load_observations(report))
    assert "stray-ack" in {job.probe for job in plan.wanted(facts)}
    stray_ack = BY_NAME["failed.stray_ack"]
    for cause, declared in DECLARED.items():
        rest = tuple(one for one in declared.asks if one != stray_ack)
        monkeypatch.setitem(DECLARED, cause, replace(declared, asks=rest))
    plan.in_order.cache_clear()
    try:
        assert "stray-ack" not in {job.probe for job in plan.wanted(facts)}
    finally:
        plan.in_order.cache_clear()
