"""What can happen to a connection: refused, reset, aborted, timed out, or still on its way."""

from __future__ import annotations

import contextlib
import socket
import struct
import time

from troubleshoot.reproduce import isolation
from troubleshoot.reproduce.stage import CannotRun, Failed, Stage, inet

_TCP_USER_TIMEOUT, _TCP_SYNCNT = 18, 7  # <linux/tcp.h>
_SOCK_DESTROY, _NETLINK_SOCK_DIAG = 21, 4  # <linux/sock_diag.h>
_REQUEST_ACK = 0x1 | 0x4


def connect_where_nobody_listens(stage: Stage) -> None:
    """Connect to a port on which nothing listens."""
    stage.connect(stage.tcp(), inet("127.0.0.1", stage.free_port()))


def connect_without_an_answer(stage: Stage) -> None:
    """Connect to a port whose host answers nothing."""
    server, address = stage.listener()
    stage.deaf(server)
    fd = stage.tcp()
    # One repetition instead of six, so that the wait takes seconds and not two minutes.
    stage.setsockopt(fd, socket.IPPROTO_TCP, _TCP_SYNCNT, 1, "TCP_SYNCNT")
    stage.setsockopt(fd, socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, 500, "TCP_USER_TIMEOUT")
    stage.connect(fd, address)


def connect_without_waiting(stage: Stage) -> None:
    """Connect a non-blocking socket."""
    _, address = stage.listener()
    fd = stage.tcp()
    stage.nonblocking(fd)
    stage.connect(fd, address)


def connect_while_connecting(stage: Stage) -> None:
    """Connect a non-blocking socket again while the first attempt is under way."""
    server, address = stage.listener()
    stage.deaf(server)
    fd = stage.tcp()
    stage.nonblocking(fd)
    with contextlib.suppress(Failed):
        stage.connect(fd, address)
    stage.connect(fd, address)


def _reset(stage: Stage) -> int:
    """Return one end of a connection that the other end has just reset."""
    client, server = stage.connection()
    stage.reset_on_close(server)
    stage.close(server)
    time.sleep(0.05)
    return client


def recv_after_a_reset(stage: Stage) -> None:
    """Receive after the peer reset the connection."""
    stage.recv(_reset(stage), 16)


def send_after_a_reset(stage: Stage) -> None:
    """Send after the peer reset the connection."""
    stage.send(_reset(stage), 4)


def send_twice_after_a_reset(stage: Stage) -> None:
    """Send once more after the reset was reported."""
    client = _reset(stage)
    with contextlib.suppress(Failed):
        stage.send(client, 4)
    stage.send(client, 4)


def keepalive_option_after_a_reset(stage: Stage) -> None:
    """Ask for keep-alives on a connection that was reset."""
    stage.option(_reset(stage), socket.SO_KEEPALIVE, 1, "SO_KEEPALIVE")


def recv_after_a_local_abort(stage: Stage) -> None:
    """Receive after the machine's administrator destroyed the connection."""
    client, server = stage.connection()
    host = socket.inet_aton("127.0.0.1").ljust(16, b"\0")
    ports = struct.pack("!HH", stage.port(client), stage.port(server))
    body = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ports + host + host
    body += struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
    try:
        isolation.ask_netlink(_NETLINK_SOCK_DIAG, _SOCK_DESTROY, _REQUEST_ACK, body)
    except OSError as error:
        raise CannotRun(f"this kernel cannot destroy a socket: {error.strerror}") from None
    stage.record("netlink", "SOCK_DESTROY, the client's end (as `ss --kill` does)", "0", None)
    stage.recv(client, 16)


def recv_after_unanswered_data(stage: Stage) -> None:
    """Wait for an answer to data that the peer never acknowledges."""
    client, server = stage.connection()
    stage.deaf(server)
    stage.setsockopt(client, socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, 500, "TCP_USER_TIMEOUT")
    stage.send(client, 4)
    stage.recv(client, 16)


def recv_after_unanswered_keepalives(stage: Stage) -> None:
    """Wait on an idle connection whose peer no longer answers keep-alives."""
    client, server = stage.connection()
    stage.deaf(server)
    stage.option(client, socket.SO_KEEPALIVE, 1, "SO_KEEPALIVE")
    for option, name in (
        (socket.TCP_KEEPIDLE, "TCP_KEEPIDLE"),
        (socket.TCP_KEEPINTVL, "TCP_KEEPINTVL"),
        (socket.TCP_KEEPCNT, "TCP_KEEPCNT"),
    ):
        stage.setsockopt(client, socket.IPPROTO_TCP, option, 1, name)
    stage.recv(client, 16)


def recv_with_a_time_limit(stage: Stage) -> None:
    """Receive with SO_RCVTIMEO set, and nothing comes."""
    client, _ = stage.connection()
    stage.time_limit(client, 200)
    stage.recv(client, 16)


def recv_after_the_peer_closed(stage: Stage) -> None:
    """Receive after the peer closed in good order."""
    client, server = stage.connection()
    stage.close(server)
    stage.recv(client, 16)


def accept_a_connection_reset_meanwhile(stage: Stage) -> None:
    """Accept a connection that its client has reset while it waited."""
    server, address = stage.listener()
    client = stage.tcp()
    stage.connect(client, address)
    stage.reset_on_close(client)
    stage.close(client)
    time.sleep(0.05)
    stage.accept(server)
