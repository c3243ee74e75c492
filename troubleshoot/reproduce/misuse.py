"""Mistakes in calling the socket API: the wrong socket, the wrong state, the wrong argument."""

from __future__ import annotations

import ctypes
import signal
import socket
import threading

from troubleshoot.reproduce import isolation
from troubleshoot.reproduce.stage import Stage, inet, unix

_UNASSIGNED_FAMILY = 33  # <linux/socket.h>: a gap that no protocol has filled
_UNASSIGNED_PROTOCOL = 200  # IANA's protocol numbers: not assigned


# -- descriptors -------------------------------------------------------------------------------------------------


def recv_on_a_file(stage: Stage) -> None:
    """Receive from the descriptor of a file."""
    stage.recv(stage.file(), 16)


def connect_on_a_pipe(stage: Stage) -> None:
    """Connect one end of a pipe."""
    ends = (ctypes.c_int * 2)()
    stage.call("pipe", "two descriptors", ends)
    stage.connect(ends[0], inet("127.0.0.1", 9))


def send_on_a_closed_socket(stage: Stage) -> None:
    """Send on a socket that another part of the program has closed."""
    fd = stage.tcp()
    stage.close(fd)
    stage.send(fd, 4)


def close_twice(stage: Stage) -> None:
    """Close a socket that is closed already."""
    fd = stage.tcp()
    stage.close(fd)
    stage.close(fd)


def read_a_file_open_for_writing(stage: Stage) -> None:
    """Read from a file that is open for writing only."""
    fd = stage.file()
    stage.call("read", f"{fd}, buffer of 16 bytes", fd, ctypes.create_string_buffer(16), 16)


# -- states ------------------------------------------------------------------------------------------------------


def accept_without_listen(stage: Stage) -> None:
    """Accept on a socket that is bound and does not listen."""
    fd = stage.tcp()
    stage.bind(fd, inet("127.0.0.1", 0))
    stage.accept(fd)


def bind_twice(stage: Stage) -> None:
    """Give a socket a second local address."""
    fd = stage.tcp()
    stage.bind(fd, inet("127.0.0.1", 0))
    stage.bind(fd, inet("127.0.0.1", 0))


def listen_without_bind(stage: Stage) -> None:
    """Listen without a local address."""
    stage.listen(stage.tcp(), 1)


def listen_when_connected(stage: Stage) -> None:
    """Listen on a socket that is one end of a connection."""
    client, _ = stage.connection()
    stage.listen(client, 1)


def connect_when_connected(stage: Stage) -> None:
    """Connect a second time."""
    _, address = stage.listener()
    fd = stage.tcp()
    stage.connect(fd, address)
    stage.connect(fd, address)


def connect_a_listener(stage: Stage) -> None:
    """Connect a socket that listens."""
    fd, address = stage.listener()
    stage.connect(fd, address)


def sendto_on_a_connected_stream(stage: Stage) -> None:
    """Name a destination on a connected Unix stream."""
    ends = (ctypes.c_int * 2)()
    stage.call("socketpair", "AF_UNIX, SOCK_STREAM, 0", socket.AF_UNIX, socket.SOCK_STREAM, 0, ends)
    stage.sendto(ends[0], 4, unix("\0wsadiag"))


def recv_when_not_connected(stage: Stage) -> None:
    """Receive on a TCP socket that was never connected."""
    stage.recv(stage.tcp(), 16)


def getpeername_when_not_connected(stage: Stage) -> None:
    """Ask for the peer of a socket that has none."""
    stage.getpeername(stage.tcp())


def shutdown_when_not_connected(stage: Stage) -> None:
    """Shut down a socket that was never connected."""
    stage.shutdown(stage.tcp(), socket.SHUT_RDWR)


def send_when_not_connected(stage: Stage) -> None:
    """Send on a TCP socket that was never connected."""
    stage.send(stage.tcp(), 4)


def send_without_destination(stage: Stage) -> None:
    """Send on a UDP socket that is not connected, without a destination."""
    stage.send(stage.udp(), 4)


def sendto_without_destination(stage: Stage) -> None:
    """Call sendto() without an address."""
    stage.sendto(stage.udp(), 4, None)


def send_after_shutdown(stage: Stage) -> None:
    """Send after shutting down the sending side."""
    client, _ = stage.connection()
    stage.shutdown(client, socket.SHUT_WR)
    stage.send(client, 4)


def recv_after_shutdown(stage: Stage) -> None:
    """Receive after shutting down the receiving side."""
    client, _ = stage.connection()
    stage.shutdown(client, socket.SHUT_RD)
    stage.recv(client, 16)


# -- arguments ---------------------------------------------------------------------------------------------------


def connect_with_a_bad_pointer(stage: Stage) -> None:
    """Pass an address that is not in the program's memory."""
    fd = stage.tcp()
    stage.call("connect", f"{fd}, pointer 0x1, 16", fd, ctypes.c_void_p(1), 16)


def recv_with_a_bad_pointer(stage: Stage) -> None:
    """Receive into memory that is not the program's."""
    client, server = stage.connection()
    stage.send(server, 4)
    stage.call("recv", f"{client}, pointer 0x1, 16, 0", client, ctypes.c_void_p(1), 16, 0)


def bind_with_a_short_address(stage: Stage) -> None:
    """Say that an address is shorter than its structure."""
    stage.bind(stage.tcp(), inet("127.0.0.1", 0), 4)


