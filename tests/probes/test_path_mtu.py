"""The path-mtu probe over real namespaces: honest routers, black holes, and the host's own ICMP limit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pathlab import NOBODY, R2, SERVER, PathLab

pytestmark = pytest.mark.lab


FAMILIES = pytest.mark.parametrize("version", [4, 6])
USERS = pytest.mark.parametrize("uid", [0, NOBODY])


@pytest.fixture
def narrow(lab: PathLab) -> Iterator[PathLab]:
    """Let the link between r2 and r3 carry 1400 bytes."""
    lab.sh("r2", "ip link set e1 mtu 1400")
    lab.sh("r3", "ip link set e0 mtu 1400")
    yield lab
    lab.sh("r2", "ip link set e1 mtu 1500")
    lab.sh("r3", "ip link set e0 mtu 1500")


def hide(lab: PathLab) -> None:
    """Keep the routers from telling that a packet is too big."""
    for router in ("r1", "r2", "r3"):
        lab.filter(
            router, "output", "icmp type destination-unreachable icmp code 4 drop", "icmpv6 type packet-too-big drop"
        )


@FAMILIES
@USERS
def test_a_path_as_wide_as_the_interface(lab: PathLab, uid: int, version: int) -> None:
    found = lab.observe("path-mtu", uid=uid, address=SERVER[version])
    assert (found.interface_mtu, found.mtu, found.black_hole, found.exact) == (1500, 1500, False, True)
    assert found.method == ("udp" if uid else "icmp")
    assert found.largest_udp_payload == {4: 1472, 6: 1452}[version]
    assert [step.answer for step in found.steps] == ["reached"]


@FAMILIES
@USERS
def test_a_router_that_tells_its_mtu(narrow: PathLab, uid: int, version: int) -> None:
    found = narrow.observe("path-mtu", uid=uid, address=SERVER[version])
    assert (found.mtu, found.black_hole, found.exact) == (1400, False, True)
    first, second = found.steps
    assert (first.size, first.answer, first.mtu, first.sender) == (1500, "too-big", 1400, R2[version])
    assert (second.size, second.answer) == (1400, "reached")


@FAMILIES
@USERS
def test_a_black_hole_is_measured_to_the_byte(narrow: PathLab, uid: int, version: int) -> None:
    hide(narrow)
    found = narrow.observe("path-mtu", uid=uid, address=SERVER[version])
    assert (found.mtu, found.black_hole, found.exact) == (1400, True, True)
    assert found.largest_udp_payload == 1400 - {4: 28, 6: 48}[version]


@FAMILIES
def test_what_the_kernel_was_told_before_is_no_black_hole(narrow: PathLab, version: int) -> None:
    told = narrow.observe("path-mtu", address=SERVER[version])
    hide(narrow)
    found = narrow.observe("path-mtu", address=SERVER[version])
    assert (told.mtu, told.black_hole) == (1400, False)
    assert (found.mtu, found.known_mtu, found.black_hole) == (1400, 1400, False)


def test_a_router_that_tells_late_is_heard(narrow: PathLab) -> None:
    narrow.filter(
        "r2", "output", "icmp type destination-unreachable icmp code 4 limit rate over 1/second burst 1 packets drop"
    )
    narrow.sh("r1", "ping -n -q -c3 -i0.01 -W0.1 -M do -s 1472 10.78.4.2 || true")
    found = narrow.observe("path-mtu", address=SERVER[4])
    assert found.steps[0].answer == "silence"
    assert (found.mtu, found.black_hole) == (1400, False)


def test_an_unusual_mtu_is_found_within_the_packets_allowed(narrow: PathLab) -> None:
    narrow.sh("r2", "ip link set e1 mtu 1337")
    narrow.sh("r3", "ip link set e0 mtu 1337")
    hide(narrow)
    found = narrow.observe("path-mtu", address=SERVER[4], packets=40)
    assert (found.mtu, found.black_hole, found.exact) == (1337, True, True)
    narrow.count("r1", "prerouting", "icmp type echo-request")
    found = narrow.observe("path-mtu", address=SERVER[4], packets=6)
    assert found.mtu <= 1337
    assert found.black_hole
    assert not found.exact
    assert narrow.counted("r1") <= 6


def test_a_host_at_its_icmp_limit_is_no_black_hole(fresh: PathLab) -> None:
    for _ in range(3):
        fresh.exhaust(64)
        found = fresh.observe("path-mtu", uid=NOBODY, address=SERVER[4])
        assert (found.method, found.mtu, found.black_hole) == ("udp", 1500, False)
        if found.steps[0].answer == "silence":
            return
    pytest.skip("the host had an answer left each time: this machine was too busy to ask within a second")


def test_echo_requests_that_nobody_answers_give_way_to_datagrams(lab: PathLab) -> None:
    lab.filter("server", "input", "icmp type echo-request drop")
    found = lab.observe("path-mtu", address=SERVER[4], wait_s=0.2)
    assert (found.mtu, found.method, found.black_hole) == (1500, "udp", False)


@USERS
def test_silence_at_every_size_tells_nothing(lab: PathLab, uid: int) -> None:
    lab.filter("r2", "forward", "ip daddr 10.78.4.2 drop")
    found = lab.observe("path-mtu", uid=uid, address=SERVER[4], wait_s=0.2)
    assert (found.mtu, found.black_hole, found.largest_udp_payload) == (None, False, None)
    assert {step.answer for step in found.steps} == {"silence"}


def test_a_size_beyond_the_interface_stays_here(lab: PathLab) -> None:
    found = lab.observe("path-mtu", address=SERVER[4], largest=4000)
    assert [(step.size, step.answer) for step in found.steps] == [(4000, "local"), (1500, "reached")]
    assert found.mtu == 1500


@USERS
def test_a_local_filter_is_told(lab: PathLab, uid: int) -> None:
    lab.filter("client", "output", "ip daddr 10.78.4.2 drop")
    found = lab.observe("path-mtu", uid=uid, address=SERVER[4])
    assert (found.mtu, found.black_hole, found.errno) == (None, False, "EPERM")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@USERS
def test_loopback_carries_the_longest_packet(lab: PathLab, uid: int, address: str) -> None:
    found = lab.observe("path-mtu", uid=uid, address=address)
    assert (found.mtu, found.black_hole) == (65535, False)


def test_a_prohibition_ends_the_search(lab: PathLab) -> None:
    lab.filter("r2", "forward", "ip daddr 10.78.4.2 reject with icmp type admin-prohibited")
    found = lab.observe("path-mtu", uid=NOBODY, address=SERVER[4])
    assert (found.mtu, found.black_hole) == (None, False)
    assert [(step.answer, step.sender) for step in found.steps] == [("unreachable", R2[4])]
