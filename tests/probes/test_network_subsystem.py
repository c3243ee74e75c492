"""The probe of the stack itself."""

from __future__ import annotations

import asyncio
import os
import shutil

import children
import pytest

from probes.base import Budget, Context
from probes.network_subsystem import NetworkSubsystemRequest, NetworkSubsystemResult, observe


def look(context: Context | None = None) -> NetworkSubsystemResult:
    return asyncio.run(observe(NetworkSubsystemRequest(), context or Context(), lambda _partial: None))


def outcomes(result: NetworkSubsystemResult) -> dict[tuple[str, int], str | None]:
    return {(one.transport, one.family): one.errno for one in result.exchanges}


def test_this_machine_works() -> None:
    context = Context()
    found = look(context)
    assert found.loopback_up is True
    assert found.counters
    assert found.kernel == f"Linux {os.uname().release}"
    seen = outcomes(found)
    assert seen["tcp", 4] is None
    assert seen["udp", 4] is None
    assert set(seen) == {("tcp", 4), ("udp", 4), ("tcp", 6), ("udp", 6)}
    assert 2 <= context.packets_sent <= 20
    assert all(one.duration_ms > 0 for one in found.exchanges)


def test_one_socket_at_a_time_is_enough() -> None:
    assert outcomes(look(Context(budget=Budget(sockets=1))))["udp", 4] is None


def test_an_ordinary_user() -> None:
    children.need_root()
    found = children.run("result = observe('network-subsystem')", uid=children.NOBODY)
    assert outcomes(found)["tcp", 4] is None
    assert found.loopback_up is True


@pytest.mark.lab
def test_loopback_taken_down() -> None:
    children.need_namespace()
    found = children.run(
        "result = observe('network-subsystem', wait_s=0.3)",
        namespace=True,
        setup="ip link set lo up; ip link set lo down",
    )
    assert found.loopback_up is False
    assert found.counters
    assert None not in outcomes(found).values()
    assert outcomes(found)["tcp", 4] == "NO_ANSWER"
    assert outcomes(found)["tcp", 6] == "EADDRNOTAVAIL"


@pytest.mark.lab
def test_loopback_never_brought_up() -> None:
    children.need_namespace()
    found = children.run("result = observe('network-subsystem', wait_s=0.3)", namespace=True)
    assert found.loopback_up is False
    assert None not in outcomes(found).values()


@pytest.mark.lab
def test_ipv6_disabled_leaves_ipv4_whole() -> None:
    children.need_namespace()
    found = children.run(
        "result = observe('network-subsystem')",
        namespace=True,
        setup="ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
    )
    assert outcomes(found) == {
        ("tcp", 4): None,
        ("udp", 4): None,
        ("tcp", 6): "EADDRNOTAVAIL",
        ("udp", 6): "EADDRNOTAVAIL",
    }


@pytest.mark.lab
def test_a_filter_on_loopback_is_silence_for_what_it_drops() -> None:
    children.need_namespace()
    if not shutil.which("nft"):
        pytest.skip("nft is not installed")
    found = children.run(
        "result = observe('network-subsystem', wait_s=0.3)",
        namespace=True,
        setup="ip link set lo up; nft 'table ip t { chain o { type filter hook output priority 0;"
        " ip protocol tcp drop; }; }'",
    )
    assert found.loopback_up is True
    assert outcomes(found)["tcp", 4] == "NO_ANSWER"
    assert outcomes(found)["udp", 4] is None
