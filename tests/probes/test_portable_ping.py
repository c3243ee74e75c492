"""Ping through icmplib, as on systems that are not Linux, over real sockets of Linux: loopback and namespaces."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from linklab import NOBODY, LinkLab
from namespaces import ROOT

from probes.failure import Failure, IcmpMeaning
from probes.ping import PingMethod

pytestmark = pytest.mark.lab

_serial = itertools.count()
SERVER = {4: "10.77.2.2", 6: "fd77:2::2"}
DEAD = {4: "10.77.2.9", 6: "fd77:2::9"}
CLIENT = {4: "10.77.1.2", 6: "fd77:1::2"}
ON_LINK_DEAD = {4: "10.77.1.9", 6: "fd77:1::9"}
# A router sends such an error from the address that faces the client.
ROUTER = {4: "10.77.1.1", 6: "fd77:1::1"}
OPEN, CLOSED = "0 2147483647", "1 0"

# The probe takes the way of other systems; `threaded` gives it a loop that cannot watch a socket, as on Windows.
PORTABLE = """
import time
import probes.ping
from probes.system import portable_ping

probes.ping.on_linux = lambda: False
took_s = 0.0

class NoReader(asyncio.SelectorEventLoop):
    def add_reader(self, *_):
        raise NotImplementedError

async def look(address, partials=None, **request):
    keep = (lambda partial: None) if partials is None else partials.append
    return await probes.ping.observe(probes.ping.PingRequest(address, **request), Context(), keep)

def run(job, threaded=False):
    with asyncio.Runner(loop_factory=NoReader if threaded else None) as runner:
        return runner.run(job)

def echo(address, threaded=False, **request):
    try:
        begun = time.monotonic()
        found = run(look(address, **request), threaded)
    except CannotObserve as error:
        return error
    global took_s
    took_s = time.monotonic() - begun
    return found
