"""A name server whose every address misbehaves in its own way: ``odd_name_server.py LOG ADDRESS=WAY…``.

Run as a program of its own. Each question is written to LOG, one line ``ADDRESS NAME TYPE edns|plain``.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
from collections.abc import Callable, Iterator

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Message = dns.message.Message


def good(query: Message, address: str = "10.78.0.99") -> Message:
    reply = dns.message.make_response(query)
    question = query.question[0]
    if question.rdtype == dns.rdatatype.A:
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", address))
    return reply


def wrong_id(query: Message) -> Iterator[bytes]:
    reply = good(query)
    reply.id ^= 1
    yield reply.to_wire()


def wrong_question(query: Message) -> Iterator[bytes]:
    other = dns.message.make_query("other.test.", "A", id=query.id)
    yield good(other).to_wire()


def sent_back(query: Message) -> Iterator[bytes]:
    yield query.to_wire()


def garbage(query: Message) -> Iterator[bytes]:
    yield b""
    yield b"\0"
    yield query.to_wire()  # a question, not an answer
    yield struct.pack("!6H", query.id, 0x8180, 1, 65535, 65535, 65535) + b"\xc0\x0c" * 200  # pointers into itself
    yield struct.pack("!6H", query.id, 0x8180, 1, 1, 0, 0) + query.to_wire()[12:] + b"\xc0"


def junk_then_good(query: Message) -> Iterator[bytes]:
    yield from garbage(query)
    yield from wrong_id(query)
    yield good(query).to_wire()


def flood(query: Message) -> Iterator[bytes]:
    for _ in range(200):
        yield b"\xff" * 100


def huge(query: Message) -> Iterator[bytes]:
    reply = good(query)
    if query.question[0].rdtype == dns.rdatatype.A:
        many = [f"10.{n >> 8}.{n & 255}.1" for n in range(1200)]
        reply.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", "A", *many)]
    yield reply.to_wire(max_size=65535)


def ugly_alias(query: Message) -> Iterator[bytes]:
    reply = dns.message.make_response(query)
    name = query.question[0].name
    target = dns.name.Name([b"\x1b[31m\nred \xff", b"test", b""])
    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", target.to_text()))
    if query.question[0].rdtype == dns.rdatatype.A:
        reply.answer.append(dns.rrset.from_text(target, 5, "IN", "A", "10.78.0.99"))
    reply.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.NO_REACHABLE_AUTHORITY, "no\x1b[2J\nthing")])
    yield reply.to_wire()


def alias_loop(query: Message) -> Iterator[bytes]:
    reply = dns.message.make_response(query)
    name = query.question[0].name
    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "b.test."))
    reply.answer.append(dns.rrset.from_text("b.test.", 60, "IN", "CNAME", name.to_text()))
    yield reply.to_wire()


def no_edns(query: Message) -> Iterator[bytes]:
    if query.edns >= 0:
        # an old server: bare header, no question
        yield struct.pack("!6H", query.id, 0x8001, 0, 0, 0, 0)
    else:
        yield good(query).to_wire()


def edns_eater(query: Message) -> Iterator[bytes]:
    if query.edns < 0:
        yield good(query).to_wire()


def no_aaaa(query: Message) -> Iterator[bytes]:
    if query.question[0].rdtype != dns.rdatatype.AAAA:
        yield good(query).to_wire()


def cut_short(query: Message) -> Iterator[bytes]:
    """Truncate in the middle of a record; nothing listens on TCP."""
    reply = good(query)
    reply.flags |= dns.flags.TC
    yield reply.to_wire()[:-3]


def notimp(query: Message) -> Iterator[bytes]:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.NOTIMP)
    yield reply.to_wire()


def notauth(query: Message) -> Iterator[bytes]:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.NOTAUTH)
    yield reply.to_wire()


def nothing(query: Message) -> Iterator[bytes]:
    """Answer that no name exists."""
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.NXDOMAIN)
    yield reply.to_wire()


def fine(query: Message) -> Iterator[bytes]:
    yield good(query).to_wire()


def elsewhere(query: Message) -> Iterator[bytes]:
    """Good, but sent from another port: see :func:`main`."""
    yield good(query).to_wire()


WAYS: dict[str, Callable[[Message], Iterator[bytes]]] = {
    way.__name__: way
    for way in (
        wrong_id,
        wrong_question,
        sent_back,
        garbage,
        junk_then_good,
        flood,
        huge,
        ugly_alias,
        alias_loop,
        no_edns,
        edns_eater,
        no_aaaa,
        cut_short,
        notimp,
        notauth,
        nothing,
        fine,
        elsewhere,
    )
}


def main() -> None:
    selector = selectors.DefaultSelector()
    for word in sys.argv[2:]:
        address, _, way = word.partition("=")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        served = socket.socket(family, socket.SOCK_DGRAM)
        where = socket.getaddrinfo(address, 53, family, socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4]
        served.bind(where)
        other = socket.socket(family, socket.SOCK_DGRAM)
        selector.register(served, selectors.EVENT_READ, (address, way, other if way == "elsewhere" else served))
    with open(sys.argv[1], "a", encoding="utf-8", buffering=1) as log:  # noqa: PTH123 - argv, not a Path
        while True:
            for key, _ in selector.select():
                address, way, out = key.data
                data, peer = key.fileobj.recvfrom(4096)  # type: ignore[union-attr]
                query = dns.message.from_wire(data)
                question = query.question[0]
                kind = dns.rdatatype.to_text(question.rdtype)
                log.write(f"{address} {question.name.to_text(True)} {kind} {'edns' if query.edns >= 0 else 'plain'}\n")
                for reply in WAYS[way](query):
                    out.sendto(reply, peer)


if __name__ == "__main__":
    main()
