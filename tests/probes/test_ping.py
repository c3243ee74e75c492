"""The ping probe over real namespaces: every method, loss, errors with their sender, and the dead host."""

from __future__ import annotations

import pytest
from pathlab import CLIENT, DEAD, NOBODY, ON_LINK_DEAD, R2, R3, SERVER, PathLab

from probes.failure import Failure, IcmpMeaning
from probes.ping import PingMethod

pytestmark = pytest.mark.lab


METHODS = [
    pytest.param(0, "1 0", PingMethod.ICMP_RAW, id="raw"),
    pytest.param(NOBODY, "0 2147483647", PingMethod.ICMP_DATAGRAM, id="datagram"),
    pytest.param(NOBODY, "1 0", PingMethod.UDP, id="udp"),
]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("uid", "groups", "method"), METHODS)
def test_a_host_three_routers_away_replies(
    lab: PathLab, uid: int, groups: str, method: PingMethod, version: int
) -> None:
    lab.sh("client", f"sysctl -qw net.ipv4.ping_group_range='{groups}'")
    found = lab.observe("ping", uid=uid, address=SERVER[version])
    assert found.method is method
    assert (found.sent, found.received) == (3, 3)
    assert [echo.reply_ttl for echo in found.echoes] == [61, 61, 61]
    assert found.waited_ms == 0
    assert 0 < found.rtt_min_ms <= found.rtt_mean_ms <= found.rtt_max_ms < 500
    assert found.rtt_deviation_ms < found.rtt_max_ms
    assert lab.took_s < 1.0  # it does not wait once all are answered


@pytest.mark.parametrize(("uid", "groups", "method"), METHODS)
def test_one_lost_echo_of_three_shows(lab: PathLab, uid: int, groups: str, method: PingMethod) -> None:
    lab.sh("client", f"sysctl -qw net.ipv4.ping_group_range='{groups}'")
    lab.observe("ping", uid=uid, address=SERVER[4])  # neighbours are known from here on
    lab.filter("r2", "forward", "ip daddr 10.78.4.2 numgen inc mod 3 1 drop")
    found = lab.observe("ping", uid=uid, address=SERVER[4], wait_s=0.4)
    assert (found.method, found.sent, found.received) == (method, 3, 2)
    assert [echo.rtt_ms is None for echo in found.echoes] == [False, True, False]
    assert 350 <= found.waited_ms < 1500


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("uid", "groups", "method"), METHODS)
def test_the_router_before_a_dead_host_says_so(
    lab: PathLab, uid: int, groups: str, method: PingMethod, version: int
) -> None:
    lab.sh("client", f"sysctl -qw net.ipv4.ping_group_range='{groups}'")
    found = lab.observe("ping", uid=uid, address=DEAD[version])
    assert (found.method, found.sent, found.received) == (method, 3, 0)
    assert found.rtt_min_ms is None
    errors = [echo.icmp for echo in found.echoes if echo.icmp]
    assert errors
    assert {(error.meaning, error.sender) for error in errors} == {(IcmpMeaning.HOST_UNREACHABLE, R3[version])}
    assert len(lab.partials) >= 10  # silence is reported while it lasts
    assert max(partial.waited_ms for partial in lab.partials) > 2000


def test_a_dead_neighbour_is_reported_by_this_machine_itself(lab: PathLab) -> None:
    found = lab.observe("ping", uid=NOBODY, address=ON_LINK_DEAD[4])
    errors = {(echo.icmp.type, echo.icmp.code, echo.icmp.sender) for echo in found.echoes if echo.icmp}
    assert errors == {(3, 1, CLIENT[4])}


def test_silence_is_waited_out_and_no_longer(lab: PathLab) -> None:
    lab.filter("server", "input", "icmp type echo-request drop")
    found = lab.observe("ping", address=SERVER[4], silent_wait_s=0.7)
    assert (found.sent, found.received) == (3, 0)
    assert 650 <= found.waited_ms < 2000
    assert all(echo.icmp is None and echo.failure is None for echo in found.echoes)


