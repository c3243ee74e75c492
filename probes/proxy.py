"""Read the proxy settings of the environment: a fact that explains why a browser works and a socket does not."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

import msgspec

from probes.base import Context, Probe, sends_nothing


class ProxyRequest(msgspec.Struct, frozen=True):
    """``host`` is held against ``no_proxy``."""

    host: str | None = None


class ProxySetting(msgspec.Struct, frozen=True):
    """One variable; passwords and tokens in the value are replaced by ``***`` unless they are to be shown."""

    variable: str
    value: str


class ProxyResult(msgspec.Struct, frozen=True):
    """All proxy variables that are set; ``bypassed`` is true where ``no_proxy`` exempts the host."""

    settings: tuple[ProxySetting, ...]
    bypassed: bool


_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "socks_proxy", "all_proxy", "no_proxy")
_MAX_TEXT = 400
_MAX_EXEMPTIONS = 1000


async def observe(
    request: ProxyRequest,
    context: Context,
    progress: Callable[[ProxyResult], None],  # noqa: ARG001 - no intermediate result
) -> ProxyResult:
    """Read the environment: each variable in lower and in upper case, for programs differ in which they heed."""
    environment = context.environment()
    settings: list[ProxySetting] = []
    exemptions = ""
    for variable in _VARIABLES:
        for spelling in (variable, variable.upper()):
            value = environment.get(spelling)
            if value:
                exempts = variable == "no_proxy"
                plain = exempts or context.show_secrets
                settings.append(ProxySetting(spelling, _printable(value if plain else context.masked(_masked(value)))))
                exemptions = exemptions or (value if exempts else "")
    return ProxyResult(tuple(settings), request.host is not None and _bypassed(request.host, exemptions))


def _masked(value: str) -> str:
    """Replace what stands before ``@`` but for a user's name: also a token without a name, and odd passwords.

    A password may hold ``/`` and ``@`` where somebody forgot to escape them, hence the *last* ``@``.
    """
    head, at, rest = value.rpartition("@")
    if not at:
        return value
    scheme, separator, credentials = head.partition("://")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) or not separator:
        scheme, separator, credentials = "", "", head
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user + ':***' if colon else '***'}@{rest}"


def _bypassed(host: str, exemptions: str) -> bool:
    """Hold a host against ``no_proxy`` in the widest reading of common programs (there is no standard; curl(1)).

    Words are separated by commas or blanks: ``*``, a domain with or without a leading dot (it and everything
    below it), an address, or a network in CIDR form; a port behind any of them is not looked at.
    """
    name = host.strip("[]").partition("%")[0].rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        address = None
    for word in exemptions.replace(",", " ").lower().split()[:_MAX_EXEMPTIONS]:
        if word == "*":
            return True
        if address is None:
            domain = word.partition(":")[0].removeprefix("*").strip(".")
            if domain and (name == domain or name.endswith("." + domain)):
                return True
        elif _covers(word, address):
            return True
    return False


def _covers(word: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell whether the word is the address, or a network that holds it."""
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    elif word.count(":") == 1:
        word = word.partition(":")[0]
    try:
        return address in ipaddress.ip_network(word, strict=False)
    except ValueError:
        return False


def _printable(text: str) -> str:
    """Return the value as one line of printable characters."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return shown if len(shown) <= _MAX_TEXT else shown[:_MAX_TEXT] + "…"


PROBE = Probe(
    name="proxy",
    request=ProxyRequest,
    result=ProxyResult,
    observe=observe,
    request_for=lambda target: ProxyRequest(target.host),
    subject=lambda request: request.host or "",
    deadline_s=1.0,
    most_packets=sends_nothing,
)
