"""Whether it depends on the source port what becomes of a connection: judged from tries as a probe records them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from probes.flows import Flow, FlowOutcome, FlowsResult
from troubleshoot.facts import Facts, NotYet, flows
from troubleshoot.judge import Conclusion, judge
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.report import from_json
from troubleshoot.run.saved import load_observations, request_from

SAVED = Path(__file__).parents[1] / "data" / "reports" / "equal-cost-one-drops.nobody.json"
CATALOGUE = Catalogue()
A, S, R = FlowOutcome.ACCEPTED, FlowOutcome.SILENCE, FlowOutcome.RESET


def facts(*tries: tuple[FlowOutcome, ...], fresh: tuple[FlowOutcome, ...] = (A,), running: bool = False) -> Facts:
    """Return the facts of a saved run with other tries, whose walk ends behind hop 4."""
    report = from_json(SAVED.read_bytes())
    observations = load_observations(report)
    key = next(key for key in observations if key[0] == "flows")
    result = observations[key].result
    assert isinstance(result, FlowsResult)
    made = tuple(Flow(40000 + number, one) for number, one in enumerate(tries))
    walked = next((flow.source_port for flow in made if flow.tries[0] is not A), None)
    changed = replace(result, flows=made, fresh_last=fresh, walked=walked)
    observations[key] = replace(observations[key], result=changed)
    return Facts(
        request_from(report, CATALOGUE),
        CATALOGUE.judgement.thresholds,
        observations,
        {key} if running else (),
    )


def verdict(found: Facts) -> Conclusion:
    return judge(found, CATALOGUE.judgement)


def test_ports_that_always_fail_are_a_fault_of_one_way() -> None:
    found = facts((A,), (S,) * 8, (A,), (S,) * 8, (A,), (S,) * 8)
    finding = verdict(found).finding
    assert finding is not None
    assert (finding.cause, finding.confidence, finding.variant) == ("firewall-drop", "likely", "some-flows")
    assert (finding.hop, finding.address) == flows.split(found, found.targets[0]).passed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("tries", "fresh"),
    [
        pytest.param(((A,),) * 6, (), id="all get through"),
        pytest.param(((A,), (S, A), (A,), (S, S, S), (A,), (S, S, S)), (A,), id="one gets through later"),
        pytest.param(((A,), (A,), (A,), (S,) * 4, (S,) * 4, (S,) * 4), (S, S), id="a limit has set in"),
        pytest.param(((A,), (S, S), (A,), (S, S), (A,), (A,)), (A,), id="not often enough"),
        pytest.param(((A,), (S,) * 4, (A,), (S,) * 4, (A,), (S,) * 4), (A,), id="half a connection is left each time"),
        pytest.param(((A,), (S,) * 3, (S,) * 3, (S,) * 3, (S,) * 3, (S,) * 3), (A,), id="nearly all fail"),
        pytest.param(((S,),) * 12, (), id="none gets through"),
    ],
)
def test_anything_else_accuses_nobody(
    tries: tuple[tuple[FlowOutcome, ...], ...], fresh: tuple[FlowOutcome, ...]
) -> None:
    found = facts(*tries, fresh=fresh)
    known = flows.split(found, found.targets[0])
    assert known is None or not known.proven
    finding = verdict(found).finding
    assert finding is None or finding.cause not in ("firewall-drop", "firewall-reset", "no-listener")


def test_many_ports_that_fail_leave_the_question_open_where_chance_is_not_ruled_out() -> None:
    found = facts(*((S,) * 3,) * 9, (A,), (A,))
    known = flows.split(found, found.targets[0])
    assert known is not None
    assert not known.proven
    conclusion = verdict(found)
    assert conclusion.finding is None
    assert conclusion.outcome == "inconclusive"


def test_nothing_is_healthy_while_ports_are_tried() -> None:
    found = facts(*((A,),) * 6, running=True)
    with pytest.raises(NotYet):
        flows.split(found, found.targets[0])
    assert not verdict(found).final


def test_resets_from_the_host_are_no_firewall_on_the_way() -> None:
    found = facts((A,), (R,) * 4, (A,), (R,) * 4, (A,), (R,) * 4)
    finding = verdict(found).finding
    assert finding is not None
    assert (finding.cause, finding.confidence, finding.variant) == ("no-listener", "likely", "some-flows")


def test_a_router_that_differs_between_flows_is_told() -> None:
    report = from_json(SAVED.with_name("equal-cost-longer-way.root.json").read_bytes())
    found = Facts(request_from(report, CATALOGUE), CATALOGUE.judgement.thresholds, load_observations(report))
    ways = flows.differ(found, found.targets[0])
    assert ways
    assert all(len(routers) > 1 for routers in ways.values())
    assert any("differs between flows" in step.summary for step in report.steps)
