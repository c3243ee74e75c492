"""Read the proxy settings of the environment: a fact that explains why a browser works and a socket does not."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import msgspec

from probes.base import Context, Probe, sends_nothing
from probes.system import proxy_rules
from probes.system.proxies import ProxySetting, environment_of, settings_of, shown


class ProxyRequest(msgspec.Struct, frozen=True):
    """``host`` is held against ``no_proxy``; ``scheme`` and ``port`` decide with it which variable counts.

    ``pid`` names the process whose environment is read, this one's own where there is none.
    """

    host: str | None = None
    scheme: str = ""
    port: int | None = None
    pid: int | None = None


class ProxyWay(msgspec.Struct, frozen=True):
    """The way to the target by the rules of one program (:data:`probes.system.proxy_rules.RULES`).

    Without ``variable`` it is direct, and with ``exempt`` because ``no_proxy`` says so, whatever the variable names.
    ``kind`` is the proxy's scheme; a value that names no proxy, or one of a kind that is not spoken here, is not
    ``usable``. ``shown`` is the value as :class:`ProxySetting` has it; ``login`` tells that it holds a user.
    """

    program: str
    variable: str | None = None
    exempt: bool = False
    kind: str = ""
    host: str | None = None
    port: int | None = None
    shown: str = ""
    login: bool = False
    usable: bool = False


class ProxyResult(msgspec.Struct, frozen=True):
    """All proxy variables and settings of Windows that are set; ``bypassed`` tells that ``no_proxy`` exempts the host.

    ``ways`` has the way of each program, where host and scheme are known and some variable is set.
    """

    settings: tuple[ProxySetting, ...]
    bypassed: bool
    ways: tuple[ProxyWay, ...] = ()


_MAX_EXEMPTIONS = 1000


async def observe(
    request: ProxyRequest,
    context: Context,
    progress: Callable[[ProxyResult], None],  # noqa: ARG001 - no intermediate result
) -> ProxyResult:
    """Read the environment: each variable in lower and in upper case, for programs differ in which they heed.

    Raises :class:`NotPermitted` where another process's environment may not be read.
    """
    environment = environment_of(request.pid, context)
    exemptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    bypassed = request.host is not None and _bypassed(request.host, exemptions)
    settings = settings_of(environment, context)
    ways: tuple[ProxyWay, ...] = ()
    if settings and request.scheme and request.host is not None:
        ask = (environment, request.scheme, request.host, request.port)
        found = ((p, proxy_rules.RULES[p](*ask)) for p in proxy_rules.programs(environment))
        ways = tuple(_way(program, way, shown(way.value, context)) for program, way in found)
    return ProxyResult(settings, bypassed, ways)


def _way(program: str, way: proxy_rules.Way, value: str) -> ProxyWay:
    server = proxy_rules.read(way.value) if way.variable is not None else None
    if server is None:
        return ProxyWay(program, way.variable, exempt=way.exempt, shown=value)
    return ProxyWay(
        program,
        way.variable,
        exempt=way.exempt,
        kind=server.kind,
        host=server.host,
        port=server.port_for(program),
        shown=value,
        login=server.user is not None,
        usable=server.kind in proxy_rules.KINDS,
    )


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