"""


@pytest.fixture(scope="module")
def made() -> Iterator[LinkLab]:
    lab = LinkLab()
    lab.prefix = f"wi{os.getpid()}x{next(_serial)}"
    with lab:
        for host in ("client", "router", "server"):
            lab.sh(host, "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")
        yield lab


@pytest.fixture
def lab(made: LinkLab) -> LinkLab:
    for host in ("client", "router", "server"):
        made.sh(host, "nft flush ruleset; ip neigh flush all; ip -6 neigh flush all")
    groups(made, CLOSED)
    return made


def groups(lab: LinkLab, allowed: str) -> None:
    lab.sh("client", f"sysctl -qw net.ipv4.ping_group_range='{allowed}'")


def run(lab: LinkLab, code: str, *, uid: int = 0) -> Any:
    return lab.run(PORTABLE + textwrap.dedent(code), uid=uid)


def echo(lab: LinkLab, address: str, *, uid: int = 0, **request: object) -> Any:
    return run(lab, f"result = echo({address!r}, **{request!r})", uid=uid)


KINDS = [
    pytest.param(0, CLOSED, PingMethod.ICMP_RAW, id="raw"),
    pytest.param(NOBODY, OPEN, PingMethod.ICMP_DATAGRAM, id="datagram"),
]
WAYS = [pytest.param(False, id="watched"), pytest.param(True, id="threaded")]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", SERVER[4], SERVER[6], CLIENT[4], CLIENT[6]])
@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize(("uid", "allowed", "method"), KINDS)
def test_a_host_replies(
    lab: LinkLab, *, uid: int, allowed: str, method: PingMethod, threaded: bool, address: str
) -> None:
    groups(lab, allowed)
    found, took_s = run(
        lab, f"result = echo({address!r}, threaded={threaded}, interval_s=0.02, silent_wait_s=30), took_s", uid=uid
    )
    assert found.method is method
    assert (found.sent, found.received) == (3, 3)
    assert {(one.reply_ttl, one.icmp, one.failure) for one in found.echoes} == {(None, None, None)}
    assert 0 < found.rtt_min_ms <= found.rtt_mean_ms <= found.rtt_max_ms < 1000
    assert took_s < 10  # it does not wait once all are answered


@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize(("uid", "allowed", "method"), KINDS)
def test_a_scoped_address_replies(lab: LinkLab, uid: int, allowed: str, method: PingMethod, threaded: bool) -> None:
    groups(lab, allowed)
    address = lab.sh("router", "ip -6 -o addr show dev b0 scope link").split()[3].partition("/")[0] + "%e0"
    found = echo(lab, address, uid=uid, threaded=threaded, interval_s=0.02)
    assert (found.method, found.sent, found.received) == (method, 3, 3)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_without_permission_for_either_kind_it_says_so(lab: LinkLab, address: str) -> None:
    found = echo(lab, address, uid=NOBODY)
    assert found.status == "not-permitted"
    assert found.reason.key == "reason.needs-raw-sockets"


@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize(("uid", "allowed", "method"), KINDS)
def test_one_lost_echo_of_three_shows(lab: LinkLab, uid: int, allowed: str, method: PingMethod, threaded: bool) -> None:
    groups(lab, allowed)
    echo(lab, SERVER[4], uid=uid)  # neighbours are known from here on
    lab.filter("router", "forward", "ip daddr 10.77.2.2 numgen inc mod 3 1 drop")
    found = echo(lab, SERVER[4], uid=uid, threaded=threaded, wait_s=0.5)
    assert (found.method, found.sent, found.received) == (method, 3, 2)
    assert [one.rtt_ms is None for one in found.echoes] == [False, True, False]
    assert 450 <= found.waited_ms < 3000


@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize("version", [4, 6])
def test_the_router_before_a_dead_host_says_so(lab: LinkLab, version: int, threaded: bool) -> None:
    found = echo(lab, DEAD[version], threaded=threaded)
    assert (found.method, found.sent, found.received) == (PingMethod.ICMP_RAW, 3, 0)
    assert found.rtt_min_ms is None
    errors = {(one.icmp.meaning, one.icmp.type, one.icmp.code, one.icmp.sender) for one in found.echoes if one.icmp}
    kind, code = (3, 1) if version == 4 else (1, 3)
    assert errors == {(IcmpMeaning.HOST_UNREACHABLE, kind, code, ROUTER[version])}


@pytest.mark.parametrize("version", [4, 6])
def test_a_dead_neighbour_is_reported_by_this_machine_itself(lab: LinkLab, version: int) -> None:
    found = echo(lab, ON_LINK_DEAD[version])
    errors = {(one.icmp.meaning, one.icmp.sender) for one in found.echoes if one.icmp}
    assert errors == {(IcmpMeaning.HOST_UNREACHABLE, CLIENT[version])}


@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize(("version", "kind", "code"), [(4, 3, 13), (6, 1, 1)], ids=["3/13", "1/1"])
def test_a_prohibition_names_the_router(lab: LinkLab, version: int, kind: int, code: int, threaded: bool) -> None:
    lab.filter("router", "forward", "meta l4proto { icmp, ipv6-icmp } reject with icmpx type admin-prohibited")
    found, took_s = run(lab, f"result = echo({SERVER[version]!r}, {threaded}, silent_wait_s=30), took_s")
    assert (found.sent, found.received) == (3, 0)
    errors = {(one.icmp.type, one.icmp.code, one.icmp.sender) for one in found.echoes}
    assert errors == {(kind, code, ROUTER[version])}
    assert all(one.rtt_ms is not None and one.rtt_ms < 5000 for one in found.echoes)
    assert took_s < 10


@pytest.mark.parametrize("threaded", WAYS)
def test_a_redirect_is_no_error(lab: LinkLab, threaded: bool) -> None:
    # the router forwards to where the packet came from, and tells the client of the shorter way
    lab.filter("neighbour", "input", "icmp type echo-request drop")
    lab.sh("client", "ip route add 10.77.1.200 via 10.77.1.1; echo 0 | tee /proc/sys/net/ipv4/conf/*/accept_redirects")
    lab.filter("client", "input", "icmp type redirect counter")
    try:
        found = echo(lab, "10.77.1.200", threaded=threaded, silent_wait_s=0.8)
        seen = lab.sh("client", "nft list table inet inputx")
    finally:
        lab.sh("client", "ip route del 10.77.1.200")
        lab.sh("neighbour", "nft flush ruleset")
    assert "packets 0" not in seen
    assert {(one.rtt_ms, one.icmp) for one in found.echoes} == {(None, None)}


@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize(("uid", "allowed", "method"), KINDS)
def test_silence_is_waited_out_and_no_longer(
    lab: LinkLab, uid: int, allowed: str, method: PingMethod, threaded: bool
) -> None:
    groups(lab, allowed)
    lab.filter("server", "input", "icmp type echo-request drop")
    found, waits = run(
        lab,
        f"""
        partials = []
        found = echo({SERVER[4]!r}, {threaded}, silent_wait_s=0.8, partials=partials)
        result = found, [partial.waited_ms for partial in partials]
        """,
        uid=uid,
    )
    assert (found.method, found.sent, found.received) == (method, 3, 0)
    assert 750 <= found.waited_ms < 5000
    assert {(one.rtt_ms, one.icmp, one.failure) for one in found.echoes} == {(None, None, None)}
    assert waits == sorted(waits)  # silence is reported while it lasts
    assert waits[-1] > 400


@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize(("uid", "allowed", "method"), KINDS)
def test_a_local_filter_is_a_local_failure(
    lab: LinkLab, uid: int, allowed: str, method: PingMethod, threaded: bool
) -> None:
    groups(lab, allowed)
    lab.filter("client", "output", "ip daddr 10.77.2.2 drop")
    found = echo(lab, SERVER[4], uid=uid, threaded=threaded, interval_s=0.02)
    assert (found.method, found.sent, found.received) == (method, 3, 0)
    assert {(one.failure, one.errno) for one in found.echoes} == {(Failure.NOT_PERMITTED, "EPERM")}


@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize("version", [4, 6])
def test_no_route_fails_at_once_and_is_not_tried_again(lab: LinkLab, version: int, threaded: bool) -> None:
    address = {4: "203.0.113.1", 6: "2001:db8::1"}[version]
    via = {4: "via 10.77.1.1", 6: "via fd77:1::1"}[version]
    lab.sh("client", f"ip -{version} route del default")
    try:
        found = echo(lab, address, threaded=threaded)
    finally:
        lab.sh("client", f"ip -{version} route add default {via}")
    assert [(one.failure, one.errno) for one in found.echoes] == [(Failure.NETWORK_UNREACHABLE, "ENETUNREACH")]


def test_a_socket_that_cannot_be_opened_is_a_local_failure(lab: LinkLab) -> None:
    found = run(
        lab,
        """
        import icmplib, resource
        async def without_files():
            used = len(os.listdir("/proc/self/fd"))
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, 4096))
            try:
                return await look("127.0.0.1")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        result = run(without_files())
        """,
    )
    assert [(one.failure, one.errno) for one in found.echoes] == [(Failure.TOO_MANY_FILES, "EMFILE")]


@pytest.mark.parametrize("address", ["example.test", "10.77.2.256", "fe80::1%nosuch", ""])
def test_what_is_no_literal_is_refused(lab: LinkLab, address: str) -> None:
    assert echo(lab, address).reason.key == "reason.not-an-address"


BOTH = """
import itertools
numbers = itertools.cycle({numbers})
portable_ping.chance.below = lambda limit: next(numbers)
async def both():
    jobs = [asyncio.create_task(look(address, silent_wait_s=1.0)) for address in {addresses}]
    return await asyncio.gather(*jobs)
