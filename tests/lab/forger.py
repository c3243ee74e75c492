"""A device that answers SYNs with what a network may forge or break.

Reads JSON on standard input's first line, ``{"interface", "port", "ttl", "kind", "wrong", "senders"}``; prints
``READY``; ends when standard input does. Linux only (packet(7), raw(7)).

- ``kind``: ``reset`` (the default), ``syn-ack``, ``ack``, or ``refusal`` (ICMP *administratively prohibited*)
- ``ttl``: of the answer; null for the one that the SYN had left
- ``wrong``: what is wrong with it: ``number`` (it acknowledges nothing that was sent, or quotes another SYN), ``bare``
  (a reset that acknowledges nothing at all), ``checksum``, ``address`` (it comes from the address beside the target's),
  ``port``; null: nothing
- ``senders``: how many answers there are; those beyond the first come from other addresses
- ``word``: both sides of connections that say it are reset instead of answering SYNs
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

ETH_P_ALL = 3
PROTOCOL = {0x0800: 4, 0x86DD: 6}


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Syn(NamedTuple):
    """A SYN as it was captured: its addresses, ports and number, what its TTL was, and its first bytes."""

    family: int
    source: bytes
    target: bytes
    ports: bytes
    number: int
    ttl: int
    head: bytes


def syn_to(packet: bytes, family: int, port: int) -> Syn | None:
    """Read a SYN to ``port``; ``None`` for any other packet."""
    if family == 4:
        start, ttl, protocol = (packet[0] & 15) * 4, packet[8], packet[9]
        source, target = packet[12:16], packet[16:20]
    else:
        start, ttl, protocol = 40, packet[7], packet[6]
        source, target = packet[8:24], packet[24:40]
    tcp = packet[start:]
    if protocol != socket.IPPROTO_TCP or len(tcp) < 20 or tcp[2:4] != struct.pack("!H", port) or tcp[13] & 0x12 != 2:
        return None
    return Syn(family, source, target, tcp[:4], int.from_bytes(tcp[4:8], "big"), ttl, packet[: start + 20])


def beside(address: bytes, steps: int) -> bytes:
    """The address ``steps`` further on."""
    return (int.from_bytes(address, "big") + steps).to_bytes(len(address), "big")


def answers(syn: Syn, wanted: dict[str, Any]) -> Iterator[bytes]:
    """The packets that answer a SYN."""
    wrong, ttl = wanted.get("wrong"), wanted.get("ttl") or syn.ttl
    for step in range(wanted.get("senders") or 1):
        if wanted.get("kind") == "refusal":
            yield packed(syn, beside(syn.target, step + 1), ttl, *refusal(syn, wrong))
            continue
        sender = beside(syn.target, step + (wrong == "address"))
        yield packed(syn, sender, ttl, 6, segment(syn, wanted.get("kind") or "reset", wrong, sender))


def segment(syn: Syn, kind: str, wrong: str | None, sender: bytes) -> bytes:
    """A TCP segment that answers the SYN."""
    flags = {"reset": 0x14, "syn-ack": 0x12, "ack": 0x10}[kind]
    number = (syn.number + (0x01234567 if wrong == "number" else 1)) & 0xFFFFFFFF
    if wrong == "bare":
        flags, number = 0x04, 0
    own, theirs = syn.ports[:2], syn.ports[2:]
    if wrong == "port":
        theirs = beside(theirs, 1)
    made = struct.pack("!2s2sIIBBHHH", theirs, own, 7, number, 0x50, flags, 1024, 0, 0)
    pseudo = sender + syn.source
    pseudo += struct.pack("!HH", 6, 20) if syn.family == 4 else struct.pack("!IHH", 20, 0, 6)
    found = checksum(pseudo + made) ^ (0x0101 if wrong == "checksum" else 0)
    return made[:16] + struct.pack("!H", found) + made[18:]


def refusal(syn: Syn, wrong: str | None) -> tuple[int, bytes]:
    """Protocol number and body of an ICMP error that quotes the SYN; its checksum stands for IPv4 alone."""
    head = syn.head
    if wrong == "number":
        at = len(head) - 16
        head = head[:at] + beside(head[at : at + 4], 77) + head[at + 4 :]
    body = struct.pack("!BBHI", *((3, 13) if syn.family == 4 else (1, 1)), 0, 0) + head
    if syn.family == 4:
        return socket.IPPROTO_ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return socket.IPPROTO_ICMPV6, body


def packed(syn: Syn, sender: bytes, ttl: int, protocol: int, body: bytes) -> bytes:
    """The body in an IP packet back to where the SYN came from."""
    if syn.family == 4:
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, ttl, protocol, 0, sender, syn.source) + body
    if protocol == socket.IPPROTO_ICMPV6:
        pseudo = sender + syn.source + struct.pack("!II", len(body), protocol)
        body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return struct.pack("!IHBB16s16s", 6 << 28, len(body), protocol, ttl, sender, syn.source) + body


def cut(packet: bytes, family: int, word: bytes) -> list[tuple[bytes, bytes]]:
    """The packets that reset both sides of a connection whose ``packet`` says ``word``, and where they go."""
    start = (packet[0] & 15) * 4 if family == 4 else 40
    protocol, source, target = (packet[9], packet[12:16], packet[16:20])
    if family == 6:
        protocol, source, target = packet[6], packet[8:24], packet[24:40]
    tcp = packet[start:]
    if protocol != socket.IPPROTO_TCP or word not in tcp:
        return []
    sequence, acknowledged = struct.unpack_from("!II", tcp, 4)
    length = len(tcp) - (tcp[12] >> 4) * 4
    ports = tcp[0:2], tcp[2:4]
    to_client = reset_of(family, (target, source), (ports[1], ports[0]), acknowledged, sequence + length)
    to_server = reset_of(family, (source, target), ports, sequence + length, acknowledged)
    return [(to_client, source), (to_server, target)]


def reset_of(
    family: int, ends: tuple[bytes, bytes], ports: tuple[bytes, bytes], sequence: int, acknowledged: int
) -> bytes:
    """A reset from the first of both ends to the other with these numbers (RFC 9293, section 3.5.2)."""
    source, target = ends
    wrapped = sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF
    reset = struct.pack("!2s2sIIBBHHH", ports[0], ports[1], *wrapped, 0x50, 0x14, 0, 0, 0)
    pseudo = source + target + (struct.pack("!HH", 6, 20) if family == 4 else struct.pack("!IHH", 20, 0, 6))
    reset = reset[:16] + struct.pack("!H", checksum(pseudo + reset)) + reset[18:]
    if family == 4:
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 61, 6, 0, source, target) + reset
    return struct.pack("!IHBB16s16s", 6 << 28, 20, 6, 61, source, target) + reset


def main() -> None:
    wanted = json.loads(sys.stdin.readline())
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    sniffer.bind((wanted["interface"], ETH_P_ALL))
    senders = {
        family: socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for family, kind in ((4, socket.AF_INET), (6, socket.AF_INET6))
    }
    print("READY", flush=True)
    while True:
        ready, _, _ = select.select([sniffer, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        packet, (_, protocol, kind, *_) = sniffer.recvfrom(2048)
        family = PROTOCOL.get(protocol)
        if family is None or kind == socket.PACKET_OUTGOING:
            continue
        if wanted.get("word"):
            made_for = cut(packet, family, wanted["word"].encode())
        else:
            syn = syn_to(packet, family, wanted["port"])
            made_for = [(made, syn.source) for made in answers(syn, wanted)] if syn else []
        for made, whom in made_for:
            host = socket.inet_ntop(socket.AF_INET if family == 4 else socket.AF_INET6, whom)
            with suppress(OSError):  # the way back may be gone
                senders[family].sendto(made, (host, 0))


if __name__ == "__main__":
    main()
