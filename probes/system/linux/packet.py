"""Packet sockets (packet(7)): open them with a filter, read them with a bound, and ask a link who holds an address.

They need CAP_NET_RAW; where it is missing :class:`NotPermitted` (``reason.needs-raw-sockets``) is raised. The
sockets are of the cooked kind: data starts at the network header, the link's header is the kernel's business.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import AsyncGenerator, Iterable

import msgspec

from probes.base import Context, NotApplicable, NotPermitted
from probes.system.linux import frames, rtnetlink
from probes.system.linux.constants import (
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    PACKET_AUXDATA,
    SO_ATTACH_FILTER,
    SOL_PACKET,
    TP_STATUS_CSUM_VALID,
    TP_STATUS_CSUMNOTREADY,
)

BROADCAST = b"\xff" * 6
#: Enough for an ICMPv6 error that quotes a whole header with options; the filter cuts off the rest
SNAP_BYTES = 256
_ANCILLARY = 128
#: A link is asked so many times, spread over the wait
TRIES = 3

# classic BPF (<linux/bpf_common.h>): load a word, half-word, byte at an offset; jump; return
_LD_H, _LD_B, _JEQ, _RET = 0x28, 0x30, 0x15, 0x06
# load the index register: a number, the length of the IPv4 header; load a half-word beyond it
_LDX, _LDX_HEADER, _LD_H_INDEXED = 0x01, 0xB1, 0x48
_AD_PROTOCOL = 0xFFFFF000
_ACCEPT, _DROP = "accept", "drop"


class Frame(msgspec.Struct, frozen=True):
    """One captured packet; ``outgoing`` where this machine sent it, ``mac`` the sender's link address.

    ``for_us`` is false where the frame is another machine's. ``intact`` is false where a checksum, or the length that
    the IP header gives, shows that the packet is damaged: the kernel drops it.
    """

    data: bytes
    protocol: int
    outgoing: bool
    mac: bytes
    for_us: bool = True
    intact: bool = True


def ethernet(links: Iterable[rtnetlink.Link], name: str) -> rtnetlink.Link:
    """Return the interface of that name, on which machines ask for each other's link addresses.

    Raises :class:`NotApplicable` for one that is missing, down or no Ethernet.
    """
    link = next((link for link in links if link.name == name), None)
    if link is None:
        raise NotApplicable("reason.no-such-interface", interface=name[:40])
    if link.hardware_type != rtnetlink.ARPHRD_ETHER or link.flags & rtnetlink.IFF_NOARP:
        raise NotApplicable("reason.not-ethernet", interface=link.name)
    if not link.flags & rtnetlink.IFF_UP:
        raise NotApplicable("reason.interface-down", interface=link.name)
    return link


def open_packet_socket(
    context: Context, interface: str, protocol: int, match: list[bytes] | None = None
) -> socket.socket:
    """Open a non-blocking packet socket on ``interface`` for one EtherType (``ETH_P_ALL`` sees outgoing frames too).

    ``match`` is a filter program. Raises :class:`NotPermitted` without CAP_NET_RAW, ``OSError`` for a missing
    interface.
    """
    try:
        # protocol 0 receives nothing, so that no frame slips in before the filter stands
        opened = context.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    except PermissionError:
        raise NotPermitted("reason.needs-raw-sockets") from None
    try:
        if match is not None:
            program = array.array("B", b"".join(match))
            address, _ = program.buffer_info()
            option = struct.pack("@HP", len(match), address)
            opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, option)
        opened.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        opened.bind((interface, protocol))
    except BaseException:
        opened.close()
        raise
    return opened


def only_icmp(family: int) -> list[bytes]:
    """Return a filter that passes ICMP or ICMPv6 packets, for a socket of that EtherType."""
    offset, protocol = (9, frames.ICMP) if family == 4 else (6, frames.ICMPV6)
    return _assemble([(_LD_B, offset, "", ""), (_JEQ, protocol, _ACCEPT, _DROP)])


def about_port(family: int, port: int) -> list[bytes]:
    """Return a filter for an ``ETH_P_ALL`` socket: TCP from or to our ``port``, and ICMP, of one IP version.

    IPv6 packets with extension headers do not pass.
    """
    four = family == 4
    protocol_at, icmp = (9, frames.ICMP) if four else (6, frames.ICMPV6)
    head = [
        (_LD_H, _AD_PROTOCOL, "", ""),
        (_JEQ, ETH_P_IP if four else ETH_P_IPV6, "", _DROP),
        (_LD_B, protocol_at, "", ""),
        (_JEQ, icmp, _ACCEPT, ""),
        (_JEQ, frames.TCP, "", _DROP),
        (_LDX_HEADER, 0, "", "") if four else (_LDX, 40, "", ""),
    ]
    ports = [(_LD_H_INDEXED, 0, "", ""), (_JEQ, port, _ACCEPT, "")]
    return _assemble([*head, *ports, (_LD_H_INDEXED, 2, "", ""), (_JEQ, port, _ACCEPT, _DROP)])


def _assemble(lines: list[tuple[int, int, str, str]]) -> list[bytes]:
    """Turn the lines and two returns into ``struct sock_filter``; an empty label means the next line."""
    labels = {_ACCEPT: len(lines), _DROP: len(lines) + 1}
    program = []
    for number, (code, value, yes, no) in enumerate(lines):
        jumps = [labels.get(label, number + 1) - number - 1 for label in (yes, no)]
        program.append(struct.pack("@HBBI", code, *jumps, value))
    return [*program, struct.pack("@HBBI", _RET, 0, 0, SNAP_BYTES), struct.pack("@HBBI", _RET, 0, 0, 0)]


def receive(opened: socket.socket) -> Frame | None:
    """Return the next frame of a non-blocking socket, ``None`` for none; raises ``OSError`` when its link goes."""
    try:
        data, ancillary, _flags, address = opened.recvmsg(SNAP_BYTES, _ANCILLARY)
    except BlockingIOError:
        return None
    _interface, protocol, kind, _hardware, mac = address
    status, length = _status(ancillary, len(data))
    whole = len(data) >= length
    return Frame(
        data,
        protocol,
        kind == socket.PACKET_OUTGOING,
        bytes(mac),
        kind == socket.PACKET_HOST,
        frames.intact(data, whole=whole, summed=not status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID)),
    )


def _status(ancillary: list[tuple[int, int, bytes]], length: int) -> tuple[int, int]:
    """Return ``tp_status`` and ``tp_len`` of ``struct tpacket_auxdata`` (<linux/if_packet.h>), where it is there."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and len(data) >= 8:
            status, whole = struct.unpack_from("=II", data)
            return int(status), int(whole)
    return 0, length


