"""The datagram probe over real namespaces: answers, refusals with their sender, and silence."""

from __future__ import annotations

import pytest
from pathlab import NOBODY, R2, SERVER, PathLab

from probes.failure import Failure

pytestmark = pytest.mark.lab


FAMILIES = pytest.mark.parametrize("version", [4, 6])


@FAMILIES
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_a_service_answers(lab: PathLab, uid: int, version: int) -> None:
    found = lab.observe("datagram", uid=uid, address=SERVER[version], port=8053, payload_hex="00ff")
    assert (found.answered, found.sent, found.reply_bytes) == (True, 1, len(b"answer"))
    assert (found.failure, found.icmp) == (None, None)
    assert 0 < found.duration_ms < 900


@FAMILIES
def test_a_closed_port_is_refused_by_the_host(lab: PathLab, version: int) -> None:
    found = lab.observe("datagram", uid=NOBODY, address=SERVER[version], port=9)
    assert (found.answered, found.failure, found.errno) == (False, Failure.REFUSED, "ECONNREFUSED")
    assert found.icmp.sender == SERVER[version]


@FAMILIES
def test_a_prohibition_names_the_router(lab: PathLab, version: int) -> None:
    lab.filter("r2", "forward", "udp dport 8053 reject with icmpx type admin-prohibited")
    found = lab.observe("datagram", uid=NOBODY, address=SERVER[version], port=8053)
    assert (found.icmp.type, found.icmp.code, found.icmp.sender) == (*((3, 13), (1, 1))[version == 6], R2[version])


def test_silence_takes_every_attempt(lab: PathLab) -> None:
    lab.count("r1", "prerouting", "udp dport 8053")
    payload = b"silence".hex()
    found = lab.observe(
        "datagram", address=SERVER[4], port=8053, payload_hex=payload, silent_wait_s=0.9, wait_s=0.3, interval_s=0.1
    )
    assert (found.answered, found.sent, found.failure) == (False, 3, None)
    assert lab.counted("r1") == 3
    assert 850 <= found.duration_ms < 2000
    assert len(lab.partials) >= 5


def test_an_answer_to_the_second_try_counts(lab: PathLab) -> None:
    lab.observe("datagram", address=SERVER[4], port=8053)
    lab.filter("r2", "forward", "udp dport 8053 numgen inc mod 2 0 drop")
    found = lab.observe("datagram", address=SERVER[4], port=8053, interval_s=0.1)
    assert (found.answered, found.sent) == (True, 2)


def test_a_local_filter_is_a_local_failure(lab: PathLab) -> None:
    lab.filter("client", "output", "udp dport 8053 drop")
    found = lab.observe("datagram", uid=NOBODY, address=SERVER[4], port=8053)
    assert (found.sent, found.failure, found.errno) == (0, Failure.NOT_PERMITTED, "EPERM")


def test_a_broadcast_address_is_denied_here(lab: PathLab) -> None:
    found = lab.observe("datagram", address="10.78.1.255", port=8053)
    assert (found.sent, found.failure, found.errno) == (0, Failure.ACCESS_DENIED, "EACCES")
