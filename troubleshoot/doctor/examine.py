"""Find out what a diagnosis can use on this machine, and say what each missing thing costs.

The probe ``capabilities`` tries privileges and kernel features, the probe ``resolve`` asks each configured name
server a harmless question. What follows from their results is said here, in sentences of the catalogue.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import replace

from probes.base import CannotObserve, Context, Note, load, note
from probes.capabilities import Ability, CapabilitiesResult, Feature
from probes.failure import as_outcome
from probes.resolve import SILENT, Answer, ResolveRequest, ResolveResult, ServerAnswer
from probes.system import platform_name
from probes.system.dns.resolv_conf import read_configuration
from troubleshoot.doctor.checkup import Checkup, Group, Item, State, Weight
from troubleshoot.knowledge.text import can_show

#: Reserved for documentation (RFC 2606) and there for everybody; the dot at its end keeps the search list out of it.
QUESTION: Final = "example.com."
#: A server's answer is waited for this long over UDP, and again over TCP, seconds.
_WAIT_S: Final = 1.5
#: Debian's package of each tool.
PACKAGES: Final = {
    "arping": "iputils-arping",
    "dig": "bind9-dnsutils",
    "free": "procps",
    "getent": "libc-bin",
    "ip": "iproute2",
    "mtr": "mtr-tiny",
    "nc": "netcat-openbsd",
    "nft": "nftables",
    "nstat": "iproute2",
    "openssl": "openssl",
    "ping": "iputils-ping",
    "ps": "procps",
    "ss": "iproute2",
    "strace": "strace",
    "sysctl": "procps",
    "tcpdump": "tcpdump",
    "traceroute": "traceroute",
}
#: The step that each file below /proc is read for.
_STEP_OF_FILE: Final = {
    "/proc/net/snmp": "statistics",
    "/proc/net/netstat": "statistics",
    "/proc/net/sockstat": "buffers",
    "/proc/meminfo": "buffers",
    "/proc/sys/net/ipv4/tcp_mem": "buffers",
    "/proc/sys/fs/file-nr": "open-sockets",
    "/proc/sys/net/ipv4/ip_local_port_range": "open-sockets",
}
#: What the TTL of an answer tells apart.
_BY_TTL: Final = ("firewall-reset", "no-listener", "connection-intercepted")
_CAUSE_OF_STEP: Final = {
    "statistics": (),
    "buffers": ("buffers-exhausted",),
    "open-sockets": ("too-many-open-sockets", "ephemeral-ports-exhausted"),
}
_PINGS: Final = ("ping-remote", "ping-router", "ping-beyond-router", "ping-local-host", "ping-remote-subnet")


async def examine(*, network: bool = True, encoding: str = "utf-8", context: Context | None = None) -> Checkup:
    """Look at everything once, and return what was found; never raises for what is missing.

    With ``network`` the configured name servers are asked for the addresses of ``example.com``, else nothing leaves
    this machine. ``encoding`` is that of the output. Takes a quarter of a second where every name server answers,
    three seconds where one does not.
    """
    context = context or Context()
    started, began = datetime.now(UTC), time.perf_counter()
    found, servers = await asyncio.gather(_look("capabilities", context), _name_servers(context, network=network))
    here: CapabilitiesResult | None = None
    reason: Note | None = None
    if isinstance(found, Note):
        reason = found
    else:
        here = found
    items = (
        *(_privileges(here) if here else ()),
        *(_kernel(here) if here else ()),
        *servers,
        *(_tools(here) if here else ()),
        _output(encoding),
    )
    return Checkup(
        started=started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        duration_ms=round((time.perf_counter() - began) * 1000, 1),
        packets=context.packets_sent,
        hostname=socket.gethostname(),
        platform=platform_name(),
        kernel=f"{here.kernel} {here.machine}" if here else None,
        python=".".join(map(str, sys.version_info[:3])),
        user=here.user if here else None,
        held=here.held if here else (),
        libraries=tuple((one.name, one.version) for one in here.libraries) if here else (),
        tools=tuple((one.name, one.path) for one in here.tools) if here else (),
        items=items,
        reason=reason,
    )


async def _look(name: str, context: Context, request: Any = None) -> Any:
    """Return the probe's result, or as a note why there is none."""
    probe = load(name)
    try:
        async with asyncio.timeout(probe.deadline_s):
            return await probe.observe(request or probe.request(), context, lambda _: None)
    except CannotObserve as problem:
        return problem.reason
    except ExceptionGroup as group:
        told = as_outcome(group)
        if told is None:
            raise
        return told.reason
    except TimeoutError:
        return note("reason.deadline", seconds=f"{probe.deadline_s:.1f}")


