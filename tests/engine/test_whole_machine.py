"""Limits of the whole machine, reached for real, and the whole program run on them.

They have no namespace: other programs feel them too. These tests run only where ``WSADIAG_WHOLE_MACHINE=1`` says that
the machine may be used so (the CI's own), for about a second each, and never beside other tests. What was set is put
back by a process of its own, which does so too when the test is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_engine import listening

ROOT = Path(__file__).resolve().parents[2]
Document = Mapping[str, Any]


@pytest.fixture(autouse=True)
def alone() -> None:
    if os.environ.get("WSADIAG_WHOLE_MACHINE") != "1":
        pytest.skip("limits of the whole machine: WSADIAG_WHOLE_MACHINE=1 allows it")
    if os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.skip("limits of the whole machine: runs alone, without pytest-xdist")
    if os.geteuid() != 0:
        pytest.skip("limits of the whole machine: needs root")


@contextlib.contextmanager
def setting(name: str, value: str) -> Iterator[None]:
    """Set a sysctl, and put it back when the block or this process ends."""
    path = Path("/proc/sys") / name
    if not path.exists():
        pytest.skip(f"{path} is not to be seen here")
    before = path.read_text()
    guard = subprocess.Popen(
        ["sh", "-c", 'read -r _; printf %s "$1" >"$2"', "sh", before, str(path)], stdin=subprocess.PIPE
    )
    assert guard.stdin is not None
    try:
        try:
            path.write_text(value)
        except OSError as error:
            pytest.skip(f"{path} cannot be set here: {error}")
        yield
    finally:
        guard.stdin.close()
        guard.wait()
        assert path.read_text() == before


@contextlib.contextmanager
def program(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python program that talks to us in lines; it ends when its standard input does."""
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def heard(child: subprocess.Popen[str]) -> Any:
    assert child.stdout is not None
    return json.loads(child.stdout.readline())


