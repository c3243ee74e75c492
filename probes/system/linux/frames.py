"""Build and read the few packets that go out by hand: ARP, neighbour solicitation, echo request; and quoted headers.

Everything starts at the network header: packet sockets of the cooked kind (packet(7), ``SOCK_DGRAM``) add and strip
the link's own. Sources: RFC 826, RFC 5227 (ARP), RFC 4861 (neighbour discovery), RFC 792, RFC 4443 (echo, errors).
"""

from __future__ import annotations

import ipaddress
import socket
import struct

import msgspec

TCP, ICMP, ICMPV6 = 6, 1, 58
SYN, RST, ACK = 0x02, 0x04, 0x10

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ECHO_REQUEST = {4: 8, 6: 128}
_ECHO_REPLY = {4: 0, 6: 129}
_NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT = 135, 136
#: ICMP messages that quote the packet they are about; redirects and the rest are none
_ERRORS = {4: (3, 11, 12), 6: (1, 2, 3, 4)}

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Packet(msgspec.Struct, frozen=True):
    """An IP packet; ``ttl`` is its TTL or hop limit, ``payload`` what follows the header, as far as captured."""

    source: str
    destination: str
    protocol: int
    ttl: int
    payload: bytes


class Quoted(msgspec.Struct, frozen=True):
    """An ICMP error and the packet that it quotes; ``info`` is the next-hop MTU in bytes of *too big*, else 0."""

    type: int
    code: int
    info: int
    packet: Packet


def arp_request(address: str, source: str, mac: bytes) -> bytes:
    """Return an ARP request; a ``source`` of 0.0.0.0 asks without teaching anybody (RFC 5227)."""
    own, asked = socket.inet_aton(source), socket.inet_aton(address)
    return _ARP.pack(1, 0x0800, 6, 4, 1, mac, own, bytes(6), asked)


def arp_reply_from(data: bytes, address: str) -> bytes | None:
    """Return the MAC address that claims ``address`` in an ARP reply; ``None`` for any other packet."""
    if len(data) < _ARP.size:
        return None
    _hw, _proto, hw_size, size, operation, mac, sender, _target_mac, _target = _ARP.unpack_from(data)
    if (hw_size, size, operation) != (6, 4, 2) or sender != socket.inet_aton(address):
        return None
    return bytes(mac)


def solicited_node(address: str) -> tuple[str, bytes]:
    """Return the multicast address and MAC address at which a solicitation for ``address`` is heard (RFC 4291)."""
    low = ipaddress.IPv6Address(address).packed[13:]
    group = bytes.fromhex("ff0200000000000000000001ff") + low
    return socket.inet_ntop(socket.AF_INET6, group), b"\x33\x33" + group[12:]


def neighbour_solicitation(address: str, source: str, mac: bytes) -> bytes:
    """Return an IPv6 packet that asks who holds ``address``; the reply goes to ``source`` at ``mac``."""
    group, _ = solicited_node(address)
    body = struct.pack("!BBHI", _NEIGHBOUR_SOLICITATION, 0, 0, 0) + _packed(address) + b"\x01\x01" + mac
    return _ipv6(source, group, ICMPV6, 255, _with_checksum_6(body, source, group))


def advertised_by(packet: Packet, address: str, frame_mac: bytes) -> bytes | None:
    """Return the MAC address that claims ``address`` in a neighbour advertisement; ``None`` for any other packet.

    ``frame_mac`` is the sender of the frame, used where the advertisement names none. A hop limit below 255
    betrays a packet from beyond the link (RFC 4861, 7.1.2).
    """
    data = packet.payload
    if packet.protocol != ICMPV6 or packet.ttl != 255 or len(data) < 24 or data[0] != _NEIGHBOUR_ADVERTISEMENT:
        return None
    if data[8:24] != _packed(address):
        return None
    offset = 24
    while offset + 8 <= len(data) and data[offset + 1]:
        if data[offset : offset + 2] == b"\x02\x01":  # target link-layer address
            return data[offset + 2 : offset + 8]
        offset += data[offset + 1] * 8
    return frame_mac


def echo_request(address: str, source: str, identifier: int, sequence: int, payload: bytes) -> bytes:
    """Return an IP packet with an echo request from ``source`` to ``address``, TTL 64."""
    family = 6 if ":" in address else 4
    body = struct.pack("!BBHHH", _ECHO_REQUEST[family], 0, 0, identifier, sequence) + payload
    if family == 6:
        return _ipv6(source, address, ICMPV6, 64, _with_checksum_6(body, source, address))
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, ICMP, 0)
    header += socket.inet_aton(source) + socket.inet_aton(address)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def echo_reply(packet: Packet, identifier: int) -> int | None:
    """Return the sequence number of an echo reply with ``identifier``; ``None`` for any other packet."""
    return _echo(packet, identifier, _ECHO_REPLY)


