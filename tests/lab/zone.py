"""A small name server that answers as it is told, also as no real one would; ends when its standard input does.

Reads JSON on standard input's first line: ``hosts`` (addresses to listen on), ``records`` (lines ``NAME TYPE VALUE``,
TYPE being ``A``, ``AAAA``, ``CNAME``, ``RCODE`` or ``EDE`` (RFC 8914); a NAME ``*.domain`` stands for every name
below it, ``*`` for every name), ``silent`` (types whose questions are left unanswered)
and ``cut`` (answers with addresses come truncated, and nobody listens over TCP). Prints
``READY``. Names without a record do not exist.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
from collections.abc import Sequence

TYPES = {1: "A", 5: "CNAME", 28: "AAAA"}
NUMBERS = {name: number for number, name in TYPES.items()}
RESPONSE, CUT, NXDOMAIN = 0x8180, 0x0200, 3


class Zone:
    """What is known, and how it is said."""

    def __init__(self, records: Sequence[str], silent: Sequence[str], *, cut: bool) -> None:
        self.records = [(name.lower(), kind, value) for name, kind, value in (line.split() for line in records)]
        self.silent = silent
        self.cut = cut

    def held(self, name: str) -> list[tuple[str, str]]:
        """The records of a name, else those of the wildcard that covers it."""
        own = [(kind, value) for owner, kind, value in self.records if owner == name]
        wild = [(k, v) for owner, k, v in self.records if owner.startswith("*") and f".{name}".endswith(owner[1:])]
        return own or wild

    def reply(self, query: bytes) -> bytes | None:
        """The answer to one message; ``None`` for silence."""
        name, end = question(query)
        kind = TYPES.get(int.from_bytes(query[end - 4 : end - 2], "big"), "?")
        if kind in self.silent:
            return None
        code, answers = 0, b""
        count = 0
        for _ in range(8):
            held = self.held(name)
            code = next((int(value) for sort, value in held if sort == "RCODE"), 0 if held else NXDOMAIN)
            found = [(sort, value) for sort, value in held if sort in (kind, "CNAME")]
            for sort, value in found:
                data = data_of(sort, value)
                answers += wire(name) + struct.pack("!HHIH", NUMBERS[sort], 1, 60, len(data)) + data
                count += 1
            alias = next((value for sort, value in found if sort == "CNAME"), None)
            if alias is None:
                break
            name = alias
        flags = RESPONSE | (0 if name == "" else code)
        if self.cut and count:
            flags, count, answers = flags | CUT, 0, b""
        reasons = [int(value) for sort, value in held if sort == "EDE"]
        opt = b"".join(struct.pack("!BHHIHHHH", 0, 41, 1232, 0, 6, 15, 2, reason) for reason in reasons[:1])
        return query[:2] + struct.pack("!5H", flags, 1, count, 0, bool(opt)) + query[12:end] + answers + opt


def question(query: bytes) -> tuple[str, int]:
    """The name of a question, and where the question ends (RFC 1035, section 4.1.2)."""
    position, labels = 12, []
    while query[position]:
        labels.append(query[position + 1 : position + 1 + query[position]].decode().lower())
        position += query[position] + 1
    return ".".join(labels), position + 5


def wire(name: str) -> bytes:
    """A name as it goes over the wire."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def data_of(kind: str, value: str) -> bytes:
    """A record's data."""
    if kind == "CNAME":
        return wire(value)
    return socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, value)


def main() -> None:
    told = json.loads(sys.stdin.readline())
    zone = Zone(told["records"], told["silent"], cut=told["cut"])
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    for host in told["hosts"]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        over_udp = socket.socket(family, socket.SOCK_DGRAM)
        over_udp.bind((host, 53))
        selector.register(over_udp, selectors.EVENT_READ, "udp")
        if not zone.cut:
            over_tcp = socket.create_server((host, 53), family=family)
            selector.register(over_tcp, selectors.EVENT_READ, "tcp")
    print("READY", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                return
            assert isinstance(key.fileobj, socket.socket)
            if key.data == "udp":
                data, sender = key.fileobj.recvfrom(4096)
                answer = zone.reply(data)
                if answer is not None:
                    key.fileobj.sendto(answer, sender)
                continue
            connection, _ = key.fileobj.accept()
            with connection:
                connection.settimeout(1.0)
                length = int.from_bytes(connection.recv(2), "big")
                answer = zone.reply(connection.recv(length))
                if answer is not None:
                    connection.sendall(struct.pack("!H", len(answer)) + answer)


if __name__ == "__main__":
    main()
