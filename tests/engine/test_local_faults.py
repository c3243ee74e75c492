"""Faults of this machine and of the program, made real in a network namespace, and the whole program run on them.

Each test knows the true owner, number or address, because it made the fault itself. Where privilege matters it runs
as root and as an ordinary user: what that user may not see has to be said, never called fine.
"""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from probes.base import Context
from tests.probes import children
from troubleshoot.options import Options
from troubleshoot.report import Report
from troubleshoot.run.engine import diagnose

Document = Mapping[str, Any]
ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "ip link set lo up"

_PRELUDE = f"""
import contextlib, errno, json, os, resource, socket, subprocess, sys, threading, time
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]

def wsadiag(*words, nobody=False, wrap=()):
    command = [*wrap, *(AS_NOBODY if nobody else ()), sys.executable, "-B", "-m", "troubleshoot", "--json"]
    done = subprocess.run([*command, *map(str, words)], cwd={str(ROOT)!r}, capture_output=True, text=True)
    assert not done.stderr, done.stderr
    report = json.loads(done.stdout)
    report["status"] = done.returncode
    # The pipe to the test holds 64 KiB: what no test reads is left out.
    report["probes"] = [{{"probe": p["probe"], "status": p["status"], "error": p["error"]}} for p in report["probes"]]
    for step in report["steps"]:
        if step["id"] not in ("port-owner", "open-sockets"):
            step["observations"] = {{}}
    return report

def listen(address, port, family=socket.AF_INET, v6_only=None, reuse_port=False, reuse=False):
    opened = socket.socket(family, socket.SOCK_STREAM)
    if reuse:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if v6_only is not None:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6_only)
    if reuse_port:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.bind((address, port))
    opened.listen()
    return opened

# Greets everybody: a service that takes no connection and says nothing is not healthy.
def serve(address, port):
    listener = listen(address, port)
    def greet():
        kept = []  # it does not hang up either
        while True:
            kept.append(listener.accept()[0])
            kept[-1].sendall(b"220 hello\\r\\n")
    threading.Thread(target=greet, daemon=True).start()
"""


def situation(code: str, *, setup: str = LOOPBACK) -> Any:
    """Run ``code`` in a network namespace of its own; it leaves its finding in ``result``."""
    children.need_namespace()
    if "nobody" in code:
        children.need_root()
    return children.run(_PRELUDE + textwrap.dedent(code), namespace=True, setup=setup)


def facts(report: Document) -> str:
    return "\n".join(item["fact"] for item in report["verdict"]["evidence"])


def step(report: Document, identifier: str) -> Document:
    found: Document = next(s for s in report["steps"] if s["id"] == identifier)
    return found


def cause(report: Document) -> str | None:
    assert not [p for p in report["probes"] if p["status"] == "broken"], report["probes"]
    named = report["verdict"]["cause"]
    assert (named is None) == (report["verdict"]["outcome"] != "fault")
    return str(named) if named else None


# -- 10048: who holds the port ---------------------------------------------------------------------------------


@pytest.mark.lab
def test_the_owner_of_a_port_is_named() -> None:
    report, pid, since = situation(
        """
        held = listen("127.0.0.1", 8080), listen("127.0.0.2", 8080)
        result = wsadiag(10048, ":8080"), os.getpid(), time.time()
        """
    )
    assert cause(report) == "port-in-use"
    assert report["verdict"]["confidence"] == "certain"
    assert report["verdict"]["failed_step"] == "port-owner"
    assert report["reproduction"] == {"outcome": "same", "observed": 10048, "said": None}
    assert f"(pid {pid})" in report["verdict"]["summary"]
    said = facts(report)
    for part in ("127.0.0.1:8080", "127.0.0.2:8080", f"(pid {pid})", "user root", "was started as", "-W error -c"):
        assert part in said
    sockets = step(report, "port-owner")["observations"]["sockets"][0]["entries"]
    assert {s["local_address"] for s in sockets} == {"127.0.0.1", "127.0.0.2"}
    owner = sockets[0]["owners"][0]
    assert owner["pid"] == pid
    assert since - 120 < owner["started"] <= since


@pytest.mark.lab
def test_an_owner_that_may_not_be_seen_is_said_to_be_hidden() -> None:
    report = situation(
        """
        held = listen("127.0.0.1", 8080)
        result = wsadiag(10048, "127.0.0.1:8080", nobody=True)
        """
    )
    assert cause(report) == "port-in-use"
    assert "cannot be seen" in report["verdict"]["summary"]
    assert "belongs to root: run as root with CAP_SYS_PTRACE" in facts(report)
    assert "SO_REUSEADDR does not help" in facts(report)
    assert "SO_REUSEPORT" not in facts(report)  # this one has not set it
    assert "run as root with CAP_SYS_PTRACE" in step(report, "port-owner")["why"]


@pytest.mark.lab
def test_a_low_port_that_an_ordinary_user_may_not_even_try() -> None:
    held, free = situation(
        """
        opened = listen("0.0.0.0", 80)
        result = [wsadiag(10048, ":80", nobody=True), wsadiag(10048, ":81", nobody=True)]
        """
    )
    assert cause(held) == "port-in-use"
    assert "0.0.0.0:80 is held (listen)" in facts(held)
    assert held["verdict"]["confidence"] == "likely"
    assert "SO_REUSEADDR" not in facts(held)  # it was refused for another reason
    assert cause(free) is None
    assert step(free, "port-owner")["status"] == "unavailable"
    assert "run as root" in step(free, "port-owner")["why"]


