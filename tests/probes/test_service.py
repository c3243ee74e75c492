"""What services do once they are connected to: real ones, on loopback and at the end of a path."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from pathlab import NOBODY, SERVER, PathLab

from probes.base import Context, NotApplicable
from probes.bodies.service import observe
from probes.failure import Failure
from probes.service import KEPT, ServiceOutcome, ServiceRequest, ServiceResult
from probes.system import certificate

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = ("127.0.0.1", "::1")
Serve = Callable[[socket.socket], None]


def look(**request: Any) -> ServiceResult:
    async def run() -> ServiceResult:
        return await observe(ServiceRequest(**request), Context(), lambda _partial: None)

    return asyncio.run(run())


class Host:
    """A service on loopback that does the same with every connection."""

    def __init__(self, address: str, serve: Serve) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.address = address
        self._serve = serve
        self._listener = socket.create_server((address, 0), family=family)
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            try:
                opened, _peer = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            opened.settimeout(5)
            with contextlib.suppress(OSError), opened:
                self._serve(opened)

    def look(self, **request: Any) -> ServiceResult:
        return look(address=self.address, port=self.port, **request)


def keep(opened: socket.socket) -> None:
    """Keep a connection until the other side ends it."""
    while opened.recv(4096):
        pass


def speak(opened: socket.socket) -> None:
    opened.sendall(b"220 ready\r\n")
    keep(opened)


def reset(opened: socket.socket) -> None:
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def refuse_politely(opened: socket.socket) -> None:
    opened.sendall(b"421 too many connections\r\n")


def later(seconds: float, then: Serve) -> Serve:
    def serve(opened: socket.socket) -> None:
        opened.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            assert opened.recv(1) == b"", "the probe sent something"
            return
        then(opened)

    return serve


def close(_opened: socket.socket) -> None:
    """Returning closes."""


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_service_that_speaks(address: str) -> None:
    with Host(address, speak) as host:
        found = host.look()
    assert (found.outcome, found.first_text, found.errno) == (ServiceOutcome.SPEAKS, "220 ready..", None)
    assert bytes.fromhex(found.first_hex) == b"220 ready\r\n"
    assert found.first_byte_ms is not None
    assert found.connect_ms is not None
    assert found.ended_ms is None


def test_a_service_that_speaks_and_leaves() -> None:
    with Host("127.0.0.1", refuse_politely) as host:
        found = host.look(settle_s=1.0)
    assert (found.outcome, found.ended_by_reset) == (ServiceOutcome.SPEAKS, False)
    assert found.first_text.startswith("421 ")
    assert found.ended_ms is not None


@pytest.mark.parametrize("address", LOOPBACK)
def test_silence_is_waited_for_and_nothing_is_sent(address: str) -> None:
    heard: list[bytes] = []
    with Host(address, lambda opened: heard.append(opened.recv(100))) as host:
        found = host.look(wait_s=0.3)
    assert (found.outcome, found.first_hex, found.first_byte_ms) == (ServiceOutcome.SILENT, "", None)
    assert found.waited_ms >= 290
    assert heard == [b""]


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize("serve", [close, later(0.2, close)], ids=["at once", "later"])
def test_a_service_that_closes(address: str, serve: Serve) -> None:
    with Host(address, serve) as host:
        found = host.look()
    assert (found.outcome, found.ended_by_reset, found.failure) == (ServiceOutcome.CLOSES, False, None)
    assert found.ended_ms is not None
    assert serve is close or found.ended_ms >= 100


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize("serve", [reset, later(0.2, reset)], ids=["at once", "later"])
def test_a_service_that_resets(address: str, serve: Serve) -> None:
    with Host(address, serve) as host:
        found = host.look()
    assert (found.outcome, found.ended_by_reset) == (ServiceOutcome.RESETS, True)
    assert (found.failure, found.errno) == (Failure.RESET, "ECONNRESET")
    assert found.ended_ms is not None


@pytest.mark.parametrize("address", LOOPBACK)
def test_no_connection(address: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as closed:
        closed.bind((address, 0))
        found = look(address=address, port=closed.getsockname()[1])
    assert (found.outcome, found.failure, found.errno) == (
        ServiceOutcome.NOT_CONNECTED,
        Failure.REFUSED,
        "ECONNREFUSED",
    )
    assert (found.connect_ms, found.tls) == (None, None)


def test_what_is_said_reaches_the_service() -> None:
    def echo(opened: socket.socket) -> None:
        opened.sendall(b"you said " + opened.recv(100))
        keep(opened)

    with Host("127.0.0.1", echo) as host:
        found = host.look(say_hex=b"HELP".hex())
    assert (found.outcome, found.first_text) == (ServiceOutcome.SPEAKS, "you said HELP")


def test_a_flood_is_cut_off() -> None:
    def flood(opened: socket.socket) -> None:
        while True:
            opened.sendall(b"\x1b]0;\x07\x00\xff" * 4096)

    with Host("127.0.0.1", flood) as host:
        found = host.look(wait_s=9.0, settle_s=9.0)
    assert found.outcome is ServiceOutcome.SPEAKS
    assert len(bytes.fromhex(found.first_hex)) == len(found.first_text) == KEPT
    assert found.first_text.isprintable()
    assert found.waited_ms < 8000


def test_an_address_is_a_literal() -> None:
    with pytest.raises(NotApplicable):
        look(address="localhost", port=1)


# -- TLS -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its self-signed certificate for ``service.test``, in one file."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    key, made = (tmp_path_factory.mktemp("tls") / name for name in ("key.pem", "cert.pem"))
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-utf8"]
    names = ["-subj", "/C=KR/O=Prüfstand/CN=service.test", "-addext", "subjectAltName=DNS:service.test"]
    command = ["openssl", "req", "-x509", *kind, *names, "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    both = key.parent / "both.pem"
    both.write_text(key.read_text() + made.read_text())
    return both


def server_side(paper: Path) -> ssl.SSLContext:
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(paper)
    return settings


def over_tls(settings: ssl.SSLContext, serve: Serve) -> Serve:
    def wrapped(opened: socket.socket) -> None:
        with settings.wrap_socket(opened, server_side=True) as session:
            serve(session)

    return wrapped


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_that_is_not_trusted_is_a_fact(address: str, version: ssl.TLSVersion, paper: Path) -> None:
    settings = server_side(paper)
    settings.maximum_version = version
    with Host(address, over_tls(settings, keep)) as host:
        found = host.look(tls=True, server_name="service.test")
        assert host.connections == 2
    assert found.outcome is ServiceOutcome.TLS_OK
    tls = found.tls
    assert tls is not None
    assert tls.version == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
    assert tls.verify_error is not None
    assert "self" in tls.verify_error
    assert tls.subject == tls.issuer == "C=KR, O=Prüfstand, CN=service.test"
    enddate = subprocess.run(
        ["openssl", "x509", "-in", paper, "-noout", "-enddate", "-dateopt", "iso_8601"],
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip
    assert enddate.strip().removeprefix("notAfter=").replace(" ", "T") == tls.not_after
    assert (tls.alert, tls.error) == (None, None)


def test_a_start_without_openssl_shakes_hands_all_the_same(paper: Path) -> None:
    code = """
        import sys
        from troubleshoot.cli.commands import spare_tls
        spare_tls()
        import asyncio
        from probes.base import Context, load
        asking = load("service").request("127.0.0.1", int(sys.argv[1]), tls=True, server_name="service.test")
        assert "ssl" not in sys.modules
        found = asyncio.run(load("service").observe(asking, Context(), lambda partial: None))
        print(found.outcome.value, found.tls.version)
    """
    with Host("127.0.0.1", over_tls(server_side(paper), keep)) as host:
        run = [sys.executable, "-c", textwrap.dedent(code), str(host.port)]
        done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "tls-ok TLSv1.3\n"


def test_a_certificate_that_is_trusted(paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(paper))
    with Host("127.0.0.1", over_tls(server_side(paper), keep)) as host:
        found = host.look(tls=True, server_name="service.test")
        assert host.connections == 1
        other = host.look(tls=True, server_name="elsewhere.test")
        unnamed = host.look(tls=True)
        odd = host.look(tls=True, server_name=".service..test")
    assert found.tls is not None
    assert (found.outcome, found.tls.verify_error) == (ServiceOutcome.TLS_OK, None)
    assert other.tls is not None
    assert other.outcome is ServiceOutcome.TLS_OK
    assert "elsewhere.test" in (other.tls.verify_error or "")
    for nameless in (unnamed, odd):
        assert nameless.tls is not None
        assert (nameless.outcome, nameless.tls.verify_error) == (ServiceOutcome.TLS_OK, None)
        assert nameless.tls.server_name is None


def test_a_service_that_speaks_inside_tls(paper: Path) -> None:
    with Host("127.0.0.1", over_tls(server_side(paper), speak)) as host:
        found = host.look(tls=True, listen=True)
    assert (found.outcome, found.first_text) == (ServiceOutcome.TLS_OK, "220 ready..")
    assert found.first_byte_ms is not None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_is_asked_for(version: ssl.TLSVersion, paper: Path) -> None:
    settings = server_side(paper)
    settings.maximum_version = version
    settings.verify_mode = ssl.CERT_REQUIRED
    with Host("127.0.0.1", over_tls(settings, keep)) as host:
        found = host.look(tls=True)
    assert found.outcome is ServiceOutcome.TLS_ALERT
    assert found.tls is not None
    expected = "certificate_required" if version is ssl.TLSVersion.TLSv1_3 else "handshake_failure"
    assert found.tls.alert == expected


def test_a_name_that_the_service_does_not_know(paper: Path) -> None:
    settings = server_side(paper)
    settings.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    with Host("127.0.0.1", over_tls(settings, keep)) as host:
        found = host.look(tls=True, server_name="service.test")
    assert found.outcome is ServiceOutcome.TLS_ALERT
    assert found.tls is not None
    assert found.tls.alert == "unrecognized_name"


def answering(data: bytes, then: Serve = keep) -> Serve:
    """Send fixed bytes once the other side has said anything."""

    def serve(opened: socket.socket) -> None:
        opened.recv(4096)
        opened.sendall(data)
        then(opened)

    return serve


@pytest.mark.parametrize(
    ("serve", "outcome", "alert"),
    [
        (answering(b"\x15\x03\x01\x00\x02\x02\x46"), ServiceOutcome.TLS_ALERT, "protocol_version"),
        (answering(b"\x15\x03\x03\x00\x02\x02\x28", close), ServiceOutcome.TLS_ALERT, "handshake_failure"),
        (answering(b"\x15\x03\x03\x00\x02\x02\xc8"), ServiceOutcome.TLS_ALERT, "alert 200"),
        (answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ServiceOutcome.TLS_FAILED, None),
        (answering(b"\x16\x03\x03\x40\x00" + bytes(200000)), ServiceOutcome.TLS_FAILED, None),
        (speak, ServiceOutcome.TLS_FAILED, None),
        (answering(b""), ServiceOutcome.SILENT, None),
        (answering(b"", close), ServiceOutcome.CLOSES, None),
        (answering(b"", reset), ServiceOutcome.RESETS, None),
    ],
)
def test_no_handshake(serve: Serve, outcome: ServiceOutcome, alert: str | None) -> None:
    with Host("127.0.0.1", serve) as host:
        found = host.look(tls=True, server_name="service.test", wait_s=0.5)
    assert found.tls is not None
    assert (found.outcome, found.tls.alert) == (outcome, alert)
    assert (found.tls.version, found.tls.subject, found.tls.verify_error) == (None, None, None)
    if outcome is ServiceOutcome.TLS_FAILED:
        assert found.tls.error
        assert found.first_hex
    if serve is speak:
        assert found.first_text == "220 ready.."


def test_only_certificates_are_read(paper: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(paper.read_text().partition("-----END PRIVATE KEY-----\n")[2])
    whole = certificate.read(der)
    assert whole is not None
    assert whole.subject == "C=KR, O=Prüfstand, CN=service.test"
    for cut in range(0, len(der) // 2, 7):
        certificate.read(der[:cut] + b"\xff" + der[cut + 1 :])  # whatever it gives, it ends
        assert certificate.read(der[:cut]) is None
    assert certificate.read(b"\x30\x84\xff\xff\xff\xff") is None
    assert certificate.read(b"\x30" * 100000) is None


# -- at the end of a path --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def path() -> Iterator[PathLab]:
    with PathLab() as lab:
        yield lab


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("family", [4, 6])
def test_over_a_path(path: PathLab, family: int, uid: int) -> None:
    found = path.observe("service", uid=uid, address=SERVER[family], port=8080)
    assert (found.outcome, found.complete) == (ServiceOutcome.CLOSES, True)
    assert found.ended_ms < 1000


@pytest.mark.lab
@pytest.mark.parametrize("family", [4, 6])
def test_silence_on_the_way(path: PathLab, family: int) -> None:
    path.filter("r2", "forward", "tcp dport 8080 drop")
    try:
        found = path.observe("service", uid=NOBODY, address=SERVER[family], port=8080, connect_wait_s=0.3)
    finally:
        path.calm()
    assert (found.outcome, found.failure, found.errno) == (ServiceOutcome.NOT_CONNECTED, Failure.NO_ANSWER, None)


#: Ends while another thread still reads the certificates that this machine trusts.
_ENDS_EARLY = """
import asyncio, ssl
from probes.bodies.service import observe
from probes.base import Context
from probes.service import ServiceRequest

async def look():
    request = ServiceRequest("127.0.0.1", 1, tls=True)
    task = asyncio.create_task(observe(request, Context(), lambda _: None))
    await asyncio.sleep(0.004)
    task.cancel()

asyncio.run(look())
"""


def test_a_process_that_ends_while_certificates_are_read_does_not_crash() -> None:
    ended = [subprocess.run([sys.executable, "-c", _ENDS_EARLY], check=False).returncode for _ in range(20)]
    assert set(ended) == {0}
