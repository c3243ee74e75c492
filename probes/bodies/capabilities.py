"""Try every ability once, for real where that harms nobody."""

from __future__ import annotations

import asyncio
import errno
import os
import pkgutil
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from probes.base import Context
from probes.capabilities import FILES, Ability, CapabilitiesRequest, CapabilitiesResult, Feature, Tool, Version
from probes.failure import Failure, classify, errno_name
from probes.system import need_linux, text_file
from probes.system.blocking import aside
from probes.system.linux import errqueue, holders, privileges, rtnetlink, sockdiag
from probes.system.linux.least_ttl import default_ttl, discarded, require_ttl

#: Where administration tools stand: not on an ordinary user's PATH, and yet found by sudo.
_ADMINISTRATION: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
#: Their bits stand in <linux/capability.h>.
_CAPABILITIES: Final = {
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SYS_PTRACE": 19,
}
_LOOPBACK: Final = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
_HIDEPID_OFF: Final = frozenset({"0", "off"})
_MAX_TTL: Final = 255
#: The kernel answers over loopback before the call returns, as a rule; seconds.
_WAIT_S: Final = 0.1
_CHILD_WAIT_S: Final = 2.0


# --- sockets -----------------------------------------------------------------------------------------------


def _failed(feature: Feature, problem: OSError) -> Ability:
    """Say that a call failed; where this process or machine is out of descriptors, nothing is known of the feature."""
    own = classify(problem.errno or 0) in (Failure.TOO_MANY_FILES, Failure.NO_BUFFERS)
    return Ability(feature, usable=None if own else False, errno=errno_name(problem.errno or 0))


def _opens(context: Context, feature: Feature, family: int, kind: int, protocol: int) -> Ability:
    try:
        context.socket(family, kind, protocol).close()
    except OSError as problem:
        return _failed(feature, problem)
    return Ability(feature, usable=True)


def _low_ports(context: Context) -> Ability:
    try:
        return Ability(Feature.LOW_PORTS, privileges.may_bind_low(context))
    except OSError as problem:  # no socket to bind
        return _failed(Feature.LOW_PORTS, problem)


def _tables(context: Context) -> tuple[Ability, Ability]:
    """Ask the kernel for interfaces, routes and neighbours, and for listening sockets."""
    found = []
    for feature, ask in ((Feature.ROUTE_TABLES, _ask_routes), (Feature.SOCKET_TABLE, _ask_sockets)):
        try:
            ask(context)
        except OSError as problem:
            found.append(_failed(feature, problem))
        else:
            found.append(Ability(feature, usable=True))
    return found[0], found[1]


def _ask_routes(context: Context) -> None:
    rtnetlink.links(context)
    rtnetlink.addresses(context)
    rtnetlink.neighbours(context)


def _ask_sockets(context: Context) -> None:
    with sockdiag.open_channel(context) as channel:
        for _ in sockdiag.dump(channel, 4, "tcp", states=1 << sockdiag.LISTEN):
            pass


