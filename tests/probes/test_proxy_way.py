"""A conversation with proxies: small ones of this test's own, each a thread that answers as it is told."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from probes.base import Context, NotApplicable
from probes.failure import Failure
from probes.proxy_way import PROBE, ProxyOutcome, ProxyWayRequest, ProxyWayResult, Refusal
from troubleshoot.knowledge.secrets import masked

#: What a fake proxy waits for and says, in turns; ``None`` hangs up, an empty answer keeps silent.
Turns = list[tuple[int, bytes | None]]


class Proxy:
    """Takes connections one after the other; ``turns`` are (bytes to read at least, what to say then)."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.heard: list[bytes] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self.listening.accept()
                threading.Thread(target=self._talk, args=(one,), daemon=True).start()

    def _talk(self, one: socket.socket) -> None:
        with closing(one), suppress(OSError):
            for least, answer in self.turns:
                got = b""
                while len(got) < least and (data := one.recv(4096)):
                    got += data
                self.heard.append(got)
                if answer is None:
                    return
                one.sendall(answer)
            one.recv(4096)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def way(scheme: str = "https", ask: str = "host.test", **more: object) -> ProxyWayResult:
    request = ProxyWayRequest("curl", scheme, "host.test", 443, ask, "p", wait_s=1.0, **more)  # type: ignore[arg-type]
    return asyncio.run(PROBE.observe(request, Context(), lambda _: None))


_LOGIN = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nProxy-Authenticate: NTLM\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "outcome", "refusal", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "passes", None, 200),
        (b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n", "passes", None, 200),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refuses", "policy", 403),
        (_LOGIN, "refuses", "login", 407),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "refuses", "target", 502),
        (b"HTTP/1.1 503 No\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n", "refuses", "target-name", 503),
        (b"HTTP/1.1 503 No\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\r\n", "refuses", "policy", 503),
        (b"HTTP/1.1 504 Gateway Timeout\r\n\r\n", "refuses", "target-silent", 504),
        (b"HTTP/1.1 502 x\r\nProxy-Status: p; error=connection_refused\r\n\r\n", "refuses", "target-refused", 502),
        (b"HTTP/1.1 500 Oops\r\n\r\n", "refuses", "broken", 500),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "other", None, None),
        (b"HTTP/1.1 abc\r\n\r\n", "other", None, None),
    ],
)  # fmt: skip
def test_what_http_says(
    environment: pytest.MonkeyPatch, head: bytes, outcome: str, refusal: str | None, status: int | None
) -> None:
    proxy = Proxy([(10, head)])
    environment.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    result = way()
    assert (result.outcome, result.refusal, result.status) == (outcome, refusal, status)
    assert proxy.heard[0].startswith(b"CONNECT host.test:443 HTTP/1.1\r\nHost: host.test:443\r\n")
    assert result.schemes == (("Basic", "NTLM") if status == 407 else ())


def test_without_tls_the_target_is_asked_for_as_a_whole(environment: pytest.MonkeyPatch) -> None:
    """A 403 may then be the target's own, and only what is marked is the proxy's."""
    for head, outcome in (
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", ProxyOutcome.PASSES),
        (b"HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\r\n", ProxyOutcome.REFUSES),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", ProxyOutcome.REFUSES),
    ):
        proxy = Proxy([(10, head)])
        environment.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        result = way("http")
        assert (result.outcome, result.tunnel) == (outcome, False)
        assert proxy.heard[0].startswith(b"GET http://host.test:443/ HTTP/1.1\r\n")


def test_user_and_password_go_to_the_proxy_and_into_no_record(environment: pytest.MonkeyPatch) -> None:
    proxy = Proxy([(10, b"HTTP/1.1 407 No\r\n\r\n")])
    environment.setenv("https_proxy", f"http://me:s%40cret@127.0.0.1:{proxy.port}")
    result = way()
    assert b"\r\nProxy-Authorization: Basic bWU6c0BjcmV0\r\n" in proxy.heard[0]
    assert result.login
    assert "cret" not in repr(result)


@pytest.mark.parametrize("back", [b"HTTP/1.1 407 ", b"what? "])
def test_what_a_proxy_says_back_holds_no_login(environment: pytest.MonkeyPatch, back: bytes) -> None:
    proxy = Proxy([(10, back + b"Proxy-Authorization: Basic bWU6c0BjcmV0\r\n\r\n")])
    environment.setenv("https_proxy", f"http://me:s%40cret@127.0.0.1:{proxy.port}")
    request = ProxyWayRequest("curl", "https", "host.test", 443, "host.test", "p", wait_s=1.0)
    result = asyncio.run(PROBE.observe(request, Context(masked=masked), lambda _: None))
    assert result.reason.endswith("Proxy-Authorization: Basic ***")


_GREETED = (3, b"\x05\x00")


@pytest.mark.parametrize(
    ("reply", "outcome", "refusal"),
    [
        (0, "passes", None),
        (1, "refuses", "target"),
        (2, "refuses", "policy"),
        (3, "refuses", "target-silent"),
        (4, "refuses", "target-silent"),
        (5, "refuses", "target-refused"),
        (7, "refuses", "unsupported"),
        (9, "refuses", "broken"),
    ],
)
def test_what_socks_5_says(environment: pytest.MonkeyPatch, reply: int, outcome: str, refusal: str | None) -> None:
    proxy = Proxy([_GREETED, (10, bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))])
    environment.setenv("all_proxy", f"socks5h://127.0.0.1:{proxy.port}")
    result = way()
    assert (result.outcome, result.refusal, result.status) == (outcome, refusal, reply)
    assert proxy.heard == [b"\x05\x01\x00", b"\x05\x01\x00\x03\x09host.test\x01\xbb"]