result = run(both(), {threaded})
"""


@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize("version", [4, 6])
def test_another_programs_replies_with_the_same_numbers_do_not_raise_the_dead(
    lab: LinkLab, version: int, threaded: bool
) -> None:
    # the same identifier and sequence numbers for both: only the source tells the replies apart
    code = BOTH.format(numbers=[7], addresses=[SERVER[version], DEAD[version]], threaded=threaded)
    found = run(lab, code)
    assert [one.received for one in found] == [3, 0]


@pytest.mark.parametrize("threaded", WAYS)
def test_replies_to_another_identifier_are_not_ours(lab: LinkLab, threaded: bool) -> None:
    # the same host and sequence numbers: only the identifiers (one more than the number) tell the replies apart
    lab.filter("router", "forward", "icmp type echo-reply icmp id 8 drop")
    code = BOTH.format(numbers=[7, 100, 8, 100], addresses=[SERVER[4]] * 2, threaded=threaded)
    found = run(lab, code)
    assert [one.received for one in found] == [0, 3]


def test_sequence_numbers_pass_the_greatest(lab: LinkLab) -> None:
    found = run(lab, "portable_ping.chance.below = lambda limit: 65534\nresult = echo('127.0.0.1')")
    assert (found.sent, found.received) == (3, 3)


@pytest.mark.parametrize("threaded", WAYS)
@pytest.mark.parametrize("version", [4, 6])
def test_messages_that_are_not_for_us_do_not_hold_the_loop(lab: LinkLab, version: int, threaded: bool) -> None:
    # Messages too short for icmplib: its receive() drops them and goes on waiting, here 5 seconds long.
    found, longest_s = run(
        lab,
        f"""
        import socket
        portable_ping._WAIT_S = 5.0
        family, protocol, message, to = {{
            4: (socket.AF_INET, socket.IPPROTO_ICMP, b"\\x09\\0\\xf6\\xff\\0\\0\\0\\0", "127.0.0.1"),
            6: (socket.AF_INET6, socket.IPPROTO_ICMPV6, b"\\xc8\\0\\0\\0\\0\\0\\0\\0", "::1"),
        }}[{version}]

        async def tick():
            longest = 0.0
            before = time.monotonic()
            with socket.socket(family, socket.SOCK_RAW, protocol) as other:
                while True:
                    try:
                        other.sendto(message, (to, 0))
                        await asyncio.sleep(0.01)
                    except asyncio.CancelledError:
                        return longest
                    now = time.monotonic()
                    longest, before = max(longest, now - before), now

        async def both():
            ticking = asyncio.create_task(tick())
            found = await look({SERVER[version]!r}, silent_wait_s=0.6)
            ticking.cancel()
            return found, await ticking
        result = run(both(), {threaded})
        """,
    )
    assert (found.sent, found.received) == (3, 3)
    assert longest_s < 2.5


@pytest.mark.parametrize("threaded", WAYS)
def test_cancelling_leaves_no_socket_behind(lab: LinkLab, threaded: bool) -> None:
    found = run(
        lab,
        f"""
        def count():
            return len(os.listdir("/proc/self/fd"))

        async def cut():
            before = count()
            job = asyncio.create_task(look({DEAD[4]!r}))
            await asyncio.sleep(0.5)
            during = count()
            job.cancel()
            end, = await asyncio.gather(job, return_exceptions=True)
            until = time.monotonic() + 10
            while {threaded} and count() > before and time.monotonic() < until:
                await asyncio.sleep(0.05)
            return before, during, count(), type(end).__name__
        result = run(cut(), {threaded})
        """,
    )
    before, during, after, end = found
    assert during == before + 1
    assert after == before
    assert end == "CancelledError"


def test_a_bug_in_the_thread_is_no_silence(lab: LinkLab) -> None:
    found = run(
        lab,
        """
        def broken(self, reply):
            raise ZeroDivisionError
        portable_ping.PortableEcho._keep = broken
        try:
            result = run(look("127.0.0.1"), True)
        except ZeroDivisionError:
            result = "raised"
        """,
    )
    assert found == "raised"


def test_linux_does_not_load_the_library() -> None:
    code = (
        "import asyncio, sys; from probes.base import Context, load; ping = load('ping')\n"
        "asyncio.run(ping.observe(ping.request('127.0.0.1', count=1), Context(), lambda partial: None))\n"
        "print('icmplib' in sys.modules, 'probes.system.portable_ping' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=30, check=True
    )
    assert done.stdout == "False False\n"
