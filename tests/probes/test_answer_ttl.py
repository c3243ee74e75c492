"""With which TTL an answer arrives: of hosts, of firewalls at each place of a path, and of devices that mislead."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from pathlab import DEAD, NOBODY, R2, SERVER, PathLab

from probes.answer_ttl import AnswerTtlRequest, AnswerTtlResult, TtlAnswer
from probes.bodies.answer_ttl import _Search, _Shot, thresholds
from probes.failure import IcmpMeaning

OPEN, CLOSED = 8080, 8081

# -- the search ------------------------------------------------------------------------------------------------


def drive(ttl: int, *, counts: bool = True, lost: frozenset[int] = frozenset(), **request: Any) -> AnswerTtlResult:
    """Search with answers of one TTL; the connects whose numbers are ``lost`` get none."""
    search = _Search(AnswerTtlRequest("192.0.2.1", 80, **request))
    made = 0
    while shots := search.next():
        for shot in shots:
            answer(shot, ttl, counts=counts, lost=made in lost)
            made += 1
        search.take(shots)
    return search.result()


def answer(shot: _Shot, ttl: int, *, counts: bool, lost: bool) -> None:
    shot.counts = counts
    if lost:
        return
    if ttl >= shot.least:
        shot.heard, shot.rtt_ms = TtlAnswer.RESET, 1.0
    else:
        shot.ignored = counts


@pytest.mark.parametrize("expected", [(), (61,), (61, 62, 63, 64), (64, 128, 255), (1, 255)])
def test_every_ttl_is_found(expected: tuple[int, ...]) -> None:
    for ttl in range(1, 256):
        found = drive(ttl, expected=expected)
        assert found.connects <= 18
        if found.connects < 18:
            assert (found.ttl, found.confirmed) == (ttl, True)
        else:
            assert found.ttl in (ttl, None)


def test_usual_ttls_are_cheap() -> None:
    for start in (64, 128, 255):
        for routers in range(25):
            found = drive(start - routers)
            assert (found.ttl, found.confirmed) == (start - routers, True)
            assert found.connects <= 16
    assert [drive(ttl, expected=(ttl,)).connects for ttl in (47, 61, 125, 200, 254)] == [6] * 5
    assert drive(255, expected=(255,)).connects == 3  # no TTL is greater


def test_a_lost_packet_shifts_nothing() -> None:
    for ttl in (1, 50, 61, 63, 64, 128, 240, 255):
        for first in range(12):
            for second in range(first, 12):
                found = drive(ttl, lost=frozenset({first, second}), most=40)
                assert (found.ttl, found.confirmed) == (ttl, True)


def test_a_kernel_that_does_not_count() -> None:
    for ttl in range(1, 256):
        found = drive(ttl, counts=False, most=40)
        assert (found.ttl, found.confirmed) == (ttl, True)
    # silence once is no silence; twice is, and then nothing contradictory is ever confirmed
    for lost in range(12):
        found = drive(61, counts=False, most=40, lost=frozenset({lost}))
        assert (found.ttl, found.confirmed) == (61, True)
    for lost in range(12):
        found = drive(61, counts=False, most=40, lost=frozenset(range(lost, lost + 6)))
        assert not found.confirmed or found.ttl == 61


def test_thresholds_part_what_is_left() -> None:
    for least in range(1, 255, 7):
        for beyond in range(least + 2, 257, 3):
            cuts = thresholds(least, beyond, (61,), 3)
            assert cuts
            assert all(least < cut < beyond for cut in cuts)


# -- on a path -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built() -> Iterator[PathLab]:
    with PathLab() as lab:
        yield lab


@pytest.fixture
def lab(built: PathLab) -> Iterator[PathLab]:
    yield built
    built.calm()


def brief(found: AnswerTtlResult) -> tuple[str, int | None, bool]:
    return str(found.answer), found.ttl, found.confirmed


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("family", [4, 6])
def test_the_host_itself(lab: PathLab, family: int, uid: int) -> None:
    for port, kind in ((OPEN, "accepted"), (CLOSED, "reset")):
        found = lab.observe("answer-ttl", uid=uid, address=SERVER[family], port=port)
        assert brief(found) == (kind, 61, True)
        assert (found.follows, found.varies, found.icmp, found.errno) == (False, False, None, None)
        assert found.connects <= 16
        assert 0 < found.rtt_ms <= found.duration_ms
        guessed = lab.observe("answer-ttl", uid=uid, address=SERVER[family], port=port, expected=(61,), rtt_ms=1.0)
        assert brief(guessed) == (kind, 61, True)
        assert guessed.connects <= 8  # 6, and two for packets lost on a busy machine
    assert lab.partials


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("family", [4, 6])
def test_a_reset_on_the_way(lab: PathLab, family: int, uid: int) -> None:
    """The device one hop away answers with 64; the host's own filter cannot be told from the host."""
    places = [("r1", 64), ("r2", 63), ("r3", 62)]
    truth: dict[int, int] = {}
    for number, (host, ttl) in enumerate(places):
        for offset, hook in enumerate(("forward", "prerouting")):
            port = 9000 + 10 * number + offset
            lab.filter(host, hook, f"tcp dport {port} reject with tcp reset")
            truth[port] = ttl
    lab.filter("server", "input", "tcp dport 9090 reject with tcp reset")
    truth[9090] = 61
    code = f"""
    result = {{}}
    for port in {list(truth)}:
        for expected in ((), (61,), (61, 62, 63, 64)):
            found = observe("answer-ttl", address={SERVER[family]!r}, port=port, expected=expected)
            result[port, expected] = (str(found.answer), found.ttl, found.confirmed, found.connects)
    """
    for (port, expected), (kind, ttl, confirmed, connects) in lab.run(code, uid=uid).items():
        assert (kind, ttl, confirmed) == ("reset", truth[port], True), (port, expected)
        assert connects <= 18


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_accepted_by_somebody_else(lab: PathLab, family: int) -> None:
    code = (
        "import socket\n"
        "s = socket.create_server(('::', 7000), family=socket.AF_INET6, dualstack_ipv6=True)\n"
        "print('ready', flush=True)\n"
        "while True: s.accept()[0].close()\n"
    )
    with child(lab, "r2", code):
        rule = "type nat hook prerouting priority -100;\n  tcp dport 7443 redirect to :7000"
        lab.sh("r2", f"nft -f - <<'X'\ntable inet proxy {{\n chain c {{\n  {rule}\n }}\n}}\nX")
        for address in (SERVER[family], DEAD[family]):
            found = lab.observe("answer-ttl", uid=NOBODY, address=address, port=7443, expected=(61,))
            assert brief(found) == ("accepted", 63, True)


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_icmp_is_told_with_its_own_ttl(lab: PathLab, family: int) -> None:
    lab.filter("r2", "prerouting", "tcp dport 9100 reject with icmpx type admin-prohibited")
    lab.filter("r3", "forward", "tcp dport 9101 reject with icmpx type port-unreachable")
    for port, ttl, meaning in ((9100, 63, IcmpMeaning.PROHIBITED), (9101, 62, IcmpMeaning.PORT_UNREACHABLE)):
        # with 200 expected, nothing but a connect without condition hears the error: it is measured by its quotation
        for expected in ((), (200,)):
            found = lab.observe(
                "answer-ttl", uid=NOBODY, address=SERVER[family], port=port, expected=expected, wait_s=0.3
            )
            assert (found.answer, found.ttl, found.confirmed) == (TtlAnswer.ICMP, None, False)
            assert (found.icmp.meaning, found.icmp_ttl) == (meaning, ttl)


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_silence_and_nothing_sent(lab: PathLab, family: int) -> None:
    lab.filter("r2", "forward", "tcp dport 9102 drop")
    found = lab.observe("answer-ttl", uid=NOBODY, address=SERVER[family], port=9102, wait_s=0.2)
    assert brief(found) == ("silence", None, False)
    assert found.connects == 4
    lab.sh("client", "ip route add unreachable 10.99.0.0/16; ip -6 route add unreachable fd99::/16")
    try:
        nowhere = {4: "10.99.0.1", 6: "fd99::1"}[family]
        found = lab.observe("answer-ttl", uid=NOBODY, address=nowhere, port=80)
    finally:
        lab.sh("client", "ip route del unreachable 10.99.0.0/16; ip -6 route del unreachable fd99::/16")
    assert (found.answer, found.ttl, found.errno) == (TtlAnswer.LOCAL_FAILURE, None, "EHOSTUNREACH")


