"""The probe of open descriptors, against processes that really run short of them."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import children
import pytest

from probes.base import Context, NotApplicable, NotPermitted
from probes.bodies.descriptors import observe
from probes.descriptors import DescriptorsRequest, DescriptorsResult


def look(pid: int | None, watch_s: float = 0.05, context: Context | None = None) -> DescriptorsResult:
    return asyncio.run(observe(DescriptorsRequest(pid, watch_s), context or Context(), lambda _partial: None))


def test_this_process() -> None:
    pair = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.bind(("127.0.0.1", 0))
        found = look(os.getpid())
        expected = len(list(Path("/proc/self/fd").iterdir()))
    for one in pair:
        one.close()
    assert found.pid == os.getpid()
    assert found.limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    # the probe's own event loop holds three more while it looks, the listing above one
    assert found.open_at_start is not None
    assert expected - 1 <= found.open_at_start <= expected + 8
    states = dict(found.socket_states)
    assert states["listen"] == 1
    assert states["udp"] == 1
    assert states["unix-stream"] >= 2
    assert found.sockets is not None
    assert found.sockets >= 4
    assert 0 < found.system_used < found.system_limit


_HOG = """
import os, resource, socket, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
held = []
try:
    while True:
        held.append(socket.socket())
except OSError as error:
    print(os.strerror(error.errno), flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("named", [True, False])
def test_a_process_at_its_limit(named: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOG, "40"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as hog:
        assert hog.stdin is not None
        assert hog.stdout is not None
        assert hog.stdout.readline() == "Too many open files\n"
        found = look(hog.pid if named else None)
        hog.stdin.write("\n")
        hog.stdin.flush()
    if not named and found.pid != hog.pid:
        # one of another test's is at its limit too
        assert (found.open_at_start or 0) >= (found.limit or 1)
        return
    assert found.pid == hog.pid
    assert (found.limit, found.open_at_start, found.open_at_end) == (40, 40, 40)
    assert found.name is not None
    assert found.name.startswith("python")
    assert found.sockets is not None
    assert 30 <= found.sockets < 40


_LEAK = """
import socket, sys, time
held = []
print("ready", flush=True)
while True:
    held.append(socket.socket())
    time.sleep(0.01)
"""


def test_a_leak_shows_as_a_trend() -> None:
    with subprocess.Popen([sys.executable, "-c", _LEAK], stdout=subprocess.PIPE) as leak:
        assert leak.stdout is not None
        leak.stdout.readline()
        found = look(leak.pid, watch_s=0.5)
        leak.kill()
    assert found.open_at_start is not None
    assert found.open_at_end is not None
    assert found.open_at_end > found.open_at_start
    assert found.watched_s >= 0.5


def test_connections_whose_peer_closed_are_counted_by_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        accepted = []
        for _ in range(3):
            client = socket.create_connection(opened.getsockname())
            accepted.append(opened.accept()[0])
            client.close()
            assert accepted[-1].recv(1) == b""  # the FIN is here
        found = look(os.getpid())
        for one in accepted:
            one.close()
    assert dict(found.socket_states)["close-wait"] == 3
    (peer,) = found.waiting_close
    # three clients, three ports of theirs
    assert (peer.state, peer.remote_address, peer.count, peer.remote_port) == ("close-wait", "127.0.0.1", 3, None)


@pytest.mark.lab
def test_local_ports_in_use_by_destination() -> None:
    """An even number of ports: of an odd one the kernel may leave the last untried."""
    children.need_namespace()
    found = children.run(
        """
        with socket.create_server(("127.0.0.1", 80), backlog=64) as server:
            clients = [socket.create_connection(("127.0.0.1", 80)) for _ in range(20)]
            try:
                socket.create_connection(("127.0.0.1", 80))
            except OSError as error:
                clients.append(error.errno)
            result = observe("descriptors", pid=os.getpid(), watch_s=0.0), clients[-1]
        """,
        namespace=True,
        setup="ip link set lo up; echo 40000 40019 > /proc/sys/net/ipv4/ip_local_port_range",
    )
    result, number = found
    assert os.strerror(number) == "Cannot assign requested address"
    assert result.ephemeral_range == (40000, 40019)
    assert result.ephemeral_used == 20
    first = result.ephemeral_busiest[0]
    assert (first.state, first.remote_address, first.remote_port, first.count) == ("established", "127.0.0.1", 80, 20)


@pytest.mark.lab
def test_a_process_in_another_network_namespace() -> None:
    children.need_namespace()
    found, seen = children.run(
        """
        import subprocess
        source = '''
        import socket, sys
        server = socket.create_server(("127.0.0.1", 0)); datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagram.bind(("127.0.0.1", 0))
        print(flush=True); sys.stdin.readline()
        '''.replace("        ", "")
        child = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", sys.executable, "-c", source],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        child.stdout.readline()
        result = observe("descriptors", pid=child.pid, watch_s=0.0), observe("sockets", port=None)
        child.communicate(b"\\n")
        """,
        namespace=True,
        setup="ip link set lo up",
    )
    assert dict(found.socket_states) == {"listen": 1, "udp": 1}
    assert seen.entries == ()


def test_no_such_process() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    with pytest.raises(NotApplicable) as caught:
        look(gone.pid)
    assert caught.value.reason.key == "reason.no-such-process"


def test_a_foreign_process_is_counted_and_not_looked_at() -> None:
    children.need_root()
    found = children.run(
        f"result = observe('descriptors', pid={os.getpid()}, watch_s=0.0), observe('descriptors', watch_s=0.0)",
        uid=children.NOBODY,
    )
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 2):
        assert isinstance(found[0], NotPermitted)
        assert found[0].reason.key == "reason.process-hidden"
        assert found[1].hidden > 0
        return
    given, heaviest = found
    assert given.open_at_start > 0
    assert (given.sockets, given.socket_states, given.hidden) == (None, (), 1)
    assert heaviest.pid is not None


def test_a_process_that_may_not_even_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Kernels before Linux 6.2 refuse to count another user's descriptors; the one under this test may not.
    def refuse(proc: Path, pid: int) -> int:
        raise PermissionError(13, f"{proc}/{pid}/fd")

    monkeypatch.setattr("probes.system.linux.holders.descriptor_count", refuse)
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/limits").write_text("Limit  Soft  Hard  Units\nMax open files  64  64  files\n")
    (tmp_path / "proc/sys/fs").mkdir(parents=True)
    (tmp_path / "proc/sys/fs/file-nr").write_text("100\t0\t1000\n")
    with pytest.raises(NotPermitted) as caught:
        look(7, context=Context(root=tmp_path))
    assert caught.value.reason.key == "reason.process-hidden"
    found = look(None, context=Context(root=tmp_path))
    assert (found.pid, found.hidden, found.system_used, found.system_limit) == (None, 1, 100, 1000)
