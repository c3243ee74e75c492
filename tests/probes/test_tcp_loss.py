"""Connects that count losses, against real listeners: one that answers, one whose queue is full, none at all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from pathlab import NOBODY, SERVER, PathLab

from probes.base import Context, NotApplicable
from probes.tcp_loss import TcpLossRequest, TcpLossResult, observe


def run(request: TcpLossRequest) -> tuple[TcpLossResult, list[TcpLossResult]]:
    seen: list[TcpLossResult] = []
    return asyncio.run(observe(request, Context(), seen.append)), seen


def test_every_connect_to_a_listener_is_answered() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        result, seen = run(TcpLossRequest("127.0.0.1", server.getsockname()[1], count=5, interval_s=0.005))
    assert result.answered == result.parted == (True,) * 5
    assert result.complete
    assert result.rtt_max_ms is not None
    assert seen
    assert not seen[0].complete


def test_a_refusal_is_an_answer() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        result, _ = run(TcpLossRequest("127.0.0.1", holder.getsockname()[1], count=3, interval_s=0.005))
    assert result.answered == (True,) * 3
    assert result.parted == (None,) * 3
    assert result.rtt_max_ms is None


def test_syns_that_meet_silence_are_not_answered() -> None:
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        result, _ = run(TcpLossRequest("127.0.0.1", server.getsockname()[1], count=3, interval_s=0.005, wait_s=0.2))
    assert result.answered == (False,) * 3
    assert result.parted == (None,) * 3


def test_a_name_is_no_address() -> None:
    with pytest.raises(NotApplicable):
        run(TcpLossRequest("localhost.example", 80))


@pytest.mark.parametrize("speaks", [False, True])
def test_a_service_that_does_not_look_acknowledges_all_the_same(speaks: bool) -> None:
    """The other side's kernel answers, whether its program has accepted, spoken, or not."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        if speaks:
            server.settimeout(5.0)
        request = TcpLossRequest("127.0.0.1", server.getsockname()[1], count=4, interval_s=0.005)

        async def both() -> TcpLossResult:
            observing = asyncio.create_task(observe(request, Context(), lambda _: None))
            for _ in range(4 if speaks else 0):
                connection, _ = await asyncio.to_thread(server.accept)
                with connection:
                    connection.sendall(b"220 ready\r\n")
            return await observing

        assert asyncio.run(both()).parted == (True,) * 4


# -- over a path -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built() -> Iterator[PathLab]:
    with PathLab() as lab:
        yield lab


@pytest.fixture
def lab(built: PathLab) -> Iterator[PathLab]:
    built.calm()
    yield built
    built.calm()


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_a_fin_that_is_lost_is_told_from_a_syn(lab: PathLab, family: int) -> None:
    lab.filter("r2", "forward", "tcp flags & (fin | syn) == fin tcp dport 8080 drop")
    found = lab.observe("tcp-loss", uid=NOBODY, address=SERVER[family], port=8080, count=4)
    assert found.answered == (True,) * 4
    assert found.parted == (False,) * 4


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_every_other_syn_is_lost(lab: PathLab, family: int) -> None:
    lab.filter("r2", "forward", "tcp flags & (fin | syn) == syn tcp dport 8080 numgen inc mod 2 1 drop")
    found = lab.observe("tcp-loss", uid=NOBODY, address=SERVER[family], port=8080, count=6, wait_s=0.5)
    assert found.answered == (True, False) * 3
    assert found.parted == (True, None) * 3


@pytest.mark.lab
@pytest.mark.parametrize("speaks", [False, True])
def test_waiting_for_the_last_acknowledgement_costs_few_wake_ups(lab: PathLab, speaks: bool) -> None:
    """A connected socket stays writable, and readable once the service has spoken: the loop must not turn on that."""
    code = """
        import selectors

        class Counting(selectors.DefaultSelector):
            turns = 0
            def select(self, timeout=None):
                Counting.turns += 1
                return super().select(timeout)

        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Counting())) as runner:
            found = runner.run(look("tcp-loss", address=%r, port=%d, count=4, wait_s=2.0))
        result = found, Counting.turns
    """
    port = 8081 if speaks else 8080
    speaker = """
import socket
server = socket.create_server(("10.78.4.2", 8081), backlog=16)
print("ready", flush=True)
kept = []
while True:
    kept.append(server.accept()[0])
    kept[-1].sendall(b"220 ready\\r\\n")
"""
    with lab.program("server", speaker):
        lab.filter("r2", "forward", f"tcp flags & (fin | syn) == fin tcp dport {port} drop")
        found, turns = lab.run(code % (SERVER[4], port), uid=NOBODY)
    assert found.answered == (True,) * 4
    assert found.parted == (False,) * 4
    # Four connections, each a handful of events and at most thirty looks at its counters; spinning takes thousands.
    assert turns < 200


@pytest.mark.lab
def test_what_is_lost_at_random_is_lost_of_either_kind(lab: PathLab) -> None:
    lab.filter("r2", "forward", "ip daddr 10.78.4.2 numgen random mod 100 < 40 drop")
    found = lab.observe("tcp-loss", uid=NOBODY, address=SERVER[4], port=8080, count=60)
    assert 10 <= found.answered.count(False) <= 40
    assert 3 <= found.parted.count(False) <= 35
