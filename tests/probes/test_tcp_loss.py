"""Connects that count losses, against real listeners: one that answers, one whose queue is full, none at all."""

from __future__ import annotations

import asyncio
import socket

import pytest

from probes.base import Context, NotApplicable
from probes.tcp_loss import TcpLossRequest, TcpLossResult, observe


def run(request: TcpLossRequest) -> tuple[TcpLossResult, list[TcpLossResult]]:
    seen: list[TcpLossResult] = []
    return asyncio.run(observe(request, Context(), seen.append)), seen


def test_every_connect_to_a_listener_is_answered() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        result, seen = run(TcpLossRequest("127.0.0.1", server.getsockname()[1], count=5, interval_s=0.005))
    assert result.answered == (True,) * 5
    assert result.complete
    assert result.rtt_max_ms is not None
    assert seen
    assert not seen[0].complete


def test_a_refusal_is_an_answer() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        result, _ = run(TcpLossRequest("127.0.0.1", holder.getsockname()[1], count=3, interval_s=0.005))
    assert result.answered == (True,) * 3
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


def test_a_name_is_no_address() -> None:
    with pytest.raises(NotApplicable):
        run(TcpLossRequest("localhost.example", 80))
