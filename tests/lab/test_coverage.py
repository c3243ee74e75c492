"""The scenarios hold every fault on the way to a service in each size of network, over both families and limits.

A file with variants covers a cause when it has every combination of size, family and ICMP limit, and each family and
limit with two places of the fault: two routers where one of them can have it, two distances where the host has it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest

from tests.lab.four_ways import CAUSES, USERS, ways
from tests.lab.matrix import REFUSALS, refusers
from tests.lab.plan import DEFAULT_ROUTERS
from tests.lab.scenario import Scenario, load_all

SIZES, FAMILIES, LIMITS = (2, 4, 7), (4, 6), ("default", "strict")
ON_THE_WAY = (
    "firewall-reset",
    "firewall-reject",
    "firewall-drop",
    "connection-intercepted",
    "path-mtu-blackhole",
    "packet-loss",
    "address-family-path-broken",
)
#: Where two situations share a cause, the kind of service tells them apart.
ON_THE_HOST = (
    "no-listener",
    "accept-queue-full",
    "service-resets",
    "service-closes",
    "tls-failed tls-alert",
    "service-silent",
)
#: Between two routers there is one link: the second place comes with the larger networks.
ONE_LINK = ("path-mtu-blackhole",)
EVERYTHING = load_all()


def routers(scenario: Scenario) -> int:
    return int(scenario.topology.get("routers", DEFAULT_ROUTERS))


def family(scenario: Scenario) -> int:
    return int(scenario.values.get("family", 6 if "6}]" in scenario.target else 4))


def limit(scenario: Scenario) -> str:
    return str(scenario.topology.get("icmp", "default"))


def place(scenario: Scenario) -> str:
    """The router that the fault is put on; a host's fault stands behind all of them."""
    nodes = [str(fault.get("router", fault.get("node", ""))).removeprefix("router") for fault in scenario.faults]
    return next((node for node in nodes if node.isdigit()), f"behind {routers(scenario)}")


def kinds(scenario: Scenario) -> set[str]:
    return {fault["service_kind"] for fault in scenario.faults if "service_kind" in fault}


def of_cause(wanted: str) -> list[list[Scenario]]:
    """The scenarios that expect a cause, file by file."""
    cause, _, kind = wanted.partition(" ")
    found = [one for one in EVERYTHING if one.expect.cause == cause and (not kind or kind in kinds(one))]
    return [list(group) for _, group in itertools.groupby(found, key=lambda one: one.file)]


def missing(scenarios: Sequence[Scenario], one_link: bool = False) -> list[str]:
    """Name every combination that a file lacks, and every family and limit with one place only."""
    found = {(routers(one), family(one), limit(one)) for one in scenarios}
    wanted = itertools.product(SIZES, FAMILIES, LIMITS)
    lacks = [f"{size} routers, IPv{six}, {icmp}" for size, six, icmp in wanted if (size, six, icmp) not in found]
    for six, icmp in itertools.product(FAMILIES, LIMITS):
        held = [one for one in scenarios if family(one) == six and limit(one) == icmp]
        sizes = [SIZES] if all(place(one).startswith("behind") for one in held) else [(size,) for size in SIZES]
        for among in sizes:
            places = {place(one) for one in held if routers(one) in among}
            if len(places) < 2 and not (one_link and among == (2,)):
                lacks.append(f"a second place with {among} routers, IPv{six}, {icmp}")
    return lacks


@pytest.mark.parametrize("cause", [*ON_THE_WAY, *ON_THE_HOST])
def test_a_file_covers_the_cause(cause: str) -> None:
    lacks = {group[0].file: missing(group, cause in ONE_LINK) for group in of_cause(cause)}
    assert any(not found for found in lacks.values()), lacks


@pytest.mark.parametrize("changed", [routers, family, limit, place])
def test_what_is_left_out_is_missed(changed: Callable[[Scenario], object]) -> None:
    """Without the scenarios of one value, whichever dimension it is of, the check fails."""
    (whole,) = [group for group in of_cause("firewall-reset") if group[0].file == "firewall-reset-hops"]
    assert not missing(whole)
    for value in {changed(one) for one in whole}:
        assert missing([one for one in whole if changed(one) != value]), value


def test_refusals_that_are_repeated_hold_every_value() -> None:
    repeated = refusers(EVERYTHING)
    assert {one.expect.cause for one in repeated} == set(REFUSALS)
    for cause in REFUSALS:
        held = [one for one in repeated if one.expect.cause == cause]
        assert {routers(one) for one in held} >= set(SIZES)
        assert {family(one) for one in held} == set(FAMILIES)
        assert {limit(one) for one in held} == set(LIMITS)


@pytest.mark.parametrize("cause", CAUSES)
def test_what_services_and_proxies_bring_is_played_in_four_ways(cause: str) -> None:
    """By both users and over both families; `python tests/lab/four_ways.py` plays them."""
    assert set(ways(EVERYTHING, cause)) == set(itertools.product(USERS, (4, 6)))
