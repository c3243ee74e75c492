"""Try the stack itself: loopback up, connections and datagrams through it, its counters; on Windows, Winsock too."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import time
from collections.abc import Callable

import msgspec

from probes.base import Context, NotApplicable, Probe
from probes.failure import OUT_OF_DESCRIPTORS, errno_name, number_of
from probes.system.windows import winsock
from probes.system.windows.winsock import Provider, Winsock

__all__ = ["NO_ANSWER", "PROBE", "Exchange", "NetworkSubsystemRequest", "NetworkSubsystemResult", "Provider", "Winsock"]

_SIOCGIFFLAGS = 0x8913  # <linux/sockios.h>
_IFF_UP = 0x1  # <linux/if.h>
NO_ANSWER = "NO_ANSWER"


class NetworkSubsystemRequest(msgspec.Struct, frozen=True):
    """``wait_s`` bounds each exchange over loopback."""

    wait_s: float = 1.0


class Exchange(msgspec.Struct, frozen=True):
    """One exchange over loopback: ``transport`` and ``family``; ``errno`` is ``None`` where it worked.

    ``errno`` is ``NO_ANSWER`` where nothing came back in time.
    """

    transport: str
    family: int
    errno: str | None
    duration_ms: float


class NetworkSubsystemResult(msgspec.Struct, frozen=True):
    """``loopback_up`` is the interface's state (``None``: there is no ``lo`` or it cannot be asked for);
    ``counters`` whether the stack's counters can be read; ``kernel`` its name and release. ``winsock`` is what Windows
    has in front of the stack, ``None`` on every other system.
    """  # noqa: D205

    loopback_up: bool | None
    exchanges: tuple[Exchange, ...]
    counters: bool
    kernel: str
    winsock: Winsock | None = None


#: SYN, SYN-ACK, ACK, the token and its ACK, FIN and ACK from each side.
_TCP_PACKETS = 9


def _loopback_up(context: Context) -> bool | None:
    # Not /sys: it may be mounted from another network namespace than the one this process is in.
    try:
        import fcntl  # noqa: PLC0415 - there is none on Windows, which has no such switch either

        with context.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            answer = fcntl.ioctl(opened, _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
    except (OSError, ImportError):
        return None
    return bool(struct.unpack_from("H", answer, 16)[0] & _IFF_UP)


def _counters(context: Context) -> bool:
    windows = winsock.counters()
    if windows is not None:
        return windows
    try:
        return "Tcp:" in context.read_text("/proc/net/snmp")
    except OSError:
        return False


async def _over_tcp(context: Context, family: int, address: str) -> None:
    loop = asyncio.get_running_loop()
    with (
        context.socket(family, socket.SOCK_STREAM) as listener,
        context.socket(family, socket.SOCK_STREAM) as client,
    ):
        listener.bind((address, 0))
        listener.listen(4)
        await context.sending(_TCP_PACKETS)
        await loop.sock_connect(client, listener.getsockname())
        name = client.getsockname()
        while True:
            accepted, peer = await loop.sock_accept(listener)
            with accepted:
                if peer != name:
                    continue  # somebody else's; ours is behind it
                token = os.urandom(8)
                await loop.sock_sendall(client, token)
                received = b""
                while len(received) < len(token):
                    part = await loop.sock_recv(accepted, len(token) - len(received))
                    if not part:
                        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
                    received += part
                return


async def _over_udp(context: Context, family: int, address: str) -> None:
    loop = asyncio.get_running_loop()
    with (
        context.socket(family, socket.SOCK_DGRAM) as server,
        context.socket(family, socket.SOCK_DGRAM) as client,
    ):
        server.bind((address, 0))
        client.connect(server.getsockname())
        token = os.urandom(8)
        await context.sending(1)
        await loop.sock_sendall(client, token)
        while await loop.sock_recv(server, 64) != token:
            pass


async def _exchange(context: Context, transport: str, family: int, wait_s: float) -> Exchange:
    number, address = (socket.AF_INET, "127.0.0.1") if family == 4 else (socket.AF_INET6, "::1")
    work = _over_tcp if transport == "tcp" else _over_udp
    failure: str | None = None
    # One slot for its two or three sockets: who holds a slot and waits for another may wait forever.
    async with context.budget.slot():
        started = time.perf_counter()
        try:
            async with asyncio.timeout(wait_s):
                await work(context, number, address)
        except TimeoutError as error:
            # The kernel's own ETIMEDOUT is a TimeoutError too; ours carries no number.
            failure = NO_ANSWER if error.errno is None else errno_name(number_of(error))
        except OSError as error:
            failure = errno_name(number_of(error))
    return Exchange(transport, family, failure, (time.perf_counter() - started) * 1000)


def _kernel() -> str:
    system = os.uname()
    return f"{system.sysname} {system.release}"


async def observe(
    request: NetworkSubsystemRequest, context: Context, progress: Callable[[NetworkSubsystemResult], None]
) -> NetworkSubsystemResult:
    """Exchange a few bytes with ourselves over TCP and UDP, IPv4 and IPv6, all four at once.

    About 20 packets, none leaves the loopback interface. Works without privilege. Raises :class:`NotApplicable` where
    this process may open no socket for want of descriptors, which says nothing of the stack. Source: netdevice(7),
    proc(5); of Winsock what :mod:`probes.system.windows.winsock` names.
    """
    up, counters, library = _loopback_up(context), _counters(context), winsock.examine()
    kernel = winsock.kernel() or _kernel()
    progress(NetworkSubsystemResult(up, (), counters, kernel, library))
    pairs = [("tcp", 4), ("udp", 4), ("tcp", 6), ("udp", 6)]
    done = await asyncio.gather(*(_exchange(context, *pair, request.wait_s) for pair in pairs))
    tried = tuple(one for one in done if one.errno not in OUT_OF_DESCRIPTORS)
    if not tried:
        raise NotApplicable("reason.no-descriptor", errno=done[0].errno)
    return NetworkSubsystemResult(up, tried, counters, kernel, library)


PROBE: Probe[NetworkSubsystemRequest, NetworkSubsystemResult] = Probe(
    name="network-subsystem",
    request=NetworkSubsystemRequest,
    result=NetworkSubsystemResult,
    observe=observe,
    request_for=lambda _target: NetworkSubsystemRequest(),
    deadline_s=3.0,
    most_packets=lambda _request: 2 * (_TCP_PACKETS + 1),
)
