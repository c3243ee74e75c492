"""What an interface's counters tell an ordinary user of this machine's own filter."""

from __future__ import annotations

import pytest
from linklab import NOBODY, LinkLab

SERVER = ("10.77.2.2", "fd77:2::2")


@pytest.fixture
def lab(link: LinkLab) -> LinkLab:
    return link


def look(lab: LinkLab, address: str, uid: int, port: int = 8080):  # noqa: ANN201 - the probe's result
    return lab.observe("own-filter", uid=uid, address=address, port=port, interface="e0", rtt_ms=5.0)


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("address", SERVER)
def test_nothing_in_the_way(lab: LinkLab, address: str, uid: int) -> None:
    for port in (8080, 8081):
        found = look(lab, address, uid, port)
        assert 4 <= len(found.attempts) == len(found.idle) <= 8
        assert all(a.sent >= 1 and a.received >= 1 and a.looped == 0 for a in found.attempts)
        assert found.control.sent >= 1


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("address", SERVER)
def test_dropped_on_the_way_out(lab: LinkLab, address: str, uid: int) -> None:
    lab.filter("client", "output", "tcp dport 8080 drop")
    found = look(lab, address, uid)
    assert any(a.sent == 0 for a in found.attempts)
    assert found.control.sent >= 1


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("address", SERVER)
def test_refused_on_the_way_out(lab: LinkLab, address: str, uid: int) -> None:
    lab.filter("client", "output", "tcp dport 8080 reject with tcp reset")
    lab.filter("client", "input", "accept")
    found = look(lab, address, uid)
    assert all(a.looped >= 1 for a in found.attempts)
    assert any(a.sent == 0 for a in found.attempts)


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("address", SERVER)
def test_answers_that_are_not_let_in(lab: LinkLab, address: str, uid: int) -> None:
    lab.filter("client", "input", "tcp sport 8080 drop")
    found = look(lab, address, uid)
    assert all(a.received >= 1 for a in found.attempts)


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_dropped_behind_this_machine(lab: LinkLab, address: str) -> None:
    lab.filter("router", "forward", "tcp dport 8080 drop")
    found = look(lab, address, NOBODY)
    assert all(a.sent >= 1 for a in found.attempts)
    assert any(a.received == 0 for a in found.attempts)


@pytest.mark.lab
def test_a_datagram_that_may_not_leave_is_no_control(lab: LinkLab) -> None:
    lab.filter("client", "output", "ip daddr 10.77.2.2 drop")
    assert look(lab, "10.77.2.2", NOBODY).control is None
