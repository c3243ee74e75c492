"""Read the proxy settings of the environment: a fact that explains why a browser works and a socket does not."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import msgspec

from probes.base import Context, Probe, sends_nothing
from probes.system.proxies import ProxySetting, settings_of


class ProxyRequest(msgspec.Struct, frozen=True):
    """``host`` is held against ``no_proxy``."""

    host: str | None = None


class ProxyResult(msgspec.Struct, frozen=True):
    """All proxy variables that are set; ``bypassed`` is true where ``no_proxy`` exempts the host."""

    settings: tuple[ProxySetting, ...]
    bypassed: bool


_MAX_EXEMPTIONS = 1000


async def observe(
    request: ProxyRequest,
    context: Context,
    progress: Callable[[ProxyResult], None],  # noqa: ARG001 - no intermediate result
) -> ProxyResult:
    """Read the environment: each variable in lower and in upper case, for programs differ in which they heed."""
    environment = context.environment()
    exemptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    bypassed = request.host is not None and _bypassed(request.host, exemptions)
    return ProxyResult(settings_of(environment, context), bypassed)


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
