"""The transfer probe over real namespaces: real services, narrow links in either direction, slow and odd servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pathlab import NOBODY, SERVER, PathLab

from probes.bodies.transfer import SAID
from probes.system.hello import client_hello, padded
from probes.transfer import TransferOutcome

FAMILIES = pytest.mark.parametrize("version", [4, 6])
BULK, PAGE, SILENT, GREETS, SLOW, LATE, ONE, CLOSES, TLS = range(8101, 8110)
_SERVICES = f"""
import contextlib, socket, ssl, subprocess, tempfile, threading, time

with tempfile.NamedTemporaryFile() as paper:
    words = "req -x509 -newkey rsa:4096 -nodes -days 2 -subj /CN=server.test -keyout - -out -"
    paper.write(subprocess.run(["openssl", *words.split()], capture_output=True, check=True).stdout)
    paper.flush()
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(paper.name)

def asked(peer):
    said = b""
    while not said.endswith(b"\\r\\n\\r\\n"):
        more = peer.recv(4096)
        if not more:
            raise OSError
        said += more

def answer(peer, port):
    if port == {BULK}: peer.sendall(b"x" * 65536)
    if port in ({PAGE}, {SLOW}):
        asked(peer)
        time.sleep(0.9 if port == {SLOW} else 0.0)
        peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3000\\r\\n\\r\\n" + b"x" * 3000)
    if port == {GREETS}: peer.sendall(b"220 ready\\r\\n")
    if port == {LATE}:
        time.sleep(0.9)
        peer.sendall(b"x" * 65536)
    if port == {CLOSES}: return peer.close()
    if port == {TLS}: peer = settings.wrap_socket(peer, server_side=True)
    peer.recv(4096)

def treat(peer, port):
    with contextlib.suppress(OSError), peer:
        answer(peer, port)

def serve(server, port):
    while True:
        peer = server.accept()[0]
        if port == {ONE}:  # one client at a time, in their order
            with contextlib.suppress(OSError), peer:
                peer.sendall(b"x" * 65536)
                peer.settimeout(0.8)
                peer.recv(4096)
        else:
            threading.Thread(target=treat, args=(peer, port), daemon=True).start()

