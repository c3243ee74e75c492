"""The traceroute probe over real namespaces: every hop, silent and limited routers, ends and loops."""

from __future__ import annotations

import pytest
from pathlab import CLIENT, DEAD, NOBODY, R1, R2, R3, SERVER, PathLab

from probes.failure import IcmpMeaning
from probes.traceroute import TracerouteResult

pytestmark = pytest.mark.lab


FAMILIES = pytest.mark.parametrize("version", [4, 6])
USERS = pytest.mark.parametrize("uid", [0, NOBODY])


def senders(found: TracerouteResult) -> list[str | None]:
    """Who answered each TTL; every answer of one TTL comes from one device here."""
    names = [{answer.address for answer in hop.answers} for hop in found.hops]
    assert all(len(each) <= 1 for each in names)
    return [each.pop() if each else None for each in names]


@FAMILIES
@USERS
def test_every_hop_is_named(lab: PathLab, uid: int, version: int) -> None:
    lab.count("r1", "prerouting", "udp dport 33434-33600")
    found = lab.observe("traceroute", uid=uid, address=SERVER[version])
    assert senders(found) == [R1[version], R2[version], R3[version], SERVER[version]]
    assert (found.reached_ttl, found.method, found.ended_by, found.errno) == (4, "udp", None, None)
    assert found.packets == lab.counted("r1") <= 8
    assert all(0 < answer.rtt_ms < 500 for hop in found.hops for answer in hop.answers)
    assert lab.partials


@USERS
def test_the_kernels_own_limits_suffice_for_every_probe_at_once(fresh: PathLab, uid: int) -> None:
    traced, tcp, pinged, mtu, _connected = fresh.run(
        """
        async def all_of_them():
            return await asyncio.gather(
                look("traceroute", address="10.78.4.2"),
                look("tcp-path", address="10.78.4.2", port=81),
                look("ping", address="10.78.4.2"),
                look("path-mtu", address="10.78.4.2"),
                look("connect", address="10.78.4.2", port=81),
            )
        result = asyncio.run(all_of_them())
        """,
        uid=uid,
    )
    assert senders(traced) == [R1[4], R2[4], R3[4], SERVER[4]]
    assert (tcp.final_ttl, tcp.passed_ttl) == (4, 3)
    assert pinged.received == 3
    assert mtu.mtu == 1500


def test_a_router_that_has_reached_its_limit_is_asked_again(fresh: PathLab) -> None:
    fresh.exhaust(2)
    found = fresh.observe("traceroute", uid=NOBODY, address=SERVER[4])
    assert senders(found) == [R1[4], R2[4], R3[4], SERVER[4]]
    assert found.hops[1].sent > 1


@FAMILIES
def test_a_silent_router_leaves_a_gap(lab: PathLab, version: int) -> None:
    lab.filter("r2", "output", "icmp type time-exceeded drop", "icmpv6 type time-exceeded drop")
    found = lab.observe("traceroute", uid=NOBODY, address=SERVER[version])
    assert senders(found) == [R1[version], None, R3[version], SERVER[version]]
    assert found.hops[1].sent == 3


def test_all_routers_silent_still_finds_the_end(lab: PathLab) -> None:
    for router in ("r1", "r2", "r3"):
        lab.filter(router, "output", "icmp type time-exceeded drop")
    found = lab.observe("traceroute", uid=NOBODY, address=SERVER[4])
    assert senders(found) == [None, None, None, SERVER[4]]
    assert found.reached_ttl == 4


@FAMILIES
def test_a_host_that_drops_datagrams_is_found_by_echo_requests(lab: PathLab, version: int) -> None:
    lab.filter("server", "input", "meta l4proto udp drop")
    found = lab.observe("traceroute", address=SERVER[version])
    assert senders(found) == [R1[version], R2[version], R3[version], SERVER[version]]
    assert (found.reached_ttl, found.method) == (4, "icmp")
    assert found.hops[3].answers[0].icmp is None
    without = lab.observe("traceroute", uid=NOBODY, address=SERVER[version])
    assert (without.reached_ttl, without.method, without.ended_by) == (None, "udp", None)
    assert senders(without) == [R1[version], R2[version], R3[version], None, None, None]


@FAMILIES
def test_a_prohibition_ends_the_path(lab: PathLab, version: int) -> None:
    lab.filter(
        "r2",
        "forward",
        f"{'ip' if version == 4 else 'ip6'} daddr {SERVER[version]} reject with icmpx type admin-prohibited",
    )
    found = lab.observe("traceroute", uid=NOBODY, address=SERVER[version])
    assert (found.reached_ttl, found.ended_ttl) == (None, 3)
    assert (found.ended_by.meaning, found.ended_by.sender) == (IcmpMeaning.PROHIBITED, R2[version])
    assert lab.took_s < 1


