"""The connect probe over real namespaces: who answered, with what, and how long silence lasted."""

from __future__ import annotations

import pytest
from pathlab import CLIENT, DEAD, NOBODY, ON_LINK_DEAD, R2, R3, SERVER, PathLab

from probes.base import ProbeTarget, load
from probes.connect import ConnectOutcome
from probes.failure import Failure

pytestmark = pytest.mark.lab


FAMILIES = pytest.mark.parametrize("version", [4, 6])


@FAMILIES
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_a_listener_is_connected_to_with_one_syn(lab: PathLab, uid: int, version: int) -> None:
    found = lab.observe("connect", uid=uid, address=SERVER[version], port=8080)
    assert found.outcome is ConnectOutcome.CONNECTED
    (attempt,) = found.attempts
    assert (attempt.syns, attempt.local_address, attempt.failure) == (1, CLIENT[version], None)
    assert found.complete
    assert not any(partial.complete for partial in lab.partials)


@FAMILIES
def test_a_reset_leaves_no_icmp_error_behind(lab: PathLab, version: int) -> None:
    found = lab.observe("connect", uid=NOBODY, address=SERVER[version], port=81)
    (attempt,) = found.attempts
    assert found.outcome is ConnectOutcome.FAILED
    assert (attempt.failure, attempt.errno, attempt.icmp) == (Failure.REFUSED, "ECONNREFUSED", None)


REFUSALS = [
    (4, "icmp type port-unreachable", "3/3 ECONNREFUSED"),
    (4, "icmp type host-unreachable", "3/1 EHOSTUNREACH"),
    (4, "icmp type net-unreachable", "3/0 ENETUNREACH"),
    (4, "icmp type admin-prohibited", "3/13 EHOSTUNREACH"),
    (6, "icmpv6 type admin-prohibited", "1/1 EACCES"),
    (6, "icmpv6 type port-unreachable", "1/4 ECONNREFUSED"),
]


@pytest.mark.parametrize(("version", "kind", "told"), REFUSALS)
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_an_icmp_refusal_names_its_sender(lab: PathLab, uid: int, version: int, kind: str, told: str) -> None:
    family = "ip" if version == 4 else "ip6"
    lab.filter("r2", "forward", f"{family} daddr {SERVER[version]} tcp dport 8080 reject with {kind}")
    found = lab.observe("connect", uid=uid, address=SERVER[version], port=8080)
    assert found.outcome is ConnectOutcome.FAILED
    (attempt,) = found.attempts
    assert f"{attempt.icmp.type}/{attempt.icmp.code} {attempt.errno}" == told
    assert attempt.icmp.sender == R2[version]
    assert lab.took_s < 0.9  # not only at the retransmission


@FAMILIES
def test_a_dead_host_is_heard_of_from_the_last_router(lab: PathLab, version: int) -> None:
    found = lab.observe("connect", uid=NOBODY, address=DEAD[version], port=8080)
    assert found.outcome is ConnectOutcome.FAILED
    answered = [attempt for attempt in found.attempts if attempt.icmp]
    assert answered
    assert {(attempt.errno, attempt.icmp.sender) for attempt in answered} == {("EHOSTUNREACH", R3[version])}
    assert found.attempts[0].duration_ms > 2500


@FAMILIES
def test_a_dead_neighbour_is_told_by_this_machine(lab: PathLab, version: int) -> None:
    found = lab.observe("connect", uid=NOBODY, address=ON_LINK_DEAD[version], port=8080)
    senders = {attempt.icmp.sender for attempt in found.attempts if attempt.icmp}
    assert (found.outcome, senders) == (ConnectOutcome.FAILED, {CLIENT[version]})


def test_a_dropped_port_is_silence_for_several_sockets(lab: PathLab) -> None:
    lab.filter("server", "input", "tcp dport 8080 drop")
    lab.count("r1", "prerouting", "tcp dport 8080")
    found = lab.observe("connect", address=SERVER[4], port=8080, patience_s=1.4, stagger_s=0.2)
    assert found.outcome is ConnectOutcome.NO_ANSWER
    assert [attempt.failure for attempt in found.attempts] == [Failure.NO_ANSWER] * 3
    starts = [attempt.started_ms for attempt in found.attempts]
    assert starts[0] < starts[1] < starts[2] < 1000
    assert sum(attempt.syns for attempt in found.attempts) == lab.counted("r1")
    assert len(lab.partials) >= 5


