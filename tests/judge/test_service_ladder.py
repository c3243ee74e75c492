"""What the judge makes of the ladder after connect: real services on loopback, IPv4 and IPv6, well and not."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from tests.lab.knock_out import knock_outs
from troubleshoot.options import Options
from troubleshoot.report import Report, from_json, to_json
from troubleshoot.run.engine import replay, run

QUICK = Options(timeout_s=9.0)
LOOPBACK = ("127.0.0.1", "::1")
OK = b"HTTP/1.1 200 OK\r\nServer: lab\r\nDate: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
Treat = Callable[[socket.socket], None]


@contextmanager
def service(address: str, treat: Treat) -> Iterator[str]:
    """Serve every connection with ``treat`` in a thread of its own; gives the endpoint as a target is written."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family, backlog=64) as server:

        def one(connection: socket.socket) -> None:
            connection.settimeout(5.0)
            with suppress(OSError, ssl.SSLError), connection:
                treat(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            port = server.getsockname()[1]
            yield f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5.0)


def says(data: bytes, *, leaves: bool = False) -> Treat:
    def treat(connection: socket.socket) -> None:
        connection.sendall(data)
        if not leaves:
            connection.recv(4096)

    return treat


def answers(data: bytes) -> Treat:
    def treat(connection: socket.socket) -> None:
        if connection.recv(4096):
            connection.sendall(data)

    return treat


def reset(connection: socket.socket) -> None:
    connection.recv(1, socket.MSG_PEEK)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def page(when: datetime | None = None) -> bytes:
    return OK % f"{when or datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}".encode()


def over_tls(settings: ssl.SSLContext, treat: Treat) -> Treat:
    def wrapped(connection: socket.socket) -> None:
        with settings.wrap_socket(connection, server_side=True) as inside:
            treat(inside)

    return wrapped


def settings(days: tuple[int, int] = (-1, 30), names: tuple[str, ...] = LOOPBACK) -> tuple[trustme.CA, ssl.SSLContext]:
    authority, now = trustme.CA(), datetime.now(UTC)
    first, last = (now + timedelta(days=one) for one in days)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_before=first, not_after=last).configure_cert(made)
    return authority, made


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Callable[[trustme.CA], None]:
    """Have this machine trust an authority, as OpenSSL reads it (SSL_CERT_FILE)."""

    def trust(authority: trustme.CA) -> None:
        file = tmp_path_factory.mktemp("trust") / "authority.pem"
        authority.cert_pem.write_to_path(file)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))

    return trust


