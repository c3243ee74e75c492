"""The probe that binds a port as a failing program would."""

from __future__ import annotations

import asyncio
import os
import socket

import children
import pytest

from probes.base import Context, NotApplicable, ProbeTarget
from probes.bind import PROBE, BindRequest, BindResult, observe
from probes.failure import Failure
from probes.system.linux.local_ports import LocalPorts, _ranges


def attempt(address: str, port: int, transport: str = "tcp") -> BindResult:
    return asyncio.run(observe(BindRequest(address, port, transport), Context(), lambda _partial: None))


def outcomes(result: BindResult) -> dict[str, Failure | None]:
    return {one.how: one.failure for one in result.attempts}


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def test_a_free_port_is_given_back_at_once() -> None:
    port = free_port()
    result = attempt("127.0.0.1", port)
    assert outcomes(result) == {"plain": None, "reuse-address": None}
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", port))


def test_a_listener_holds_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        result = attempt("127.0.0.1", port)
        everywhere = attempt("0.0.0.0", port)
        other_transport = attempt("127.0.0.1", port, "udp")
    taken = Failure.ADDRESS_IN_USE
    assert outcomes(result) == {"plain": taken, "reuse-address": taken, "reuse-port": taken}
    assert [(one.call, one.errno) for one in result.attempts] == [("bind", "EADDRINUSE")] * 3
    assert outcomes(everywhere) == outcomes(result)
    assert outcomes(other_transport) == {"plain": None}


def test_an_ipv6_wildcard_clashes_with_an_ipv4_listener_unless_it_leaves_ipv4_alone() -> None:
    with socket.create_server(("0.0.0.0", 0)) as opened:
        result = attempt("::", opened.getsockname()[1])
    assert outcomes(result) == {
        "plain": Failure.ADDRESS_IN_USE,
        "reuse-address": Failure.ADDRESS_IN_USE,
        "v6-only": None,
        "reuse-port": Failure.ADDRESS_IN_USE,
    }


def test_a_dual_stack_listener_holds_the_port_of_ipv4() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as opened:
        result = attempt("0.0.0.0", opened.getsockname()[1])
    assert outcomes(result)["plain"] is Failure.ADDRESS_IN_USE


def test_time_wait_yields_to_reuse_address_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        address = opened.getsockname()
        client = socket.create_connection(address)
        accepted, _ = opened.accept()
        accepted.close()
        assert client.recv(1) == b""
        client.close()
    result = attempt(*address)
    taken = Failure.ADDRESS_IN_USE
    assert outcomes(result) == {"plain": taken, "reuse-address": None, "reuse-port": taken}


def test_a_port_may_be_bound_and_still_not_listen() -> None:
    # Two sockets with SO_REUSEADDR may share a port until one of them listens.
    with socket.socket() as holder, socket.socket() as second:
        for one in (holder, second):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        second.bind(("127.0.0.1", port))
        result = attempt("127.0.0.1", port)
    taken = Failure.ADDRESS_IN_USE
    assert outcomes(result) == {"plain": taken, "reuse-address": None, "reuse-port": taken}


def test_a_holder_that_shares_its_port_keeps_its_connections() -> None:
    """The trial with SO_REUSEPORT binds and does not listen: every connection still reaches the holder."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen(64)
        address = holder.getsockname()
        clients = []
        for _ in range(20):
            result = attempt(*address)
            clients.append(socket.create_connection(address))
            holder.accept()[0].close()
        for client in clients:
            client.close()
    assert outcomes(result)["plain"] is Failure.ADDRESS_IN_USE
    assert outcomes(result)["reuse-port"] is None


def test_an_address_of_somebody_else() -> None:
    result = attempt("192.0.2.77", free_port())
    assert outcomes(result)["plain"] is Failure.ADDRESS_NOT_AVAILABLE


def test_udp_never_shares_a_port_with_its_holder() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(("127.0.0.1", 0))
        result = attempt("127.0.0.1", opened.getsockname()[1], "udp")
    assert outcomes(result) == {"plain": Failure.ADDRESS_IN_USE}


def test_settings_of_this_machine() -> None:
    result = attempt("127.0.0.1", 0)
    assert result.ephemeral_range is not None
    assert 0 < result.ephemeral_range[0] < result.ephemeral_range[1] < 65536
    assert result.unprivileged_start is not None
    if os.geteuid() == 0:
        assert result.may_bind_low


def test_an_ordinary_user_may_not_bind_a_low_port() -> None:
    children.need_root()
    result = children.run("result = observe('bind', address='127.0.0.1', port=1)", uid=children.NOBODY)
    if result.unprivileged_start <= 1:
        pytest.skip("this machine lets everybody bind every port")
    assert outcomes(result)["plain"] is Failure.ACCESS_DENIED
    assert result.attempts[0].errno == "EACCES"
    assert not result.may_bind_low


@pytest.mark.lab
def test_range_and_reservation_are_those_of_the_namespace() -> None:
    children.need_namespace()
    result = children.run(
        "result = observe('bind', address='127.0.0.1', port=8080)",
        namespace=True,
        setup="ip link set lo up; cd /proc/sys/net/ipv4; echo 40000 40100 > ip_local_port_range;"
        " echo 8080,9000-9010 > ip_local_reserved_ports; echo 500 > ip_unprivileged_port_start",
    )
    assert result.ephemeral_range == (40000, 40100)
    assert result.reserved
    assert result.unprivileged_start == 500
    assert result.attempts[0].failure is None  # a reservation only keeps the kernel from choosing it


@pytest.mark.parametrize(
    ("port", "text", "expected"),
    [(8080, "8080,9148-9150", True), (9149, "8080,9148-9150", True), (9151, "8080,9148-9150", False), (1, "", False)],
)
def test_reserved_ports(port: int, text: str, expected: bool) -> None:
    assert LocalPorts(1, 65535, tuple(_ranges(text))).is_reserved(port) is expected


def test_reserved_ports_are_not_picked() -> None:
    ports = LocalPorts(40000, 40009, tuple(_ranges("39999-40001,40001-40002,40009-50000,junk,")))
    assert ports.kept_back == 4
    assert [port for port in range(39990, 40020) if port in ports] == list(range(40003, 40009))


@pytest.mark.parametrize(
    ("address", "port", "transport"), [("a.example", 1, "tcp"), ("::1", 70000, "tcp"), ("::1", 1, "sctp")]
)
def test_what_makes_no_sense(address: str, port: int, transport: str) -> None:
    with pytest.raises(NotApplicable):
        attempt(address, port, transport)


def test_request_for_a_target() -> None:
    assert PROBE.request_for(ProbeTarget(port=80)) == BindRequest("0.0.0.0", 80)
    assert PROBE.request_for(ProbeTarget(port=80, family=6)).address == "::"
    with pytest.raises(NotApplicable):
        PROBE.request_for(ProbeTarget(address="127.0.0.1"))
