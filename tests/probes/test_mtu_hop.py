"""The mtu-hop probe over real namespaces: narrow links at each place, limits, silent routers, the way back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pathlab import NOBODY, R1, R2, R3, SERVER, PathLab

pytestmark = pytest.mark.lab

FAMILIES = pytest.mark.parametrize("version", [4, 6])
LINKS = {1: ("r1", "r2"), 2: ("r2", "r3"), 3: ("r3", "server")}
ROUTERS = {1: R1, 2: R2, 3: R3}


@pytest.fixture
def lab(lab: PathLab) -> Iterator[PathLab]:
    yield lab
    for near, far in LINKS.values():
        width(lab, near, far, 1500)


def width(lab: PathLab, near: str, far: str, mtu: int) -> None:
    lab.sh(near, f"ip link set e1 mtu {mtu}")
    lab.sh(far, f"ip link set e0 mtu {mtu}")


def narrow(lab: PathLab, after: int, *, told: bool = False) -> None:
    width(lab, *LINKS[after], 1400)
    for router in () if told else ("r1", "r2", "r3"):
        lab.filter(
            router, "output", "icmp type destination-unreachable icmp code 4 drop", "icmpv6 type packet-too-big drop"
        )


@FAMILIES
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("hops", [4, None])
def test_the_hop_behind_which_a_link_is_narrow(
    lab: PathLab, uid: int, version: int, after: int, hops: int | None
) -> None:
    narrow(lab, after)
    found = lab.observe("mtu-hop", uid=uid, address=SERVER[version], large=1500, small=1300, hops=hops)
    assert (found.passed_ttl, found.passed_router) == (after, ROUTERS[after][version])
    assert (found.settled, found.reached, found.told) == (True, False, None)
    beyond = next(step for step in found.steps if step.ttl == after + 1)
    assert beyond.large_answers == 0
    assert beyond.small_answers >= 2


@FAMILIES
def test_a_path_that_carries_the_large_packet_is_seen_to_its_end(lab: PathLab, version: int) -> None:
    found = lab.observe("mtu-hop", uid=NOBODY, address=SERVER[version], large=1500, small=1300, hops=4)
    assert (found.passed_ttl, found.reached, found.settled) == (3, True, False)


@FAMILIES
def test_a_router_that_says_so_is_heard(lab: PathLab, version: int) -> None:
    narrow(lab, 2, told=True)
    found = lab.observe("mtu-hop", uid=NOBODY, address=SERVER[version], large=1500, small=1300, hops=4)
    assert (found.passed_ttl, found.told) == (2, R2[version])


def test_a_link_of_our_own_that_is_narrow(lab: PathLab) -> None:
    lab.sh("r1", "ip link set e0 mtu 1400")
    try:
        found = lab.observe("mtu-hop", address=SERVER[4], large=1500, small=1300, hops=4)
    finally:
        lab.sh("r1", "ip link set e0 mtu 1500")
    assert (found.passed_ttl, found.passed_router, found.settled) == (0, None, True)


def test_a_router_with_a_limit_is_waited_for(fresh: PathLab) -> None:
    narrow(fresh, 2)
    fresh.exhaust(3)
    found = fresh.observe("mtu-hop", uid=NOBODY, address=SERVER[4], large=1500, small=1300, hops=4)
    assert (found.passed_ttl, found.settled) == (2, True)


def test_a_silent_router_behind_the_narrow_link_leaves_it_open(lab: PathLab) -> None:
    narrow(lab, 2)
    lab.filter("r3", "output", "icmp type time-exceeded drop")
    found = lab.observe("mtu-hop", address=SERVER[4], large=1500, small=1300, hops=4, patience_s=4.0)
    assert (found.passed_ttl, found.settled, found.reached) == (2, False, False)


def test_packets_are_bounded(lab: PathLab) -> None:
    lab.filter("client", "input", "icmp type { time-exceeded, destination-unreachable } drop")
    lab.count("r1", "prerouting", "udp dport 33434-36000")
    found = lab.observe("mtu-hop", address=SERVER[4], large=1500, small=1300, packets=5, patience_s=4.0)
    assert (found.passed_ttl, found.settled) == (0, False)
    assert lab.counted("r1") <= 5


def test_what_is_longer_than_the_interface_carries_is_not_sent(lab: PathLab) -> None:
    found = lab.observe("mtu-hop", address=SERVER[4], large=4000, small=1300, hops=4)
    assert (found.passed_ttl, found.errno) == (0, "EMSGSIZE")