async def captured(opened: socket.socket, until_s: float) -> AsyncGenerator[Frame, None]:
    """Yield frames until the event loop's clock reads ``until_s``, or the interface goes."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(opened.fileno(), arrived.set)
    try:
        while loop.time() < until_s:
            arrived.clear()
            frame = receive(opened)
            if frame is not None:
                yield frame
                continue
            async with asyncio.timeout_at(until_s):
                await arrived.wait()
    except (TimeoutError, OSError):
        return
    finally:
        loop.remove_reader(opened.fileno())


def source_for(context: Context, link: rtnetlink.Link, address: str) -> str | None:
    """Return the address of ``link`` to ask from: of the same subnet if there is one, else any; ``None`` for none.

    For IPv6 the link-local one, because the answer to it never takes a router.
    """
    target = ipaddress.ip_address(address)
    own = [held for held in rtnetlink.addresses(context) if held.index == link.index and held.family == target.version]
    usable = [held for held in own if not held.flags & rtnetlink.IFA_F_TENTATIVE]

    def rank(held: rtnetlink.Address) -> bool:
        if target.version == 6:
            return not ipaddress.ip_address(held.address).is_link_local
        return target not in ipaddress.ip_network(f"{held.address}/{held.prefix}", strict=False)

    return min(usable, key=rank).address if usable else None


async def who_has(
    context: Context, link: rtnetlink.Link, address: str, wait_s: float, tries: int = TRIES
) -> tuple[bytes | None, int]:
    """Ask ``link`` who holds ``address`` (ARP or neighbour discovery); return the MAC address and how often was asked.

    The MAC address is ``None`` where nobody answered within ``wait_s``, or where the interface has no IPv6
    address to ask from. Raises :class:`NotPermitted`, and ``OSError`` where the interface cannot send.
    """
    loop = asyncio.get_running_loop()
    version = ipaddress.ip_address(address).version
    source = source_for(context, link, address)
    if version == 4:
        opened = open_packet_socket(context, link.name, ETH_P_ARP)
        request, protocol, group = frames.arp_request(address, source or "0.0.0.0", link.mac), ETH_P_ARP, BROADCAST
    else:
        if source is None:
            return None, 0
        opened = open_packet_socket(context, link.name, ETH_P_IPV6, only_icmp(6))
        request, protocol = frames.neighbour_solicitation(address, source, link.mac), ETH_P_IPV6
        _, group = frames.solicited_node(address)
    with opened:
        start = loop.time()
        for attempt in range(tries):
            await context.sending()
            opened.sendto(request, (link.name, protocol, 0, 0, group))
            async with contextlib.aclosing(captured(opened, start + wait_s * (attempt + 1) / tries)) as arriving:
                async for frame in arriving:
                    mac = _claim(frame, address)
                    if mac is not None:
                        return mac, attempt + 1
    return None, tries


async def claims(context: Context, link: rtnetlink.Link, address: str, until_s: float) -> AsyncGenerator[bytes, None]:
    """Ask ``link`` once who holds ``address`` and yield every answer's MAC address until the loop's clock says so.

    IPv4 is asked from 0.0.0.0 (an ARP probe, RFC 5227), which changes nobody's table; IPv6 from our link-local address.
    Raises :class:`NotPermitted`, and ``OSError`` where the interface cannot send.
    """
    if ipaddress.ip_address(address).version == 4:
        opened, protocol, group = open_packet_socket(context, link.name, ETH_P_ARP), ETH_P_ARP, BROADCAST
        request = frames.arp_request(address, "0.0.0.0", link.mac)
    else:
        source = source_for(context, link, address)
        if source is None:
            return
        opened, protocol = open_packet_socket(context, link.name, ETH_P_IPV6, only_icmp(6)), ETH_P_IPV6
        request, group = frames.neighbour_solicitation(address, source, link.mac), frames.solicited_node(address)[1]
    with opened:
        await context.sending()
        opened.sendto(request, (link.name, protocol, 0, 0, group))
        async with contextlib.aclosing(captured(opened, until_s)) as arriving:
            async for frame in arriving:
                mac = _claim(frame, address)
                if mac is not None:
                    yield mac


def _claim(frame: Frame, address: str) -> bytes | None:
    if frame.outgoing:
        return None
    if frame.protocol == ETH_P_ARP:
        return frames.arp_reply_from(frame.data, address)
    packet = frames.read(frame.data)
    return frames.advertised_by(packet, address, frame.mac) if packet else None
