"""The counters of a namespace of our own, before and after something happened in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from linklab import NOBODY, LinkLab

from probes import statistics
from probes.base import Context, NotApplicable


def look(context: Context) -> dict[str, int]:
    found = asyncio.run(statistics.observe(statistics.StatisticsRequest(), context, lambda _: None))
    return {counter.name: counter.value for counter in found.counters}


def test_all_three_files_are_read() -> None:
    counters = look(Context())
    assert {"Tcp.OutRsts", "Icmp.InDestUnreachs", "TcpExt.ListenOverflows", "Ip6.InReceives"} <= set(counters)
    assert all(name.count(".") == 1 for name in counters)


def test_hostile_files_do_no_harm(tmp_path: Path) -> None:
    net = tmp_path / "proc/net"
    net.mkdir(parents=True)
    with pytest.raises(NotApplicable):
        look(Context(root=tmp_path))
    (net / "snmp").write_bytes(b"Tcp: A B C\nTcp: 1 x\nUdp: A\nIcmp: 3\n\xff\xfe")
    (net / "snmp6").write_text("Icmp6InMsgs \t 7\nnonsense\nIp6InReceives " + "9" * 5000 + "\nOther 1\n")
    counters = look(Context(root=tmp_path))
    assert counters["Tcp.A"] == 1
    assert counters["Icmp6.InMsgs"] == 7
    assert "Tcp.B" not in counters
    assert not any(name.startswith(("Udp.", "Other")) for name in counters)


@pytest.mark.lab
def test_a_refusal_is_counted() -> None:
    code = """
    import socket
    def counters():
        return {counter.name: counter.value for counter in observe("statistics").counters}
    before = counters()
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as caller:
            caller.connect_ex((address, 9))
        with socket.socket(family, socket.SOCK_DGRAM) as caller:
            caller.sendto(b"", (address, 9))
    after = counters()
    result = {name: after[name] - before.get(name, 0) for name in after}
    """
    with LinkLab() as lab:
        grown = lab.run(code, uid=NOBODY)
    assert grown["Tcp.OutRsts"] == 2
    assert grown["Icmp.OutDestUnreachs"] == 1
    assert grown["Icmp6.OutDestUnreachs"] == 1