def _item(
    identifier: str,
    group: Group,
    state: State,
    found: Note,
    *,
    weight: Weight = "certainty",
    subject: str = "",
    steps: tuple[str, ...] = (),
    causes: tuple[str, ...] = (),
    **values: object,
) -> Item:
    """Build an item; ``values`` fill the places of its remedy."""
    return Item(
        id=identifier,
        group=group,
        state=state,
        found=found,
        gives=note(f"doctor.{identifier}-gives"),
        cost=note(f"doctor.{identifier}-cost"),
        remedy=Note(f"doctor.{identifier}-remedy", tuple((name, str(value)) for name, value in values.items())),
        weight=weight,
        subject=subject,
        steps=steps,
        causes=causes,
    )


def _state(*abilities: Ability) -> State:
    """Return ``there`` where all are usable, ``missing`` where one is known not to be."""
    if any(one.usable is False for one in abilities):
        return "missing"
    return "there" if all(one.usable for one in abilities) else "unknown"


def _seen(ability: Ability) -> Note:
    """Return the plain finding on one feature."""
    if ability.usable:
        return note("doctor.usable")
    if ability.usable is None:
        return note("doctor.not-found-out")
    return note("doctor.unusable-errno", errno=ability.errno) if ability.errno else note("doctor.unusable")


def _privileges(here: CapabilitiesResult) -> Iterator[Item]:
    raw, packet = here.ability(Feature.RAW_SOCKETS), here.ability(Feature.PACKET_SOCKETS)
    if raw.usable and packet.usable is False:
        found = note("doctor.packet-sockets-unusable", errno=packet.errno or "?")
    else:
        found = _seen(raw)
    yield _item(
        "raw-packets",
        "privileges",
        _state(raw, packet),
        found,
        steps=("connect", "subnet-mask", "ping-local-host"),
        causes=("local-firewall", "firewall-drop", "accept-queue-full", "wrong-subnet-mask", "host-down"),
    )
    yield _echo(here, raw)
    hidden = here.ability(Feature.PROCESSES)
    if hidden.usable:
        found = note("doctor.processes-all", count=here.processes)
    elif here.processes_hidden:
        key = "doctor.processes-hidden" if "CAP_SYS_PTRACE" in here.held else "doctor.processes-lack"
        found = note(key, hidden=here.processes_hidden, count=here.processes)
    elif here.hidepid:
        found = note("doctor.processes-hidepid", hidepid=here.hidepid)
    else:
        found = note("doctor.processes-unlisted")
    item = _item(
        "processes",
        "privileges",
        _state(hidden),
        found,
        steps=("port-owner", "listeners", "open-sockets"),
        causes=("port-in-use", "too-many-open-sockets", "ephemeral-ports-exhausted"),
    )
    kept = found.key == "doctor.processes-hidden"  # with all that it takes
    yield replace(item, remedy=note("doctor.processes-kept-remedy")) if kept else item
    low = here.ability(Feature.LOW_PORTS)
    start = "?" if here.low_port_start is None else here.low_port_start
    yield _item(
        "low-ports",
        "privileges",
        _state(low),
        note("doctor.low-ports-usable") if low.usable else note("doctor.low-ports-unusable", start=start),
        steps=("port-owner",),
        causes=("port-in-use", "port-in-time-wait", "port-not-permitted"),
    )
    admin = here.ability(Feature.NET_ADMIN)
    yield _item("net-admin", "privileges", _state(admin), _seen(admin), weight="none")


def _echo(here: CapabilitiesResult, raw: Ability) -> Item:
    """Say how pings are sent: a datagram socket and a raw one do equally well."""
    datagram = here.ability(Feature.ICMP_SOCKETS)
    if datagram.usable:
        state: State = "there"
        found = note("doctor.echo-datagram")
    elif raw.usable:
        state, found = "there", note("doctor.echo-raw")
    else:
        state = _state(datagram)
        closed = " ".join(map(str, here.ping_group_range)) if here.ping_group_range else "?"
        found = note("doctor.echo-neither", range=closed)
    return _item(
        "echo",
        "privileges",
        state,
        found,
        steps=(*_PINGS, "path-mtu"),
        causes=(
            "host-down",
            "path-broken",
            "firewall-drop",
            "path-mtu-blackhole",
            "packet-loss",
            "connection-intercepted",
        ),
    )


def _kernel(here: CapabilitiesResult) -> Iterator[Item]:
    def one(
        identifier: str,
        feature: Feature,
        *,
        weight: Weight = "certainty",
        steps: tuple[str, ...] = (),
        causes: tuple[str, ...] = (),
    ) -> Item:
        ability = here.ability(feature)
        return _item(identifier, "kernel", _state(ability), _seen(ability), weight=weight, steps=steps, causes=causes)

    yield one(
        "error-queue",
        Feature.ERROR_QUEUE,
        weight="essential",
        steps=("connect", "traceroute", "ping-beyond-router"),
        causes=(
            *("firewall-reject", "firewall-reset", "firewall-drop", "network-unreachable", "path-broken"),
            *("routing-loop", "host-down", "path-mtu-blackhole", "connection-intercepted"),
        ),
    )
    yield one("least-ttl", Feature.LEAST_TTL, steps=("connect",), causes=_BY_TTL)
    if here.ability(Feature.LEAST_TTL).usable:
        yield one("ignored-count", Feature.IGNORED_COUNT, steps=("connect",), causes=_BY_TTL)
    yield one(
        "route-tables",
        Feature.ROUTE_TABLES,
        weight="essential",
        steps=("interface", "router-configured", "subnet-mask", "ping-router", "ping-local-host"),
        causes=("interface-down", "no-default-route", "no-route", "wrong-subnet-mask", "router-down"),
    )
    yield one(
        "socket-table",
        Feature.SOCKET_TABLE,
        steps=("listeners", "port-owner", "open-sockets"),
        causes=("port-in-use", "listener-on-other-address"),
    )
    yield _files(here)
    yield one("ipv4", Feature.IPV4_LOOPBACK, steps=("network-subsystem",), causes=("network-subsystem-down",))
    yield one("ipv6", Feature.IPV6_LOOPBACK, steps=("address-family",), causes=("address-family-unavailable",))
    yield one("namespaces", Feature.NAMESPACES, weight="none")


