"""The same connection as this process, whoever else's has failed."""

from __future__ import annotations

import pytest
from linklab import NOBODY, LinkLab

from probes.failure import Failure


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("address", ["10.77.2.2", "fd77:2::2"])
def test_a_port_that_accepts(link: LinkLab, address: str, uid: int) -> None:
    found = link.observe("as-ourselves", uid=uid, address=address, port=8080)
    assert found.connected
    assert found.failure is None
    assert found.interface is not None


@pytest.mark.lab
def test_a_refusal_is_told(link: LinkLab) -> None:
    found = link.observe("as-ourselves", uid=0, address="10.77.2.2", port=8099)
    assert (found.connected, found.failure, found.icmp) == (False, Failure.REFUSED, None)
