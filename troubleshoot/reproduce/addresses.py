"""Addresses that cannot be had or reached: local ones, remote ones, and what the routing table forbids."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

from troubleshoot.reproduce import isolation
from troubleshoot.reproduce.stage import CannotRun, Failed, Stage, inet

_ELSEWHERE = "192.0.2.1"  # RFC 5737: for documentation; in our own namespace nothing leads there
_PORT = 9
_RTN_BLACKHOLE, _RTN_UNREACHABLE, _RTN_PROHIBIT = 6, 7, 8  # <linux/rtnetlink.h>
_IP_RECVERR = 11  # <linux/in.h>
_ETH_P_ALL = 3


def bind_to_a_held_port(stage: Stage) -> None:
    """Bind a port that another socket listens on."""
    _, address = stage.listener()
    stage.bind(stage.tcp(), address)


def listen_on_a_shared_port(stage: Stage) -> None:
    """Listen where another socket of the same address came first; both allow reuse."""
    first, second = stage.tcp(), stage.tcp()
    for fd in (first, second):
        stage.option(fd, socket.SO_REUSEADDR, 1, "SO_REUSEADDR")
    stage.bind(first, inet("127.0.0.1", 0))
    address = inet("127.0.0.1", stage.port(first))
    stage.bind(second, address)
    stage.listen(first, 1)
    stage.listen(second, 1)


def bind_while_a_connection_lingers(stage: Stage) -> None:
    """Bind a port that only a connection in TIME_WAIT holds."""
    server, address = stage.listener()
    client = stage.tcp()
    stage.connect(client, address)
    accepted = stage.accept(server)
    stage.close(accepted)
    stage.recv(client, 1)
    stage.close(client)
    stage.close(server)
    time.sleep(0.05)
    stage.bind(stage.tcp(), address)


def connect_the_same_pair_again(stage: Stage) -> None:
    """Connect from the same local port to the same destination a second time."""
    _, address = stage.listener()
    first, second = stage.tcp(), stage.tcp()
    for fd in (first, second):
        stage.option(fd, socket.SO_REUSEADDR, 1, "SO_REUSEADDR")
    stage.bind(first, inet("127.0.0.1", 0))
    stage.bind(second, inet("127.0.0.1", stage.port(first)))
    stage.connect(first, address)
    stage.connect(second, address)


def connect_without_free_ports(stage: Stage) -> None:
    """Connect when every local port leads to the same destination already."""
    try:
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40003")
    except OSError as error:
        raise CannotRun(f"ip_local_port_range: {error.strerror}") from None
    stage.record("sysctl", "net.ipv4.ip_local_port_range = 40000 40003", "0", None)
    server = stage.tcp()
    stage.bind(server, inet("127.0.0.1", 80))
    stage.listen(server, 16)
    for _ in range(5):
        stage.connect(stage.tcp(), inet("127.0.0.1", 80))


def bind_to_a_foreign_address(stage: Stage) -> None:
    """Bind an address that this machine does not have."""
    stage.bind(stage.tcp(), inet(_ELSEWHERE, 0))


def connect_to_port_0(stage: Stage) -> None:
    """Connect to port 0."""
    stage.connect(stage.tcp(), inet("127.0.0.1", 0))


def sendto_port_0(stage: Stage) -> None:
    """Send a datagram to port 0."""
    stage.sendto(stage.udp(), 4, inet("127.0.0.1", 0))


def sendto_the_unspecified_address(stage: Stage) -> None:
    """Send a datagram to 0.0.0.0."""
    _, address = stage.bound_udp()
    stage.sendto(stage.udp(), 4, inet("0.0.0.0", struct.unpack_from("!H", address, 2)[0]))


def broadcast_without_permission(stage: Stage) -> None:
    """Send to the broadcast address without SO_BROADCAST."""
    stage.sendto(stage.udp(), 4, inet("127.255.255.255", _PORT))


def bind_a_low_port(stage: Stage) -> None:
    """Bind a port below 1024 without the privilege."""
    start = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if start <= 80:
        raise CannotRun(f"every user may bind ports from {start} on here")
    _drop_capabilities(stage)
    stage.bind(stage.tcp(), inet("127.0.0.1", 80))


def raw_socket_without_privilege(stage: Stage) -> None:
    """Open a raw socket without the privilege."""
    _drop_capabilities(stage)
    stage.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def connect_without_a_route(stage: Stage) -> None:
    """Connect where no route leads."""
    stage.connect(stage.tcp(), inet(_ELSEWHERE, _PORT))


def sendto_without_a_route(stage: Stage) -> None:
    """Send a datagram where no route leads."""
    stage.sendto(stage.udp(), 4, inet(_ELSEWHERE, _PORT))


def _drop_capabilities(stage: Stage) -> None:
    isolation.drop_capabilities()
    stage.record("capset", "no capability", "0", None)


def _with_route(stage: Stage, kind: int) -> None:
    word = {_RTN_BLACKHOLE: "blackhole", _RTN_UNREACHABLE: "unreachable", _RTN_PROHIBIT: "prohibit"}[kind]
    try:
        isolation.set_route(kind, "192.0.2.0", 24)
    except OSError as error:
        raise CannotRun(f"a route cannot be added: {error.strerror}") from None
    stage.record("netlink", f"RTM_NEWROUTE, {word} 192.0.2.0/24", "0", None)
    stage.connect(stage.tcp(), inet(_ELSEWHERE, _PORT))


def connect_by_an_unreachable_route(stage: Stage) -> None:
    """Connect where the routing table says unreachable."""
    _with_route(stage, _RTN_UNREACHABLE)


def connect_by_a_prohibit_route(stage: Stage) -> None:
    """Connect where the routing table says prohibit."""
    _with_route(stage, _RTN_PROHIBIT)


def connect_by_a_blackhole_route(stage: Stage) -> None:
    """Connect where the routing table says blackhole."""
    _with_route(stage, _RTN_BLACKHOLE)


def packet_socket_on_a_dead_interface(stage: Stage) -> None:
    """Receive from an interface that is taken down meanwhile."""
    fd = stage.socket(socket.AF_PACKET, socket.SOCK_RAW)
    index = socket.if_nametoindex("lo")
    address = (
        struct.pack("=H", socket.AF_PACKET) + struct.pack("!H", _ETH_P_ALL) + struct.pack("=iHBB8x", index, 0, 0, 0)
    )
    stage.call("bind", f"{fd}, every protocol on lo", fd, address, len(address))
    stage.record("ioctl", "SIOCSIFFLAGS, lo, down", "0", None)
    isolation.loopback(up=False)
    stage.recv(fd, 64)


def _after_icmp(stage: Stage, kind: int, code: int, *, queue: bool = False) -> None:
    """Receive on a connected UDP socket to whose datagram an ICMP error came back (forged here, on loopback)."""
    silent, address = stage.bound_udp()
    fd = stage.udp()
    if queue:
        stage.setsockopt(fd, socket.IPPROTO_IP, _IP_RECVERR, 1, "IP_RECVERR")
    stage.connect(fd, address)
    stage.send(fd, 4)
    raw = stage.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    host = socket.inet_aton("127.0.0.1")
    udp = struct.pack("!HHHH", stage.port(fd), stage.port(silent), 12, 0)
    datagram = struct.pack("!BBHHHBBH", 0x45, 0, 32, 0, 0, 64, socket.IPPROTO_UDP, 0) + host + host + udp
    icmp = struct.pack("!BBHI", kind, code, 0, 0) + datagram
    message = icmp[:2] + struct.pack("!H", _checksum(icmp)) + icmp[4:]
    where = inet("127.0.0.1", 0)
    text = f"{raw}, ICMP type {kind} code {code} about the datagram, 0, 127.0.0.1"
    stage.call("sendto", text, raw, message, len(message), 0, where, len(where))
    stage.nonblocking(fd)
    stage.recv(fd, 16)


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def recv_after_host_unknown(stage: Stage) -> None:
    """ICMP 3/7, destination host unknown."""
    _after_icmp(stage, 3, 7)


def recv_after_host_unreachable(stage: Stage) -> None:
    """ICMP 3/1, host unreachable, with errors queued."""
    _after_icmp(stage, 3, 1, queue=True)


def recv_after_network_unreachable(stage: Stage) -> None:
    """ICMP 3/0, network unreachable, with errors queued."""
    _after_icmp(stage, 3, 0, queue=True)


def recv_after_protocol_unreachable(stage: Stage) -> None:
    """ICMP 3/2, protocol unreachable."""
    _after_icmp(stage, 3, 2)


def recv_after_parameter_problem(stage: Stage) -> None:
    """ICMP 12/0, parameter problem."""
    _after_icmp(stage, 12, 0)


def recv_after_administratively_prohibited(stage: Stage) -> None:
    """ICMP 3/13, communication administratively prohibited, with errors queued."""
    _after_icmp(stage, 3, 13, queue=True)


def _wait_for_refusal(stage: Stage, fd: int) -> None:
    for _ in range(100):
        try:
            stage.recv(fd, 16)
        except Failed:
            if stage.calls[-1].errno not in ("EAGAIN", "WSAEWOULDBLOCK"):
                raise
            time.sleep(0.01)


def recv_after_port_unreachable(stage: Stage) -> None:
    """Receive on a connected UDP socket after a datagram to a closed port."""
    silent, address = stage.bound_udp()
    stage.close(silent)
    fd = stage.udp()
    stage.connect(fd, address)
    stage.send(fd, 4)
    stage.nonblocking(fd)
    _wait_for_refusal(stage, fd)


def send_after_port_unreachable(stage: Stage) -> None:
    """Send again on a connected UDP socket after a datagram to a closed port."""
    silent, address = stage.bound_udp()
    stage.close(silent)
    fd = stage.udp()
    stage.connect(fd, address)
    stage.send(fd, 4)
    time.sleep(0.05)
    stage.send(fd, 4)


def sendto_a_datagram_too_large(stage: Stage) -> None:
    """Send a datagram larger than IPv4 can carry."""
    _, address = stage.bound_udp()
    stage.sendto(stage.udp(), 65508, address)


def recv_into_a_small_buffer(stage: Stage) -> None:
    """Receive a datagram into a buffer smaller than it."""
    fd, address = stage.bound_udp()
    stage.sendto(stage.udp(), 100, address)
    stage.recv(fd, 10)
