"""What leaves, what comes back, and what the local filter keeps from the socket."""

from __future__ import annotations

import pytest
from linklab import NOBODY, LinkLab

from probes.base import NotApplicable, NotPermitted
from probes.failure import Failure, IcmpMeaning

SERVER = ("10.77.2.2", "fd77:2::2")


@pytest.fixture
def lab(link: LinkLab) -> LinkLab:
    return link


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_nothing_in_the_way(lab: LinkLab, address: str) -> None:
    found = lab.observe("wire", address=address, port=8080)
    assert (found.watched, found.syns_out, found.answer_in, found.socket_heard) == ("e0", 1, "syn-ack", True)
    assert (found.answer_ttl, found.failure) == (63, None)
    closed = lab.observe("wire", address=address, port=8081)
    assert (closed.syns_out, closed.answer_in, closed.socket_heard) == (1, "reset", True)
    assert (closed.failure, closed.errno) == (Failure.REFUSED, "ECONNREFUSED")


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_dropped_on_the_way_out(lab: LinkLab, address: str) -> None:
    lab.filter("client", "output", "tcp dport 8080 drop")
    found = lab.observe("wire", address=address, port=8080)
    assert (found.syns_out, found.answer_in, found.socket_heard) == (0, None, False)
    assert not found.unresolved


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_rejected_on_the_way_out(lab: LinkLab, address: str) -> None:
    lab.filter("client", "output", "tcp dport 8080 reject with tcp reset")
    lab.filter("client", "input", "accept")
    found = lab.observe("wire", address=address, port=8080)
    assert (found.syns_out, found.answer_in, found.socket_heard) == (0, None, True)
    assert found.failure is Failure.REFUSED


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_answer_dropped_on_the_way_in(lab: LinkLab, address: str) -> None:
    lab.filter("client", "input", "tcp sport 8080 drop")
    found = lab.observe("wire", address=address, port=8080)
    assert (found.answer_in, found.socket_heard, found.failure) == ("syn-ack", False, None)
    assert found.syns_out >= 1


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_dropped_beyond_and_refused_beyond(lab: LinkLab, address: str) -> None:
    lab.filter("router", "forward", "tcp dport 8080 drop; tcp dport 8082 reject with icmpx type admin-prohibited")
    dropped = lab.observe("wire", address=address, port=8080, wait_s=1.5)
    assert (dropped.syns_out, dropped.answer_in, dropped.socket_heard) == (2, None, False)
    refused = lab.observe("wire", address=address, port=8082)
    assert (refused.syns_out, refused.answer_in, refused.socket_heard) == (1, "icmp", True)
    assert refused.icmp.meaning is IcmpMeaning.PROHIBITED
    assert refused.icmp.sender == ("fd77:1::1" if ":" in address else "10.77.1.1")


@pytest.mark.lab
@pytest.mark.parametrize("address", ["10.77.1.99", "fd77:1::99"])
def test_nobody_has_the_link_address(lab: LinkLab, address: str) -> None:
    found = lab.observe("wire", address=address, port=8080, wait_s=0.5)
    assert (found.syns_out, found.answer_in, found.unresolved) == (0, None, True)


@pytest.mark.lab
def test_loopback_and_own_addresses(lab: LinkLab) -> None:
    code = """
    addresses = ["127.0.0.1", "::1", "10.77.2.2", "fd77:2::2", "::ffff:127.0.0.1"]
    result = [observe("wire", address=address, port=port) for address in addresses for port in (8080, 8081)]
    """
    for found in lab.run(code, host="server"):
        expected = "syn-ack" if found.port == 8080 else "reset"
        assert (found.watched, found.syns_out, found.answer_in, found.socket_heard) == ("lo", 1, expected, True)


@pytest.mark.lab
def test_where_it_cannot_look(lab: LinkLab) -> None:
    assert isinstance(lab.observe("wire", address="10.77.2.2", port=8080, uid=NOBODY), NotPermitted)
    lab.sh("client", "ip route del default")
    missing = lab.observe("wire", address="10.77.2.2", port=8080)
    assert isinstance(missing, NotApplicable)
    assert missing.reason.key == "reason.no-route"
