"""A connection bound to an interface takes that one, whatever the kernel would choose."""

from __future__ import annotations

import pytest
from linklab import NOBODY, LinkLab

from probes.failure import Failure

SERVER = ("10.77.2.2", "fd77:2::2")


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("address", SERVER)
def test_by_the_interface_that_leads_there(link: LinkLab, address: str, uid: int) -> None:
    found = link.observe("other-route", uid=uid, address=address, port=8080, interface="e0")
    assert found.connected
    assert found.failure is None


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_by_one_that_does_not(link: LinkLab, address: str) -> None:
    found = link.observe("other-route", uid=0, address=address, port=8080, interface="lo", wait_s=0.5)
    assert not found.connected
    assert found.failure is not None


@pytest.mark.lab
def test_a_refusal_is_told(link: LinkLab) -> None:
    found = link.observe("other-route", uid=0, address=SERVER[0], port=8099, interface="e0")
    assert (found.connected, found.failure, found.icmp) == (False, Failure.REFUSED, None)
