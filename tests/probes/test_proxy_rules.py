"""Which way programs go by their variables; expectations from curl 7.88's and requests 2.32's own behaviour."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import urllib.request
from unittest import mock

import pytest

from probes.system.proxy_rules import RULES, Server, by_curl, by_python, programs, read
from probes.system.windows import internet_settings

A, B = "http://a.test:1", "http://b.test:2"


@pytest.mark.parametrize(
    ("environment", "scheme", "curl", "python"),
    [
        ({}, "https", None, None),
        ({"https_proxy": A, "HTTPS_PROXY": B}, "https", "https_proxy", "https_proxy"),
        ({"HTTPS_PROXY": B}, "https", "HTTPS_PROXY", "HTTPS_PROXY"),
        # curl reads http_proxy in small letters only: a CGI program's HTTP_PROXY is what a stranger sent
        ({"HTTP_PROXY": B}, "http", None, "HTTP_PROXY"),
        ({"HTTP_PROXY": B, "REQUEST_METHOD": "GET"}, "http", None, None),
        ({"http_proxy": A}, "https", None, None),
        ({"all_proxy": A}, "https", "all_proxy", "all_proxy"),
        ({"ALL_PROXY": A, "https_proxy": B}, "https", "https_proxy", "https_proxy"),
        ({"ALL_PROXY": A}, "ssh", "ALL_PROXY", "ALL_PROXY"),
        # an empty one is none to curl; to Python it takes the capitals away
        ({"https_proxy": "", "HTTPS_PROXY": B}, "https", "HTTPS_PROXY", None),
        ({"https_proxy": A}, "wss", "https_proxy", "https_proxy"),
        ({"ftp_proxy": A}, "ftp", "ftp_proxy", "ftp_proxy"),
    ],
)
def test_which_variable_counts(environment: dict[str, str], scheme: str, curl: str | None, python: str | None) -> None:
    assert by_curl(environment, scheme, "host.test", 443).variable == curl
    assert by_python(environment, scheme, "host.test", 443).variable == python


EXEMPTIONS = [
    ("host.test", "host.test", True, True),
    ("host.test", "www.host.test", True, True),
    (".host.test", "host.test", True, False),
    (".host.test", "www.host.test", True, True),
    # the end of a name counts for requests, also in the middle of a label
    ("host.test", "ghost.test", False, True),
    ("ost.test", "host.test", False, True),
    ("host.test:443", "host.test", False, True),
    ("host.test:80", "host.test", False, False),
    ("*", "host.test", True, True),
    ("a.test host.test", "host.test", True, False),
    ("a.test, host.test", "host.test", True, True),
    ("10.0.0.0/8", "10.1.2.3", True, True),
    ("10.1.2.3", "10.1.2.3", True, True),
    ("10.1.2", "10.1.2.3", False, False),
    ("fd00::/8", "fd00::1", True, False),
    ("", "host.test", False, False),
]


@pytest.mark.parametrize(("exemptions", "host", "curl", "python"), EXEMPTIONS)
def test_which_targets_are_exempt(exemptions: str, host: str, curl: bool, python: bool) -> None:
    environment = {"https_proxy": A, "no_proxy": exemptions}
    assert by_curl(environment, "https", host, 443).exempt is curl
    assert by_python(environment, "https", host, 443).exempt is python
    assert by_curl(environment, "https", host, 443).variable == "https_proxy"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize(
    ("exemptions", "host", "curl", "_python"),
    [one for one in EXEMPTIONS if ":" not in one[1]],  # curl 7.88 takes an IPv6 address for a name there
)
def test_curl_itself_does_so(exemptions: str, host: str, curl: bool, _python: bool) -> None:
    """Nothing listens on the proxy's port: curl that goes by it says so, and names neither the target's name."""
    environment = {"PATH": os.environ["PATH"], "https_proxy": "http://127.0.0.1:9", "no_proxy": exemptions}
    where = ["--resolve", f"{host}:443:127.0.0.1"] if host.endswith(".test") else []
    words = ["curl", "-sv", "-m", "5", "--connect-to", f"{host}:443:127.0.0.1:9", *where, f"https://{host}/"]
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=20).stderr
    by_proxy = "Uses proxy env variable https_proxy" in said
    assert by_proxy is not curl, said


@pytest.mark.parametrize("environment", [{"HTTP_PROXY": B}, {"https_proxy": "", "HTTPS_PROXY": B}, {"ALL_PROXY": A}])
def test_python_itself_does_so(environment: dict[str, str]) -> None:
    with mock.patch.dict(os.environ, environment, clear=True):
        known = urllib.request.getproxies_environment()
    for scheme in ("http", "https"):
        named = by_python(environment, scheme, "host.test", 443)
        assert (known.get(scheme) or known.get("all") or "") == named.value


@pytest.mark.parametrize(
    ("value", "server"),
    [
        ("http://p.test:3128", Server("http", "p.test", 3128)),
        ("p.test:3128/", Server("http", "p.test", 3128)),
        ("http://p.test", Server("http", "p.test", None)),
        ("socks5h://u:w%40rd@[2001:db8::1]:1080", Server("socks5h", "2001:db8::1", 1080, "u", "w@rd")),
        ("http://me:sec/re@t@p.test:1", Server("http", "p.test", 1, "me", "sec/re@t")),
        ("socks://p.test:9", Server("socks4", "p.test", 9)),
        ("http://", None),
        ("http://p.test:x", None),
        ("http://p.test:70000", None),
        ("http://p.test:0", None),
        (":3128", None),
    ],
)
def test_a_value_is_read(value: str, server: Server | None) -> None:
    assert read(value) == server


def test_what_port_each_takes_where_none_is_written() -> None:
    assert Server("http", "p.test", None).port_for("curl") == 1080
    assert Server("http", "p.test", None).port_for("python") == 80
    assert Server("https", "p.test", None).port_for("curl") == 443
    assert Server("socks5", "p.test", None).port_for("python") == 1080


@pytest.mark.parametrize(
    ("value", "exemptions", "scheme", "host", "expected"),
    [
        ("proxy.test:3128", "", "https", "example.test", ("proxy.test:3128", False)),
        ("http=one.test:1;https=two.test:2", "", "wss", "example.test", ("two.test:2", False)),
        ("socks=s.test:1080", "", "http", "example.test", ("socks4://s.test:1080", False)),
        ("ftp=f.test:1", "", "http", "example.test", None),
        ("proxy.test:3128", "", "redis", "example.test", None),
        ("proxy.test:3128", "*.example.test;<local>", "http", "a.example.test", ("proxy.test:3128", True)),
        ("proxy.test:3128", "*.example.test;<local>", "http", "intranet", ("proxy.test:3128", True)),
        ("proxy.test:3128", "10.*", "http", "10.1.2.3", ("proxy.test:3128", True)),
        ("proxy.test:3128", "10.*", "http", "110.1.2.3", ("proxy.test:3128", False)),
    ],
)
def test_the_settings_of_windows(
    value: str, exemptions: str, scheme: str, host: str, expected: tuple[str, bool] | None
) -> None:
    for program, name in (("wininet", internet_settings.USER), ("winhttp", internet_settings.WINHTTP)):
        environment = {name: value, internet_settings.BYPASS[name]: exemptions}
        assert program in programs(environment)
        way = RULES[program](environment, scheme, host, 80)
        assert (way.variable and (way.value, way.exempt)) == expected
    assert list(programs({})) == ["curl", "python"]


def test_what_netsh_winhttp_writes_is_read() -> None:
    proxy, exempt = b"http=proxy.test:80", b"<local>"
    blob = struct.pack("<IIII", 24, 0, 3, len(proxy)) + proxy + struct.pack("<I", len(exempt)) + exempt
    assert internet_settings.of_winhttp(blob) == ("http=proxy.test:80", "<local>")
    assert internet_settings.of_winhttp(struct.pack("<IIIII", 24, 0, 1, 0, 0)) == ("", "")
    for cut in range(len(blob)):
        assert isinstance(internet_settings.of_winhttp(blob[:cut])[0], str)
