"""A client of ``NETLINK_SOCK_DIAG``: the kernel's own table of TCP and UDP sockets, with the standard library only.

It needs no privilege, shows the sockets of the calling thread's network namespace, and tells what
``/proc/net/tcp`` does not: sockets that are bound and do not listen, ``IPV6_V6ONLY``, memory, the bound device.
The text files remain as a fallback. Sources: sock_diag(7), ``linux/inet_diag.h``, proc_net_tcp in the kernel's
documentation.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from probes.base import Context
from probes.system.linux.constants import NETLINK_SOCK_DIAG
from probes.system.linux.netlink import refusal, whole

_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x1 | 0x300
_NLM_F_DUMP_INTR = 0x10
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_INET_DIAG_SKMEMINFO, _INET_DIAG_SKV6ONLY = 7, 11
_TIMER_TIME_WAIT = 3

#: States by the kernel's number (``net/tcp_states.h``), in the words that ss(8) uses. 12 is a connection of a
#: listener whose handshake is not over. A closed socket is listed only where it holds a port (Linux 6.8 and
#: later; bit 13 of the mask asks for those), hence the word for 7.
TCP_STATES = {
    1: "established",
    2: "syn-sent",
    3: "syn-recv",
    4: "fin-wait-1",
    5: "fin-wait-2",
    6: "time-wait",
    7: "bound",
    8: "close-wait",
    9: "last-ack",
    10: "listen",
    11: "closing",
    12: "syn-recv",
}
UDP_STATES = {1: "established", 7: "unconnected"}

LISTEN, CLOSE = 10, 7
ALL_STATES = 0xFFFFFFFF

_HEADER = struct.Struct("=IHHII")
# sdiag_family, sdiag_protocol, idiag_ext, pad, idiag_states; the port is in network order
_REQUEST = struct.Struct("=BBBxI")
# family, state, timer, retrans | ports | addresses, interface, cookie | expires, rqueue, wqueue, uid, inode
_MESSAGE = struct.Struct("=BBBB4x16s16sI8xIIIII")
_PORTS = struct.Struct("!HH")
_MAX_ANSWER = 1 << 18


class SocketMemory(msgspec.Struct, frozen=True):
    """What a socket takes of kernel memory, in bytes (sock_diag(7), ``SK_MEMINFO_*``).

    ``received`` of at most ``receive_buffer`` waits for the program, ``unsent`` of at most ``send_buffer`` for the
    peer or the device; both are counted with their overhead. ``total`` is all of it with what is held in reserve.
    ``dropped`` counts what came and found no room (datagrams; TCP mostly tells the peer to wait).
    """

    received: int
    receive_buffer: int
    unsent: int
    send_buffer: int
    total: int
    dropped: int


class DiagSocket(msgspec.Struct, frozen=True):
    """One socket as the kernel lists it.

    ``family`` is 4 or 6; ``state`` a word of :data:`TCP_STATES` or :data:`UDP_STATES`. ``receive_queue`` and
    ``send_queue`` are bytes, for a listener the connections that wait and the backlog (``None``: not known).
    ``time_left_s`` is what remains of TIME_WAIT (or of FIN_WAIT_2 of a closed socket). ``inode`` is 0 where no
    descriptor belongs to it; then ``uid`` is meaningless and ``None``. ``device`` is the index of the interface
    it is bound to, 0 for none. ``memory`` is there where it was asked for.
    """

    family: int
    state: str
    local_address: str
    local_port: int
    remote_address: str
    remote_port: int
    receive_queue: int | None
    send_queue: int | None
    time_left_s: float | None
    uid: int | None
    inode: int
    device: int = 0
    v6_only: bool | None = None
    memory: SocketMemory | None = None


def open_channel(context: Context) -> socket.socket:
    """Open a channel for :func:`dump`; close it after use. Raises ``OSError`` where netlink is forbidden."""
    channel = context.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    channel.settimeout(2.0)
    return channel


def dump(
    channel: socket.socket,
    family: int,
    transport: str,
    *,
    port: int | None = None,
    states: int = ALL_STATES,
    memory: bool = False,
) -> Iterator[DiagSocket]:
    """Yield the sockets of ``family`` (4 or 6) and ``transport`` (``tcp`` or ``udp``), as the kernel finds them.

    ``channel`` is an open ``AF_NETLINK`` socket of protocol :data:`NETLINK_SOCK_DIAG`; ``port`` keeps those with
    that local port (the kernel filters), ``states`` is a mask of ``1 << number``. A table that changes while
    it is read may lack or repeat an entry. Raises ``OSError`` where the kernel refuses or lacks the module.
    """
    number, protocol = (
        (socket.AF_INET if family == 4 else socket.AF_INET6),
        (socket.IPPROTO_TCP if transport == "tcp" else socket.IPPROTO_UDP),
    )
    wanted = 1 << (_INET_DIAG_SKMEMINFO - 1) if memory else 0
    body = _REQUEST.pack(number, protocol, wanted, states) + _PORTS.pack(port or 0, 0) + bytes(44)
    channel.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0) + body)
    names = TCP_STATES if transport == "tcp" else UDP_STATES
    while True:
        # The kernel makes each part of a dump inside recv(): this never waits.
        answer = channel.recv(_MAX_ANSWER)
        offset = 0
        while offset + _HEADER.size <= len(answer):
            length, kind, _flags, _sequence, _pid = _HEADER.unpack_from(answer, offset)
            if length < _HEADER.size:
                raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                raise refusal(answer[offset + _HEADER.size :])
            if kind == _SOCK_DIAG_BY_FAMILY:
                yield _parse(answer, offset + _HEADER.size, offset + length, names)
            offset += (length + 3) & ~3


@whole
def _parse(answer: bytes, start: int, end: int, names: dict[int, str]) -> DiagSocket:
    (family, state, timer, _retrans, local, remote, device, expires, receive, send, uid, inode) = _MESSAGE.unpack_from(
        answer, start
    )
    local_port, remote_port = _PORTS.unpack_from(answer, start + 4)
    v6_only: bool | None = None
    memory: SocketMemory | None = None
    at = start + _MESSAGE.size
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", answer, at)
        if length < 4:
            break
        if kind == _INET_DIAG_SKV6ONLY and length >= 5:
            v6_only = bool(answer[at + 4])
        elif kind == _INET_DIAG_SKMEMINFO and length >= 40:
            received, receives, allocated, sends, forward, queued, _options, backlog, dropped = struct.unpack_from(
                "=9I", answer, at + 4
            )
            unsent = max(queued, allocated)  # TCP counts what it sends as queued, UDP as allocated
            total = received + unsent + forward + backlog
            memory = SocketMemory(received, receives, unsent, sends, total, dropped)
        at += (length + 3) & ~3
    return DiagSocket(
        family=4 if family == socket.AF_INET else 6,
        state=names.get(state, f"state-{state}"),
        local_address=_address(family, local),
        local_port=local_port,
        remote_address=_address(family, remote),
        remote_port=remote_port,
        receive_queue=receive,
        send_queue=send,
        time_left_s=expires / 1000 if timer == _TIMER_TIME_WAIT else None,
        uid=uid if inode else None,
        inode=inode,
        device=device,
        v6_only=v6_only,
        memory=memory,
    )


def _address(family: int, raw: bytes) -> str:
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    return socket.inet_ntop(socket.AF_INET6, raw)


def read_proc_net(
    root: Path, transport: str, families: Iterable[int] = (4, 6), *, port: int | None = None
) -> Iterator[DiagSocket]:
    """Yield the sockets of ``root`` ``/net/{tcp,tcp6,udp,udp6}``, e.g. ``root`` = ``/proc/self``.

    Slower than :func:`dump` and poorer: a file of a family that the kernel lacks is passed over, ``v6_only`` and
    ``device`` are not known, and bound sockets that do not listen are missing. Raises ``OSError`` where not even
    the IPv4 file can be read. At most a million lines are read.
    """
    names = TCP_STATES if transport == "tcp" else UDP_STATES
    for family in families:
        path = root / "net" / (transport if family == 4 else f"{transport}6")
        try:
            file = path.open(encoding="ascii", errors="replace")
        except FileNotFoundError:
            if family == 4:
                raise
            continue
        with file:
            next(file, None)
            wanted = None if port is None else f"{port:04X}"
            for line, _ in zip(file, range(1_000_000), strict=False):
                parts = line.split()
                if len(parts) < 10 or (wanted is not None and not parts[1].endswith(":" + wanted)):
                    continue
                try:
                    yield _parse_line(family, parts, names)
                except ValueError:
                    continue


def _parse_line(family: int, parts: list[str], names: dict[int, str]) -> DiagSocket:
    local_address, local_port = _hex_endpoint(family, parts[1])
    remote_address, remote_port = _hex_endpoint(family, parts[2])
    state = int(parts[3], 16)
    send, receive = (int(text, 16) for text in parts[4].split(":"))
    timer, expires = (int(text, 16) for text in parts[5].split(":"))
    inode = int(parts[9])
    return DiagSocket(
        family=family,
        state=names.get(state, f"state-{state}"),
        local_address=local_address,
        local_port=local_port,
        remote_address=remote_address,
        remote_port=remote_port,
        receive_queue=receive,
        send_queue=None if state == LISTEN else send,  # a listener's backlog is not in this file
        # in clock ticks (USER_HZ), which are 1/100 s everywhere that matters; ask all the same
        time_left_s=expires / os.sysconf("SC_CLK_TCK") if timer == _TIMER_TIME_WAIT else None,
        uid=int(parts[7]) if inode else None,
        inode=inode,
    )


def _hex_endpoint(family: int, text: str) -> tuple[str, int]:
    # Each 32-bit word of the address is printed as a number of this machine's byte order.
    address, _, port = text.partition(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    if len(words) != (1 if family == 4 else 4):
        raise ValueError(text)
    raw = b"".join(struct.pack("=I", word) for word in words)
    return socket.inet_ntop(socket.AF_INET if family == 4 else socket.AF_INET6, raw), int(port, 16)
