"""Try to bind a local address and port, as the failing program would, and give it back at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import msgspec

from probes.base import Context, NotApplicable, Probe, ProbeTarget, sends_nothing
from probes.failure import OUT_OF_DESCRIPTORS, Failure, classify, errno_name
from probes.system import platform_name
from probes.system.blocking import in_thread
from probes.system.linux import local_ports
from probes.system.rights import Capability, laid_down, using
from probes.system.windows import excluded_ports
from probes.system.windows.excluded_ports import ExcludedPorts


class BindRequest(msgspec.Struct, frozen=True):
    """``address`` is a literal of this machine or unspecified (``0.0.0.0``, ``::``).

    ``pid`` is the failing program's process, where it is known: its right to low ports is looked up.
    """

    address: str
    port: int
    transport: str = "tcp"
    pid: int | None = None


class BindAttempt(msgspec.Struct, frozen=True):
    """One way to bind: ``plain``, ``reuse-address``, ``v6-only`` or ``reuse-port``, which tries no more than bind().

    ``failure`` is ``None`` where it worked.

    ``call`` is the one that failed: ``socket``, ``setsockopt``, ``bind`` or, for TCP, ``listen``.
    """

    how: str
    failure: Failure | None = None
    errno: str | None = None
    call: str | None = None


class BindResult(msgspec.Struct, frozen=True):
    """``attempts`` in order; the first is how most programs do it.

    ``unprivileged_start`` is ``net.ipv4.ip_unprivileged_port_start``; ``may_bind_low`` whether this process has
    CAP_NET_BIND_SERVICE; ``ephemeral_range`` the ports that outgoing connections use; ``reserved`` whether
    ``ip_local_reserved_ports`` holds the port: the kernel then never picks it by itself, and binding it works.
    ``process_may_bind_low`` is the capability of the process ``pid``, ``None`` where it was not asked for or is gone.
    ``excluded`` are the ranges that Windows keeps back, looked up where access was denied there, else ``None``.
    """

    address: str
    port: int
    transport: str
    attempts: tuple[BindAttempt, ...]
    unprivileged_start: int | None = None
    may_bind_low: bool = False
    ephemeral_range: tuple[int, int] | None = None
    reserved: bool = False
    process_may_bind_low: bool | None = None
    excluded: ExcludedPorts | None = None


def _endpoint(request: BindRequest) -> tuple[int, tuple[str, int] | tuple[str, int, int, int]]:
    kind = socket.SOCK_STREAM if request.transport == "tcp" else socket.SOCK_DGRAM
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        family, _kind, _protocol, _name, address = socket.getaddrinfo(
            request.address, request.port, type=kind, flags=flags
        )[0]
    except (socket.gaierror, UnicodeError, OverflowError):
        raise NotApplicable("reason.not-an-address", text=request.address[:80]) from None
    return family, address  # type: ignore[return-value]  # AI_NUMERICHOST gives no other shape


def _attempt(request: BindRequest, context: Context, how: str) -> BindAttempt:
    family, address = _endpoint(request)
    stream = request.transport == "tcp"
    call = "socket"
    try:
        with context.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as opened:
            call = "setsockopt"
            if how == "reuse-address":
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            elif how == "v6-only":
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            elif how == "reuse-port":
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            call = "bind"
            with using(Capability.NET_BIND_SERVICE):
                opened.bind(address)
            if stream and how != "reuse-port":
                # A port may let several sockets bind and only one listen.
                call = "listen"
                opened.listen(0)
    except OSError as error:
        number = error.errno or 0
        if errno_name(number) in OUT_OF_DESCRIPTORS:
            raise NotApplicable("reason.no-descriptor", errno=errno_name(number)) from None
        return BindAttempt(how, classify(number), errno_name(number), call)
    return BindAttempt(how)


def _read(context: Context, name: str) -> str:
    try:
        return context.read_text(f"/proc/sys/net/ipv4/{name}").strip()
    except OSError:
        return ""


def _has_capability(context: Context, process: int | str = "self") -> bool | None:
    try:
        status = context.read_text(f"/proc/{process}/status")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            held = int(line.split()[1], 16) | (laid_down() if process == "self" else 0)
            return bool(held >> Capability.NET_BIND_SERVICE & 1)
    return None


async def observe(request: BindRequest, context: Context, progress: Callable[[BindResult], None]) -> BindResult:
    """Bind (and for TCP listen on) the address and port in each way, closing the socket at once each time.

    A TCP port that was free listens for some microseconds. ``SO_REUSEADDR`` and ``SO_REUSEPORT`` are not
    tried for UDP, because Linux would then hand us another program's traffic. For a TCP port that is taken
    ``SO_REUSEPORT`` is tried without listening, and so without a share of the connections: that works where the holder
    has set it too and is of our own user. What fails is a result; an
    ``address`` that is no literal raises :class:`NotApplicable`. Source: bind(2), listen(2), ip(7), socket(7).
    """
    if request.transport not in ("tcp", "udp"):
        raise NotApplicable("reason.transport-unknown", transport=request.transport)
    if not 0 <= request.port <= 0xFFFF:
        raise NotApplicable("reason.not-a-port", port=request.port)
    family, _ = _endpoint(request)
    ways = ["plain"]
    if request.transport == "tcp" and platform_name() != "windows":
        ways.append("reuse-address")
    if family == socket.AF_INET6:
        ways.append("v6-only")
    start = _read(context, "ip_unprivileged_port_start")
    picked = local_ports.read(context)
    attempts: list[BindAttempt] = []
    excluded: ExcludedPorts | None = None

    def result() -> BindResult:
        return BindResult(
            address=request.address,
            port=request.port,
            transport=request.transport,
            attempts=tuple(attempts),
            unprivileged_start=int(start) if start.isdecimal() else None,
            may_bind_low=bool(_has_capability(context)),
            ephemeral_range=(picked.first, picked.last) if picked is not None else None,
            reserved=picked is not None and picked.is_reserved(request.port),
            process_may_bind_low=None if request.pid is None else _has_capability(context, request.pid),
            excluded=excluded,
        )

    for how in ways:
        async with context.budget.slot():
            attempts.append(_attempt(request, context, how))
        progress(result())
        await asyncio.sleep(0)
        taken = how == "plain" and attempts[0].failure is Failure.ADDRESS_IN_USE
        if taken and request.transport == "tcp" and hasattr(socket, "SO_REUSEPORT"):
            ways.append("reuse-port")
    if attempts[0].failure is Failure.ACCESS_DENIED:
        version = 6 if family == socket.AF_INET6 else 4
        excluded = await in_thread(lambda: excluded_ports.read(request.transport, version), "excluded ports")
    return result()


def _request_for(target: ProbeTarget) -> BindRequest:
    if target.port is None:
        raise NotApplicable("reason.needs-port", probe="bind")
    wildcard = "::" if target.family == 6 else "0.0.0.0"
    return BindRequest(target.address or target.host or wildcard, target.port, target.transport, target.pid)


PROBE: Probe[BindRequest, BindResult] = Probe(
    name="bind",
    request=BindRequest,
    result=BindResult,
    observe=observe,
    request_for=_request_for,
    subject=lambda request: f"{request.transport} {request.address} {request.port}",
    deadline_s=5.0,
    most_packets=sends_nothing,
)
