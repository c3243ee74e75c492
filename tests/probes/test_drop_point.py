"""The drop-point probe over real namespaces: after which router a port's SYNs vanish, also where routers say little."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pathlab import NOBODY, SERVER, PathLab

pytestmark = pytest.mark.lab


@pytest.fixture
def lab() -> Iterator[PathLab]:
    # A lab of its own for each test: the routers' limits stay as the kernel has them, and none is used up.
    with PathLab() as lab:
        yield lab


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("host", "hook", "passed"), [("r1", "forward", 1), ("r2", "forward", 2), ("r2", "prerouting", 1)]
)
def test_the_last_router_that_sees_the_port(lab: PathLab, version: int, host: str, hook: str, passed: int) -> None:
    lab.filter(host, hook, "tcp dport 8080 drop")
    found = lab.observe("drop-point", uid=NOBODY, address=SERVER[version], port=8080, first=1, last=3, rtt_ms=5.0)
    assert (found.passed_ttl, found.settled) == (passed, True)
    beyond = found.hops[-1]
    assert (beyond.ttl, beyond.syn_answers) == (passed + 1, 0)
    assert beyond.datagram_answers >= 2


@pytest.mark.parametrize("version", [4, 6])
def test_a_port_that_passes_every_router(lab: PathLab, version: int) -> None:
    lab.filter("server", "input", "tcp dport 8080 drop")
    found = lab.observe("drop-point", uid=NOBODY, address=SERVER[version], port=8080, first=1, last=3, rtt_ms=5.0)
    assert (found.passed_ttl, found.settled) == (3, True)
    assert [h.syn_answers for h in found.hops] == [1, 1, 1]


def test_a_router_that_says_nothing_settles_nothing(lab: PathLab) -> None:
    lab.filter("r2", "output", "icmp type time-exceeded drop")
    found = lab.observe(
        "drop-point", uid=NOBODY, address=SERVER[4], port=8080, first=1, last=3, rtt_ms=5.0, patience_s=1.0
    )
    assert (found.passed_ttl, found.settled) == (1, False)
    assert found.hops[-1].datagram_answers == 0
