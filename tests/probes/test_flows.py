"""Source ports that always fail beside others that do not, told from losses and limits that strike any port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from pathlab import NOBODY, SERVER, PathLab

from probes.base import Context, NotApplicable
from probes.bodies.flows import observe
from probes.flows import CHANCE, FlowOutcome, FlowsRequest, by_chance, repetitions

#: A filter that meets about half of all flows, always the same ones.
HALF = "tcp dport 8080 jhash tcp sport mod 2 seed 0x7 == 0"


@pytest.fixture(scope="module")
def shared() -> Iterator[PathLab]:
    with PathLab() as lab:
        yield lab


@pytest.fixture
def lab(shared: PathLab) -> PathLab:
    shared.calm()
    return shared


def test_a_port_that_takes_every_flow_is_asked_a_few_times() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        context = Context()
        request = FlowsRequest("127.0.0.1", server.getsockname()[1])
        found = asyncio.run(observe(request, context, lambda _: None))
    assert [flow.tries for flow in found.flows] == [(FlowOutcome.ACCEPTED,)] * 8
    assert len({flow.source_port for flow in found.flows}) == 8
    assert (found.walked, found.walk, found.fresh_last, found.complete) == (None, (), (), True)
    assert context.packets_sent == 8


def test_a_port_that_takes_none_is_asked_once_more() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        found = asyncio.run(observe(FlowsRequest("127.0.0.1", holder.getsockname()[1]), Context(), lambda _: None))
    # a refused port is free again at once and may be chosen twice
    assert [one for flow in found.flows for one in flow.tries] == [FlowOutcome.RESET] * 16


def test_a_name_is_no_address() -> None:
    with pytest.raises(NotApplicable):
        asyncio.run(observe(FlowsRequest("localhost.example", 80), Context(), lambda _: None))


def test_chance_shrinks_with_repetitions() -> None:
    assert by_chance(3, 6, 4) > CHANCE > by_chance(3, 6, 8)
    assert by_chance(5, 6, 8) > CHANCE


@pytest.mark.lab
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("action", "outcome"), [("drop", FlowOutcome.SILENCE), ("reject with tcp reset", FlowOutcome.RESET)]
)
def test_some_flows_are_filtered(lab: PathLab, version: int, action: str, outcome: FlowOutcome) -> None:
    lab.filter("r2", "forward", f"{HALF} {action}")
    for _ in range(3):  # one time in 128 all eight ports fare alike
        found = lab.observe("flows", uid=NOBODY, address=SERVER[version], port=8080, wait_s=0.25)
        if len({flow.tries[0] for flow in found.flows}) > 1:
            break
    failing = [flow for flow in found.flows if flow.tries[0] is outcome]
    assert failing
    assert all(set(flow.tries) == {outcome} for flow in failing)
    assert {flow.tries[0] for flow in found.flows} == {outcome, FlowOutcome.ACCEPTED}
    assert FlowOutcome.ACCEPTED in found.fresh_last
    again = sum(repetitions(flow.tries) for flow in failing)
    assert by_chance(len(failing), len(found.flows), again) < CHANCE
    assert found.walked in {flow.source_port for flow in failing}
    passed = [hop.ttl for hop in found.walk if hop.outcome is FlowOutcome.TIME_EXCEEDED]
    assert passed == [1, 2]
    assert found.walk[2].outcome is outcome


def test_a_silence_after_a_silence_may_be_the_first_ones_remains() -> None:
    silence, reset = FlowOutcome.SILENCE, FlowOutcome.RESET
    assert [repetitions((silence,) * count) for count in range(1, 6)] == [0, 0, 1, 1, 2]
    assert [repetitions((reset,) * count) for count in range(1, 4)] == [0, 1, 2]


@pytest.mark.lab
def test_a_port_whose_answer_was_lost_gets_through_again(lab: PathLab) -> None:
    """Half a connection that the host keeps is cleared away by the port's next SYN, which is then sent again."""
    lost = "tcp sport 8080 tcp flags & (syn | ack) == syn | ack limit rate 1/day burst 1 packets drop"
    lab.filter("r2", "forward", lost)
    found = lab.observe("flows", uid=NOBODY, address=SERVER[4], port=8080, wait_s=0.25)
    (failed,) = [flow for flow in found.flows if flow.tries[0] is not FlowOutcome.ACCEPTED]
    assert failed.tries[0] is FlowOutcome.SILENCE
    assert failed.tries[-1] is FlowOutcome.ACCEPTED
    assert found.walked is None


@pytest.mark.lab
@pytest.mark.parametrize("what", ["numgen random mod 100 < 30 drop", "limit rate over 4/second burst 6 packets drop"])
def test_what_strikes_any_port_is_no_matter_of_ports(lab: PathLab, what: str) -> None:
    lab.filter("r2", "forward", f"tcp dport 8080 tcp flags & (syn | ack) == syn {what}")
    found = lab.observe("flows", uid=NOBODY, address=SERVER[4], port=8080, wait_s=0.25)
    failing = [flow for flow in found.flows if flow.tries[0] is not FlowOutcome.ACCEPTED]
    again = sum(repetitions(flow.tries) for flow in failing)
    steady = all(len(set(flow.tries)) == 1 for flow in failing)
    proven = by_chance(len(failing), len(found.flows), again) < CHANCE and FlowOutcome.ACCEPTED in found.fresh_last
    assert not failing or not (steady and proven)
    assert found.walked is None
