"""Whoever claims an address on the link, this machine's own included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from linklab import NOBODY, LinkLab

from probes.base import NotApplicable, NotPermitted


@pytest.fixture
def lab() -> Iterator[LinkLab]:
    with LinkLab() as lab:
        yield lab


@pytest.mark.lab
@pytest.mark.parametrize(("own", "length"), [("10.77.1.2", 24), ("fd77:1::2", 64)])
def test_our_own_address_is_another_ones_too(lab: LinkLab, own: str, length: int) -> None:
    alone = lab.observe("claims", address=own, interface="e0")
    assert (alone.macs, alone.own) == ((), True)
    lab.sh("neighbour", f"ip addr add {own}/{length} dev e0" + (" nodad" if ":" in own else ""))
    both = lab.observe("claims", address=own, interface="e0")
    assert (both.macs, both.own) == ((lab.mac("neighbour"),), True)


@pytest.mark.lab
def test_two_devices_claim_the_router(lab: LinkLab) -> None:
    assert lab.observe("claims", address="10.77.1.1", interface="e0").macs == (lab.mac("router", "b0"),)
    lab.sh("neighbour", "ip addr add 10.77.1.1/24 dev e0")
    found = lab.observe("claims", address="10.77.1.1", interface="e0")
    assert set(found.macs) == {lab.mac("router", "b0"), lab.mac("neighbour")}
    assert not found.own


@pytest.mark.lab
def test_where_it_cannot_be_asked(lab: LinkLab) -> None:
    refused = lab.observe("claims", uid=NOBODY, address="10.77.1.1", interface="e0")
    assert isinstance(refused, NotPermitted)
    for interface in ("lo", "nosuch"):
        assert isinstance(lab.observe("claims", address="10.77.1.1", interface=interface), NotApplicable)
