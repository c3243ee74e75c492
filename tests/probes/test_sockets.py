"""The probe of local sockets, against real ones."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import time
from pathlib import Path

import children
import pytest

from probes.base import Context, NotApplicable, ProbeTarget
from probes.sockets import PROBE, SocketsRequest, SocketsResult, observe


def look(port: int | None, transport: str = "tcp", root: str = "/") -> SocketsResult:
    return asyncio.run(observe(SocketsRequest(port, transport), Context(root=Path(root)), lambda _partial: None))


def listener(address: str = "127.0.0.1", backlog: int = 8) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    opened.bind((address, 0))
    opened.listen(backlog)
    return opened


def test_a_listener_and_its_owner() -> None:
    with listener() as opened:
        port = opened.getsockname()[1]
        # other tests' connections may have the same port on another address or leave it behind in TIME_WAIT
        (entry,) = [e for e in look(port).entries if e.state == "listen" and e.local_address == "127.0.0.1"]
    assert (entry.family, entry.transport, entry.state) == (4, "tcp", "listen")
    assert (entry.local_address, entry.local_port) == ("127.0.0.1", port)
    assert (entry.remote_address, entry.remote_port) == (None, None)
    assert (entry.queue, entry.queue_limit) == (0, 8)
    assert entry.uid == os.getuid()
    assert not entry.owner_hidden
    (owner,) = entry.owners
    assert owner.pid == os.getpid()
    assert owner.user == pwd.getpwuid(os.getuid()).pw_name
    assert owner.command is not None
    assert "python" in owner.command or "pytest" in owner.command
    assert owner.started is not None
    assert time.time() - 86400 < owner.started <= time.time()


def test_a_free_port_has_no_sockets() -> None:
    with listener() as opened:
        port = opened.getsockname()[1]
    assert [e for e in look(port).entries if e.state == "listen"] == []


def test_a_full_accept_queue_is_visible() -> None:
    with listener(backlog=1) as opened:
        address = opened.getsockname()
        clients = [socket.create_connection(address, timeout=2) for _ in range(2)]
        try:
            found = look(address[1])
        finally:
            for client in clients:
                client.close()
    assert found.entries[0].state == "listen"
    assert (found.entries[0].queue, found.entries[0].queue_limit) == (2, 1)
    # The two that wait belong to nobody yet, which is not the same as a hidden owner.
    waiting = [entry for entry in found.entries if entry.state == "established"]
    assert len(waiting) == 2
    assert all(entry.owners == () and not entry.owner_hidden and entry.uid is None for entry in waiting)


def test_time_wait_tells_its_seconds() -> None:
    with listener() as opened:
        address = opened.getsockname()
        client = socket.create_connection(address, timeout=2)
        accepted, _ = opened.accept()
        accepted.close()
        assert client.recv(1) == b""
        name = client.getsockname()
        client.close()
    deadline = time.monotonic() + 5
    while not (found := look(address[1])).entries or found.entries[0].state != "time-wait":
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    (entry,) = found.entries
    assert entry.time_left_s is not None
    assert 1 < entry.time_left_s <= 120
    assert (entry.remote_address, entry.remote_port) == name
    assert (entry.uid, entry.owners, entry.owner_hidden) == (None, (), False)
    assert found.states == (("time-wait", 1),)


@pytest.mark.parametrize("only", [False, True])
def test_an_ipv6_wildcard_tells_whether_it_holds_ipv4(only: bool) -> None:
    with socket.socket(socket.AF_INET6) as opened:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only))
        opened.bind(("::", 0))
        opened.listen(1)
        # connections of other tests may go out from a port of that number
        (entry,) = (e for e in look(opened.getsockname()[1]).entries if e.state == "listen")
    assert (entry.family, entry.local_address, entry.v6_only) == (6, "::", only)


def test_a_socket_that_is_bound_and_does_not_listen() -> None:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        found = look(opened.getsockname()[1])
    if not found.entries and tuple(map(int, os.uname().release.split(".")[:2])) < (6, 8):
        pytest.skip("sock_diag lists bound sockets from Linux 6.8 on")
    assert [entry.state for entry in found.entries] == ["bound"]
    assert found.entries[0].owners[0].pid == os.getpid()


def test_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        port = opened.getsockname()[1]
        (entry,) = look(port, "udp").entries
        assert (entry.transport, entry.state, entry.queue) == ("udp", "unconnected", 0)
        assert entry.owners[0].pid == os.getpid()
        everything = look(None, "udp").entries
        assert port in [one.local_port for one in everything]
        opened.connect(("127.0.0.1", port))
        (entry,) = look(port, "udp").entries
        assert (entry.state, entry.remote_port) == ("established", port)
        assert port not in [one.local_port for one in look(None, "udp").entries]


def test_all_listeners_and_nothing_else() -> None:
    with listener() as one, listener("::1") as two, socket.create_connection(one.getsockname()) as client:
        found = look(None)
        ports = {entry.local_port for entry in found.entries}
        assert {one.getsockname()[1], two.getsockname()[1]} <= ports
        assert client.getsockname()[1] not in ports
    assert {entry.state for entry in found.entries} == {"listen"}


def test_many_sockets_are_cut_and_counted() -> None:
    pairs = []
    with listener(backlog=256) as opened:
        address = opened.getsockname()
        for _ in range(210):
            pairs.append(socket.create_connection(address))
            pairs.append(opened.accept()[0])
        found = look(address[1])
        for one in pairs:
            one.close()
    assert found.truncated
    assert len(found.entries) == 200
    assert found.entries[0].state == "listen"
    assert dict(found.states) == {"listen": 1, "established": 210}


def test_the_text_files_tell_the_same_where_netlink_is_not_asked() -> None:
    with listener(backlog=1) as opened, listener("::1") as other:
        client = socket.create_connection(opened.getsockname())
        fast, slow = (look(opened.getsockname()[1], root=root) for root in ("/", "/proc/self/root"))
        (six,) = look(other.getsockname()[1], root="/proc/self/root").entries
        client.close()
    assert [(one.state, one.local_address, one.queue, one.owners) for one in slow.entries] == [
        (one.state, one.local_address, one.queue, one.owners) for one in fast.entries
    ]
    assert slow.entries[0].queue_limit is None
    assert (six.local_address, six.v6_only) == ("::1", None)


def test_no_table_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable) as caught:
        look(80, root=str(tmp_path))
    assert caught.value.reason.key == "reason.socket-table-missing"


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(NotApplicable):
        look(80, "sctp")


def test_the_owner_of_a_foreign_socket_is_hidden_from_an_ordinary_user() -> None:
    children.need_root()
    with listener() as opened:
        port = opened.getsockname()[1]
        found = children.run(f"result = observe('sockets', port={port})", uid=children.NOBODY)
    (entry,) = found.entries
    assert entry.owners == ()
    assert entry.owner_hidden
    assert entry.uid == 0


def test_an_ordinary_user_sees_its_own() -> None:
    children.need_root()
    found, pid = children.run(
        """
        with socket.create_server(("127.0.0.1", 0)) as opened:
            result = observe("sockets", port=opened.getsockname()[1]), os.getpid()
        """,
        uid=children.NOBODY,
    )
    (entry,) = found.entries
    assert [owner.pid for owner in entry.owners] == [pid]
    assert (entry.owners[0].user, entry.uid, entry.owner_hidden) == ("nobody", children.NOBODY, False)


def test_a_command_line_cannot_paint_the_terminal() -> None:
    source = "import socket,sys; s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],flush=True); input()"
    found = children.run(
        f"""
        import subprocess
        child = subprocess.Popen(
            [sys.executable, "-c", {source!r}, "\\x1b[31mred\\n" + "x" * 5000],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        result = observe("sockets", port=int(child.stdout.readline()))
        child.communicate(b"\\n")
        """
    )
    command = found.entries[0].owners[0].command
    assert command.isprintable()
    assert "\\x1b[31mred" in command
    assert len(command) < 500


@pytest.mark.lab
def test_the_sockets_of_this_network_namespace_and_no_others() -> None:
    children.need_namespace()
    with listener("0.0.0.0") as opened:
        found = children.run(
            f"""
            with socket.create_server(("127.0.0.1", 5555)) as opened:
                result = observe("sockets", port=None), observe("sockets", port={opened.getsockname()[1]})
            """,
            namespace=True,
            setup="ip link set lo up",
        )
    assert [entry.local_port for entry in found[0].entries] == [5555]
    assert found[1].entries == ()


def test_request_for_a_target() -> None:
    assert PROBE.request_for(ProbeTarget(port=80, transport="udp")) == SocketsRequest(80, "udp")
    assert PROBE.subject(SocketsRequest(80)) == "tcp/80"
    assert PROBE.subject(SocketsRequest()) == ""