@pytest.mark.lab
@pytest.mark.parametrize(
    ("listener", "target", "expected"),
    [
        ('listen("::", 8080, socket.AF_INET6, v6_only=False)', "127.0.0.1:8080", "takes IPv4 as well"),
        ('listen("::", 8080, socket.AF_INET6, v6_only=False)', "0.0.0.0:8080", "takes IPv4 as well"),
        ('listen("0.0.0.0", 8080)', "[::]:8080", "with IPV6_V6ONLY port 8080 can be bound now"),
        ('listen("127.0.0.1", 8080)', "localhost:8080", "127.0.0.1:8080 is held (listen)"),
        ('[listen("127.0.0.1", 8080, reuse_port=True) for _ in "ab"]', ":8080", "2 sockets share 127.0.0.1:8080"),
        ('listen("127.0.0.1", 8080, reuse_port=True)', "127.0.0.1:8080", "sockets with SO_REUSEPORT share port 8080"),
        ('listen("127.0.0.1", 80)', "127.0.0.1:http", "127.0.0.1:80 is held"),
    ],
)
def test_what_shares_a_port_and_what_clashes(listener: str, target: str, expected: str) -> None:
    report = situation(f'held = {listener}\nresult = wsadiag(10048, "{target}")')
    assert cause(report) == "port-in-use"
    assert expected in facts(report)


@pytest.mark.lab
@pytest.mark.parametrize(
    ("listener", "target"),
    [
        ("None", ":8080"),
        ("None", "[::]:443"),
        ("None", "localhost:8080"),
        ('listen("::", 8080, socket.AF_INET6, v6_only=True)', "0.0.0.0:8080"),
        ('listen("127.0.0.1", 8080)', "127.0.0.2:8080"),
        ('listen("127.0.0.1", 8080)', "udp://127.0.0.1:8080"),
    ],
)
@pytest.mark.parametrize("nobody", [False, True])
def test_a_free_port_accuses_nobody(listener: str, target: str, nobody: bool) -> None:
    report = situation(f'held = {listener}\nresult = wsadiag(10048, "{target}", nobody={nobody})')
    assert cause(report) is None
    assert report["verdict"]["outcome"] == "healthy"


@pytest.mark.lab
def test_a_datagram_port_has_its_owner_too() -> None:
    report, pid = situation(
        """
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.bind(("0.0.0.0", 5353))
        result = wsadiag(10048, "udp://127.0.0.1:5353"), os.getpid()
        """
    )
    assert cause(report) == "port-in-use"
    assert f"(pid {pid})" in report["verdict"]["summary"]


_CLOSED = """
with listen("127.0.0.1", 8080, reuse=True) as server:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", 8080)) as client:
            server.accept()[0].close()
            client.recv(1)
"""


@pytest.mark.lab
@pytest.mark.parametrize("nobody", [False, True])
def test_connections_in_time_wait_are_counted_with_their_time(nobody: bool) -> None:
    report = situation(_CLOSED + f'result = wsadiag(10048, ":8080", nobody={nobody})')
    assert cause(report) == "port-in-time-wait"
    assert report["verdict"]["confidence"] == "certain"
    assert "3 time-wait" in facts(report)
    assert "with SO_REUSEADDR port 8080 can be bound now" in facts(report)
    left = max(e["time_left_s"] for e in step(report, "port-owner")["observations"]["sockets"][0]["entries"])
    assert 50 < left <= 60
    assert f"{left:.0f} s left" in facts(report)


@pytest.mark.lab
def test_a_far_target_of_10048_is_about_connecting() -> None:
    """Somebody else's port is not bound; the connection works, so nothing is at fault."""
    report = situation(
        """
        result = wsadiag(10048, "192.0.2.2:80")
        """,
        setup=LOOPBACK + "; ip link add e0 type veth peer name e1; ip addr add 192.0.2.1/24 dev e0; ip link set e0 up;"
        " ip link set e1 up",
    )
    assert cause(report) not in ("port-in-use", "port-in-time-wait", "ephemeral-ports-exhausted")


# -- 10013: what is not permitted ------------------------------------------------------------------------------


@pytest.mark.lab
def test_a_low_port_takes_a_privilege() -> None:
    denied, allowed, with_it, without = situation(
        """
        low = subprocess.Popen([*AS_NOBODY, "sleep", "30"])
        time.sleep(0.3)
        result = (
            wsadiag(10013, ":80", nobody=True),
            wsadiag(10013, ":80"),
            wsadiag(10013, ":80", "--pid", os.getpid()),
            wsadiag(10013, ":80", "--pid", low.pid),
        )
        low.kill()
        low.wait()
        """
    )
    assert cause(denied) == "port-not-permitted"
    assert denied["verdict"]["confidence"] == "certain"
    assert denied["reproduction"]["outcome"] == "same"
    assert "1024" in facts(denied)
    # Root may bind it: that the program may not is likely by the code, and certain by its capabilities.
    assert (cause(allowed), allowed["verdict"]["confidence"]) == ("port-not-permitted", "likely")
    assert cause(with_it) is None
    assert (cause(without), without["verdict"]["confidence"]) == ("port-not-permitted", "certain")
    assert "lacks CAP_NET_BIND_SERVICE" in facts(without)


