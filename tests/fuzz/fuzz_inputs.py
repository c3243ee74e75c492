# ruff: noqa: E501 - seeds stand in one line each
"""Where inputs come from: the kept corpus, well-formed examples made here, and what is made of both by chance."""

from __future__ import annotations

import copy
import json
import random
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rrset

from probes.system.linux import frames, netlink

HERE = Path(__file__).parent
#: Inputs that found something, and those that reach far; one file each, below a folder of the target's name.
CORPUS = HERE / "corpus"
_DATA = HERE.parent / "data"
_MAC = bytes.fromhex("020000000001")
#: Words that stand at the border of what a reader takes.
_WORDS = (
    *(
        b"\0",
        b"\xff",
        b"\xff\xff\xff\xff",
        b"\x7f\xff",
        b"\x80\0",
        b"%",
        b"{x}",
        b"%s",
        b"..",
        b"::",
        b"#",
        b"\n",
        b"\t",
    ),
    *(b"255", b"256", b"65535", b"65536", b"-1", b"0x", b"1e999", b"nan", b"99999999999999999999"),
    *(b"\x1b[31m", b"\xc2\x9b", "\u202e".encode(), "\ue000".encode(), "\U000e0041".encode(), "한".encode(), b"xn--a"),
    *(b"[", b"]", b"@", b"/", b"?", b"://", b"127.0.0.1", b"fe80::1%e0", b"::ffff:1.2.3.4", b"localhost", b"10061"),
)
_VALUES: tuple[Any, ...] = (
    *(None, 0, -1, 1, 255, 256, 65536, 2**63 - 1, 2**64, -(2**63), 0.0, -0.5, 1e308, True, False, [], {}),
    *("", "x", "::1", "127.0.0.1", "::ffff:10.0.0.1", "fe80::1%e0", "\x1b[31m", "\u202e", "\x9b", "a" * 300, "%s"),
    *("{port}", "ETIMEDOUT", "observed", "cut-short", "10.0.0.0/8", "not an address", "\ue000", "healthy", "10061"),
)
#: What of a report is read: the rest is written anew.
_READ = ("probes", "request", "target", "error", "vantage", "packets", "duration_ms", "started", "language")


def _answer(kind: str, *records: tuple[str, str, str]) -> bytes:
    query = dns.message.make_query("www.example.test.", kind)
    query.id = 0x1234
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    for owner, record, value in records:
        reply.answer.append(dns.rrset.from_text(owner, 60, "IN", record, value))
    return reply.to_wire()


def _certificate() -> bytes:
    paths = ssl.get_default_verify_paths()
    for file in (paths.cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if file and Path(file).exists():
            first = Path(file).read_text(encoding="ascii", errors="replace").partition("-----END CERTIFICATE-----")
            return ssl.PEM_cert_to_DER_cert("-----BEGIN" + first[0].partition("-----BEGIN")[2] + first[1])
    return b"\x30\x03\x02\x01\x01"


def _hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="example.test")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("nobody has answered")


def _netlink(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


def _packets() -> list[bytes]:
    four = frames.echo_request("198.51.100.7", "192.0.2.1", 1, 3, b"cookie")
    six = frames.echo_request("2001:db8:9::7", "2001:db8::1", 1, 3, b"cookie")
    error = four[:9] + b"\x01" + four[10:20] + b"\x03\x04\0\0\0\0\x05\x14" + four
    arp = frames.arp_request("192.0.2.7", "192.0.2.1", _MAC)
    return [four, six, error, arp, frames.neighbour_solicitation("2001:db8::7", "2001:db8::1", _MAC)]


def _handshake() -> list[bytes]:
    """A SYN and the three kinds of answers to it, each with its length before it."""

    def packed(source: str, target: str, protocol: int, body: bytes) -> bytes:
        ends = b"".join(bytes(map(int, end.split("."))) for end in (source, target))
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0) + ends + body

    here, there = "198.51.100.7", "192.0.2.1"
    tcp = struct.Struct("!HHIIBBHHH")
    syn = packed(here, there, 6, tcp.pack(40000, 80, 5, 0, 0x50, 2, 1000, 0, 0))
    answers = [packed(there, here, 6, tcp.pack(80, 40000, 9, 6, 0x50, flags, 1000, 0, 0)) for flags in (0x12, 0x14)]
    answers.append(packed("192.0.2.254", here, 1, b"\x03\x01\0\0\0\0\0\0" + syn[:28]))
    return [b"".join(struct.pack("!H", len(one)) + one for one in (syn, answer)) for answer in answers]