# -- what misleads ---------------------------------------------------------------------------------------------


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_a_router_that_rewrites_ttls(lab: PathLab, family: int) -> None:
    """Everything from behind it has one TTL, the host's answers and a firewall's alike."""
    header = {4: "ip ttl", 6: "ip6 hoplimit"}[family]
    source = {4: f"ip saddr {SERVER[4]}", 6: f"ip6 saddr {SERVER[6]}"}[family]
    lab.filter("r2", "forward", f"{source} {header} set 100")
    lab.filter("r3", "forward", "tcp dport 9200 reject with tcp reset")
    for port in (CLOSED, 9200):
        found = lab.observe("answer-ttl", uid=NOBODY, address=SERVER[family], port=port, expected=(61,))
        assert brief(found) == ("reset", 99, True)


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_ttls_that_vary_are_hardly_ever_confirmed_as_something_else(lab: PathLab, family: int) -> None:
    header = {4: "ip ttl", 6: "ip6 hoplimit"}[family]
    lab.filter("r2", "forward", f"tcp sport {CLOSED} numgen inc mod 2 0 {header} set 51")
    code = f"result = [observe('answer-ttl', address={SERVER[family]!r}, port={CLOSED}) for _ in range(20)]"
    found = lab.run(code, uid=NOBODY)
    assert sum(one.varies for one in found) >= 5
    # a number between the two fits by chance about once in a hundred runs
    assert sum(one.confirmed and one.ttl not in {50, 61} for one in found) <= 2


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_a_lossy_path_gives_the_truth_or_nothing(lab: PathLab, family: int) -> None:
    lab.filter("r2", "forward", f"tcp dport {CLOSED} numgen random mod 6 0 drop")
    code = f"""
    result = [
        observe("answer-ttl", address={SERVER[family]!r}, port={CLOSED}, wait_s=0.1, expected=(61,)) for _ in range(12)
    ]
    """
    found = lab.run(code, uid=NOBODY)
    assert {one.ttl for one in found} <= {61, None}
    assert sum(one.confirmed for one in found) >= 4