def getsockopt_with_a_negative_length(stage: Stage) -> None:
    """Ask for an option with room for less than nothing."""
    fd, value, size = stage.tcp(), ctypes.c_int(), ctypes.c_int(-1)
    stage.call(
        "getsockopt",
        f"{fd}, SOL_SOCKET, SO_TYPE, length -1",
        fd,
        socket.SOL_SOCKET,
        socket.SO_TYPE,
        ctypes.byref(value),
        ctypes.byref(size),
    )


def shutdown_with_an_unknown_direction(stage: Stage) -> None:
    """Shut down a direction that does not exist."""
    client, _ = stage.connection()
    stage.call("shutdown", f"{client}, 7", client, 7)


def gethostname_with_a_short_buffer(stage: Stage) -> None:
    """Ask for the host's name with room for its first letter's end only."""
    stage.call("gethostname", "buffer of 1 byte, 1", ctypes.create_string_buffer(1), 1)


def setsockopt_of_an_unknown_option(stage: Stage) -> None:
    """Set an option that no kernel knows."""
    stage.setsockopt(stage.tcp(), socket.SOL_SOCKET, 0x7777, 1, "option 0x7777")


def setsockopt_of_a_read_only_option(stage: Stage) -> None:
    """Set an option that can only be read."""
    stage.option(stage.tcp(), socket.SO_TYPE, 1, "SO_TYPE")


def setsockopt_of_tcp_on_udp(stage: Stage) -> None:
    """Set one of TCP's options on a UDP socket."""
    stage.setsockopt(stage.udp(), socket.IPPROTO_TCP, socket.TCP_NODELAY, 1, "TCP_NODELAY")


def broadcast_option_on_tcp(stage: Stage) -> None:
    """Allow broadcasts on a TCP socket."""
    stage.option(stage.tcp(), socket.SO_BROADCAST, 1, "SO_BROADCAST")


def keepalive_option_on_udp(stage: Stage) -> None:
    """Ask for keep-alives on a UDP socket."""
    stage.option(stage.udp(), socket.SO_KEEPALIVE, 1, "SO_KEEPALIVE")


def getsockopt_of_an_unknown_option(stage: Stage) -> None:
    """Read an option that no kernel knows."""
    stage.getsockopt(stage.tcp(), socket.SOL_SOCKET, 0x7777, "option 0x7777")


def accept_on_udp(stage: Stage) -> None:
    """Accept on a datagram socket."""
    stage.accept(stage.bound_udp()[0])


def listen_on_udp(stage: Stage) -> None:
    """Listen on a datagram socket."""
    stage.listen(stage.bound_udp()[0], 1)


def urgent_data_on_udp(stage: Stage) -> None:
    """Send urgent data on a datagram socket."""
    _, address = stage.bound_udp()
    fd = stage.udp()
    stage.connect(fd, address)
    stage.send(fd, 1, socket.MSG_OOB)


# -- families, types, protocols ------------------------------------------------------------------------------------


def socket_of_an_unknown_family(stage: Stage) -> None:
    """Ask for a socket of an address family that does not exist."""
    stage.socket(_UNASSIGNED_FAMILY, socket.SOCK_STREAM)


def connect_to_another_family(stage: Stage) -> None:
    """Connect an IPv4 socket to an address of another family."""
    stage.connect(stage.tcp(), unix("\0wsadiag" + "x" * 16))


def socket_of_an_unknown_protocol(stage: Stage) -> None:
    """Ask for a protocol that does not exist."""
    stage.socket(socket.AF_INET, socket.SOCK_STREAM, _UNASSIGNED_PROTOCOL)


def socket_of_the_wrong_protocol(stage: Stage) -> None:
    """Ask for a stream over UDP."""
    stage.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_UDP)


def socket_of_an_unsupported_type(stage: Stage) -> None:
    """Ask for reliable datagrams over IPv4, which nothing offers."""
    stage.socket(socket.AF_INET, socket.SOCK_RDM)


def connect_to_a_socket_of_another_type(stage: Stage) -> None:
    """Connect a Unix stream to a Unix datagram socket."""
    isolation.empty_folder("/mnt")
    name = unix("/mnt/socket")  # of abstract names each type has its own
    stage.bind(stage.socket(socket.AF_UNIX, socket.SOCK_DGRAM), name)
    stage.connect(stage.socket(socket.AF_UNIX, socket.SOCK_STREAM), name)


# -- waiting -------------------------------------------------------------------------------------------------------


def recv_without_waiting(stage: Stage) -> None:
    """Receive on a non-blocking socket for which nothing has come."""
    client, _ = stage.connection()
    stage.nonblocking(client)
    stage.recv(client, 16)


def accept_without_waiting(stage: Stage) -> None:
    """Accept on a non-blocking socket that nobody has called."""
    fd, _ = stage.listener()
    stage.nonblocking(fd)
    stage.accept(fd)


def send_into_full_buffers(stage: Stage) -> None:
    """Send on a non-blocking socket whose peer does not read."""
    client, _ = stage.connection()
    stage.nonblocking(client)
    while True:
        stage.send(client, 1 << 16)


def recv_interrupted(stage: Stage) -> None:
    """Wait for data, and catch a signal meanwhile."""
    client, _ = stage.connection()
    signal.signal(signal.SIGUSR1, lambda _number, _frame: None)  # without SA_RESTART, as sigaction() does it
    waiting = threading.get_ident()
    stage.record("sigaction", "SIGUSR1, a handler, no SA_RESTART", "0", None)
    stage.later(0.2, lambda: signal.pthread_kill(waiting, signal.SIGUSR1))
    stage.recv(client, 16)
