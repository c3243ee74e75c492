"""The rungs of the ladder after connect, one connection each: what is said, over what, and what is taken down."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from test_service import Host, close, keep, over_tls, reset

from probes.base import Context
from probes.bodies.service import observe
from probes.service import PROBE, ServiceOutcome, ServiceRequest, ServiceResult
from probes.system import certificate, http_answer

LOOPBACK = ("127.0.0.1", "::1")
Serve = Callable[[socket.socket], None]
PAGE = b"HTTP/1.1 404 Not Found\r\nServer: lab\r\nDate: Sat, 28 Nov 2026 17:12:13 GMT\r\nContent-Length: 0\r\n\r\n"


def look(**request: Any) -> ServiceResult:
    return asyncio.run(observe(ServiceRequest(**request), Context(), lambda _partial: None))


def page(opened: socket.socket) -> None:
    if opened.recv(4096).startswith(b"GET "):
        opened.sendall(PAGE)
    close(opened)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(organization_name="Lab Authority")


def server_side(leaf: trustme.LeafCert, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if version is not None:
        settings.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            settings.minimum_version = settings.maximum_version = version
    leaf.configure_cert(settings)
    return settings


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_page_is_taken_down_with_its_date(address: str) -> None:
    with Host(address, page) as host:
        found = host.look(say_hex=b"GET / HTTP/1.1\r\n\r\n".hex(), rung="say")
    assert found.outcome is ServiceOutcome.SPEAKS
    assert found.http is not None
    assert (found.http.status, found.http.reason, found.http.software) == (404, "Not Found", "lab")
    assert found.http.date == "Sat, 28 Nov 2026 17:12:13 GMT"
    assert PROBE.subject(ServiceRequest(address, 80, rung="say")) == f"{address} 80 say"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/9 200 OK\r\n\r\n",
        b"HTTP/1.1 999999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\xff\0: x\r\n\r\n",
    ],
)
def test_what_is_no_head_of_an_answer_is_none(data: bytes) -> None:
    assert http_answer.read(data) is None


def test_headers_are_kept_short_and_printable() -> None:
    found = http_answer.read(b"HTTP/1.1 200 " + b"a" * 999 + b"\r\nServer: \x81\x9b" + b"b" * 999 + b"\r\n\r\n")
    assert found is not None
    assert len(found[1]) == len(found[2] or "") == 120
    assert (found[2] or "").startswith("..bb")


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_proxy_line_tells_this_machine_as_it_is(address: str) -> None:
    said: list[bytes] = []

    def listens(opened: socket.socket) -> None:
        said.append(opened.recv(4096))
        said.append(str(opened.getpeername()[1]).encode())
        opened.sendall(b"+PONG\r\n")

    with Host(address, listens) as host:
        found = host.look(say_hex=b"PING\r\n".hex(), announce=True)
    assert found.first_text == "+PONG.."
    words = said[0].split(b"\r\n")[0].split()
    family = b"TCP6" if ":" in address else b"TCP4"
    assert words == [b"PROXY", family, address.encode(), address.encode(), said[1], str(host.port).encode()]
    assert said[0].endswith(b"PING\r\n")


def test_a_rung_waits_for_its_turn() -> None:
    with Host("127.0.0.1", keep) as host:
        began = datetime.now(UTC)
        host.look(wait_s=0.05, delay_s=0.6)
        assert datetime.now(UTC) - began >= timedelta(seconds=0.6)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_one_version_is_offered_alone(version: str, authority: trustme.CA) -> None:
    leaf = authority.issue_cert("service.test")
    with Host("127.0.0.1", over_tls(server_side(leaf, ssl.TLSVersion[version]), keep)) as host:
        found = {
            offered: host.look(tls=True, trusting=True, version=offered, server_name="service.test")
            for offered in ("TLSv1_2", "TLSv1_3")
        }
    assert {name for name, one in found.items() if one.outcome is ServiceOutcome.TLS_OK} == {version}
    taken = found[version].tls
    assert taken is not None
    assert taken.version == version.replace("_", ".")
    assert taken.cipher


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_handshake_that_is_agreed_on_in_the_clear(address: str, authority: trustme.CA) -> None:
    """PostgreSQL: SSLRequest, one letter, and TLS from there on."""
    settings = server_side(authority.issue_cert("service.test"))

    def serve(opened: socket.socket) -> None:
        assert opened.recv(8) == b"ask"
        opened.sendall(b"S")
        with settings.wrap_socket(opened, server_side=True) as inside:
            inside.sendall(b"R" + inside.recv(5))

    asked = {"agree_hex": b"ask".hex(), "say_hex": b"start".hex(), "tls": True, "trusting": True}
    with Host(address, serve) as host:
        found = host.look(**asked)
    assert (found.outcome, found.first_text) == (ServiceOutcome.TLS_OK, "Rstart")
    with Host(address, lambda opened: opened.sendall(b"N")) as host:
        declined = host.look(**asked)
    assert (declined.outcome, declined.first_text) == (ServiceOutcome.TLS_FAILED, "N")


def test_what_a_certificate_says_of_itself(authority: trustme.CA) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    leaf = authority.issue_cert(
        "service.test", "*.service.test", "192.0.2.1", "2001:db8::1",
        not_before=now - timedelta(days=40), not_after=now - timedelta(days=10),
    )  # fmt: skip
    paper = certificate.read(ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode()))
    assert paper is not None
    assert paper.names == ("service.test", "*.service.test", "192.0.2.1", "2001:db8::1")
    assert paper.not_before == f"{now - timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"
    assert paper.not_after == f"{now - timedelta(days=10):%Y-%m-%dT%H:%M:%SZ}"
    assert paper.weak is None
    assert "Lab Authority" in paper.issuer


def test_a_chain_is_taken_down_as_it_came(authority: trustme.CA) -> None:
    between = authority.create_child_ca()
    leaf = between.issue_cert("service.test", common_name="service.test")
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(settings)
    with Host("127.0.0.1", over_tls(settings, keep)) as host:
        found = host.look(tls=True, server_name="service.test")
    assert found.tls is not None
    assert found.tls.verify_code in (19, 20)
    assert len(found.tls.chain) == len(leaf.cert_chain_pems)
    assert found.newest_file_s is None or found.newest_file_s > 0


def test_a_client_certificate_that_is_asked_for_in_the_clear(authority: trustme.CA, tmp_path: Path) -> None:
    settings = server_side(authority.issue_cert("service.test"))
    settings.maximum_version = ssl.TLSVersion.TLSv1_2
    settings.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(settings)
    with Host("127.0.0.1", over_tls(settings, keep)) as host:
        found = host.look(tls=True, server_name="service.test", trusting=True)
    assert found.outcome is ServiceOutcome.TLS_ALERT
    assert found.tls is not None
    assert found.tls.client_wanted
    with Host("127.0.0.1", reset) as host:
        cut = host.look(tls=True)
    assert cut.tls is None or not cut.tls.client_wanted