COPIER = """
import socket, struct, sys
family = int(sys.argv[1])
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800 if family == 4 else 0x86DD))
sender = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

print("ready", flush=True)
while True:
    packet, (device, *_rest) = sniffer.recvfrom(2048)
    if device != "e0":
        continue
    if family == 4:
        start, ttl, source, target = (packet[0] & 15) * 4, packet[8], packet[12:16], packet[16:20]
        protocol = packet[9]
    else:
        start, ttl, source, target = 40, packet[7], packet[8:24], packet[24:40]
        protocol = packet[6]
    tcp = packet[start:]
    if protocol != 6 or len(tcp) < 20 or tcp[2:4] != struct.pack("!H", 9300) or not tcp[13] & 2:
        continue
    number = (struct.unpack("!I", tcp[4:8])[0] + 1) & 0xFFFFFFFF
    reset = struct.pack("!2s2sIIBBHHH", tcp[2:4], tcp[0:2], 0, number, 0x50, 0x14, 0, 0, 0)
    pseudo = target + source + (struct.pack("!HH", 6, 20) if family == 4 else struct.pack("!IHH", 20, 0, 6))
    reset = reset[:16] + struct.pack("!H", checksum(pseudo + reset)) + reset[18:]
    if family == 4:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, ttl, 6, 0, target, source)
        sender.sendto(header + reset, (socket.inet_ntoa(source), 0))
    else:
        header = struct.pack("!IHBB16s16s", 6 << 28, 20, 6, ttl, target, source)
        sender.sendto(header + reset, (socket.inet_ntop(socket.AF_INET6, source), 0))
"""


class child:  # noqa: N801 - reads as a function
    """A Python program on a host of the lab that runs while the block does."""

    def __init__(self, lab: PathLab, host: str, code: str, *arguments: str) -> None:
        inside = ["ip", "netns", "exec", lab.name(host)]
        self._command = [*inside, sys.executable, "-c", textwrap.dedent(code), *arguments]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        with self._process.stdout as ready:
            assert ready.readline() == b"ready\n"

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_a_device_that_copies_the_ttl_is_seen_through(lab: PathLab, family: int) -> None:
    lab.filter("r2", "forward", "tcp dport 9300 drop")
    with child(lab, "r2", COPIER, str(family)):
        for expected in ((), (61,)):
            found = lab.observe("answer-ttl", uid=NOBODY, address=SERVER[family], port=9300, expected=expected)
            # our SYN came to the second router with 63, and its reset passed one router more
            assert (found.answer, found.ttl, found.confirmed, found.follows) == (TtlAnswer.RESET, 62, False, True)


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("family", [4, 6])
def test_traceroute_and_ping_tell_the_ttl_of_what_came_back(lab: PathLab, family: int, uid: int) -> None:
    """The TTL is that of the ICMP message itself, not the spent one of the packet that it quotes."""
    trace = lab.observe("traceroute", uid=uid, address=SERVER[family])
    assert [{a.reply_ttl for a in hop.answers} for hop in trace.hops] == [{64}, {63}, {62}, {61}]
    ping = lab.observe("ping", uid=uid, address=SERVER[family])
    assert ping.method == ("udp" if uid else "icmp-raw")
    assert {echo.reply_ttl for echo in ping.echoes if echo.rtt_ms is not None} == {61}
    near = lab.observe("ping", uid=uid, address=R2[family])
    assert {echo.reply_ttl for echo in near.echoes if echo.rtt_ms is not None} == {63}
