"""What services say, held to what the catalogue makes of it: words of real daemons, well and refusing."""

from __future__ import annotations

import re

import pytest

from probes.service import ServiceOutcome, ServiceResult
from troubleshoot.facts import clock
from troubleshoot.facts.rungs import Ending, quote, read_rung
from troubleshoot.knowledge.catalogue import Catalogue

CATALOGUE = Catalogue()
FATAL = b"E\0\0\0\x60SFATAL\0VFATAL\0C%s\0M%s\0Fauth.c\0L1\0Rx\0\0"

#: Service → what one that works says (first) and then more of the like.
WELL: dict[str, list[bytes]] = {
    "http": [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404 Not Found\r\n"],
    "socks": [b"\x05\0", b"\x05\x02"],
    "ftp": [b"220 (vsFTPd 3.0.3)\r\n", b"220-Welcome\r\n220 421 is a number here\r\n"],
    "rsync": [b"@RSYNCD: 31.0 sha512 md5\n"],
    "smb": [b"\0\0\0\xbc\xfeSMB@\0"],
    "svn": [b"( success ( 2 2 ( ) ( edit-pipeline svndiff1 ) ) ) "],
    "ssh": [b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", b"SSH-1.99-Cisco-1.25\n"],
    "telnet": [b"\xff\xfd\x18\xff\xfd\x20", b"login: "],
    "rdp": [b"\x03\0\0\x13\x0e\xd0\0\0\x124\0\x02\x1f\x08\0\x02\0\0\0"],
    "vnc": [b"RFB 003.008\n"],
    "smtp": [b"220 mx.example ESMTP Postfix\r\n"],
    "imap": [b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", b"* PREAUTH hello\r\n"],
    "pop3": [b"+OK Dovecot ready.\r\n"],
    "sieve": [b'"IMPLEMENTATION" "Dovecot Pigeonhole"\r\n'],
    "nntp": [b"200 news.example InterNetNews ready\r\n"],
    "ldap": [b"0\x0c\x02\x01\x01d\x07\x04\x000\x000\x0c\x02\x01\x01", b"0\x84\0\0\0\x10\x02\x01\x01e\x84\0\0"],
    "mysql": [b"\x5b\0\0\0\x0a5.5.5-10.11.6-MariaDB\0", b"\x4a\0\0\0\x0a8.0.35\0"],
    "postgresql": [b"S", b"N", b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", FATAL % (b"28P01", b"password failed")],
    "mongodb": [b"\x3b\x01\0\0\x01\0\0\0\x01\0\0\0\xdd\x07\0\0"],
    "redis": [b"+PONG\r\n"],
    "memcached": [b"VERSION 1.6.18\r\n"],
    "amqp": [b"\x01\0\0\0\0\x01\xfa\0\x0a\0\x0a\0\x09", b"AMQP\0\0\x09\x01"],
    "mqtt": [b"\x20\x02\0\0"],
    "nats": [b'INFO {"server_id":"N"}\r\n'],
    "kafka": [b"\0\0\0\x64\0\0\0\x01\0\0"],
}
#: Service, what it says, what that means.
NO: list[tuple[str, bytes, str]] = [
    ("ssh", b"Exceeded MaxStartups\r\n", "crowded"),
    ("ssh", b"Not allowed at this time\r\n", "blocked"),
    ("ssh", b"Go away\r\n", "other"),
    ("ftp", b"421 Too many connections (8) from this IP\r\n", "crowded"),
    ("ftp", b"421 Service not available.\r\n", "other"),
    ("ftp", b"530 Sorry\r\n", "other"),
    ("ftp", b"120 Service ready in 5 minutes.\r\n", "starting"),
    ("smtp", b"554 5.7.1 blocked using bl.example\r\n", "blocked"),
    ("smtp", b"421 4.7.0 mx.example Error: too many connections from 192.0.2.1\r\n", "crowded"),
    ("smtp", b"450 try later\r\n", "other"),
    ("imap", b"* BYE Maximum number of connections exceeded.\r\n", "crowded"),
    ("pop3", b"-ERR [SYS/TEMP] locked\r\n", "other"),
    ("mysql", b"\x44\0\0\0\xff\x69\x04Host '192.0.2.1' is blocked because of many connection errors", "blocked"),
    ("mysql", b"\x44\0\0\0\xff\x6a\x04Host '192.0.2.1' is not allowed to connect", "blocked"),
    ("mysql", b"\x17\0\0\x01\xff\x10\x04Too many connections", "crowded"),
    ("postgresql", FATAL % (b"28000", b'no pg_hba.conf entry for host "192.0.2.1"'), "blocked"),
    ("postgresql", FATAL % (b"57P03", b"the database system is starting up"), "starting"),
    ("postgresql", FATAL % (b"53300", b"sorry, too many clients already"), "crowded"),
    ("redis", b"-NOAUTH Authentication required.\r\n", "login"),
    ("redis", b"-DENIED Redis is running in protected mode\r\n", "blocked"),
    ("redis", b"-ERR max number of clients reached\r\n", "crowded"),
    ("redis", b"-LOADING Redis is loading the dataset in memory\r\n", "starting"),
    ("mqtt", b"\x20\x02\0\x05", "login"),
    ("socks", b"\x05\xff", "login"),
    ("http", b"HTTP/1.1 503 Service Unavailable\r\n", "unavailable"),
    ("http", b"HTTP/1.1 429 Too Many Requests\r\n", "crowded"),
    ("http", b"HTTP/1.1 500 Internal Server Error\r\n", "error"),
]
#: Service that is expected, what is said there, the protocol that is recognised.
ELSE: list[tuple[str, bytes, str | None]] = [
    ("http", b"\x15\x03\x01\0\x02\x02\x46", "tls"),
    ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n400 The plain HTTP request was sent to HTTPS port", "tls"),
    ("http", b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", "tls"),
    ("http", b"SSH-2.0-OpenSSH_9.2\r\n", "ssh"),
    ("ssh", b"HTTP/1.1 400 Bad Request\r\n", "http"),
    ("ssh", b"220 mx.example ESMTP\r\n", "smtp"),
    ("redis", b"\x4a\0\0\0\x0a8.0.35\0", "mysql"),
    ("ftp", b"what is this\r\n", None),
]


#: Service, and its greeting with a complaint behind it, of words that its client has not said: an OpenSSH, an Exim, a
#: vsftpd and a MariaDB behind HAProxy's send-proxy.
UNASKED: list[tuple[str, bytes]] = [
    ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\nInvalid SSH identification string.\r\n"),
    ("smtp", b"220 mail.server.test ESMTP Exim 4.96\r\n500 unrecognized command\r\n"),
    ("ftp", b"220 (vsFTPd 3.0.3)\r\n530 Please login with USER and PASS.\r\n"),
    ("imap", b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\nPROXY BAD Error in IMAP command received by server.\r\n"),
    ("pop3", b"+OK Dovecot ready.\r\n-ERR Unknown command.\r\n"),
    (
        "mysql",
        b"\x5b\0\0\0\x0a5.5.5-10.11.19-MariaDB\0\x3d\0\0\x02\xff\x6a\x04#HY000Proxy header is not accepted from x",
    ),
    ("redis", b"-ERR unknown command 'PROXY', with args beginning with: 'TCP4'\r\n+PONG\r\n"),
]


def result(said: bytes) -> ServiceResult:
    return ServiceResult("192.0.2.1", 1, ServiceOutcome.SPEAKS, connect_ms=1.0, first_hex=said.hex())


def manner(name: str):  # noqa: ANN201
    return CATALOGUE.manner(CATALOGUE.services[name])


@pytest.mark.parametrize(("name", "said"), [(name, said) for name, all_ in WELL.items() for said in all_])
def test_a_service_that_works_is_understood(name: str, said: bytes) -> None:
    assert read_rung("say", result(said), manner(name), CATALOGUE.marks).ending is Ending.WELL


@pytest.mark.parametrize(("name", "said", "means"), NO)
def test_a_refusal_is_understood(name: str, said: bytes, means: str) -> None:
    found = read_rung("", result(said), manner(name), CATALOGUE.marks)
    assert (found.ending, found.means) == (Ending.NO, means)


@pytest.mark.parametrize(("name", "said", "speaks"), ELSE)
def test_another_protocol_is_recognised(name: str, said: bytes, speaks: str | None) -> None:
    found = read_rung("", result(said), manner(name), CATALOGUE.marks)
    assert (found.ending, found.speaks) == (Ending.ELSE, speaks)


@pytest.mark.parametrize(("name", "said"), UNASKED)
def test_an_answer_to_what_nobody_has_said_is_no_good_greeting(name: str, said: bytes) -> None:
    found = read_rung("", result(said), manner(name), CATALOGUE.marks)
    assert (found.ending, found.means) == (Ending.ELSE, "unasked")


@pytest.mark.parametrize(
    ("said", "ending"),
    [
        (b"554 No SMTP service here\r\n", Ending.NO),
        (b"421-Too many connections\r\n421 Bye\r\n", Ending.NO),
        (b"Exceeded MaxStartups\r\n", Ending.NO),
        (b"220 ready\r\n", Ending.ELSE),
        (b"5432 rows\r\n", Ending.ELSE),
        (b"SSH-2.0-x\r\n", Ending.WELL),
    ],
)
def test_who_is_turned_away_is_seen_where_nothing_is_known_of_the_port(said: bytes, ending: Ending) -> None:
    assert read_rung("", result(said), None, CATALOGUE.marks).ending is ending
    assert read_rung("get", result(said), None, CATALOGUE.marks).ending is not Ending.NO


def test_every_service_with_words_has_a_source_and_words_of_a_real_one_here() -> None:
    own = {name for name, entry in CATALOGUE.services.items() if entry.well}
    assert own == WELL.keys()
    for name, entry in CATALOGUE.services.items():
        assert bool(entry.source) == bool(entry.well or entry.opening or entry.opening_hex or entry.no), name
        assert not entry.speaks or (entry.speaks in own and not entry.well), name
        assert entry.well or not (entry.no or entry.mark), name
        assert not (entry.speaks_first and (entry.opening or entry.opening_hex)), name


def test_a_mark_tells_its_protocol_from_all_others() -> None:
    for name, mark in CATALOGUE.marks:
        expression = re.compile(mark.encode("latin-1"), re.DOTALL)
        for other, all_ in WELL.items():
            # that a mail or FTP server greets is told by its words, and any of the words of telnet may be another's
            if other not in (name, "telnet"):
                assert not any(expression.match(said) for said in all_), f"{name} is taken for {other}"


def test_openings_name_no_user_and_no_password() -> None:
    for name, entry in CATALOGUE.services.items():
        said = entry.opening.encode() + bytes.fromhex(entry.opening_hex)
        assert not re.search(rb"(?i)pass|login|auth", said), name
        assert len(said) < 300, name


def test_what_a_service_says_is_quoted_in_one_printable_line() -> None:
    assert quote(b"Exceeded MaxStartups\r\n") == "Exceeded MaxStartups"
    assert quote(b"\x1b[31mred\x07 alert\r\n\0\xff") == "[31mred  alert"
    assert quote(FATAL % (b"57P03", b"the database system is starting up")) == "the database system is starting up"
    assert len(quote(b"a" * 5000)) <= 160
    assert quote(b"\0\1\2") == ""


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [
        (ServiceOutcome.SILENT, Ending.SILENT),
        (ServiceOutcome.CLOSES, Ending.CUT),
        (ServiceOutcome.RESETS, Ending.CUT),
        (ServiceOutcome.NOT_CONNECTED, Ending.UNTRIED),
        (ServiceOutcome.TLS_ALERT, Ending.NO),
        (ServiceOutcome.TLS_FAILED, Ending.ELSE),
    ],
)
def test_what_is_done_without_words(outcome: ServiceOutcome, ending: Ending) -> None:
    found = ServiceResult("192.0.2.1", 1, outcome, connect_ms=1.0)
    assert read_rung("tls", found, None, CATALOGUE.marks).ending is ending


def test_moments_are_read_as_texts_give_them() -> None:
    header = clock.of_header("Sat, 28 Nov 2026 17:12:13 GMT")
    assert header == clock.of_text("2026-11-28T17:12:13Z") == clock.at(1795885933)
    for text in (None, "", "yesterday", "Sat, 99 Nov 2026 17:12:13 GMT", "Sat, 28 Foo 2026 17:12:13 GMT"):
        assert clock.of_header(text) is None
    assert clock.of_text("2026-13-99") is None
    assert header is not None
    assert (clock.day(header), clock.minute(header)) == ("2026-11-28", "2026-11-28 17:12 UTC")
    later = clock.of_text("2026-12-08T17:00:00Z")
    assert later is not None
    assert (clock.days(header, later), clock.apart(header, later), clock.apart(header, header)) == (9, True, False)
    assert clock.at(1e300).year == 1970