@pytest.mark.lab
@pytest.mark.parametrize("nobody", [False, True])
@pytest.mark.parametrize("target", [":8080", "127.0.0.1:80", "0.0.0.0:8080"])
def test_what_is_permitted_accuses_nobody(target: str, nobody: bool) -> None:
    """A service that can be reached on a low port is no port that may not be bound."""
    report = situation(f'held = listen("127.0.0.1", 80)\nresult = wsadiag(10013, "{target}", nobody={nobody})')
    assert cause(report) is None


@pytest.mark.lab
@pytest.mark.parametrize("target", ["udp://192.0.2.255:9", "192.0.2.255:9", "udp://255.255.255.255:9"])
def test_broadcast_takes_an_option(target: str) -> None:
    report = situation(
        f'result = wsadiag(10013, "{target}")',
        setup=LOOPBACK + "; ip link add e0 type veth peer name e1; ip addr add 192.0.2.1/24 brd + dev e0;"
        " ip link set e0 up; ip link set e1 up; ip route add default via 192.0.2.254",
    )
    assert cause(report) == "api-misuse"
    assert "SO_BROADCAST" in report["verdict"]["summary"]
    assert report["verdict"]["actions"][0].startswith("Have the program set SO_BROADCAST")
    assert report["verdict"]["failed_step"] == "address-valid"
    assert report["reproduction"] == {"outcome": "same", "observed": 10013, "said": None}


@pytest.mark.lab
def test_the_bound_of_privileged_ports_is_read_and_not_assumed() -> None:
    lowered, raised = situation(
        """
        result = wsadiag(10013, ":80", nobody=True)
        open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w").write("9000")
        result = result, wsadiag(10013, ":8080", nobody=True)
        """,
        setup=LOOPBACK + "; echo 80 > /proc/sys/net/ipv4/ip_unprivileged_port_start",
    )
    assert cause(lowered) is None
    assert cause(raised) == "port-not-permitted"
    assert "as do all below 9000" in facts(raised)
    assert "9000-65535" in raised["verdict"]["summary"]


@pytest.mark.lab
def test_a_filter_of_ours_refuses_with_the_same_code() -> None:
    """What goes out is dropped; a port of our own may fail for the privilege as well as for the filter."""
    filtered, both = situation(
        """
        result = wsadiag(10013, "udp://127.0.0.6:8080", nobody=True), wsadiag(10013, "udp://127.0.0.6:80", nobody=True)
        """,
        setup=LOOPBACK
        + "; nft 'table ip t { chain o { type filter hook output priority 0; ip daddr 127.0.0.6 drop; }; }'",
    )
    assert cause(filtered) == "local-firewall"
    assert filtered["reproduction"] == {"outcome": "same", "observed": 10013, "said": None}
    assert (cause(both), both["verdict"]["confidence"]) == ("port-not-permitted", "likely")
    assert "local-firewall" in {other["cause"] for other in both["verdict"]["alternatives"]}


@pytest.mark.lab
def test_a_prohibiting_route_is_found_for_10013() -> None:
    report = situation(
        'result = wsadiag(10013, "192.0.2.7:80")', setup=LOOPBACK + "; ip route add prohibit 192.0.2.0/24"
    )
    assert cause(report) == "no-route"


# -- 10049: whose address --------------------------------------------------------------------------------------

_ADDRESS = LOOPBACK + (
    "; ip link add e0 type veth peer name e1; ip addr add 192.0.2.20/24 dev e0; ip link set e0 up; ip link set e1 up"
)


@pytest.mark.lab
def test_an_address_that_changed_and_one_from_elsewhere() -> None:
    near, far, own, everywhere = situation(
        """
        result = (
            wsadiag(10049, "192.0.2.77:8080"), wsadiag(10049, "198.51.100.7:8080"),
            wsadiag(10049, "192.0.2.20:8080"), wsadiag(10049, ":8080"),
        )
        """,
        setup=_ADDRESS,
    )
    assert cause(near) == cause(far) == "address-not-local"
    assert near["reproduction"]["outcome"] == far["reproduction"]["outcome"] == "same"
    assert "192.0.2.20" in near["verdict"]["summary"]
    assert "bind to 192.0.2.77 says EADDRNOTAVAIL" in facts(near)
    assert "its own: 192.0.2.20" in facts(far)
    assert cause(own) != "address-not-local"
    assert cause(everywhere) is None


@pytest.mark.lab
@pytest.mark.parametrize(
    ("target", "advice"),
    [
        ("127.0.0.1:0", "Give the port"),
        ("localhost:0", "Give the port"),
        ("0.0.0.0:80", "0.0.0.0 is for listening"),
        ("[::]:80", ":: is for listening"),
        ("[fe80::1]:80", "fe80::1%eth0"),
    ],
)
def test_what_can_be_no_destination(target: str, advice: str) -> None:
    report = situation(f'result = wsadiag(10049, "{target}")')
    assert cause(report) == "address-invalid"
    assert step(report, "address-valid")["status"] == "failed"
    assert advice in " ".join(report["verdict"]["actions"])
    assert not report["verdict"]["alternatives"]


# -- 10055, 10048 and 10049: outgoing ports and memory ---------------------------------------------------------