def test_a_rejection_of_datagrams_alone_does_not_end_the_path_of_echo_requests(lab: PathLab) -> None:
    lab.filter("r2", "forward", "meta l4proto udp reject with icmpx type admin-prohibited")
    found = lab.observe("traceroute", address=SERVER[4])
    assert (found.reached_ttl, found.method, found.ended_by) == (4, "icmp", None)


def test_a_missing_route_ends_the_path(fresh: PathLab) -> None:
    fresh.sh("r2", "ip route del 10.78.4.0/24")
    found = fresh.observe("traceroute", uid=NOBODY, address=SERVER[4])
    assert (found.ended_by.meaning, found.ended_by.sender) == (IcmpMeaning.NETWORK_UNREACHABLE, R2[4])


@pytest.mark.parametrize(("host", "last"), [("r1", 1), ("r2", 2)])
@USERS
def test_a_path_that_dies_keeps_three_silent_hops(lab: PathLab, uid: int, host: str, last: int) -> None:
    lab.filter(host, "forward", "ip daddr 10.78.4.0/24 drop")
    found = lab.observe("traceroute", uid=uid, address=SERVER[4])
    assert senders(found) == [R1[4], R2[4]][:last] + [None] * 3
    assert found.reached_ttl is None
    assert found.packets <= 30
    assert lab.took_s < 4


def test_a_dead_host_does_not_hold_the_trace_up(lab: PathLab) -> None:
    found = lab.observe("traceroute", uid=NOBODY, address=DEAD[4])
    assert found.reached_ttl is None
    assert senders(found)[:3] == [R1[4], R2[4], R3[4]]
    assert lab.took_s < 2.8


@FAMILIES
def test_a_loop_is_followed_for_a_few_rounds_only(lab: PathLab, version: int) -> None:
    family, host = ("", "10.78.4.2/32") if version == 4 else ("-6", "fd78:4::2/128")
    via = "10.78.3.1" if version == 4 else "fd78:3::1"
    lab.sh("r3", f"ip {family} route replace {host} via {via}")
    try:
        found = lab.observe("traceroute", uid=NOBODY, address=SERVER[version])
    finally:
        lab.sh("r3", f"ip {family} route del {host}")
    assert senders(found).count(R3[version]) >= 3
    assert len(found.hops) <= 12
    assert (found.reached_ttl, found.ended_by) == (None, None)


@USERS
def test_an_egress_filter_is_told(lab: PathLab, uid: int) -> None:
    lab.filter("client", "output", "ip daddr 10.78.4.2 drop")
    found = lab.observe("traceroute", uid=uid, address=SERVER[4])
    assert (found.errno, found.packets, found.hops) == ("EPERM", 0, ())


def test_a_lost_answer_of_the_end_does_not_move_it(lab: PathLab) -> None:
    lab.observe("traceroute", address=SERVER[4])
    lab.filter("server", "input", "udp dport 33434-33600 ip ttl 1 numgen inc mod 9 0 drop")
    found = lab.observe("traceroute", uid=NOBODY, address=SERVER[4])
    assert found.reached_ttl == 4


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", CLIENT[4], CLIENT[6]])
def test_own_addresses_are_one_hop_away(lab: PathLab, address: str) -> None:
    found = lab.observe("traceroute", uid=NOBODY, address=address)
    assert (found.reached_ttl, senders(found)) == (1, [address])


def test_quotations_of_eight_bytes_are_matched_by_port(lab: PathLab) -> None:
    """Older routers quote the UDP header and nothing behind it: here a program answers in place of r1."""
    lab.filter("r1", "output", "icmp type time-exceeded ip dscp cs6 drop")  # the kernel's own
    code = """
import socket, struct
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
tap.bind(("e0", 0x0800))
out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
print("ready", flush=True)
while True:
    packet, source = tap.recvfrom(2048)
    if source[2] != socket.PACKET_HOST or packet[8] != 1 or packet[9] != 17:
        continue
    body = struct.pack("!BBHI", 11, 0, 0, 0) + packet[:28]
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 1, 0, socket.inet_aton("10.78.1.1"), packet[12:16])
    out.sendto(head + body, (socket.inet_ntoa(packet[12:16]), 0))
"""
    with lab.program("r1", code):
        found = lab.observe("traceroute", uid=NOBODY, address=SERVER[4])
    assert senders(found) == [R1[4], R2[4], R3[4], SERVER[4]]