async def _until(done: Callable[[], bool]) -> bool:
    """Return whether ``done`` came true before :data:`_WAIT_S` was over."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + _WAIT_S
    while not done():
        if loop.time() >= ends:
            return False
        await asyncio.sleep(0.002)
    return True


async def _loopback(context: Context, feature: Feature, family: int) -> Ability:
    """Send a datagram to ourselves."""
    token = os.urandom(8)
    try:
        async with context.budget.slot():
            with context.socket(family, socket.SOCK_DGRAM) as opened:
                opened.bind((_LOOPBACK[socket.AddressFamily(family)], 0))
                opened.connect(opened.getsockname())
                await context.sending()
                opened.send(token)
                came = await _until(lambda: _received(opened) == token)
    except OSError as problem:
        return _failed(feature, problem)
    return Ability(feature, usable=came)


def _received(opened: socket.socket) -> bytes | None:
    try:
        return opened.recv(64)
    except BlockingIOError:
        return None


@asynccontextmanager
async def _closed_port(
    context: Context, family: int, kind: int
) -> AsyncIterator[tuple[socket.socket, tuple[str, int]]]:
    """Give a socket and the loopback address of a port that nobody answers on, held so that nobody can take it.

    A TCP socket that does not listen refuses; a UDP socket that is connected to itself takes no one else's datagrams.
    """
    async with context.budget.slot():
        with context.socket(family, kind) as holder, context.socket(family, kind) as caller:
            holder.bind((_LOOPBACK[socket.AddressFamily(family)], 0))
            if kind == socket.SOCK_DGRAM:
                holder.connect(holder.getsockname())
            yield caller, holder.getsockname()


async def _error_queue(context: Context, family: int) -> Ability:
    """Provoke a *port unreachable* and look for it, with its sender, on the socket's error queue."""
    try:
        async with _closed_port(context, family, socket.SOCK_DGRAM) as (caller, address):
            errqueue.enable(caller)
            caller.connect(address)
            await context.sending()
            caller.send(b"wsadiag")
            came = await _until(lambda: any(e.icmp and e.icmp.sender for e in errqueue.drain(caller)))
    except OSError as problem:
        return _failed(Feature.ERROR_QUEUE, problem)
    # Silence may be the work of a filter on loopback.
    return Ability(Feature.ERROR_QUEUE, usable=True if came else None)


async def _least_ttl(context: Context, family: int) -> tuple[Ability, Ability]:
    """Connect to a port that refuses, ignoring every TTL but the greatest, and look whether the refusal is ignored."""
    unknown = (Ability(Feature.LEAST_TTL, usable=None), Ability(Feature.IGNORED_COUNT, usable=None))
    try:
        async with _closed_port(context, family, socket.SOCK_STREAM) as (caller, address):
            if default_ttl(caller) >= _MAX_TTL:
                return unknown
            require_ttl(caller, _MAX_TTL)
            await context.sending()
            refused = caller.connect_ex(address) == errno.ECONNREFUSED
            if not refused:
                counted = await _until(lambda: bool(discarded(caller)))
                refused = caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
                counts = discarded(caller) is not None
    except OSError as problem:
        return _failed(Feature.LEAST_TTL, problem), unknown[1]
    if refused:
        return Ability(Feature.LEAST_TTL, usable=False), Ability(Feature.IGNORED_COUNT, usable=False)
    if not counts:
        return Ability(Feature.LEAST_TTL, usable=True), Ability(Feature.IGNORED_COUNT, usable=False)
    # Nothing counted and nothing heard: the refusal itself was lost.
    usable = True if counted else None
    return Ability(Feature.LEAST_TTL, usable), Ability(Feature.IGNORED_COUNT, usable)