@pytest.mark.parametrize(
    ("ask", "written"),
    [
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("2001:db8::1", b"\x04\x20\x01\x0d\xb8" + b"\0" * 11 + b"\x01"),
    ],
)
def test_socks_5_takes_addresses(environment: pytest.MonkeyPatch, ask: str, written: bytes) -> None:
    proxy = Proxy([_GREETED, (10, b"\x05\0\0\x01\0\0\0\0\0\0")])
    environment.setenv("all_proxy", f"socks5://127.0.0.1:{proxy.port}")
    assert way(ask=ask).outcome is ProxyOutcome.PASSES
    assert proxy.heard[1] == b"\x05\x01\x00" + written + b"\x01\xbb"


def test_socks_5_with_a_login(environment: pytest.MonkeyPatch) -> None:
    proxy = Proxy([(4, b"\x05\x02"), (5, b"\x01\x01")])
    environment.setenv("all_proxy", f"socks5://me:word@127.0.0.1:{proxy.port}")
    result = way(ask="192.0.2.1")
    assert (result.outcome, result.refusal, result.login) == (ProxyOutcome.REFUSES, Refusal.LOGIN, True)
    assert proxy.heard == [b"\x05\x02\x00\x02", b"\x01\x02me\x04word"]
    proxy = Proxy([(3, b"\x05\xff")])
    environment.setenv("all_proxy", f"socks5://127.0.0.1:{proxy.port}")
    assert way(ask="192.0.2.1").refusal is Refusal.LOGIN


@pytest.mark.parametrize(
    ("kind", "ask", "heard"),
    [
        ("socks4", "192.0.2.1", b"\x04\x01\x01\xbb\xc0\x00\x02\x01\x00"),
        ("socks4a", "host.test", b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00host.test\x00"),
    ],
)
def test_socks_4(environment: pytest.MonkeyPatch, kind: str, ask: str, heard: bytes) -> None:
    for reply, outcome in ((90, ProxyOutcome.PASSES), (91, ProxyOutcome.REFUSES), (200, ProxyOutcome.OTHER)):
        proxy = Proxy([(9, bytes([0, reply, 0, 0, 0, 0, 0, 0]))])
        environment.setenv("all_proxy", f"{kind}://127.0.0.1:{proxy.port}")
        assert way(ask=ask).outcome is outcome
        assert proxy.heard == [heard]


def test_socks_4_knows_no_ipv6(environment: pytest.MonkeyPatch) -> None:
    proxy = Proxy([(9, b"")])
    environment.setenv("all_proxy", f"socks4://127.0.0.1:{proxy.port}")
    with pytest.raises(NotApplicable):
        way(ask="2001:db8::1")


def test_nobody_listens(environment: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    environment.setenv("https_proxy", f"http://127.0.0.1:{port}")
    result = way()
    assert (result.outcome, result.failure, result.errno) == (ProxyOutcome.UNREACHABLE, Failure.REFUSED, "ECONNREFUSED")


def test_a_proxy_that_hangs_up_or_keeps_silent(environment: pytest.MonkeyPatch) -> None:
    for turns, outcome in (([(10, None)], ProxyOutcome.CLOSES), ([(10, b""), (10, b"")], ProxyOutcome.SILENT)):
        environment.setenv("https_proxy", f"http://127.0.0.1:{Proxy(turns).port}")
        assert way().outcome is outcome


def test_a_proxy_that_waits_for_the_target_is_there(environment: pytest.MonkeyPatch) -> None:
    class Waiting(Proxy):
        def _talk(self, one: socket.socket) -> None:
            self.turns = [(10, b""), (1, b"")] if not self.heard else [(10, b"HTTP/1.1 200 OK\r\n\r\n")]
            super()._talk(one)

    proxy = Waiting([])
    environment.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    result = way()
    assert (result.outcome, result.refusal) == (ProxyOutcome.REFUSES, Refusal.TARGET_SILENT)
    assert any(one.startswith(b"OPTIONS * HTTP/1.1\r\n") and b"\r\nMax-Forwards: 0\r\n" in one for one in proxy.heard)
    proxy = Proxy([_GREETED, (10, b""), (10, b"")])
    environment.setenv("https_proxy", f"socks5h://127.0.0.1:{proxy.port}")
    assert way().refusal is Refusal.TARGET_SILENT


def test_a_name_that_leads_nowhere(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("https_proxy", "http://no-such-proxy.invalid:3128")
    assert way().outcome is ProxyOutcome.UNRESOLVED


def test_without_a_proxy_there_is_nothing_to_ask(environment: pytest.MonkeyPatch) -> None:
    for value in (None, "ftp://127.0.0.1:9", "http://"):
        if value is not None:
            environment.setenv("https_proxy", value)
        with pytest.raises(NotApplicable):
            way()


def test_no_more_packets_than_stated(environment: pytest.MonkeyPatch) -> None:
    proxy = Proxy([_GREETED, (10, b"\x05\0\0\x01\0\0\0\0\0\0")])
    environment.setenv("all_proxy", f"socks5h://127.0.0.1:{proxy.port}")
    context, request = Context(), ProxyWayRequest("curl", "https", "host.test", 443, "host.test", "p")
    asyncio.run(PROBE.observe(request, context, lambda _: None))
    assert 0 < context.packets_sent <= PROBE.most_packets(request)