def _seeds() -> dict[str, list[bytes]]:
    address = (
        struct.pack("=BBBBi", 2, 24, 0x80, 0, 2) + netlink.attribute(1, b"\xc0\0\2\1") + netlink.attribute(3, b"e0\0")
    )
    route = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + netlink.attribute(5, b"\xc0\0\2\1")
    route += netlink.attribute(9, struct.pack("=HBBi", 8, 0, 0, 2))
    neighbour = (
        struct.pack("=BxxxiHBB", 2, 2, 2, 0, 1) + netlink.attribute(1, b"\xc0\0\2\7") + netlink.attribute(2, _MAC)
    )
    link = (
        struct.pack("=BxHiII", 0, 1, 2, 0x11043, 0) + netlink.attribute(3, b"e0\0") + netlink.attribute(23, bytes(192))
    )
    error = struct.pack("=IBBBBII", 111, 2, 3, 1, 0, 0, 0) + struct.pack("=HH4s8x", 2, 0, b"\xc0\0\2\xfe")
    names = [
        _answer("A", ("www.example.test.", "A", "192.0.2.7")),
        _answer("A", ("www.example.test.", "CNAME", "a.example.test."), ("a.example.test.", "A", "192.0.2.8")),
        _answer("AAAA", ("www.example.test.", "AAAA", "2001:db8::7")),
        _answer("NS", ("www.example.test.", "NS", "ns.example.test.")),
    ]
    told = (
        b"nameserver 192.0.2.53\nnameserver fe80::1%e0\nsearch a.test b.test\noptions ndots:2 edns0\nhosts: files dns\n"
    )
    words = [
        *(
            b"10061\0example.com:21",
            b"0x8007274D\0[2001:db8::1]:21",
            b"-2147014835\0udp://host:53",
            b"EAI_NONAME\0:port",
        ),
        *(
            b"[WinError 10061] refused\0http://u:p@host/?q",
            b"--json\0-v\x0010060\0a",
            b"--lang=ko\0--errno\0linux\x00111",
        ),
    ]
    texts = [
        *(
            b'psql: error: connection to server at "localhost" (::1), port 5432 failed: Connection refused (0x0000274D/10061)',
            b"dial tcp: lookup a.example on 192.0.2.53:53: read udp 192.0.2.1:4->192.0.2.53:53: i/o timeout",
            b"a.example/192.0.2.1:80, \\\\nas\\x, ('::1', 80), https://me:geheim@a.example/?q=1: [Errno 111]",
        ),
        *(
            "대상 컴퓨터에서 연결을 거부했으므로 연결하지 못했습니다. (os error 10061)\n".encode(),
            b"Caused by: java.net.UnknownHostException: a.example: Name or service not known\n\tat x.y(Z.java:1)",
        ),
    ]
    return {
        "frames-of-the-link": _packets(),
        "icmp-quotes": [*(p[20:] for p in _packets()), error, struct.pack("=i", 64), struct.pack("=qq", 1, 1)],
        "netlink-messages": [_netlink(16, link), _netlink(20, address), _netlink(24, route), _netlink(28, neighbour)],
        "socket-tables": [_netlink(20, bytes(72) + netlink.attribute(7, bytes(36))), _netlink(2, struct.pack("=i", -2))],
        "dns-messages": names,
        "resolv-conf-files": [told],
        "names-of-hosts": [b"www.example.test", "bücher.example".encode(), b"xn--bcher-kva.example", b"fe80::1%e0", b"127.1"],
        "hosts-files": [b"127.0.0.1 localhost\n192.0.2.7 xn--bcher-kva.example alias # why\n::1 x\n"],
        "services-files": [b"ftp 21/tcp file-transfer # old\nhttp\t80/tcp www\ndomain 53/udp\n"],
        "proxy-settings": [b"http://user:secret@proxy.example:3128/", b"localhost,127.0.0.0/8,.example,[::1]:80,*"],
        "files-of-proc": [b"Tcp: RtoAlgorithm RtoMin\nTcp: 1 200\n", b"32768 60999", b"Seccomp:\t2\n", b"install sctp /bin/true\n"],
        "certificates": [_certificate()],
        "answers-of-services": [b"\x15\x03\x03\0\2\2\x28", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"220 x\r\n"],
        "answers-of-proxies": [
            b"http://user:secret@proxy.example:3128/\nHTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n",
            b"10.0.0.0/8,.b\nHTTP/1.1 503 X\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n",
            b"socks5://us\xfcr:w@[::1]:1080\n\x05\x02\x01\x00\x05\x05\0\x01",
            b"socks4a://u@h\n\0\x5b\0\0\0\0\0\0",
            b"x\nHTTP/1.1 " + b"9" * 5000 + b" x\r\n\r\n",
        ],
        "tls-hellos": [_hello(), b"\x15\x03\x03\0\2\2\x28", b"\x16\x03\x03\0\x04\x02\0\0\0", b"HTTP/1.1 400 Bad\r\n\r\n"],
        "reports": [path.read_bytes() for path in sorted(_DATA.glob("reports/*.json")) + sorted(_DATA.glob("connected/*.json"))],
        "pasted-texts": texts,
        "words-of-the-command-line": words,
        "words-in-any-order": [*words, b"example.com\0 10061\0 21", b"connect to https://me:ge heim@a.test/ : refused\0:80"],
        "check-files": [
            b'[defaults]\ntimeout = "2s"\n[[check]]\ntarget = "a.test:80"\ntls = { days = 14 }\ntags = ["x"]\n',
            b'[[check]]\nhosts = ["a", "${HOST:-b}"]\nports = [22, "80-82"]\nhttp = { status = [200], path = "/" }\n',
            b"# lines\na.test:80\n[::1]:22\nhttps://me:ge heim@a.test/\n",
        ],
        "outputs-of-checks": [b"a.test:80", 'x\x1b[31m"<&>]]>#\\%0A::error::\u202e|`${{}}\n\ufffe'.encode(), b"\xff"],
        "outputs-of-programs": [
            b"psql\0-h\0db.test\0-p\x005432\n" + texts[0],
            b"curl\0https://me:ge heim@a.test/\ncurl: (7) Failed to connect to a.test port 443: Connection refused",
        ],
        "greetings": [
            b"220 mail.test ESMTP\r\n", b"SSH-2.0-x\r\n", b"-ERR max number of clients reached\r\n", b"HTTP/1.1 503 x\r\n\r\n",
            b"E\0\0\0\x20SFATAL\0C53300\0Mtoo many\0\0", b"\x15\x03\x01\0\x02\x02\x28", b"+OK\r\n", b"J\0\0\0\x0a8.0.1\0",
        ],
        "frames-of-a-handshake": _handshake(),
        "tables-of-windows": [
            b"\r\nProtocol tcp Port Exclusion Ranges\r\n\r\nStart Port    End Port\r\n----------    --------\r\n        80          80\r\n     50000       50059     *\r\n",
            b"\x02\0\x35\0\xc0\0\2\1" + bytes(8), b"\x17\0" + bytes(26),
        ],
        "processes": [b"USER=x\0http_proxy=http://a:b@c/\0", b"0::/docker/0123456789abcdef\n", b"Tcp: A B\nTcp: 1 2\nIp6InReceives 3\n"],
    }  # fmt: skip


