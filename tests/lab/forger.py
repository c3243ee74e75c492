"""A device that answers SYNs with resets whose TTL misleads: the one the SYN had left, or a fixed one.

Reads JSON on standard input's first line, ``{"interface", "port", "ttl"}`` (``ttl`` null: the SYN's own); prints
``READY``; ends when standard input does. Linux only (packet(7), raw(7)).
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
from contextlib import suppress

ETH_P_ALL = 3
PROTOCOL = {0x0800: 4, 0x86DD: 6}


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def answer(packet: bytes, family: int, port: int, fixed: int | None) -> tuple[bytes, bytes] | None:
    """The packet that resets ``packet`` and where it goes, where that is a SYN to ``port``."""
    if family == 4:
        start, ttl, protocol = (packet[0] & 15) * 4, packet[8], packet[9]
        source, target = packet[12:16], packet[16:20]
    else:
        start, ttl, protocol = 40, packet[7], packet[6]
        source, target = packet[8:24], packet[24:40]
    tcp = packet[start:]
    if protocol != socket.IPPROTO_TCP or len(tcp) < 20 or tcp[2:4] != struct.pack("!H", port) or tcp[13] & 0x12 != 2:
        return None
    ttl = fixed or ttl
    number = (int.from_bytes(tcp[4:8], "big") + 1) & 0xFFFFFFFF
    reset = struct.pack("!2s2sIIBBHHH", tcp[2:4], tcp[0:2], 0, number, 0x50, 0x14, 0, 0, 0)
    pseudo = target + source + (struct.pack("!HH", 6, 20) if family == 4 else struct.pack("!IHH", 20, 0, 6))
    reset = reset[:16] + struct.pack("!H", checksum(pseudo + reset)) + reset[18:]
    if family == 4:
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, ttl, 6, 0, target, source) + reset, source
    return struct.pack("!IHBB16s16s", 6 << 28, 20, 6, ttl, target, source) + reset, source


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
        made = answer(packet, family, wanted["port"], wanted["ttl"])
        if made:
            host = socket.inet_ntop(socket.AF_INET if family == 4 else socket.AF_INET6, made[1])
            with suppress(OSError):  # the way back may be gone
                senders[family].sendto(made[0], (host, 0))


if __name__ == "__main__":
    main()