async def _kernel(context: Context) -> list[Ability]:
    found = [
        _opens(context, Feature.RAW_SOCKETS, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        _opens(context, Feature.PACKET_SOCKETS, socket.AF_PACKET, socket.SOCK_DGRAM, 0),
        _opens(context, Feature.ICMP_SOCKETS, socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
        _low_ports(context),
        Ability(Feature.NET_ADMIN, privileges.net_admin(context)),
        *_tables(context),
    ]
    four = await _loopback(context, Feature.IPV4_LOOPBACK, socket.AF_INET)
    six = await _loopback(context, Feature.IPV6_LOOPBACK, socket.AF_INET6)
    found += [four, six]
    family = socket.AF_INET if four.usable else socket.AF_INET6 if six.usable else None
    if family is not None:
        found += [await _error_queue(context, family), *await _least_ttl(context, family)]
    return found


# --- processes, namespaces, files --------------------------------------------------------------------------


async def _namespaces() -> Ability:
    source = pkgutil.get_data("probes.system.linux", "namespaces.py") or b""  # it may lie in an archive
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", source.decode()),
            executable="/proc/self/exe",  # an interpreter in somebody's home may run and not be found by its path
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return Ability(Feature.NAMESPACES, usable=None)
    try:
        async with asyncio.timeout(_CHILD_WAIT_S):
            said, _ = await child.communicate()
    except TimeoutError:
        return Ability(Feature.NAMESPACES, usable=None)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        return Ability(Feature.NAMESPACES, usable=None)
    word = said.decode("ascii", "replace").strip()[:20]
    return Ability(Feature.NAMESPACES, usable=not word, errno=word or None)


class _Processes(msgspec.Struct, frozen=True):
    seen: int
    hidden: int
    hidepid: str | None
    all_there: bool


def _processes(context: Context) -> _Processes:
    proc = context.root / "proc"
    try:
        pids = holders.processes(proc)
    except OSError:
        return _Processes(0, 0, None, all_there=False)
    hidden = 0
    for pid in pids:
        try:
            hidden += not holders.may_look_into(proc, pid)
        except OSError:
            continue  # gone since
    # Where others are left out of the list altogether, so is the first of all.
    return _Processes(len(pids), hidden, _hidepid(context), all_there=1 in pids)


def _hidepid(context: Context) -> str | None:
    """Return with which ``hidepid`` /proc is mounted (proc(5)), ``None`` where it hides nothing."""
    for line in (text_file.read(context, "/proc/self/mountinfo") or "").splitlines():
        before, dash, after = line.partition(" - ")
        if not dash or before.split()[4:5] != ["/proc"]:
            continue
        for option in after.split()[-1].split(","):
            name, _, value = option.partition("=")
            if name == "hidepid" and value not in _HIDEPID_OFF:
                return value[:20]
    return None


def _numbers(context: Context, path: str) -> tuple[int, ...]:
    words = (text_file.read(context, path) or "").split()
    return tuple(int(word) for word in words) if all(word.isdecimal() for word in words) else ()


def _version(name: str) -> Version:
    import importlib.metadata  # noqa: PLC0415 - 20 ms

    try:
        return Version(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Version(name, None)


async def observe(
    request: CapabilitiesRequest,
    context: Context,
    progress: Callable[[CapabilitiesResult], None],  # noqa: ARG001 - it takes some hundredths of a second
) -> CapabilitiesResult:
    """Try everything once; four packets, none leaves loopback. Works without privilege and tells what lacks it.

    Raises :class:`NotApplicable` on other systems than Linux. Sources: capabilities(7), icmp(7), ip(7),
    netlink(7), proc(5), user_namespaces(7).
    """
    need_linux("capabilities")
    search = os.pathsep.join([context.environment().get("PATH", os.defpath), *_ADMINISTRATION])
    namespaces, kernel, processes, versions = await asyncio.gather(
        _namespaces(),
        _kernel(context),
        aside(_processes, context),
        aside(lambda: tuple(_version(name) for name in request.libraries)),
    )
    system = os.uname()
    effective = privileges.capabilities(context)
    group_range = _numbers(context, "/proc/sys/net/ipv4/ping_group_range")
    start = _numbers(context, "/proc/sys/net/ipv4/ip_unprivileged_port_start")
    others = Ability(Feature.PROCESSES, usable=processes.all_there and not processes.hidden)
    return CapabilitiesResult(
        kernel=f"{system.sysname} {system.release}",
        machine=system.machine,
        python=".".join(map(str, sys.version_info[:3])),
        user=os.geteuid(),
        held=tuple(name for name, bit in _CAPABILITIES.items() if effective >> bit & 1),
        abilities=(*kernel, others, namespaces),
        ping_group_range=(group_range[0], group_range[1]) if len(group_range) == 2 else None,
        low_port_start=start[0] if start else None,
        processes=processes.seen,
        processes_hidden=processes.hidden,
        hidepid=processes.hidepid,
        unreadable=tuple(path for path in FILES if not text_file.read(context, path)),
        libraries=versions,
        tools=tuple(Tool(name, shutil.which(name, path=search)) for name in request.tools),
    )
