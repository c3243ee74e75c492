"""Masks too wide and too narrow, told by what answers on the link and what by way of the router."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from linklab import NOBODY, LinkLab

from probes.base import NotApplicable, NotPermitted
from probes.failure import IcmpMeaning


@pytest.fixture
def lab() -> Iterator[LinkLab]:
    with LinkLab() as lab:
        yield lab


@pytest.mark.lab
@pytest.mark.parametrize(("target", "router"), [("10.77.2.2", "10.77.1.1"), ("fd77:2::2", "fd77:1::1")])
def test_mask_too_wide_the_router_forwards(lab: LinkLab, target: str, router: str) -> None:
    lab.sh("client", "ip addr flush dev e0 scope global; ip addr add 10.77.1.2/8 dev e0")
    lab.sh("client", "ip addr add fd77:1::2/16 dev e0 nodad")
    found = lab.observe("link", address=target, interface="e0", router=router)
    assert found.mac is None
    assert (found.via_router, found.via_router_icmp) == (True, None)
    assert found.router_mac == found.reply_mac == lab.mac("router", "b0")
    assert found.rtt_ms > 0


@pytest.mark.lab
@pytest.mark.parametrize(("target", "router"), [("10.77.1.200", "10.77.1.1"), ("fd77:1::200", "fd77:1::1")])
def test_mask_too_narrow_the_target_answers_on_the_link(lab: LinkLab, target: str, router: str) -> None:
    lab.sh("client", "ip addr flush dev e0 scope global; ip addr add 10.77.1.2/25 dev e0")
    lab.sh("client", "ip addr add fd77:1::2/121 dev e0 nodad")
    found = lab.observe("link", address=target, interface="e0", router=router)
    assert found.mac == lab.mac("neighbour")
    assert found.router_mac == lab.mac("router", "b0")
    # the router passes it back to the same link, and the target answers without it
    assert (found.via_router, found.reply_mac) == (True, lab.mac("neighbour"))


@pytest.mark.lab
def test_the_router_says_no(lab: LinkLab) -> None:
    lab.sh("router", "ip route add unreachable 10.99.0.0/16; ip -6 route add prohibit fd99::/64")
    four = lab.observe("link", address="10.99.0.1", interface="e0", router="10.77.1.1", wait_s=0.6)
    six = lab.observe("link", address="fd99::1", interface="e0", router="fd77:1::1", wait_s=0.6)
    assert (four.mac, four.via_router, four.rtt_ms) == (None, False, None)
    assert (four.via_router_icmp.meaning, four.via_router_icmp.sender) == (
        IcmpMeaning.HOST_UNREACHABLE,
        "10.77.1.1",
    )
    assert (six.via_router_icmp.meaning, six.via_router_icmp.sender) == (IcmpMeaning.PROHIBITED, "fd77:1::1")


@pytest.mark.lab
def test_silence_and_a_dead_router(lab: LinkLab) -> None:
    lab.filter("router", "forward", "drop")
    silent = lab.observe("link", address="10.77.2.2", interface="e0", router="10.77.1.1", wait_s=0.6)
    dead = lab.observe("link", address="10.77.2.2", interface="e0", router="10.77.1.99", wait_s=0.6)
    alone = lab.observe("link", address="10.77.1.200", interface="e0")
    assert (silent.via_router, silent.via_router_icmp) == (False, None)
    assert (dead.router_mac, dead.via_router) == (None, None)
    assert (alone.mac, alone.via_router) == (lab.mac("neighbour"), None)


@pytest.mark.lab
def test_where_it_cannot_look(lab: LinkLab) -> None:
    lab.sh("client", "ip link add d0 type veth peer name d1")
    refused = lab.observe("link", address="10.77.1.200", interface="e0", uid=NOBODY)
    assert isinstance(refused, NotPermitted)
    code = """
    pairs = [("10.77.1.9", "no0"), ("10.77.1.9", "lo"), ("10.77.1.9", "d0"), ("10.77.1.2", "e0"), ("x", "e0")]
    result = [observe("link", address=address, interface=interface) for address, interface in pairs]
    """
    found = lab.run(code)
    assert all(isinstance(error, NotApplicable) for error in found)
    assert [str(error) for error in found] == [
        "reason.no-such-interface",
        "reason.not-ethernet",
        "reason.interface-down",
        "reason.own-address",
        "reason.not-an-address",
    ]
