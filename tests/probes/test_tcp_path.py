"""The tcp-path probe over real namespaces: at which TTL which device answers for a port."""

from __future__ import annotations

import pytest
from pathlab import NOBODY, R1, R2, R3, SERVER, PathLab

from probes.tcp_path import TcpAnswer, TcpPathResult

pytestmark = pytest.mark.lab


FAMILIES = pytest.mark.parametrize("version", [4, 6])
USERS = pytest.mark.parametrize("uid", [0, NOBODY])


def routers(found: TcpPathResult) -> list[str | None]:
    """The senders of *time exceeded*, by TTL."""
    return [hop.icmp.sender if hop.icmp else None for hop in found.hops if hop.answer is TcpAnswer.TIME_EXCEEDED]


@FAMILIES
@USERS
@pytest.mark.parametrize(("port", "final"), [(8080, TcpAnswer.ACCEPTED), (81, TcpAnswer.RESET)])
def test_every_ttl_answers_up_to_the_host(lab: PathLab, uid: int, version: int, port: int, final: TcpAnswer) -> None:
    lab.count("server", "input", "tcp flags & (syn|ack) == syn")
    found = lab.observe("tcp-path", uid=uid, address=SERVER[version], port=port)
    assert routers(found) == [R1[version], R2[version], R3[version]]
    assert (found.final_ttl, found.final, found.passed_ttl) == (4, final, 3)
    assert found.packets <= 8
    assert 1 <= lab.counted("server") <= 3  # hardly anything is sent beyond the end


@pytest.mark.parametrize(
    ("host", "hook", "ttl"),
    [("r1", "prerouting", 1), ("r1", "forward", 2), ("r2", "forward", 3), ("r3", "forward", 4), ("server", "input", 4)],
)
@FAMILIES
def test_a_reset_is_placed_at_the_device_that_sends_it(
    lab: PathLab, version: int, host: str, hook: str, ttl: int
) -> None:
    lab.filter(host, hook, "tcp dport 8080 reject with tcp reset")
    found = lab.observe("tcp-path", uid=NOBODY, address=SERVER[version], port=8080)
    assert (found.final_ttl, found.final, found.passed_ttl) == (ttl, TcpAnswer.RESET, ttl - 1)
    assert found.hops[-1].icmp is None


@FAMILIES
def test_an_icmp_refusal_names_its_sender(lab: PathLab, version: int) -> None:
    lab.filter("r2", "forward", "tcp dport 8080 reject with icmpx type admin-prohibited")
    found = lab.observe("tcp-path", uid=NOBODY, address=SERVER[version], port=8080)
    assert (found.final_ttl, found.final, found.passed_ttl) == (3, TcpAnswer.ICMP, 2)
    assert found.hops[-1].icmp.sender == R2[version]


@pytest.mark.parametrize(
    ("host", "hook", "passed"), [("r1", "forward", 1), ("r3", "forward", 3), ("server", "input", 3)]
)
def test_a_dropped_port_ends_behind_the_last_router_that_answers(
    lab: PathLab, host: str, hook: str, passed: int
) -> None:
    lab.filter(host, hook, "tcp dport 8080 drop")
    found = lab.observe("tcp-path", uid=NOBODY, address=SERVER[4], port=8080)
    assert (found.final_ttl, found.final, found.passed_ttl) == (None, None, passed)
    assert [hop.answer for hop in found.hops[passed:]] == [TcpAnswer.SILENCE] * 3
    assert all(hop.sent == 2 for hop in found.hops[passed:])


def test_the_least_final_ttl_is_found_although_its_first_answer_is_lost(lab: PathLab) -> None:
    lab.observe("tcp-path", address=SERVER[4], port=81)
    lab.filter("server", "input", "tcp dport 81 ip ttl 1 numgen inc mod 2 0 drop")
    found = lab.observe("tcp-path", address=SERVER[4], port=81)
    assert (found.final_ttl, found.final) == (4, TcpAnswer.RESET)
    assert found.hops[3].sent == 2


def test_a_router_that_has_reached_its_limit_is_asked_again() -> None:
    with PathLab() as fresh:
        fresh.exhaust(3)
        found = fresh.observe("tcp-path", uid=NOBODY, address=SERVER[4], port=81)
    assert (found.final_ttl, found.passed_ttl) == (4, 3)
    assert found.hops[2].sent > 1


def test_silent_routers_do_not_hide_the_end(lab: PathLab) -> None:
    for router in ("r1", "r2", "r3"):
        lab.filter(router, "output", "icmp type time-exceeded drop")
    found = lab.observe("tcp-path", address=SERVER[4], port=81)
    assert [hop.answer for hop in found.hops] == [TcpAnswer.SILENCE] * 3 + [TcpAnswer.RESET]
    assert (found.final_ttl, found.passed_ttl) == (4, 0)


def test_an_egress_drop_is_silence_from_the_first_ttl_on(lab: PathLab) -> None:
    lab.filter("client", "output", "tcp dport 8080 drop")
    found = lab.observe("tcp-path", uid=NOBODY, address=SERVER[4], port=8080)
    assert (found.final, found.passed_ttl) == (None, 0)
    assert {hop.answer for hop in found.hops} == {TcpAnswer.SILENCE}
    assert lab.took_s < 3


def test_no_route_is_a_local_failure(lab: PathLab) -> None:
    lab.sh("client", "ip route add prohibit 10.99.0.0/16")
    try:
        found = lab.observe("tcp-path", address="10.99.0.1", port=80)
    finally:
        lab.sh("client", "ip route del prohibit 10.99.0.0/16")
    assert (found.final, found.final_ttl) == (TcpAnswer.LOCAL_FAILURE, None)
    assert found.hops[0].errno == "EACCES"


@FAMILIES
def test_a_loop_is_followed_for_a_few_rounds_only(lab: PathLab, version: int) -> None:
    family, host = ("", "10.78.4.2/32") if version == 4 else ("-6", "fd78:4::2/128")
    via = "10.78.3.1" if version == 4 else "fd78:3::1"
    lab.sh("r3", f"ip {family} route replace {host} via {via}")
    try:
        found = lab.observe("tcp-path", uid=NOBODY, address=SERVER[version], port=8080)
    finally:
        lab.sh("r3", f"ip {family} route del {host}")
    senders = routers(found)
    assert senders.count(R3[version]) >= 3
    assert len(found.hops) <= 12
    assert found.final is None


def test_connections_are_closed_in_the_ordinary_way(lab: PathLab) -> None:
    lab.count("r1", "prerouting", "tcp dport 8080 tcp flags & rst == rst")
    lab.observe("tcp-path", address=SERVER[4], port=8080, max_ttl=4)
    assert lab.counted("r1") <= 1  # only a SYN-ACK that came after its socket was closed draws a reset


def test_a_single_socket_in_the_budget_is_enough(lab: PathLab) -> None:
    found = lab.run("""
        context = Context(budget=Budget(sockets=1))
        result = observe("tcp-path", address="10.78.4.2", port=81)
    """)
    assert (found.final_ttl, found.final) == (4, TcpAnswer.RESET)