def tell(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def wsadiag(*words: object, nobody: bool = False) -> Document:
    who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"] if nobody else []
    command = [*who, sys.executable, "-m", "troubleshoot", "--json", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert not done.stderr, done.stderr
    report: Document = json.loads(done.stdout)
    return report


def facts(report: Document) -> str:
    return "\n".join(item["fact"] for item in report["verdict"]["evidence"])


# -- descriptors -----------------------------------------------------------------------------------------------

_OPENS = """
import errno, json, os, resource, select, sys, time
held = []
def open_until(count):
    try:
        while len(held) < count:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        return errno.errorcode[error.errno]
    return None
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
print(json.dumps([open_until(int(sys.argv[1])), len(held)]), flush=True)
sys.stdin.readline()
print(json.dumps([open_until(limit), len(held)]), flush=True)
while not select.select([sys.stdin], [], [], 0.02)[0]:
    # Room for others, who come and go, and still within a hundredth of the limit.
    for _ in range(int(sys.argv[2])):
        os.close(held.pop())
    time.sleep(0.02)
    open_until(limit)
"""


def in_use() -> int:
    allocated, free, _ = Path("/proc/sys/fs/file-nr").read_text().split()
    return int(allocated) - int(free)


def test_the_whole_system_is_out_of_descriptors() -> None:
    """One process takes all that the system allows; it meets ENFILE, and it is named."""
    with program(_OPENS, "12000", "100") as hog:
        assert heard(hog) == [None, 12000]
        with setting("fs/file-max", str(in_use() + 400)):
            tell(hog)
            first, count = heard(hog)
            report = wsadiag(10024, ":80")
    assert first == "ENFILE"
    assert report["verdict"]["cause"] == "too-many-open-sockets"
    assert report["verdict"]["confidence"] == "certain"
    assert "The whole system holds" in report["verdict"]["summary"]
    # it holds more than any other process
    most = re.search(rf"^\S+ \(pid {hog.pid}\) has (\d+) of them$", facts(report).splitlines()[1])
    assert most
    assert abs(int(most[1]) - count) < 1000


# -- socket memory ---------------------------------------------------------------------------------------------

_FILLS = """
import contextlib, json, os, socket, sys
held = []
if sys.argv[1] == "TCP":
    server = socket.create_server(("127.0.0.1", 0))
    for _ in range(6):
        client = socket.create_connection(server.getsockname())
        held += [client, server.accept()[0]]
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(bytes(65536))
else:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(20):
        held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        held[-1].bind(("127.0.0.1", 0))
        for _ in range(300):
            sender.sendto(bytes(1400), held[-1].getsockname())
print(json.dumps(len(held)), flush=True)
sys.stdin.readline()
"""


def pages(pool: str) -> int:
    words = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith(pool)).split()
    return int(words[words.index("mem") + 1])


@contextlib.contextmanager
def filled(transport: str) -> Iterator[tuple[int, int, int]]:
    """Fill sockets of a process with unread data; give its number, a port that is listened on, and the pool's pages."""
    with listening() as port, program(_FILLS, transport) as hog:
        heard(hog)
        yield hog.pid, port, pages(f"{transport}:")


def told(report: Document, pid: int, transport: str, used: int) -> None:
    """The report names the pool with its use, and the process with (nearly) all of it."""
    assert report["verdict"]["cause"] == "buffers-exhausted"
    assert report["verdict"]["confidence"] == "likely"
    assert report["verdict"]["failed_step"] == "buffers"
    pool = re.search(rf"^{transport} sockets use (\d+) pages", facts(report), re.MULTILINE)
    assert pool
    assert used * 0.5 <= int(pool[1]) <= used * 1.5
    held = re.search(rf"\(pid {pid}\): (\d+) KiB in \d+ sockets$", facts(report), re.MULTILINE)
    assert held
    assert int(held[1]) * 1024 >= used * os.sysconf("SC_PAGE_SIZE") * 0.5


@pytest.mark.parametrize(
    ("transport", "name"), [("TCP", "net/ipv4/tcp_mem"), ("UDP", "net/ipv4/udp_mem")], ids=["tcp", "udp"]
)
def test_the_memory_of_all_sockets_is_rationed(transport: str, name: str) -> None:
    """A quarter of the limit is in use, and more than may be had without rationing: nobody else loses anything yet."""
    with filled(transport) as (pid, port, used):
        before = wsadiag(10055, f"127.0.0.1:{port}", "--pid", pid)
        with setting(name, f"{used // 4} {used // 2} {used * 4}"):
            during = wsadiag(10055, f"127.0.0.1:{port}")
            hidden = wsadiag(10055, f"127.0.0.1:{port}", nobody=True)
    assert before["verdict"]["cause"] is None
    assert [a["cause"] for a in before["verdict"]["alternatives"]] == ["buffers-exhausted"]  # its own sockets are full
    told(during, pid, transport, used)
    assert hidden["verdict"]["cause"] == "buffers-exhausted"
    assert re.search(r"^processes that cannot be seen: \d+ KiB", facts(hidden), re.MULTILINE)


def passes(client: socket.socket, accepted: socket.socket, size: int) -> bool:
    """Whether so many bytes get through before either end has waited for its time-out."""
    try:
        client.sendall(bytes(size))
        while size:
            size -= len(accepted.recv(1 << 16))
    except TimeoutError:
        return False
    return True


def test_above_the_limit_tcp_stalls_and_no_call_fails() -> None:
    with (
        filled("TCP") as (pid, port, used),
        setting("net/ipv4/tcp_mem", f"{used // 8} {used // 4} {used // 2}"),
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        client = socket.create_connection(server.getsockname(), timeout=0.3)
        accepted, _ = server.accept()
        with client, accepted:
            accepted.settimeout(0.3)
            assert passes(client, accepted, 1)
            assert not passes(client, accepted, 1 << 20)
        report = wsadiag(10055, f"127.0.0.1:{port}")
    told(report, pid, "TCP", used)


def test_above_the_limit_datagrams_vanish_and_no_call_fails() -> None:
    with filled("UDP") as (pid, port, used), setting("net/ipv4/udp_mem", f"{used // 8} {used // 4} {used // 2}"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(0.2)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                assert sender.sendto(b"x", receiver.getsockname()) == 1
            with pytest.raises(TimeoutError):
                receiver.recv(10)
        report = wsadiag(10055, f"127.0.0.1:{port}")
    told(report, pid, "UDP", used)