@pytest.mark.parametrize(
    ("version", "kind", "code"), [pytest.param(4, 3, 13, id="3/13"), pytest.param(6, 1, 1, id="1/1")]
)
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_a_prohibition_names_the_router(lab: PathLab, uid: int, version: int, kind: int, code: int) -> None:
    lab.filter("r2", "forward", "meta l4proto { icmp, ipv6-icmp, udp } reject with icmpx type admin-prohibited")
    found = lab.observe("ping", uid=uid, address=SERVER[version])
    assert found.received == 0
    errors = {(echo.icmp.type, echo.icmp.code, echo.icmp.sender) for echo in found.echoes}
    assert errors == {(kind, code, R2[version])}
    assert lab.took_s < 2.0


@pytest.mark.parametrize("uid", [0, NOBODY])
def test_a_local_filter_is_a_local_failure(lab: PathLab, uid: int) -> None:
    lab.filter("client", "output", "ip daddr 10.78.4.2 drop")
    found = lab.observe("ping", uid=uid, address=SERVER[4])
    assert found.received == 0
    assert {(echo.failure, echo.errno) for echo in found.echoes} == {(Failure.NOT_PERMITTED, "EPERM")}


def test_no_route_fails_at_once_and_is_not_tried_again(lab: PathLab) -> None:
    found = lab.run(
        "import subprocess\nsubprocess.run(['ip', 'route', 'del', 'default'])\n"
        "result = observe('ping', address='10.78.4.2')\n"
        "subprocess.run(['ip', 'route', 'add', 'default', 'via', '10.78.1.1'])"
    )
    assert [(echo.failure, echo.errno) for echo in found.echoes] == [(Failure.NETWORK_UNREACHABLE, "ENETUNREACH")]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", CLIENT[4], CLIENT[6]])
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_own_addresses_reply(lab: PathLab, uid: int, address: str) -> None:
    found = lab.observe("ping", uid=uid, address=address, count=2, interval_s=0.01)
    assert (found.sent, found.received) == (2, 2)


@pytest.mark.parametrize("uid", [0, NOBODY])
def test_a_scoped_address_replies(lab: PathLab, uid: int) -> None:
    address = lab.sh("r1", "ip -6 -o addr show dev e0 scope link").split()[3].partition("/")[0] + "%e1"
    found = lab.observe("ping", uid=uid, address=address, count=2, interval_s=0.01)
    assert (found.sent, found.received) == (2, 2)


@pytest.mark.parametrize("address", ["example.test", "10.78.4.256", "fe80::1%nosuch", ""])
def test_what_is_no_literal_is_refused(lab: PathLab, address: str) -> None:
    found = lab.observe("ping", address=address)
    assert found.reason.key == "reason.not-an-address"


def test_two_raw_pings_at_once_do_not_take_each_others_replies(lab: PathLab) -> None:
    found = lab.run("""
        async def both():
            alive, dead = (asyncio.create_task(look("ping", address=a, silent_wait_s=0.6))
                           for a in ("10.78.4.2", "10.78.4.9"))
            return await alive, await dead
        result = asyncio.run(both())
    """)
    assert [one.received for one in found] == [3, 0]


def test_duplicates_count_once(lab: PathLab) -> None:
    found = lab.run("""
        from probes.system.linux.icmp import EchoSocket
        answers = EchoSocket.answers
        EchoSocket.answers = lambda self: [one for one in answers(self) for _ in range(2)]
        result = observe("ping", address="10.78.4.2", count=2, interval_s=0.01)
    """)
    assert (found.sent, found.received) == (2, 2)


def test_cancelling_leaves_no_socket_behind(lab: PathLab) -> None:
    found = lab.run("""
        async def cut():
            before = len(os.listdir("/proc/self/fd"))
            jobs = [("ping", {}), ("traceroute", {}), ("path-mtu", {}), ("connect", {"port": 8080}),
                    ("tcp-path", {"port": 8080}), ("datagram", {"port": 8053})]
            tasks = [asyncio.create_task(look(name, address="10.78.4.9", **more)) for name, more in jobs]
            await asyncio.sleep(0.4)
            during = len(os.listdir("/proc/self/fd"))
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            return before, during, len(os.listdir("/proc/self/fd")), [type(end).__name__ for end in ends]
        result = asyncio.run(cut())
    """)
    before, during, after, ends = found
    assert before < during
    assert after == before
    assert ends == ["CancelledError"] * 6
