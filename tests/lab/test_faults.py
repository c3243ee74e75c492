"""The checks of the faults can fail: in a healthy lab none of them finds its fault."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from tests.lab.faults import FAULTS, NotReal, make, try_tcp
from tests.lab.plan import MAX_ROUTERS, draw
from tests.lab.play import symptom
from tests.lab.scenario import load_all
from tests.lab.topology import Lab, LabError, unavailable

#: They inject nothing: what they check is true of a healthy lab too.
ALWAYS_TRUE = {"closed-port", "unused-address", "records", "bad-input"}


def distinct() -> list[Mapping[str, Any]]:
    """Every fault of every scenario, once."""
    found = {json.dumps(data, sort_keys=True): data for scenario in load_all() for data in scenario.faults}
    return [data for _, data in sorted(found.items()) if data["kind"] not in ALWAYS_TRUE]


@pytest.fixture(scope="module")
def healthy() -> Iterator[Lab]:
    why = unavailable()
    if why:
        pytest.skip(why)
    with Lab(draw(4, MAX_ROUTERS)) as lab:
        yield lab


@pytest.mark.lab
@pytest.mark.parametrize("data", distinct(), ids=lambda data: "-".join(str(value) for value in data.values())[:60])
def test_no_fault_is_found_where_none_is(healthy: Lab, data: Mapping[str, Any]) -> None:
    with pytest.raises((NotReal, LabError)):
        make(data).verify(healthy)


@pytest.mark.lab
def test_the_healthy_lab_connects(healthy: Lab) -> None:
    for node in ("client", "neighbour", "mate"):
        for address in (healthy.values["server"], healthy.values["server6"]):
            assert try_tcp(healthy, node, address, healthy.plan.port, 2.0) == 0


@pytest.mark.lab
def test_faults_that_let_the_client_connect_are_no_symptom(healthy: Lab) -> None:
    """The check that follows every run whose faults should keep the client out."""
    scenarios = {scenario.name: scenario for scenario in load_all()}
    with pytest.raises(NotReal):
        symptom(scenarios["firewall-drop-path"], healthy)
    for name in ("no-listener", "healthy-plain", "firewall-drop-name"):  # closed anyway, no fault, no address
        symptom(scenarios[name], healthy)


def test_every_fault_is_used() -> None:
    assert {data["kind"] for scenario in load_all() for data in scenario.faults} == set(FAULTS)


@pytest.mark.parametrize("routers", range(1, MAX_ROUTERS + 1))
def test_plans_differ_by_seed_and_never_overlap(routers: int) -> None:
    plans = [draw(seed, routers) for seed in range(50)]
    assert len({plan["server"].near.v4 for plan in plans}) > 40
    for plan in plans:
        addresses = [port.address(family) for m in plan.machines for port in m.ports for family in (4, 6)]
        assert len(set(addresses)) == len(addresses)
        for networks in (plan.networks4, plan.networks6):
            spans = sorted((int(net.network_address), int(net.broadcast_address)) for net in networks)
            assert all(before[1] < after[0] for before, after in pairwise(spans))