def told(report: Report) -> tuple[str, str | None, str]:
    verdict = report.verdict
    again = replay(report, "ko").verdict
    assert (again.outcome, again.cause, again.confidence) == (verdict.outcome, verdict.cause, verdict.confidence)
    assert knock_outs(report, probes=("service", "connect", "transfer")).broken == []
    return verdict.outcome, verdict.cause, verdict.confidence


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize(
    ("scheme", "treat", "expected"),
    [
        ("ssh", says(b"Exceeded MaxStartups\r\n", leaves=True), ("service-refuses", "certain", "Exceeded MaxStartups")),
        ("ftp", says(b"421 Too many connections\r\n", leaves=True), ("service-refuses", "certain", "421 Too many")),
        ("redis", answers(b"-DENIED protected mode\r\n"), ("service-refuses", "certain", "-DENIED protected mode")),
        ("http", answers(b"HTTP/1.1 503 Busy\r\n\r\n"), ("service-refuses", "likely", "503 Busy")),
        ("http", answers(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), ("service-error", "likely", "502 Bad Gateway")),
        ("http", says(b"SSH-2.0-x\r\n"), ("protocol-mismatch", "certain", "SSH")),
        ("ssh", answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ("protocol-mismatch", "certain", "HTTP")),
        ("https", answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ("protocol-mismatch", "certain", "http://")),
        ("https", reset, ("tls-failed", "likely", "host name")),
        ("http", reset, ("service-resets", "likely", "")),
        ("smtp", says(b"220 ready\r\n", leaves=True), ("service-closes", "likely", "220 ready")),
        ("telnet", says(b"\xff\xfd\x18\xff\xfd\x20", leaves=True), ("service-closes", "likely", "ff fd 18 ff")),
        ("smtp", says(b"220 ready\r\n500 what?\r\n"), ("protocol-mismatch", "certain", "PROXY line")),
        ("mqtt", answers(b"\x20\x02\0\x03"), ("service-refuses", "certain", "20 02 00 03")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_service_does_is_told(address: str, scheme: str, treat: Treat, expected: tuple[str, str, str]) -> None:
    cause, confidence, quoted = expected
    with service(address, treat) as endpoint:
        report = run("10054", f"{scheme}://{endpoint}", QUICK)
    assert told(report) == ("fault", cause, confidence)
    words = " ".join([report.verdict.summary, *report.verdict.actions, *(e.fact for e in report.verdict.evidence)])
    assert quoted in words
    assert report.verdict.failed_step == "connect"


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize(
    ("scheme", "treat"),
    [
        ("ssh", says(b"SSH-2.0-x\r\n")),
        ("ftp", says(b"220-421 is a number here\r\n220 blocked clients see 554\r\n")),
        ("redis", answers(b"+PONG\r\n")),
        ("memcached", answers(b"VERSION 1.6\r\n")),
        ("http", answers(b"HTTP/1.1 404 Not Found\r\n\r\n")),
        ("redis", answers(b"-NOAUTH Authentication required.\r\n")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_service_that_works_is_healthy(address: str, scheme: str, treat: Treat) -> None:
    with service(address, treat) as endpoint:
        report = run("10054", f"{scheme}://{endpoint}", QUICK)
    assert told(report) == ("healthy", None, "certain")


def test_a_page_that_is_not_there_is_a_remark() -> None:
    with service("127.0.0.1", answers(b"HTTP/1.1 404 Not Found\r\n\r\n")) as endpoint:
        report = run("10054", f"http://{endpoint}", QUICK)
    assert any("404 Not Found" in line for line in report.verdict.not_checked)


def test_a_login_that_is_wanted_is_a_warning() -> None:
    with service("127.0.0.1", answers(b"-NOAUTH Authentication required.\r\n")) as endpoint:
        report = run("10054", f"redis://{endpoint}", QUICK)
    assert report.verdict.outcome == "healthy"
    assert [a.cause for a in report.verdict.alternatives] == ["service-refuses"]


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_trusted_certificate_is_healthy(address: str, trusting: Callable[[trustme.CA], None]) -> None:
    authority, made = settings()
    trusting(authority)
    with service(address, over_tls(made, answers(page()))) as endpoint:
        report = run("10054", f"https://{endpoint}", QUICK)
    assert told(report) == ("healthy", None, "certain")
    assert any("is good until" in e.fact for e in report.verdict.evidence)


@pytest.mark.parametrize(
    ("days", "ahead", "cause", "confidence"),
    [
        ((-40, -10), 0, "certificate-invalid", "certain"),
        ((10, 40), 0, "certificate-invalid", "certain"),
        ((10, 40), 20, "clock-wrong", "likely"),
        ((-40, -10), -20, "clock-wrong", "likely"),
        ((-40, -10), 20, "certificate-invalid", "likely"),
    ],
)
def test_days_of_a_certificate_and_both_clocks(
    days: tuple[int, int], ahead: int, cause: str, confidence: str, trusting: Callable[[trustme.CA], None]
) -> None:
    authority, made = settings(days)
    trusting(authority)
    theirs = datetime.now(UTC) + timedelta(days=ahead)
    with service("127.0.0.1", over_tls(made, answers(page(theirs)))) as endpoint:
        report = run("10053", f"https://{endpoint}", QUICK)
    assert told(report) == ("fault", cause, confidence)


@pytest.mark.parametrize(
    ("days", "clocks", "told_as"),
    [
        ((10, 40), (None, 20), ("clock-wrong", "certain")),  # only this machine's clock is left to blame
        ((10, 40), (20, 20), ("clock-wrong", "certain")),
        ((10, 40), (0, 20), ("clock-wrong", "likely")),  # two clocks against the files
        ((10, 40), (None, 5), ("clock-wrong", "likely")),  # slow, and the certificate was not yet good then either
        ((10, 40), (0, 5), ("certificate-invalid", "certain")),
        ((10, 40), (None, 50), ("certificate-invalid", "likely")),
        ((10, 40), (None, -5), ("certificate-invalid", "likely")),
        ((-40, -10), (None, 5), ("certificate-invalid", "likely")),
    ],
)
def test_days_of_a_certificate_and_the_files_of_this_machine(
    days: tuple[int, int],
    clocks: tuple[int | None, int],
    told_as: tuple[str, str],
    trusting: Callable[[trustme.CA], None],
) -> None:
    theirs, written = clocks
    authority, made = settings(days)
    trusting(authority)
    now = datetime.now(UTC)
    said = page(now + timedelta(days=theirs)) if theirs is not None else b"HTTP/1.1 204 No Content\r\n\r\n"
    with service("127.0.0.1", over_tls(made, answers(said))) as endpoint:
        record = json.loads(to_json(run("10053", f"https://{endpoint}", QUICK)))
    for observation in record["probes"]:
        if observation["probe"] == "service":
            observation["result"]["newest_file_s"] = (now + timedelta(days=written)).timestamp()
    assert told(replay(from_json(json.dumps(record)), "en")) == ("fault", *told_as)


def test_a_certificate_whose_authority_is_not_known_here() -> None:
    _authority, made = settings()
    with service("127.0.0.1", over_tls(made, answers(page()))) as endpoint:
        report = run("10054", f"https://{endpoint}", QUICK)
    assert told(report) == ("fault", "certificate-invalid", "likely")


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_certificate_that_is_not_for_the_address_of_a_url(
    address: str, trusting: Callable[[trustme.CA], None]
) -> None:
    authority = trustme.CA()
    trusting(authority)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("www.example.net").configure_cert(made)
    with service(address, over_tls(made, answers(page()))) as endpoint:
        report = run("10054", f"https://{endpoint}", QUICK)
    assert told(report) == ("fault", "certificate-invalid", "likely")
    assert "www.example.net" in report.verdict.summary


def test_a_client_certificate_is_wanted(trusting: Callable[[trustme.CA], None]) -> None:
    authority, made = settings()
    trusting(authority)
    made.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(made)
    with service("127.0.0.1", over_tls(made, answers(page()))) as endpoint:
        report = run("10054", f"https://{endpoint}", QUICK)
    assert told(report) == ("fault", "client-certificate-required", "certain")


def test_a_proxy_line_is_wanted() -> None:
    def behind_a_proxy(connection: socket.socket) -> None:
        if connection.recv(4096).startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 "):
            connection.sendall(page())
        else:
            reset(connection)

    with service("127.0.0.1", behind_a_proxy) as endpoint:
        report = run("10054", f"http://{endpoint}", QUICK)
    assert told(report) == ("fault", "protocol-mismatch", "certain")
    assert "PROXY" in report.verdict.summary


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_proxy_line_is_wanted_before_the_handshake(address: str) -> None:
    _authority, made = settings()

    def behind_a_proxy(connection: socket.socket) -> None:
        if connection.recv(6, socket.MSG_PEEK) != b"PROXY ":
            return
        while connection.recv(1) != b"\n":
            pass
        over_tls(made, answers(page()))(connection)

    with service(address, behind_a_proxy) as endpoint:
        report = run("10054", f"https://{endpoint}", QUICK)
    assert told(report) == ("fault", "protocol-mismatch", "certain")
    assert "PROXY" in report.verdict.summary


def test_ciphers_that_do_not_meet_are_told_from_old_versions() -> None:
    _authority, made = settings()
    made.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")  # nothing that is offered without asking for old ones
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    with service("127.0.0.1", over_tls(made, answers(page()))) as endpoint:
        report = run("10054", f"https://{endpoint}", QUICK)
    if report.verdict.cause == "certificate-invalid":
        pytest.skip("this machine's TLS library still offers the cipher")
    assert told(report) == ("fault", "tls-failed", "likely")
    assert "ECDHE-ECDSA-AES128-SHA" in report.verdict.summary


def test_a_session_that_is_ended_without_a_word_is_told_as_that(trusting: Callable[[trustme.CA], None]) -> None:
    authority, made = settings()
    trusting(authority)
    with service("127.0.0.1", over_tls(made, lambda inside: inside.recv(1) and None)) as endpoint:
        report = run("10054", f"https://{endpoint}", QUICK)
    assert report.verdict.cause in ("service-closes", "service-resets")
    assert "handshake through" in report.verdict.summary


def test_a_session_that_is_reset_is_begun_under_another_name_as_well(trusting: Callable[[trustme.CA], None]) -> None:
    """Only a filter on the way goes by the name; a service that resets whoever comes is told as that."""
    authority, made = settings(names=("localhost",))
    trusting(authority)

    def resets(connection: socket.socket) -> None:
        inside = made.wrap_socket(connection, server_side=True)
        inside.recv(1)
        inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        inside.close()

    with service("127.0.0.1", resets) as endpoint:
        report = run("10054", f"https://localhost:{endpoint.rpartition(':')[2]}", Options(timeout_s=9.0, family=4))
    assert told(report) == ("fault", "service-resets", "likely")
    climbed = {p["subject"].partition(" ")[2].partition(" ")[2] for p in report.probes if p["probe"] == "service"}
    assert "tls other-name" in climbed
    assert "watched" not in climbed


def test_a_server_that_takes_a_proxy_line_for_a_request_wants_none() -> None:
    def hangs_up(connection: socket.socket) -> None:
        if not connection.recv(4096).startswith(b"GET "):
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with service("127.0.0.1", hangs_up) as endpoint:
        report = run("10054", f"http://{endpoint}", QUICK)
    assert told(report) == ("fault", "service-closes", "likely")


def test_on_a_port_that_is_known_for_nothing_it_is_found_out_what_speaks_there() -> None:
    with service("127.0.0.1", answers(b"HTTP/1.1 503 Busy\r\n\r\n")) as endpoint:
        report = run("10054", endpoint, QUICK)
    assert told(report)[:2] == ("fault", "service-refuses")
    climbed = {p["subject"].partition(" ")[2].partition(" ")[2] for p in report.probes if p["probe"] == "service"}
    assert climbed == {"", "tls", "get"}


def test_nothing_is_said_to_a_port_that_is_known_for_nothing_where_the_code_is_about_connecting() -> None:
    heard: list[bytes] = []

    def listens(connection: socket.socket) -> None:
        heard.append(connection.recv(4096))

    with service("127.0.0.1", listens) as endpoint:
        assert run("10061", endpoint, QUICK).verdict.outcome == "healthy"
    assert not any(heard)


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize(
    ("open_for", "cause"),
    [
        (("PASV", "EPSV"), None),
        (("PASV",), "ftp-data-unreachable"),
        (("EPSV",), "ftp-data-unreachable"),
    ],
)
def test_passive_and_extended_passive_mode_of_ftp(address: str, open_for: tuple[str, ...], cause: str | None) -> None:
    six = ":" in address
    with socket.create_server((address, 0), family=socket.AF_INET6 if six else socket.AF_INET) as data:
        port = data.getsockname()[1]
        high, low = divmod(port, 256)
        given = {word: (high, low) if word in open_for else (0, 9) for word in ("PASV", "EPSV")}

        def ftp(connection: socket.socket) -> None:
            connection.sendall(b"220 ready\r\n")
            while word := connection.recv(64).strip().decode():
                high, low = given.get(word, (0, 0))
                replies = {
                    "PASV": f"227 Entering Passive Mode (127,0,0,1,{high},{low}).",
                    "EPSV": f"229 Entering Extended Passive Mode (|||{256 * high + low}|)",
                }
                connection.sendall(f"{replies.get(word, '221 bye')}\r\n".encode())

        with service(address, ftp) as endpoint:
            report = run("10060", f"ftp://{endpoint}", QUICK)
    if six and "EPSV" in open_for:
        cause = None  # PASV has no place for an IPv6 address
    assert told(report)[:2] == (("fault", cause) if cause else ("healthy", None))
    if len(open_for) == 1 and not six:
        shut = "EPSV" if "PASV" in open_for else "PASV"
        assert any(f"({shut}): ECONNREFUSED" in e.fact for e in report.verdict.evidence)
        assert any(f"({open_for[0]}) is made" in e.fact for e in report.verdict.evidence)