SEEDS = _seeds()


def kept(name: str) -> list[Path]:
    """Return the kept files of a target."""
    return sorted((CORPUS / name).glob("*"))


def bases(name: str) -> list[bytes]:
    """Return everything that inputs of a target are made from."""
    return [*SEEDS[name], *(path.read_bytes() for path in kept(name))]


def make(name: str, chance: random.Random, known: list[bytes]) -> bytes:
    """Return one more input for the target ``name``, made of the ``known`` ones."""
    if name == "reports" and chance.random() < 0.95:
        document = json.loads(chance.choice(SEEDS[name]))
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            _change(document, chance)
        return json.dumps(document).encode()
    data = chance.choice(known) if chance.random() < 0.95 else chance.randbytes(chance.randrange(80))
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        data = chance.choice(_CHANGES)(data, chance, known)
    return data[:20_000]


def _flip(data: bytes, chance: random.Random, _known: list[bytes]) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _byte(data: bytes, chance: random.Random, _known: list[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))]) + data[at + 1 :]


def _word(data: bytes, chance: random.Random, _known: list[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(_WORDS) + data[at + chance.choice((0, 0, 1, 4)) :]


def _cut(data: bytes, chance: random.Random, _known: list[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] if chance.random() < 0.6 else data[at:]


def _drop(data: bytes, chance: random.Random, _known: list[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randrange(1, 9) :]


def _again(data: bytes, chance: random.Random, _known: list[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.randrange(1, 40))
    return data[:end] + data[at:end] * chance.choice((1, 2, 30)) + data[end:]


def _splice(data: bytes, chance: random.Random, known: list[bytes]) -> bytes:
    other = chance.choice(known)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


_CHANGES: tuple[Callable[[bytes, random.Random, list[bytes]], bytes], ...] = (
    *(_flip, _byte, _byte, _word, _cut, _drop, _again, _splice),
)


def _change(document: Any, chance: random.Random) -> None:
    """Change one value of a report that is read."""
    places = [place for place in _places(document) if place[0] in _READ]
    place = chance.choice(places)
    held = document
    for key in place[:-1]:
        held = held[key]
    key, what = place[-1], chance.random()
    value = held[key]
    if what < 0.2:
        del held[key]
    elif what < 0.4 and isinstance(value, list):
        held[key] = value * chance.choice((0, 2, 3))
    elif what < 0.5 and isinstance(value, int | float) and not isinstance(value, bool):
        held[key] = chance.choice((-value, value + 1, value * 1000, 0))
    elif what < 0.7:
        held[key] = copy.deepcopy(_of_same_name(document, key, places, chance))
    else:
        held[key] = chance.choice(_VALUES)


def _of_same_name(document: Any, key: Any, places: list[tuple[Any, ...]], chance: random.Random) -> Any:
    found = document
    for step in chance.choice([place for place in places if place[-1] == key]):
        found = found[step]
    return found


def _places(held: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
    return [one for key, value in inside for one in ((*place, key), *_places(value, (*place, key)))]
