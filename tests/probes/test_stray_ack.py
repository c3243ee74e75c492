"""Stray segments to real ports of this machine; raw sockets need root."""

from __future__ import annotations

import asyncio
import socket

import pytest

from probes.base import Context, NotApplicable, NotPermitted
from probes.stray_ack import StrayAckRequest, StrayAckResult, observe
from probes.system import can_send_raw

ADDRESSES = ["127.0.0.1", "::1"]
raw = pytest.mark.skipif(not can_send_raw(Context()), reason="raw sockets need CAP_NET_RAW")


def run(request: StrayAckRequest) -> StrayAckResult:
    return asyncio.run(observe(request, Context(), lambda _: None))


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@raw
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_listener_resets_it(address: str) -> None:
    with socket.create_server((address, 0), family=family(address)) as server:
        result = run(StrayAckRequest(address, server.getsockname()[1]))
    assert (result.reset, result.sent) == (True, 1)
    assert result.rtt_ms is not None


@raw
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_listener_whose_queue_is_full_resets_it_all_the_same(address: str) -> None:
    kind = family(address)
    with socket.socket(kind) as server, socket.socket(kind) as first, socket.socket(kind) as second:
        server.bind((address, 0))
        server.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        with pytest.raises(TimeoutError), socket.create_connection(server.getsockname()[:2], timeout=0.3):
            pass
        assert run(StrayAckRequest(address, server.getsockname()[1])).reset


@raw
def test_a_closed_port_resets_it_too() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        assert run(StrayAckRequest("127.0.0.1", holder.getsockname()[1])).reset


def test_without_raw_sockets_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Context.socket

    def denied(self: Context, family: int, kind: int, protocol: int = 0) -> socket.socket:
        if kind == socket.SOCK_RAW:
            raise PermissionError(1, "Operation not permitted")
        return opened(self, family, kind, protocol)

    monkeypatch.setattr(Context, "socket", denied)
    with pytest.raises(NotPermitted):
        run(StrayAckRequest("127.0.0.1", 9))


def test_a_name_is_no_address() -> None:
    with pytest.raises(NotApplicable):
        run(StrayAckRequest("localhost.example", 80))
