"""Which way a program goes for a target by the proxy variables of an environment: the rules of curl, and of Python.

Windows' own settings stand among the variables, by names that no variable has (windows/internet_settings.py).

Sources: curl(1), ENVIRONMENT, with ``detect_proxy`` of its lib/url.c and lib/noproxy.c; ``getproxies_environment`` and
``proxy_bypass_environment`` of Python's urllib.request, with ``select_proxy`` and ``should_bypass_proxies`` of
requests/utils.py, which adds ``all_proxy`` and networks in ``no_proxy``; Microsoft, WINHTTP_PROXY_INFO and
INTERNET_PROXY_INFO: ``http=host:port;https=host:port`` or one for all, exemptions with ``*`` and ``<local>``.
"""

from __future__ import annotations

import fnmatch
import functools
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

import msgspec

from probes.system.windows import internet_settings

#: No more words of ``no_proxy`` are looked at.
MOST_EXEMPTIONS = 1000
#: Schemes of web sockets go by the variables of the web.
_SAME_AS = {"ws": "http", "wss": "https"}
#: What curl takes ``socks://`` for, and the kinds that somebody speaks.
_ALIASES = {"socks": "socks4"}
KINDS = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


class Way(msgspec.Struct, frozen=True):
    """The variable that names a proxy, with its value as it stands; neither where none does.

    ``exempt`` tells that ``no_proxy`` takes the target out, so that it is reached directly all the same.
    """

    variable: str | None = None
    value: str = ""
    exempt: bool = False


class Server(msgspec.Struct, frozen=True):
    """A proxy as its URL names it; ``kind`` is its scheme, ``port`` ``None`` where the URL has none."""

    kind: str
    host: str
    port: int | None
    user: str | None = None
    password: str = ""

    def port_for(self, program: str) -> int:
        """Return the port, or the one that ``program`` takes where none is written."""
        if self.port is not None:
            return self.port
        if self.kind == "https":
            return 443
        return 80 if program != "curl" and self.kind == "http" else 1080


def by_curl(environment: Mapping[str, str], scheme: str, host: str, port: int | None) -> Way:
    """Return the way of curl: ``http_proxy`` in small letters only, an empty variable is none."""
    del port  # libcurl compares hosts alone
    name = f"{_SAME_AS.get(scheme, scheme)}_proxy"
    spellings = [name, *([name.upper()] if name != "http_proxy" else []), "all_proxy", "ALL_PROXY"]
    variable = next((one for one in spellings if environment.get(one)), None)
    if variable is None:
        return Way()
    exemptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    exempt = _curl_exempts(exemptions.lower(), _bare(host))
    return Way(variable, environment[variable], exempt)


def _curl_exempts(exemptions: str, host: str) -> bool:
    if exemptions.strip() == "*":
        return True
    address = _address(host)
    for word in _words(exemptions):
        if address is not None:
            if _within(address, word):
                return True
        else:
            domain = word.strip(".")
            if domain and (host == domain or host.endswith("." + domain)):
                return True
    return False


def by_python(environment: Mapping[str, str], scheme: str, host: str, port: int | None) -> Way:
    """Return the way of requests: small letters go before capitals, an empty one in small letters takes those away."""
    scheme = _SAME_AS.get(scheme, scheme)
    found: dict[str, str] = {}
    for variable, value in environment.items():
        if variable.lower().endswith("_proxy") and value:
            found[variable.lower()] = variable
    if "REQUEST_METHOD" in environment:
        found.pop("http_proxy", None)
    for variable, value in environment.items():
        if variable.endswith("_proxy") and variable == variable.lower():
            if value:
                found[variable] = variable
            else:
                found.pop(variable, None)
    named = found.get(f"{scheme}_proxy") or found.get("all_proxy")
    if named is None:
        return Way()
    exemptions = environment.get(found["no_proxy"], "") if "no_proxy" in found else ""
    exempt = _python_exempts(exemptions.lower(), _bare(host), port)
    return Way(named, environment[named], exempt)


def _python_exempts(exemptions: str, host: str, port: int | None) -> bool:
    words = [word.strip() for word in exemptions.split(",")][:MOST_EXEMPTIONS]
    if exemptions.strip() == "*":
        return True
    address = _address(host)
    if isinstance(address, ipaddress.IPv4Address) and any("/" in word and _within(address, word) for word in words):
        return True
    endings = (host, f"{host}:{port}")
    for word in filter(None, words):
        if address is not None and word in endings:
            return True
        # the end of the name decides, also within one of its labels
        if address is None and any(whole.endswith(word) for whole in endings):
            return True
    return False


def by_windows(name: str, environment: Mapping[str, str], scheme: str, host: str, port: int | None) -> Way:
    """Return the way of programs that go by one of Windows' own settings: those of the web alone do."""
    del port  # exemptions are hosts
    scheme, value = _SAME_AS.get(scheme, scheme), environment.get(name, "")
    if not value or scheme not in ("http", "https", "ftp"):
        return Way()
    named = dict(part.strip().split("=", 1) for part in re.split("[; ]", value) if "=" in part)
    server = named.get(scheme) or (f"socks4://{named['socks']}" if named.get("socks") else "") if named else value
    if not server:
        return Way()
    exemptions = environment.get(internet_settings.BYPASS[name], "").lower()
    return Way(name, server, _windows_exempts(exemptions, _bare(host)))


def _windows_exempts(exemptions: str, host: str) -> bool:
    for word in re.split(r"[;,\s]+", exemptions)[:MOST_EXEMPTIONS]:
        if word == "<local>" and "." not in host and ":" not in host:
            return True
        if word and fnmatch.fnmatchcase(host, re.sub(r"^\w+://", "", word).replace("[", "[[]")):
            return True
    return False


#: What a program is called here, and its rules.
RULES: dict[str, Callable[[Mapping[str, str], str, str, int | None], Way]] = {
    "curl": by_curl,
    "python": by_python,
    "wininet": functools.partial(by_windows, internet_settings.USER),
    "winhttp": functools.partial(by_windows, internet_settings.WINHTTP),
}


def programs(environment: Mapping[str, str]) -> Iterator[str]:
    """Return whose rules mean something here: those of Windows' settings only where there are any."""
    of = {"wininet": internet_settings.USER, "winhttp": internet_settings.WINHTTP}
    yield from (program for program in RULES if program not in of or of[program] in environment)


def read(value: str) -> Server | None:
    """Return the proxy that a variable's value names; ``None`` for what names none.

    A value without a scheme is an HTTP proxy. A password may hold ``/`` and ``@`` that somebody forgot to escape.
    """
    scheme, separator, rest = value.strip().partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        scheme, rest = "http", value.strip()
    scheme = _ALIASES.get(scheme.lower(), scheme.lower())
    credentials, at, place = rest.rpartition("@")
    place = re.split(r"[/?#\\]", place, maxsplit=1)[0]
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5})?)?", place)
    if match is None or not match[1].strip("[]"):
        return None
    port = int(match[2]) if match[2] else None
    if port is not None and not 0 < port < 65536:
        return None
    user, _, password = credentials.partition(":")
    return Server(scheme, match[1].strip("[]"), port, unquote(user) if at else None, unquote(password))


def _bare(host: str) -> str:
    return host.strip("[]").partition("%")[0].rstrip(".").lower()


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()[:MOST_EXEMPTIONS]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, word: str) -> bool:
    """Whether the word is the address, or a network that holds it."""
    try:
        return address in ipaddress.ip_network(word.strip("[]"), strict=False)
    except ValueError:
        return False
