from __future__ import annotations

import asyncio
import subprocess

import pytest

from probes.base import Context, NotPermitted, ProbeTarget
from probes.proxy import PROBE, ProxyRequest, ProxyResult, observe

_NAMES = [
    name for low in ("http", "https", "ftp", "socks", "all", "no") for name in (f"{low}_proxy", f"{low}_PROXY".upper())
]


def look(monkeypatch: pytest.MonkeyPatch, host: str | None = None, **variables: str) -> ProxyResult:
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return asyncio.run(observe(ProxyRequest(host), Context(), lambda _: None))


def test_nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(monkeypatch, "example.test") == ProxyResult((), False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("http://me:secret@proxy.test:3128/", "http://me:***@proxy.test:3128/"),
        ("me:secret@proxy.test:3128", "me:***@proxy.test:3128"),
        ("http://me:sec/re@t@proxy.test", "http://me:***@proxy.test"),
        ("http://me:http://secret@proxy.test", "http://me:***@proxy.test"),
        ("me:secret://x@proxy.test", "me:***@proxy.test"),
        ("http://token-secret@proxy.test", "http://***@proxy.test"),
        ("socks5h://:secret@[2001:db8::1]:1080", "socks5h://:***@[2001:db8::1]:1080"),
        ("http://a\x1b[31m\nb", "http://a�[31m�b"),
    ],
)
def test_secrets_and_control_characters_do_not_get_out(monkeypatch: pytest.MonkeyPatch, value: str, shown: str) -> None:
    result = look(monkeypatch, HTTPS_PROXY=value, http_proxy="http://plain.test")
    assert [(setting.variable, setting.value) for setting in result.settings] == [
        ("http_proxy", "http://plain.test"),
        ("HTTPS_PROXY", shown),
    ]
    assert "secret" not in repr(result)


@pytest.mark.parametrize(
    ("exemptions", "host", "bypassed"),
    [
        ("example.test", "example.test", True),
        ("example.test", "www.EXAMPLE.test.", True),
        (".example.test, other", "www.example.test", True),
        ("*.example.test", "www.example.test", True),
        ("example.test:8080", "example.test", True),
        ("example.test", "badexample.test", False),
        ("", "example.test", False),
        (",,. ", "example.test", False),
        ("a *", "example.test", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3:80", "10.1.2.3", True),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("2001:db8::/32", "[2001:db8::1]", True),
        ("[2001:db8::1]:80", "2001:db8:0::1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("0.0.0.0/0", "::1", False),
    ],
)
def test_no_proxy(monkeypatch: pytest.MonkeyPatch, exemptions: str, host: str, bypassed: bool) -> None:
    assert look(monkeypatch, host, no_proxy=exemptions).bypassed is bypassed


def test_without_a_host_nothing_is_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    result = look(monkeypatch, None, NO_PROXY="*")
    assert not result.bypassed
    assert result.settings[0].variable == "NO_PROXY"
    assert PROBE.request_for(ProbeTarget()) == ProxyRequest(None)


def test_the_way_of_each_program(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.test")
    monkeypatch.setenv("no_proxy", "ample.test")
    request = ProxyRequest("example.test", "https", 443)
    result = asyncio.run(observe(request, Context(), lambda _: None))
    told = [(way.program, way.exempt, way.host, way.port, way.shown, way.login, way.usable) for way in result.ways]
    shown = "http://me:***@proxy.test"
    assert told == [
        ("curl", False, "proxy.test", 1080, shown, True, True),
        ("python", True, "proxy.test", 80, shown, True, True),
    ]
    assert "secret" not in repr(result)


def test_the_environment_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
    environment = {"https_proxy": "http://other.test:1"}
    # Popen may return while exec is still under way, and the kernel shows an empty environment until it is over.
    with subprocess.Popen(["/bin/cat"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write(b"\n")
            other.stdin.flush()
            assert other.stdout.readline()
            request = ProxyRequest("example.test", "https", 443, other.pid)
            result = asyncio.run(observe(request, Context(), lambda _: None))
        finally:
            other.kill()
    assert [way.host for way in result.ways] == ["other.test", "other.test"]
    with pytest.raises(NotPermitted):
        asyncio.run(observe(request, Context(), lambda _: None))