_FEW_PORTS = LOOPBACK + "; echo 40000 40019 > /proc/sys/net/ipv4/ip_local_port_range"
_TAKEN = """
server = listen("127.0.0.1", 5432)
held = []
with contextlib.suppress(OSError):
    while True:
        held.append(socket.create_connection(("127.0.0.1", 5432)))
        held.append(server.accept()[0])
"""


@pytest.mark.lab
@pytest.mark.parametrize("code", [10055, 10048, 10049])
@pytest.mark.parametrize("nobody", [False, True])
def test_exhausted_ports_with_state_destination_and_process(code: int, nobody: bool) -> None:
    report, pid = situation(
        _TAKEN + f'result = wsadiag({code}, "127.0.0.1:5432", nobody={nobody}), os.getpid()', setup=_FEW_PORTS
    )
    assert cause(report) == "ephemeral-ports-exhausted"
    assert report["verdict"]["confidence"] == ("likely" if code == 10048 else "certain")
    assert "20/20" in report["verdict"]["summary"]
    said = facts(report)
    assert "20 of 20 outgoing ports (40000-40019) in use" in said
    assert "20 of them lead to 127.0.0.1:5432 (established)" in said
    if nobody:
        # the loopback check's own sockets may come and go between the kernel's table and the look at who holds them
        assert re.search(r"^2[0-4] belong to hidden processes: root with CAP_SYS_PTRACE sees them$", said, re.MULTILINE)
    else:
        assert re.search(rf"^20 of them belong to python\S* \(pid {pid}\)$", said, re.MULTILINE)
        assert f"held by python (pid {pid})" in report["verdict"]["summary"].replace("python3", "python")
        assert f"(pid {pid})" in report["verdict"]["actions"][0]


@pytest.mark.lab
def test_ports_that_rest_in_time_wait_are_told_from_those_held() -> None:
    """The client closes first, 10 ports are reserved, and no connection may take a resting port over."""
    report = situation(
        """
        server = listen("127.0.0.1", 5432)
        with contextlib.suppress(OSError):
            while True:
                client = socket.create_connection(("127.0.0.1", 5432))
                accepted = server.accept()[0]
                client.close()
                accepted.recv(1)
                accepted.close()
        result = wsadiag(10055, "127.0.0.1:5432", nobody=True)
        """,
        setup=_FEW_PORTS + "; echo 40010-40019 > /proc/sys/net/ipv4/ip_local_reserved_ports"
        "; echo 0 > /proc/sys/net/ipv4/tcp_tw_reuse",
    )
    assert cause(report) == "ephemeral-ports-exhausted"
    assert report["verdict"]["confidence"] == "certain"
    said = facts(report)
    assert "10 of 10 outgoing ports (40000-40019) in use" in said
    assert "10 more of that range are reserved" in said
    assert "10 of them lead to 127.0.0.1:5432 (time-wait)" in said
    assert "rest in TIME_WAIT" in report["verdict"]["summary"]
    assert any("tcp_tw_reuse" in action for action in report["verdict"]["actions"])


@pytest.mark.lab
@pytest.mark.parametrize("nobody", [False, True])
@pytest.mark.parametrize("code", [10055, 10049])
def test_datagrams_run_out_of_ports_too(code: int, nobody: bool) -> None:
    """Sendto() says EAGAIN then; TCP has ports of its own and is not accused."""
    datagrams, streams = situation(
        f"""
        held = []
        with contextlib.suppress(OSError):
            while True:
                held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                held[-1].bind(("0.0.0.0", 0))
        serve("127.0.0.1", 5000)
        result = [wsadiag({code}, where + "127.0.0.1:5000", nobody={nobody}) for where in ("udp://", "")]
        """,
        setup=_FEW_PORTS,
    )
    assert cause(datagrams) == "ephemeral-ports-exhausted"
    assert datagrams["verdict"]["confidence"] == "certain"
    assert "20 of 20 outgoing ports (40000-40019) in use" in facts(datagrams)
    assert "this machine itself says EAGAIN" in facts(datagrams)
    assert streams["verdict"]["outcome"] == "healthy"


@pytest.mark.lab
@pytest.mark.parametrize("code", [10013, 10049])
def test_a_port_of_ours_that_can_be_bound_convicts_nobody(code: int) -> None:
    """Nobody listens there because the program could not, or it wanted to connect: that is not known."""
    report = situation(f'result = wsadiag({code}, "127.0.0.1:9090", nobody=True)')
    assert cause(report) is None
    assert "answers" not in report["verdict"]["summary"]
    assert [(a["cause"], a["confidence"]) for a in report["verdict"]["alternatives"]] == [("no-listener", "possible")]


@pytest.mark.lab
def test_ports_taken_towards_one_destination_leave_another_alone() -> None:
    report = situation(_TAKEN + 'serve("127.0.0.2", 5000)\nresult = wsadiag(10055, "127.0.0.2:5000")', setup=_FEW_PORTS)
    assert cause(report) is None
    assert report["verdict"]["outcome"] == "healthy"


@pytest.mark.lab
@pytest.mark.parametrize("nobody", [False, True])
def test_a_machine_with_buffers_and_ports_accuses_nobody(nobody: bool) -> None:
    report = situation(f'serve("127.0.0.1", 5000)\nresult = wsadiag(10055, "127.0.0.1:5000", nobody={nobody})')
    assert cause(report) is None
    # inside a network namespace the pools cannot be read: that is said
    assert "cannot be read inside a network namespace" in step(report, "buffers")["why"]


