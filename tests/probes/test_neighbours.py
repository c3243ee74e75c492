"""Neighbours that live, die and lie about it, seen with and without a packet socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from linklab import NOBODY, LinkLab

from probes.base import Context, NotApplicable
from probes.bodies.neighbours import observe
from probes.neighbours import NeighboursRequest, NeighbourState

LIVE = ("10.77.1.200", "fd77:1::200")
DEAD = ("10.77.1.99", "fd77:1::99")
FAR = ("10.77.2.2", "fd77:2::2")
OWN = ("10.77.1.2", "127.0.0.1")


@pytest.fixture
def lab() -> Iterator[LinkLab]:
    with LinkLab() as lab:
        yield lab


def test_what_is_no_address_is_not_applicable() -> None:
    request = NeighboursRequest(("example.com",))
    with pytest.raises(NotApplicable):
        asyncio.run(observe(request, Context(), lambda _: None))


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_live_dead_far_and_own(lab: LinkLab, uid: int) -> None:
    code = f"""
    found = observe("neighbours", addresses={LIVE + DEAD + FAR + OWN!r})
    result = found, packets
    """
    found, packets = lab.run(code, uid=uid)
    asked = {neighbour.address: neighbour for neighbour in found.asked}
    assert list(asked) == [*LIVE, *DEAD, *FAR, *OWN]
    for address in LIVE:
        assert (asked[address].state, asked[address].confirmed) == (NeighbourState.REACHABLE, True)
        assert (asked[address].interface, asked[address].mac) == ("e0", lab.mac("neighbour"))
        assert asked[address].duration_ms < 1500
    for address in DEAD:
        assert (asked[address].state, asked[address].confirmed) == (NeighbourState.FAILED, False)
        assert asked[address].mac is None
        assert asked[address].duration_ms > 1500
    for address in FAR + OWN:
        assert (asked[address].state, asked[address].confirmed) == (NeighbourState.ABSENT, False)
    assert packets == 4  # nothing was sent for what is not on the link


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_stale_entries(lab: LinkLab, uid: int) -> None:
    mac = lab.mac("neighbour")
    for live, silent in (("10.77.1.200", "10.77.1.98"), ("fd77:1::200", "fd77:1::98")):
        lab.sh("client", f"ip neigh replace {live} lladdr {mac} dev e0 nud stale")
        lab.sh("client", f"ip neigh replace {silent} lladdr 02:00:00:00:00:98 dev e0 nud stale")
    addresses = ("10.77.1.200", "fd77:1::200", "10.77.1.98", "fd77:1::98")
    four, six, silent, silent6 = lab.observe("neighbours", addresses=addresses, uid=uid).asked
    for found in (four, six):
        assert (found.confirmed, found.mac) == (True, mac)
        assert found.requests == (0 if uid else 1)
    for found in (silent, silent6):
        assert (found.confirmed, found.mac) == (False, "02:00:00:00:00:98")
        assert found.requests == (0 if uid else 3)
        assert found.state in (NeighbourState.STALE, NeighbourState.DELAY)


@pytest.mark.lab
def test_a_neighbour_that_answers_no_datagram(lab: LinkLab) -> None:
    """Without a packet socket a stale entry stays unconfirmed; by hand its owner still answers."""
    mac = lab.mac("neighbour")
    lab.filter("neighbour", "input", "meta l4proto udp drop")
    lab.sh("client", f"ip neigh replace 10.77.1.200 lladdr {mac} dev e0 nud stale")
    (nobody,) = lab.observe("neighbours", addresses=("10.77.1.200",), uid=NOBODY).asked
    (root,) = lab.observe("neighbours", addresses=("10.77.1.200",)).asked
    assert (nobody.confirmed, nobody.requests) == (False, 0)
    assert (root.confirmed, root.requests) == (True, 1)


@pytest.mark.lab
def test_a_local_filter_keeps_the_datagram(lab: LinkLab) -> None:
    lab.filter("client", "output", "meta l4proto udp drop")
    (nobody,) = lab.observe("neighbours", addresses=("10.77.1.200",), uid=NOBODY).asked
    (root,) = lab.observe("neighbours", addresses=("10.77.1.200",)).asked
    assert (nobody.confirmed, nobody.state) == (False, NeighbourState.ABSENT)
    assert (root.confirmed, root.mac) == (True, lab.mac("neighbour"))


@pytest.mark.lab
def test_table_only(lab: LinkLab) -> None:
    known = {"10.77.1.1", "10.77.1.200", "fd77:1::1"}
    for _ in range(5):  # all namespaces share the kernel's limit of entries: a full table elsewhere empties this one
        lab.settle()
        found = lab.observe("neighbours", uid=NOBODY)
        if found.table:
            break
    assert found.asked == ()
    assert known <= {neighbour.address for neighbour in found.table}
    assert {neighbour.router for neighbour in found.table if neighbour.address == "fd77:1::1"} == {True}
    assert not any(neighbour.address.startswith(("ff", "224.")) for neighbour in found.table)


@pytest.mark.lab
def test_a_memory_of_the_kernel_is_no_answer(lab: LinkLab) -> None:
    lab.settle()
    alive = lab.observe("neighbours", addresses=LIVE).asked
    assert [(found.answered, found.confirmed) for found in alive] == [(True, True)] * 2
    assert all(found.requests <= 1 for found in alive)  # none where the kernel was about to ask by itself
    lab.sh("neighbour", "ip link set e0 down")
    nobody = lab.observe("neighbours", addresses=LIVE, uid=NOBODY).asked
    root = lab.observe("neighbours", addresses=LIVE).asked
    for found in nobody:
        assert (found.state, found.answered, found.confirmed) == (NeighbourState.REACHABLE, False, True)
    for found in root:
        assert (found.state, found.answered, found.confirmed) == (NeighbourState.REACHABLE, False, False)
        assert found.requests == 3
