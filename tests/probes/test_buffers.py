"""The probe of socket memory."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import children
import pytest

from probes.base import Context, NotApplicable
from probes.buffers import BuffersRequest, BuffersResult, observe


def look(root: str = "/") -> BuffersResult:
    return asyncio.run(observe(BuffersRequest(), Context(root=Path(root)), lambda _partial: None))


def test_figures_of_this_machine() -> None:
    found = look()
    assert 0 < found.memory_available <= found.memory_total
    assert found.page_size == os.sysconf("SC_PAGE_SIZE")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as fresh:
        assert found.default_send == fresh.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert found.default_receive == fresh.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if found.tcp_limits is not None:
        assert found.tcp_limits[0] <= found.tcp_limits[1] <= found.tcp_limits[2]


def test_a_socket_full_of_unread_data_is_charged_to_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        client = socket.create_connection(opened.getsockname())
        accepted, _ = opened.accept()
        client.setblocking(False)
        sent = 0
        try:
            while sent < 1 << 22:
                sent += client.send(bytes(1 << 16))
        except BlockingIOError:
            pass
        found = look()
        client.close()
        accepted.close()
    mine = [one for one in found.processes if one.pid == os.getpid()]
    assert mine
    assert mine[0].memory >= sent
    assert mine[0].sockets >= 1
    assert found.tcp_sockets is not None
    assert found.tcp_sockets >= 3


def test_an_ordinary_user_sees_the_same_totals() -> None:
    children.need_root()
    found = children.run("result = observe('buffers')", uid=children.NOBODY)
    here = look()
    assert (found.memory_total, found.tcp_limits) == (here.memory_total, here.tcp_limits)
    assert found.default_receive == here.default_receive


@pytest.mark.lab
def test_inside_a_namespace_the_machine_wide_limits_are_not_known() -> None:
    children.need_namespace()
    found = children.run("result = observe('buffers')", namespace=True)
    assert found.tcp_limits is None
    assert found.default_receive is not None
    assert found.tcp_sockets == 0


def test_a_recorded_tree(tmp_path: Path) -> None:
    for path, text in {
        "proc/meminfo": "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:  100 kB\n",
        "proc/net/sockstat": "sockets: used 9\nTCP: inuse 5 orphan 2 tw 7 alloc 6 mem 300\nUDP: inuse 1 mem 4\n",
        "proc/net/sockstat6": "TCP6: inuse 3\nUDP6: inuse 2\n",
        "proc/sys/net/ipv4/tcp_mem": "100\t200\t300\n",
        "proc/sys/net/ipv4/udp_mem": "x\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = look(str(tmp_path))
    assert (found.memory_total, found.memory_available) == (1_024_000, 102_400)
    assert (found.tcp_pages, found.udp_pages, found.orphans, found.time_wait) == (300, 4, 2, 7)
    assert (found.tcp_sockets, found.udp_sockets) == (8, 3)
    assert (found.tcp_limits, found.udp_limits) == ((100, 200, 300), None)
    assert found.default_send is None


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable):
        look(str(tmp_path))