for port in range({BULK}, {TLS} + 1):
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    threading.Thread(target=serve, args=(server, port), daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
"""
GET = b"GET / HTTP/1.1\r\nHost: x\r\nX-Padding: " + b"x" * 1700 + b"\r\n\r\n"
SAY: dict[str, Any] = {"dialogue": "say", "say_hex": GET.hex()}


@pytest.fixture(scope="module")
def made() -> Iterator[PathLab]:
    with PathLab() as lab, lab.program("server", _SERVICES):
        lab.lift_limits()
        yield lab


@pytest.fixture
def lab(lab: PathLab) -> Iterator[PathLab]:
    yield lab
    lab.sh("r2", "ip link set e1 mtu 1500")
    lab.sh("r3", "ip link set e0 mtu 1500")
    for family, network, via in ((4, "10.78.1.0/24", "10.78.3.1"), (6, "fd78:1::/64", "fd78:3::1")):
        lab.sh("r3", f"ip -{family} route replace {network} via {via}")


def hide(lab: PathLab, *routers: str) -> None:
    for router in routers:
        lab.filter(
            router, "output", "icmp type destination-unreachable icmp code 4 drop", "icmpv6 type packet-too-big drop"
        )


def narrow(lab: PathLab) -> None:
    lab.sh("r2", "ip link set e1 mtu 1400")
    lab.sh("r3", "ip link set e0 mtu 1400")


def narrow_back(lab: PathLab) -> None:
    """Let r3 pass on what comes from the server only up to 1400 bytes, and say nothing of it."""
    for family, network, via in ((4, "10.78.1.0/24", "10.78.3.1"), (6, "fd78:1::/64", "fd78:3::1")):
        lab.sh("r3", f"ip -{family} route replace {network} via {via} mtu lock 1400")
    hide(lab, "r3")


def look(lab: PathLab, port: int, version: int = 4, **request: object) -> list[Any]:
    found = lab.observe("transfer", uid=NOBODY, address=SERVER[version], port=port, **request)
    assert found.complete
    return list(found.trials)


def outcomes(trials: list[Any]) -> list[tuple[str, int]]:
    return [(str(trial.outcome), trial.bound) for trial in trials]


@pytest.mark.lab
@FAMILIES
def test_one_connection_suffices_where_the_dialogue_comes_to_its_end(lab: PathLab, version: int) -> None:
    for port, said in ((BULK, {}), (PAGE, SAY), (GREETS, {}), (TLS, {"dialogue": "tls"})):
        (only,) = look(lab, port, version, **said)
        assert (only.outcome, only.bound) == (TransferOutcome.WHOLE, 0)
        assert only.said == only.acknowledged == (0 if not said else SAID if port == TLS else len(GET))
        assert only.received >= {BULK: 16384, PAGE: 3000, GREETS: 11, TLS: 1500}[port]
        assert 1400 < only.mss <= 1460


@pytest.mark.lab
@FAMILIES
def test_what_is_said_is_lost_on_a_narrow_link(lab: PathLab, version: int) -> None:
    narrow(lab)
    hide(lab, "r2", "r3")
    for port, said in ((PAGE, SAY), (TLS, {"dialogue": "tls"})):
        trials = look(lab, port, version, **said)
        long = [trial for trial in trials if not trial.bound]
        assert len(long) == 3
        assert all(trial.outcome is TransferOutcome.STALLED and trial.acknowledged < trial.said for trial in long)
        assert all(trial.retransmitted for trial in long)
        assert max(trial.bound for trial in trials if trial.outcome is TransferOutcome.WHOLE) == 1400
        assert min(trial.bound for trial in trials if trial.bound and not trial.acknowledged) == 1420


@pytest.mark.lab
@FAMILIES
def test_the_answer_is_lost_on_the_way_back_alone(lab: PathLab, version: int) -> None:
    narrow_back(lab)
    for port, said in ((BULK, {}), (PAGE, SAY)):
        trials = look(lab, port, version, **said)
        long = [trial for trial in trials if not trial.bound]
        assert len(long) == 3
        assert all(trial.outcome is TransferOutcome.STALLED and trial.received == 0 for trial in long)
        assert all(trial.acknowledged == trial.said for trial in long)
        assert max(trial.bound for trial in trials if trial.outcome is TransferOutcome.WHOLE) == 1400


@pytest.mark.lab
@FAMILIES
def test_a_narrow_link_that_says_so_stops_nothing(lab: PathLab, version: int) -> None:
    narrow(lab)
    for port, said in ((BULK, {}), (PAGE, SAY)):
        assert outcomes(look(lab, port, version, **said)) == [("whole", 0)]


@pytest.mark.lab
def test_a_server_that_is_not_told_stalls_while_the_client_learns(lab: PathLab) -> None:
    narrow(lab)
    hide(lab, "r3")
    first, small, learnt = look(lab, PAGE, **SAY)
    assert (first.outcome, first.acknowledged, first.received) == (TransferOutcome.STALLED, len(GET), 0)
    assert (small.outcome, learnt.outcome) == (TransferOutcome.WHOLE, TransferOutcome.WHOLE)
    assert small.bound == 576
    assert learnt.mss < first.mss


@pytest.mark.lab
def test_a_service_that_waits_for_its_client_tells_nothing(lab: PathLab) -> None:
    assert outcomes(look(lab, SILENT, wait_s=0.8)) == [("stalled", 0), ("stalled", 576)]


@pytest.mark.lab
def test_a_slow_service_is_no_contrast(lab: PathLab) -> None:
    for port, said in ((SLOW, SAY), (LATE, {})):
        trials = look(lab, port, **said)
        assert trials[0].outcome is TransferOutcome.WHOLE
        assert len(trials) == 2


@pytest.mark.lab
def test_a_service_for_one_client_at_a_time_is_no_contrast(lab: PathLab) -> None:
    trials = look(lab, ONE)
    assert trials[0].outcome is TransferOutcome.WHOLE


@pytest.mark.lab
def test_a_service_that_closes_at_once(lab: PathLab) -> None:
    (only,) = look(lab, CLOSES)
    assert (only.outcome, only.received) == (TransferOutcome.ENDED, 0)


@pytest.mark.lab
def test_a_port_that_refuses(lab: PathLab) -> None:
    (only,) = look(lab, 9)
    assert (only.outcome, only.errno) == (TransferOutcome.NOT_CONNECTED, "ECONNREFUSED")


@pytest.mark.parametrize("name", ["service.test", None, ".bad..name"])
@pytest.mark.parametrize("length", [SAID, 4000])
def test_a_hello_is_as_long_as_wanted(name: str | None, length: int) -> None:
    hello = client_hello(name, length)
    assert len(hello) == length
    assert hello[:3] == b"\x16\x03\x01"
    assert int.from_bytes(hello[3:5], "big") == length - 5
    assert int.from_bytes(hello[6:9], "big") == length - 9
    assert (b"service.test" in hello) == (name == "service.test")


def test_a_hello_of_the_longest_name_is_no_shorter() -> None:
    """A hello with a key for the time after quantum computers is 1,500 bytes long before it is padded."""
    name = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert SAID - 4 < len(client_hello(name, SAID)) < 2 * SAID


def test_padding_is_not_added_twice_nor_where_there_is_no_room() -> None:
    once = client_hello("service.test", 3000)
    assert padded(once, 3000) == once
    assert len(padded(once, 3200)) == 3200
    short = padded(once, 10)
    assert len(short) < SAID
    assert padded(short, 3000) == once
    for room in range(4):  # a padding's own header takes four bytes
        assert padded(short, len(short) + room) == short
    assert len(padded(short, len(short) + 4)) == len(short) + 4