_STUCK = """
PROGRAM = '''
import socket, sys
server = socket.create_server(("127.0.0.1", 7100))
client = socket.create_connection(("127.0.0.1", 7100))
accepted, _ = server.accept()
client.setblocking(False)
try:
    while True:
        client.send(bytes(65536))
except BlockingIOError:
    pass
flooded = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flooded.bind(("127.0.0.1", 7101))
for _ in range(600):
    client.fileno(); socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes(1000), ("127.0.0.1", 7101))
print({"client": client.fileno(), "flooded": flooded.fileno()}, flush=True)
sys.stdin.read()
'''
hog = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
numbers = eval(hog.stdout.readline())
"""


@pytest.mark.lab
def test_full_buffers_of_the_process_are_told_socket_by_socket() -> None:
    named, unnamed, hidden, numbers, pid = situation(
        _STUCK
        + """
serve("127.0.0.1", 5000)
result = (
    wsadiag(10055, "127.0.0.1:5000", "--pid", hog.pid), wsadiag(10055, "127.0.0.1:5000"),
    wsadiag(10055, "127.0.0.1:5000", "--pid", hog.pid, nobody=True), numbers, hog.pid,
)
"""
        + _END
    )
    # A full buffer is a lead and no verdict: the service is there and answers.
    assert cause(named) is None
    (lead,) = named["verdict"]["alternatives"]
    assert (lead["cause"], lead["confidence"]) == ("buffers-exhausted", "possible")
    assert f"(pid {pid})" in lead["why"]
    held = {s["descriptor"]: s for s in step(named, "open-sockets")["observations"]["descriptors"][0]["held"]}
    stuck, flooded = held[numbers["client"]], held[numbers["flooded"]]
    assert stuck["unsent"] >= stuck["send_buffer"] * 0.9
    assert stuck["remote_port"] == 7100
    assert flooded["received"] >= flooded["receive_buffer"] * 0.9
    assert 0 < flooded["dropped"] < 600
    assert not unnamed["verdict"]["alternatives"]
    assert step(hidden, "open-sockets")["status"] == "warning"
    assert "hides its sockets: root with CAP_SYS_PTRACE sees them" in step(hidden, "open-sockets")["why"]