def _files(here: CapabilitiesResult) -> Item:
    """Say which files below /proc cannot be read."""
    steps = tuple(dict.fromkeys(_STEP_OF_FILE[path] for path in here.unreadable))
    unreadable = note("doctor.files-unreadable", files=", ".join(here.unreadable))
    return _item(
        "files",
        "kernel",
        "missing" if here.unreadable else "there",
        unreadable if here.unreadable else note("doctor.files-readable"),
        steps=steps,
        causes=tuple(cause for step in steps for cause in _CAUSE_OF_STEP[step]),
    )


_SERVER_STEPS: Final = ("check-dns", "resolve-name", "resolve-other-name")
_SERVER_CAUSES: Final = ("name-does-not-exist", "nameservers-disagree", "stale-hosts-entry")


async def _name_servers(context: Context, *, network: bool) -> list[Item]:
    """Return one item for each configured name server, or the one that says that there is none."""
    try:
        configuration = read_configuration(context)
    except CannotObserve as problem:
        return [_server_item("name-server", "unknown", problem.reason)]
    if not configuration.configured:
        none = note("doctor.no-name-server-found" if configuration.readable else "doctor.no-resolv-conf")
        return [_server_item("no-name-server", "missing", none)]
    servers = tuple(dict.fromkeys(configuration.servers))
    if not network:
        return [_server_item("name-server", "not-asked", note("doctor.not-asked"), one) for one in servers]
    request = ResolveRequest(QUESTION, wait_s=_WAIT_S, system_wait_s=_WAIT_S)
    result = await _look("resolve", context, request)
    if isinstance(result, Note):
        return [_server_item("name-server", "unknown", result, one) for one in servers]
    return [_server(one, result) for one in servers]


def _server_item(identifier: str, state: State, found: Note, server: str = "") -> Item:
    return _item(
        identifier,
        "name-servers",
        state,
        found,
        subject=server,
        steps=_SERVER_STEPS,
        causes=_SERVER_CAUSES,
    )


def _server(server: str, result: ResolveResult) -> Item:
    """Say what came of asking one server; any answer proves that it is there."""
    answers = [one for one in result.answers if one.server == server]
    heard = [one for one in answers if one.answer not in SILENT]
    if heard:
        return _server_item("name-server", "there", _said(heard), server)
    if not answers or result.own_errors:
        errors = ", ".join(result.own_errors) or "?"
        return _server_item("name-server", "unknown", note("reason.own-limit-reached", error=errors), server)
    kinds = {one.answer for one in answers}
    if kinds == {Answer.PORT_CLOSED}:
        found = note("doctor.server-closed")
    elif kinds == {Answer.UNREACHABLE}:
        found = note("doctor.server-unreachable", errno=answers[0].errno or "?")
    else:
        found = note("doctor.server-silent", seconds=f"{_WAIT_S:g}")
    return _server_item("name-server", "missing", found, server)


def _said(heard: list[ServerAnswer]) -> Note:
    fastest = min((one.rtt_ms for one in heard if one.rtt_ms is not None), default=0.0)
    ms = f"{fastest:.1f}"
    good = any(one.answer in (Answer.ADDRESSES, Answer.NO_DATA, Answer.NXDOMAIN) for one in heard)
    if good:
        return note("doctor.server-answers", ms=ms)
    return note("doctor.server-says", ms=ms, rcode=heard[0].rcode or heard[0].answer)


def _tools(here: CapabilitiesResult) -> Iterator[Item]:
    missing = [one.name for one in here.tools if one.path is None]
    packages = " ".join(dict.fromkeys(PACKAGES.get(name, name) for name in missing))
    yield _item(
        "tools",
        "tools",
        "missing" if missing else "there",
        note("doctor.tools-missing", tools=", ".join(missing))
        if missing
        else note("doctor.tools-there", count=len(here.tools)),
        weight="none",
        packages=packages,
    )


def _output(encoding: str) -> Item:
    good = can_show("한국어 ✓", encoding)
    found = note("doctor.encoding-found", encoding=encoding)
    return _item("encoding", "output", "there" if good else "missing", found, weight="none")