def test_a_lost_syn_is_made_good_by_the_next_socket(lab: PathLab) -> None:
    lab.observe("connect", address=SERVER[4], port=8080)
    lab.filter("r2", "forward", "tcp dport 8080 tcp flags syn numgen inc mod 100 0 drop")
    found = lab.observe("connect", address=SERVER[4], port=8080)
    assert found.outcome is ConnectOutcome.CONNECTED
    assert [attempt.outcome for attempt in found.attempts] == [ConnectOutcome.NO_ANSWER, ConnectOutcome.CONNECTED]
    assert lab.took_s < 0.9  # before the kernel's own retransmission


@pytest.mark.parametrize(
    ("kind", "errno", "failure"),
    [
        ("prohibit", "EACCES", Failure.ACCESS_DENIED),
        ("blackhole", "EINVAL", Failure.INVALID),
        ("unreachable", "EHOSTUNREACH", Failure.HOST_UNREACHABLE),
        ("throw", "ENETUNREACH", Failure.NETWORK_UNREACHABLE),
    ],
)
def test_a_route_that_forbids_fails_at_once(lab: PathLab, kind: str, errno: str, failure: Failure) -> None:
    lab.sh("client", "ip route flush 10.99.0.0/16; ip route del default")
    try:
        lab.sh("client", f"ip route add {kind} 10.99.0.0/16")
        found = lab.observe("connect", address="10.99.0.1", port=80)
    finally:
        lab.sh("client", "ip route flush 10.99.0.0/16; ip route replace default via 10.78.1.1")
    (attempt,) = found.attempts
    assert (found.outcome, attempt.errno, attempt.failure) == (ConnectOutcome.FAILED, errno, failure)
    assert (attempt.syns, attempt.icmp) == (0, None)


def test_a_loop_is_told_by_the_router_where_the_ttl_ran_out(lab: PathLab) -> None:
    lab.sh("r3", "ip route replace 10.78.4.2/32 via 10.78.3.1")
    try:
        found = lab.observe("connect", uid=NOBODY, address=SERVER[4], port=8080)
    finally:
        lab.sh("r3", "ip route del 10.78.4.2/32")
    assert (found.attempts[0].icmp.type, found.attempts[0].icmp.code) == (11, 0)


def test_too_few_descriptors_are_a_result(lab: PathLab) -> None:
    found = lab.run("""
        import resource
        load("connect")
        async def cut():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            filling = []
            try:
                while True:
                    filling.append(os.dup(0))
            except OSError:
                pass
            try:
                return await look("connect", address="10.78.4.2", port=8080)
            finally:
                for one in filling:
                    os.close(one)
        result = asyncio.run(cut())
    """)
    (attempt,) = found.attempts
    assert (attempt.failure, attempt.errno, attempt.syns) == (Failure.TOO_MANY_FILES, "EMFILE", 0)


def test_a_scoped_address_is_connected_to(lab: PathLab) -> None:
    address = lab.sh("r1", "ip -6 -o addr show dev e0 scope link").split()[3].partition("/")[0] + "%e1"
    found = lab.observe("connect", uid=NOBODY, address=address, port=81)
    assert found.attempts[0].errno == "ECONNREFUSED"
    assert found.attempts[0].local_address.endswith("%e1")


def test_a_single_socket_in_the_budget_is_enough(lab: PathLab) -> None:
    lab.filter("server", "input", "tcp dport 8080 drop")
    found = lab.run("""
        context = Context(budget=Budget(sockets=1))
        result = observe("connect", address="10.78.4.2", port=8080, patience_s=0.8)
    """)
    assert (found.outcome, len(found.attempts)) == (ConnectOutcome.NO_ANSWER, 1)


def test_it_needs_an_address_and_a_port() -> None:
    probe = load("connect")
    request = probe.request_for(ProbeTarget(address="127.0.0.1", port=80))
    assert probe.subject(request) == "127.0.0.1 80"
    for target in (ProbeTarget(address="127.0.0.1"), ProbeTarget(port=80)):
        with pytest.raises(Exception, match=r"reason\.needs-"):
            probe.request_for(target)