def echoed(packet: Packet, identifier: int) -> int | None:
    """Return the sequence number of a (quoted) echo request with ``identifier``; ``None`` for any other packet."""
    return _echo(packet, identifier, _ECHO_REQUEST)


def _echo(packet: Packet, identifier: int, types: dict[int, int]) -> int | None:
    family = 6 if ":" in packet.source else 4
    if packet.protocol != (ICMPV6 if family == 6 else ICMP) or len(packet.payload) < 8:
        return None
    kind = packet.payload[0]
    found = int.from_bytes(packet.payload[4:6], "big")
    sequence = int.from_bytes(packet.payload[6:8], "big")
    return sequence if kind == types[family] and found == identifier else None


def read(data: bytes) -> Packet | None:
    """Read an IPv4 or IPv6 packet from its network header on; ``None`` for what is none.

    Later fragments, and IPv6 packets with extension headers, keep the protocol number that stands in the header.
    """
    if len(data) >= 20 and data[0] >> 4 == 4:
        size = (data[0] & 0xF) * 4
        if size < 20 or int.from_bytes(data[6:8], "big") & 0x1FFF:
            return None
        source, destination = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
        return Packet(source, destination, data[9], data[8], data[size:])
    if len(data) >= 40 and data[0] >> 4 == 6:
        source = socket.inet_ntop(socket.AF_INET6, data[8:24])
        destination = socket.inet_ntop(socket.AF_INET6, data[24:40])
        return Packet(source, destination, data[6], data[7], data[40:])
    return None


def quoted(packet: Packet) -> Quoted | None:
    """Read an ICMP error with the packet that it quotes; ``None`` for any other packet."""
    family = 6 if ":" in packet.source else 4
    data = packet.payload
    if packet.protocol != (ICMPV6 if family == 6 else ICMP) or len(data) < 8 or data[0] not in _ERRORS[family]:
        return None
    inner = read(data[8:])
    if inner is None:
        return None
    info = 0
    if family == 4 and (data[0], data[1]) == (3, 4):
        info = int.from_bytes(data[6:8], "big")
    elif family == 6 and data[0] == 2:
        info = int.from_bytes(data[4:8], "big")
    return Quoted(data[0], data[1], info, inner)


def ports(packet: Packet) -> tuple[int, int] | None:
    """Return the source and destination ports of a TCP packet, of a quoted one too; ``None`` for any other."""
    if packet.protocol != TCP or len(packet.payload) < 4:
        return None
    source, destination = struct.unpack_from("!HH", packet.payload)
    return source, destination


def tcp_flags(packet: Packet) -> int:
    """Return the flags of a TCP packet, 0 where they were cut off."""
    return packet.payload[13] if len(packet.payload) >= 14 else 0


def intact(data: bytes, *, whole: bool, summed: bool) -> bool:
    """Whether a captured packet's lengths and checksums are right, as far as they can be told.

    ``whole`` where nothing was cut off; not ``summed`` where the sums of TCP and ICMP are left to the network card.
    """
    if len(data) >= 20 and data[0] >> 4 == 4:
        size, length = (data[0] & 0xF) * 4, int.from_bytes(data[2:4], "big")
        if size < 20 or len(data) < size or checksum(data[:size]) or length < size or (whole and len(data) < length):
            return False
        protocol, body, ends = data[9], data[size:length], data[12:20]
        pseudo = ends + struct.pack("!BBH", 0, protocol, length - size)
    elif len(data) >= 40 and data[0] >> 4 == 6:
        length = 40 + int.from_bytes(data[4:6], "big")
        if whole and len(data) < length:
            return False
        protocol, body = data[6], data[40:length]
        pseudo = data[8:40] + struct.pack("!II", length - 40, protocol)
    else:
        return True
    if protocol == TCP and (len(body) < 20 or not 20 <= (body[12] >> 4) * 4 <= max(20, len(body))):
        return False
    if not whole or not summed or protocol not in (TCP, ICMP, ICMPV6):
        return True
    return checksum(body if protocol == ICMP else pseudo + body) == 0


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = int(sum(struct.unpack(f"!{len(data) // 2}H", data)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, address)


def _with_checksum_6(body: bytes, source: str, destination: str) -> bytes:
    """Fill in an ICMPv6 checksum, which covers a pseudo-header (RFC 8200, 8.1)."""
    pseudo = _packed(source) + _packed(destination) + struct.pack("!II", len(body), ICMPV6)
    return body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]


def _ipv6(source: str, destination: str, protocol: int, hop_limit: int, body: bytes) -> bytes:
    header = struct.pack("!IHBB", 6 << 28, len(body), protocol, hop_limit)
    return header + _packed(source) + _packed(destination) + body
