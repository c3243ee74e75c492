"""Every form in which TARGET may be written, and every way to get it wrong."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from troubleshoot.intake.target import Target, parse_target
from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue
from troubleshoot.knowledge.text import Refusal, places

CATALOGUE = Catalogue()


def brief(target: Target) -> tuple[str | None, int | None, str | None, str]:
    return target.host, target.port, target.service, target.transport


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("example.com", ("example.com", None, None, "tcp")),
        ("example.com.", ("example.com.", None, None, "tcp")),
        ("example.com:21", ("example.com", 21, None, "tcp")),
        ("example.com:ftp", ("example.com", None, "ftp", "tcp")),
        ("example.com:0", ("example.com", 0, None, "tcp")),
        ("example.com:00021", ("example.com", 21, None, "tcp")),
        ("example.com:65535", ("example.com", 65535, None, "tcp")),
        ("localhost", ("localhost", None, None, "tcp")),
        ("my_host-1:x11-7", ("my_host-1", None, "x11-7", "tcp")),
        ("192.0.2.1:80", ("192.0.2.1", 80, None, "tcp")),
        ("0.0.0.0:80", ("0.0.0.0", 80, None, "tcp")),
        ("[2001:db8::1]:21", ("2001:db8::1", 21, None, "tcp")),
        ("[2001:db8::1]", ("2001:db8::1", None, None, "tcp")),
        ("2001:db8::1", ("2001:db8::1", None, None, "tcp")),
        ("::1", ("::1", None, None, "tcp")),
        ("[::]:443", ("::", 443, None, "tcp")),
        ("fe80::1%eth0", ("fe80::1%eth0", None, None, "tcp")),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80, None, "tcp")),
        ("::ffff:192.0.2.1", ("192.0.2.1", None, None, "tcp")),
        ("::FFFF:c000:201", ("192.0.2.1", None, None, "tcp")),
        ("[0:0:0:0:0:ffff:192.0.2.1]:21", ("192.0.2.1", 21, None, "tcp")),
        ("http://[::ffff:192.0.2.1]/", ("192.0.2.1", 80, None, "tcp")),
        ("bücher.example:80", ("bücher.example", 80, None, "tcp")),
        ("한국.example", ("한국.example", None, None, "tcp")),
        ("한국。example", ("한국.example", None, None, "tcp")),
        ("http://example.com/a?b#c", ("example.com", 80, None, "tcp")),
        ("HTTPS://example.com", ("example.com", 443, None, "tcp")),
        ("https://example.com:8443/", ("example.com", 8443, None, "tcp")),
        ("ftp://[2001:db8::1]/", ("2001:db8::1", 21, None, "tcp")),
        ("http://[fe80::1%25eth0]/", ("fe80::1%eth0", 80, None, "tcp")),
        ("tftp://example.com/file", ("example.com", 69, None, "udp")),
        ("udp://example.com:69", ("example.com", 69, None, "udp")),
        ("udp://example.com", ("example.com", None, None, "udp")),
        ("tcp://example.com:smtp", ("example.com", None, "smtp", "tcp")),
        ("gopherx://example.com:70", ("example.com", 70, None, "tcp")),
        ("example.com:53/udp", ("example.com", 53, None, "udp")),
        (":8080", (None, 8080, None, "tcp")),
        ("*:8080", (None, 8080, None, "tcp")),
        (":http", (None, None, "http", "tcp")),
        ("udp://:69", (None, 69, None, "udp")),
        ("127.0.0.1:8080", ("127.0.0.1", 8080, None, "tcp")),
    ],
)
def test_every_form_is_understood(word: str, expected: tuple[str | None, int | None, str | None, str]) -> None:
    target = parse_target(word, CATALOGUE)
    assert brief(target) == expected
    assert target.input == word


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("", "target-empty"),
        ("   ", "target-empty"),
        ("x" * 3000, "target-long"),
        ("my host name", "target-space"),
        ("example.com:21 more", "target-words"),
        ("unix:/run/x.sock", "target-local"),
        ("unix:///run/x.sock", "target-local"),
        ("/run/docker.sock", "target-local"),
        (r"\\.\pipe\docker_engine", "target-local"),
        ("http://:80", "target-no-host"),
        ("exa\tmple.com", "target-letter"),
        ("exa\x1b[2Jmple.com", "target-letter"),
        ("exa\u202emple.com", "target-letter"),
        ("exa\u200bmple.com", "target-letter"),
        ("exa\ud800mple.com", "target-letter"),
        ("example.com:65536", "target-port-range"),
        ("example.com:99999999999999999999", "target-port-range"),
        ("example.com:-1", "target-port"),
        ("example.com:+80", "target-port"),
        ("example.com:²", "target-port"),
        ("example.com:٢١", "target-port"),
        ("example.com:a/b", "target-port"),
        ("example.com:", "target-no-port"),
        (":", "target-no-port"),
        ("*", "target-no-host"),
        ("[2001:db8::1", "target-brackets"),
        ("2001:db8::1]", "target-brackets"),
        ("[2001:db8::1]21", "target-brackets"),
        ("[example.com]:21", "target-in-brackets"),
        ("[192.0.2.1]:21", "target-in-brackets"),
        ("[]:21", "target-in-brackets"),
        ("[fe80::1%]:21", "target-in-brackets"),
        ("2001:db8::1::2", "target-ipv6"),
        ("2001:db8::g", "target-ipv6"),
        ("host:21:22", "target-ipv6"),
        ("10.0.0.256", "target-ipv4"),
        ("10.0.0.256:80", "target-ipv4"),
        ("10.1", "target-ipv4"),
        ("1.2.3.4.5", "target-ipv4"),
        ("1.2.3.0x4", "target-ipv4"),
        ("010.0.0.1", "target-ipv4-zeros"),
        ("10.0.0.01", "target-ipv4-zeros"),
        ("8080", "target-number"),
        ("0x7f000001", "target-number"),
        ("a..b", "target-dots"),
        (".a", "target-dots"),
        (".", "target-dots"),
        ("-x", "target-option"),
        ("a!b", "target-host-letter"),
        ("@host", "target-host-letter"),
        ("host/24", "target-host-letter"),
        ("bü!cher.example", "target-host-letter"),
        ("x" * 64 + ".example", "target-label-long"),
        ("한" * 60 + ".example", "target-label-long"),
        (".".join(["x" * 60] * 5), "target-name-long"),
        ("gopherx://example.com", "target-scheme"),
        ("http://", "target-no-host"),
        ("http:///path", "target-no-host"),
        ("http://user@/", "target-no-host"),
    ],
)
def test_malformed_targets_are_refused(word: str, key: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_target(word, CATALOGUE)
    assert caught.value.key == f"usage.{key}"
    assert str(caught.value).startswith("TARGET")


@pytest.mark.parametrize(
    ("word", "scheme", "host", "port"),
    [
        ("jdbc:mysql://db.example:7000/x?user=joe&password=secret", "mysql", "db.example", 7000),
        ("jdbc:mysql://(host=db.example,port=7000,password=secret)/x", "mysql", "db.example", 7000),
        ("jdbc:mysql://address=(host=db.example)(port=7000)/x", "mysql", "db.example", 7000),
        ("jdbc:sqlserver://db.example:7000;password=secret", "sqlserver", "db.example", 7000),
        ("jdbc:sqlserver://;serverName=db.example;portNumber=7000;password=secret", "mssql", "db.example", 7000),
        ("jdbc:sybase:Tds:db.example:7000/x?PASSWORD=secret", None, "db.example", 7000),
        ("jdbc:oracle:thin:@db.example:7000:ORCL", "oracle", "db.example", 7000),
        ("jdbc:oracle:thin:joe/secret@db.example:7000:ORCL", "oracle", "db.example", 7000),
        ("jdbc:oracle:thin:joe/secret@//db.example:7000/x", "oracle", "db.example", 7000),
        ("jdbc:oracle:thin:@tcps://db.example:7000/x", "oracle", "db.example", 7000),
        ("jdbc:oracle:oci:@(DESCRIPTION=(ADDRESS=(HOST=db.example)(PORT=7000)))", "oracle", "db.example", 7000),
        ("Driver={SQL Server};Server=tcp:db.example,7000;Uid=joe;Pwd=secret", "mssql", "db.example", 7000),
        ("DRIVER=PostgreSQL;Servername=db.example;Port=7000;PWD=secret", "postgresql", "db.example", 7000),
        ("host=db.example port=7000 dbname=x password=secret", "postgresql", "db.example", 7000),
    ],
)
def test_connection_strings_of_databases(word: str, scheme: str | None, host: str, port: int) -> None:
    target = parse_target(word, CATALOGUE)
    assert (target.scheme, target.host, target.port) == (scheme, host, port)
    assert "secret" not in repr(target)


def test_a_scheme_that_gives_the_port_is_remarked() -> None:
    (remark,) = parse_target("ftp://example.com", CATALOGUE).remarks
    assert remark.key == "usage.remark-scheme"
    assert dict(remark.values) == {"scheme": "ftp", "port": "21", "transport": "tcp"}
    assert parse_target("ftp://example.com:2121", CATALOGUE).remarks == ()


def test_a_password_stays_out_of_the_report() -> None:
    target = parse_target("ftp://joe:secret@example.com/file", CATALOGUE)
    assert target.host == "example.com"
    assert "secret" not in repr(target)
    with pytest.raises(Refusal) as caught:
        parse_target("gopherx://joe:secret@example.com", CATALOGUE)
    assert "secret" not in str(caught.value)


def test_literals_are_told_from_names() -> None:
    assert parse_target("192.0.2.1:80").literal
    assert parse_target("[fe80::1%eth0]:80").literal
    assert not parse_target("example.com:80").literal
    assert not parse_target(":80").literal


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_with_a_port_comes_back(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    word = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    target = parse_target(word)
    plain = getattr(address, "ipv4_mapped", None) or address  # IPv4 that is written as IPv6 is IPv4
    assert (target.host, target.port, target.literal) == (str(plain), port, True)


@given(st.from_regex(r"[a-z0-9_][a-z0-9_-]{0,20}(\.[a-z][a-z0-9-]{0,20}){1,3}", fullmatch=True), st.integers(0, 65535))
def test_every_plain_name_comes_back(host: str, port: int) -> None:
    target = parse_target(f"{host}:{port}")
    assert (target.host, target.port) == (host, port)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.text(alphabet=":/[]@%.*0123456789abcdef-x \u202e\x00한ß", max_size=40),
        st.text(alphabet=":/[]@%.*019af", max_size=20).map(lambda rest: f"http://{rest}"),
    )
)
@example("http://[::1")
@example("%")
@example("[%]")
@example("xn--\u212a")
def test_any_text_gives_a_target_or_a_refusal(word: str) -> None:
    try:
        target = parse_target(word, CATALOGUE)
    except Refusal as error:
        refusal = error
    else:
        check(target)
        return
    for language in LANGUAGES:
        sentence = CATALOGUE.wording(language)[refusal.key]
        assert places(sentence) <= dict(refusal.values).keys()


def check(target: Target) -> None:
    assert target.host is None or target.host
    assert target.port is None or 0 <= target.port <= 65535
    assert target.port is None or target.service is None
    assert target.input.isprintable()


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=":/[]@%.*0123456789abcdef-x", max_size=30))
def test_a_target_read_again_is_the_same(word: str) -> None:
    try:
        target = parse_target(word, CATALOGUE)
    except Refusal:
        return
    assert brief(parse_target(target.input, CATALOGUE)) == brief(target)


@pytest.mark.parametrize(
    ("word", "end"),
    [
        ("ssh -p 2222 alice@gate.corp.example", ("gate.corp.example", 2222)),
        ("telnet mail.corp.example 25", ("mail.corp.example", 25)),
        ("curl -v https://shop.corp.example:8443/", ("shop.corp.example", 8443)),
        ("nc -vz 192.0.2.4 8080", ("192.0.2.4", 8080)),
        ("mysql -h db.corp.example -P 3307", ("db.corp.example", 3307)),
        ("ftp.corp.example 포트 21", ("ftp.corp.example", 21)),
        ("ftp.corp.example;21", ("ftp.corp.example", 21)),
        ("tcp:db.corp.example,1433", ("db.corp.example", 1433)),
        ("/192.0.2.7:9092", ("192.0.2.7", 9092)),
        ("broker-1.corp.example:9092/1", ("broker-1.corp.example", 9092)),
        ("db.corp.example:5432.", ("db.corp.example", 5432)),
        ("dns:///svc.corp.example:50051", ("svc.corp.example", 50051)),
        ("ipv4:192.0.2.7:50051", ("192.0.2.7", 50051)),
    ],
)
def test_what_a_command_line_or_a_sentence_names_is_read_with_a_remark(word: str, end: tuple[str, int]) -> None:
    target = parse_target(word, CATALOGUE)
    assert (target.host, target.port) == end
    assert target.remarks