def recorded(
    tmp_path: Path, *, code: str = "10055", available: int = 900_000, tcp: int = 0, udp: int = 0, files: int = 100
) -> Report:
    """Judge a recorded /proc: 1000 MiB of memory, 100/200/300 pages of TCP and of UDP, 100000 files."""
    for path, text in {
        "meminfo": f"MemTotal: 1024000 kB\nMemFree: 10 kB\nMemAvailable: {available} kB\n",
        "net/sockstat": f"sockets: used 9\nTCP: inuse 5 orphan 2 tw 7 alloc 6 mem {tcp}\nUDP: inuse 1 mem {udp}\n",
        "sys/net/ipv4/tcp_mem": "100 200 300\n",
        "sys/net/ipv4/udp_mem": "100 200 300\n",
        "sys/net/ipv4/tcp_max_orphans": "8192\n",
        "sys/net/ipv4/ip_local_port_range": "32768 60999\n",
        "sys/fs/file-nr": f"{files} 0 100000\n",
    }.items():
        (tmp_path / "proc" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc" / path).write_text(text)
    return asyncio.run(diagnose(code, ":80", options=Options(), context=Context(root=tmp_path)))


@pytest.mark.parametrize(
    ("available", "tcp", "udp", "found"),
    [
        (900_000, 250, 0, "TCP 250/300"),
        (900_000, 300, 250, "TCP 300/300"),
        (900_000, 10, 201, "UDP 201/300"),
        (9_000, 10, 0, "8/1000 MiB"),
        (900_000, 10, 0, None),
        (900_000, 10, 100, "UDP 100/300"),
        (900_000, 199, 99, None),
    ],
)
def test_memory_that_runs_out(tmp_path: Path, available: int, tcp: int, udp: int, found: str | None) -> None:
    report = recorded(tmp_path, available=available, tcp=tcp, udp=udp)
    if found is None:
        assert report.verdict.outcome == "healthy"
        return
    assert report.verdict.cause == "buffers-exhausted"
    assert report.verdict.failed_step == "buffers"
    assert found in report.verdict.summary
    assert any("2 of 8192" in piece.fact for piece in report.verdict.evidence)


@pytest.mark.parametrize(("files", "fault"), [(98_000, True), (100, False)])
def test_the_whole_systems_limit_of_open_files(tmp_path: Path, files: int, fault: bool) -> None:
    report = recorded(tmp_path, code="10024", files=files)
    assert (report.verdict.cause == "too-many-open-sockets") is fault
    if fault:
        assert "98000 of 100000" in report.verdict.summary
        assert report.verdict.confidence == "certain"


# -- 10024: descriptors ----------------------------------------------------------------------------------------

_HOG = """
HOG = '''
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
server = socket.create_server(("127.0.0.1", 9000))
held = []
for _ in range(5):
    client = socket.create_connection(("127.0.0.1", 9000))
    held.append(server.accept()[0])
    client.close()
try:
    while True:
        held.append(socket.socket())
except OSError:
    pass
print("full", flush=True)
sys.stdin.read()
'''
hog = subprocess.Popen([sys.executable, "-c", HOG], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
hog.stdout.readline()
"""
_END = "\nhog.stdin.close(); hog.wait(); hog.stdout.close()\n"


@pytest.mark.lab
def test_a_process_at_its_limit_by_number_and_by_weight() -> None:
    named, heaviest, unseen, pid = situation(
        _HOG
        + """
result = (
    wsadiag(10024, ":80", "--pid", hog.pid), wsadiag(10024, ":80"),
    wsadiag(10024, ":80", "--pid", hog.pid, nobody=True), hog.pid,
)
"""
        + _END
    )
    assert cause(named) == cause(unseen) == cause(heaviest) == "too-many-open-sockets"
    assert named["verdict"]["confidence"] == "certain"
    assert heaviest["verdict"]["confidence"] == "likely"
    said = facts(named)
    assert f"(pid {pid}) has 40 of 40 descriptors open" in said
    assert "5 connections that 127.0.0.1 has closed are still open here" in said
    assert "changed by +0 within" in said
    assert "close-wait" in said
    assert "hides its sockets: root with CAP_SYS_PTRACE sees them" in facts(unseen)


@pytest.mark.lab
def test_a_process_far_from_its_limit_accuses_nobody() -> None:
    own, gone = situation(
        'result = wsadiag(10024, ":80", "--pid", os.getpid()), wsadiag(10024, ":80", "--pid", 2**22 + 5)'
    )
    assert cause(own) is None
    assert own["verdict"]["outcome"] == "healthy"
    assert cause(gone) is None
    assert step(gone, "open-sockets")["status"] == "unavailable"
    assert "there is no process" in step(gone, "open-sockets")["summary"]


@pytest.mark.lab
@pytest.mark.parametrize("limit", [8, 12])
def test_a_run_that_may_open_little_itself_accuses_nobody_of_it(limit: int) -> None:
    """Its own want of descriptors is neither the stack's fault nor a missing family, and it is not the culprit."""
    stack, family, files = situation(
        f"""
        little = ["sh", "-c", 'ulimit -n {limit}; exec "$@"', "sh"]
        result = [wsadiag(*words, wrap=little) for words in ((10091, ":80"), (10047, "[::1]:80"), (10024, ":80"))]
        """
    )
    for report in (stack, family):
        assert report["verdict"]["outcome"] in ("healthy", "inconclusive")
        assert not [a for a in report["verdict"]["alternatives"] if a["confidence"] != "possible"]
    assert "wsadiag" not in files["verdict"]["summary"]


@pytest.mark.lab
def test_a_run_that_may_open_nothing_says_so() -> None:
    status, said = situation(
        f"""
        command = ["sh", "-c", 'ulimit -n 5; exec "$@"', "sh", sys.executable, "-m", "troubleshoot", "10024", ":80"]
        done = subprocess.run(command, cwd={str(ROOT)!r}, capture_output=True, text=True)
        result = done.returncode, done.stderr
        """
    )
    assert status == 71
    assert said.splitlines()[0] == (
        "wsadiag: this machine does not let wsadiag go on: "
        "Too many open files (see `ulimit -n` and /proc/sys/fs/file-nr)"
    )


# -- 10040: sizes ----------------------------------------------------------------------------------------------


@pytest.mark.lab
def test_the_sizes_that_fit_are_measured() -> None:
    report = situation('result = wsadiag(10040, "udp://127.0.0.1:69")', setup=LOOPBACK + "; ip link set lo mtu 4000")
    assert cause(report) == "api-misuse"
    assert report["verdict"]["confidence"] == "likely"
    assert report["verdict"]["location"]["scope"] == "application"
    said = facts(report)
    assert "packets up to 4000 bytes reach 127.0.0.1 (UDP payload 3972)" in said
    assert "the interface carries packets of up to 4000 bytes" in said
    assert "at most 65507 bytes" in said
    assert "default socket buffers" in said


@pytest.mark.lab
def test_the_buffers_of_the_programs_own_datagram_sockets() -> None:
    report, number, size = situation(
        """
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)
        held.bind(("127.0.0.1", 0))
        size = held.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        result = wsadiag(10040, "udp://127.0.0.1:69", "--pid", os.getpid()), held.fileno(), size
        """
    )
    assert cause(report) == "api-misuse"
    assert f"descriptor {number}: buffers of {size} bytes to send" in facts(report)


# -- 10043 to 10047: families ----------------------------------------------------------------------------------


@pytest.mark.lab
@pytest.mark.parametrize("nobody", [False, True])
@pytest.mark.parametrize("code", [10043, 10044, 10046, 10047, 10049])
def test_ipv6_switched_off_by_its_setting(code: int, nobody: bool) -> None:
    report = situation(
        f'result = wsadiag({code}, "[2001:db8::1]:80", nobody={nobody})',
        setup=LOOPBACK + "; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
    )
    assert cause(report) == "address-family-unavailable"
    assert "switched off by net.ipv6.conf.all.disable_ipv6" in facts(report)


_FILTER = """
FILTER = '''
import ctypes, errno, os, platform, struct, sys
number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
statement = lambda code, yes, no, k: struct.pack("HBBI", code, yes, no, k)
program = b"".join([
    statement(0x20, 0, 0, 0), statement(0x15, 0, 3, number), statement(0x20, 0, 0, 16), statement(0x15, 0, 1, 10),
    statement(0x06, 0, 0, 0x00050000 | errno.EAFNOSUPPORT), statement(0x06, 0, 0, 0x7FFF0000),
])
buffer = ctypes.create_string_buffer(program)
rules = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(rules), 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
'''
FILTERED = [sys.executable, "-c", FILTER]
"""


@pytest.mark.lab
def test_ipv6_forbidden_by_a_policy() -> None:
    """A seccomp filter, as containers and systemd's RestrictAddressFamilies set it."""
    report = situation(_FILTER + 'result = wsadiag(10047, "[::1]:80", wrap=FILTERED)')
    assert cause(report) == "address-family-unavailable"
    assert "a policy keeps this program from it" in facts(report)
    assert "socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) says EAFNOSUPPORT" in facts(report)


@pytest.mark.lab
def test_a_kernel_without_ipv6() -> None:
    """No kernel here lacks it: its settings are hidden and its sockets refused, which is all that shows of it."""
    children.need_root()
    report = situation(
        _FILTER
        + """
hide = "mount -t tmpfs none /proc/sys/net/ipv6 && exec \\"$@\\""
result = wsadiag(10047, "[::1]:80", wrap=["unshare", "--mount", "sh", "-c", hide, "sh", *FILTERED])
"""
    )
    assert cause(report) == "address-family-unavailable"
    assert "kernel has no IPv6" in facts(report)


@pytest.mark.lab
@pytest.mark.parametrize("code", [10043, 10044, 10046, 10047])
@pytest.mark.parametrize("target", ["127.0.0.1:80", "[::1]:80", ":80", "localhost:80"])
def test_families_that_work_accuse_nobody(code: int, target: str) -> None:
    report = situation(f'result = wsadiag({code}, "{target}", nobody=True)')
    assert cause(report) is None
    assert report["verdict"]["outcome"] == "healthy"
    assert "answers" not in report["verdict"]["summary"]  # nobody asked


# -- 10050, 10091 to 10093: the stack --------------------------------------------------------------------------


@pytest.mark.lab
@pytest.mark.parametrize("nobody", [False, True])
@pytest.mark.parametrize("code", [10050, 10091, 10092, 10093])
def test_loopback_that_is_down(code: int, nobody: bool) -> None:
    report = situation(f'result = wsadiag({code}, "127.0.0.1:80", nobody={nobody})', setup="ip link set lo down")
    assert cause(report) == "network-subsystem-down"
    assert report["verdict"]["confidence"] == "certain"
    assert "the loopback interface is down" in facts(report)


@pytest.mark.lab
def test_a_silent_loopback_may_be_filtered() -> None:
    report = situation(
        'result = wsadiag(10091, "127.0.0.1:80")',
        setup=LOOPBACK + "; nft 'table ip t { chain i { type filter hook input priority 0; drop; }; }'",
    )
    assert cause(report) == "network-subsystem-down"
    assert report["verdict"]["confidence"] == "likely"
    assert "local-firewall" in {other["cause"] for other in report["verdict"]["alternatives"]}


@pytest.mark.lab
def test_a_stack_that_works_leaves_the_program() -> None:
    broken, version, ready = situation(
        'result = wsadiag(10093, ":80"), wsadiag(10092, ":80"), wsadiag(10091, ":80", nobody=True)'
    )
    for report in (broken, version):
        assert cause(report) == "api-misuse"
        assert report["verdict"]["location"]["scope"] == "application"
        assert "WSAStartup" in " ".join(report["verdict"]["actions"])
    assert cause(ready) is None
    assert ready["verdict"]["outcome"] == "inconclusive"  # a code that only Windows gives, seen from another system


# -- codes of the program --------------------------------------------------------------------------------------

_PROGRAM = """
PROGRAM = '''
import socket, sys
listener = socket.create_server(("127.0.0.1", 7000))
fresh = socket.socket()
half = socket.create_connection(("127.0.0.1", 7000)); other, _ = listener.accept(); half.shutdown(socket.SHUT_WR)
whole = socket.create_connection(("127.0.0.1", 7000)); another, _ = listener.accept(); whole.setblocking(False)
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
trying = socket.socket(); trying.setblocking(False); trying.connect_ex(("127.0.0.9", 7000))
names = ("listener", "fresh", "half", "other", "whole", "another", "datagram", "trying")
print({name: globals()[name].fileno() for name in names}, flush=True)
sys.stdin.read()
'''
hog = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
numbers = eval(hog.stdout.readline())
"""


#: A connection to 127.0.0.9 stays under way.
_SILENT = LOOPBACK + "; nft 'table ip t { chain i { type filter hook input priority 0; ip daddr 127.0.0.9 drop; }; }'"


@pytest.mark.lab
def test_the_sockets_of_the_program_are_held_to_the_code() -> None:
    under_way = {"trying": "is connecting to 127.0.0.9:7000"}
    expected = {
        10057: {
            "listener": "listens on 127.0.0.1:7000",
            "fresh": "is not connected",
            "datagram": "is not connected",
            "trying": "is connecting",
        },
        10056: {
            "listener": "listens",
            "half": "has shut down",
            "other": "has closed its side",
            "whole": "is connected",
            "another": "is connected",
        },
        10022: {
            "listener": "listens",
            "fresh": "is not connected",
            "whole": "is connected",
            "another": "is connected",
        },
        10035: {"whole": "O_NONBLOCK", "trying": "O_NONBLOCK"},
        10036: under_way,
        10037: under_way,
        10039: {"datagram": "is not connected"},
        10042: {"datagram": "is not connected"},
        10045: {"listener": "listens", "datagram": "is not connected"},
        10058: {"half": "has shut down sending to 127.0.0.1:7000"},
        # nothing of a socket's state tells these from each other: they are counted
        10009: None,
        10014: None,
        10038: None,
        10041: None,
    }
    # its own listener takes nothing up, which is a fault of another kind: the target is one that answers
    ask = f"""
serve("127.0.0.1", 5000)
reports = {{code: wsadiag(code, "127.0.0.1:5000", "--pid", hog.pid) for code in {list(expected)}}}
result = reports, numbers, hog.pid
"""
    reports, numbers, pid = situation(_PROGRAM + ask + _END, setup=_SILENT)
    for code, sockets in expected.items():
        report = reports[code]
        state = code in (10035, 10036)
        assert (cause(report), report["verdict"]["outcome"]) == (
            (None, "healthy") if state else ("api-misuse", "fault")
        )
        if sockets is None:
            assert re.search(rf"\(pid {pid}\) has 8 sockets", step(report, "api-usage")["summary"]), code
            continue
        lines = {line.partition(" (")[0]: line for line in facts(report).splitlines() if line.startswith("descriptor ")}
        assert lines.keys() == {f"descriptor {numbers[name]}" for name in sockets}, code
        for name, its_state in sockets.items():
            assert its_state in lines[f"descriptor {numbers[name]}"]
        summary = step(report, "api-usage")["summary"]
        assert f"(pid {pid})" in summary
        assert f"{len(sockets)} of 8" in summary


@pytest.mark.lab
def test_a_code_that_no_socket_fits_says_so() -> None:
    report, pid = situation('result = wsadiag(10037, ":80", "--pid", os.getpid()), os.getpid()')
    assert cause(report) == "api-misuse"
    assert f"(pid {pid}): none of 0 sockets fits WSAEALREADY now" in step(report, "api-usage")["summary"]


@pytest.mark.lab
def test_processes_that_are_not_even_listed_are_not_called_absent() -> None:
    """/proc mounted with hidepid=2, in a PID namespace of its own."""
    children.need_root()
    code = """
mount -t proc -o hidepid=2 none /proc
setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "$@"
"""
    named, heaviest = situation(
        f"""
        hide = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", {code!r}, "sh"]
        result = wsadiag(10057, ":80", "--pid", 1, wrap=hide), wsadiag(10024, ":80", wrap=hide)
        """
    )
    assert "process 1 cannot be looked into" in step(named, "api-usage")["summary"]
    assert step(named, "api-usage")["status"] == "unavailable"
    assert step(heaviest, "open-sockets")["status"] == "warning"
    assert "not even listed" in step(heaviest, "open-sockets")["why"]


@pytest.mark.lab
def test_descriptors_that_are_no_sockets_are_counted() -> None:
    report = situation(_PROGRAM + 'result = wsadiag(10038, ":80", "--pid", hog.pid)' + _END)
    assert "has 8 sockets and 3 other descriptors" in step(report, "api-usage")["summary"]


@pytest.mark.lab
def test_a_program_that_may_not_be_looked_into_is_said_to_be_hidden() -> None:
    hidden, gone = situation(
        """
        result = wsadiag(10057, ":80", "--pid", os.getpid(), nobody=True), wsadiag(10057, ":80", "--pid", 2**22 + 5)
        """
    )
    assert cause(hidden) == cause(gone) == "api-misuse"
    assert step(hidden, "api-usage")["status"] == step(gone, "api-usage")["status"] == "unavailable"
    assert "run as root" in step(hidden, "api-usage")["summary"]
    assert "run as root" in facts(hidden)
    assert "there is no process" in step(gone, "api-usage")["summary"]


@pytest.mark.parametrize("code", [10009, 10014, 10022, 10036, 10037, 10038, 10042, 10045, 10056, 10057, 10058])
def test_the_call_checklist_is_among_the_actions(code: int) -> None:
    from troubleshoot.knowledge.catalogue import Catalogue

    catalogue = Catalogue()
    report = asyncio.run(diagnose(str(code), ":80", options=Options()))
    assert report.verdict.cause == (None if code == 10036 else "api-misuse")
    hints = catalogue.code(report.error.name).developer_hints
    assert hints
    assert report.verdict.actions[: len(hints)] == tuple(f"In the program: {hint}" for hint in hints)


# -- a saved report --------------------------------------------------------------------------------------------


@pytest.mark.lab
def test_saved_reports_of_this_machines_faults_are_judged_alike() -> None:
    pairs = situation(
        _PROGRAM
        + f"""
result = []
for words in ([10048, ":7000"], [10057, ":7000", "--pid", hog.pid], [10024, ":1", "--pid", hog.pid], [10093, ":1"]):
    command = [sys.executable, "-B", "-m", "troubleshoot", "--json"]
    first = subprocess.run([*command, *map(str, words)], cwd={str(ROOT)!r}, capture_output=True)
    again = subprocess.run([*command, "replay", "-"], cwd={str(ROOT)!r}, capture_output=True, input=first.stdout)
    result.append([json.loads(done.stdout)["verdict"] for done in (first, again)])
"""
        + _END
    )
    assert [first["cause"] for first, _ in pairs] == ["port-in-use", "api-misuse", None, "api-misuse"]
    for first, again in pairs:
        assert first == again
