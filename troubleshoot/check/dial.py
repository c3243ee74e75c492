"""One connection to one address, as cheap as it can be: what came of it, and who said so."""

from __future__ import annotations

import asyncio
import errno as errno_module
import select
import socket
import time
from collections.abc import Callable
from typing import Final

import msgspec

from probes.failure import errno_name
from probes.system.endpoint import Endpoint
from probes.system.linux import errqueue
from troubleshoot.check.model import Reading

#: The network's own words for "not there", where a router or a host said them.
_REJECTING: Final = frozenset({
    errno_module.EHOSTUNREACH, errno_module.ENETUNREACH, errno_module.EACCES, errno_module.EHOSTDOWN,
    errno_module.ENOPROTOOPT, errno_module.EPROTO, errno_module.EOPNOTSUPP,
})  # fmt: skip
#: How often a socket is asked where the loop cannot watch it, seconds.
_TURN_S: Final = 0.005
#: How often it is asked whether the time is over, seconds.
_LOOK_S: Final = 0.25


class Dialled(msgspec.Struct, frozen=True):
    """``reading`` after ``duration_ms``; ``opened`` is the connection where it is open, and the caller's to close."""

    reading: Reading
    duration_ms: float
    error: str | None = None
    router: str | None = None
    opened: socket.socket | None = None


async def dial(endpoint: Endpoint, timeout_s: float | Callable[[], float], *, ttl: int | None = None) -> Dialled:
    """Try once to connect; ``ttl`` limits how far the packets go.

    The time-out counts from the call; one that is asked for may change while the answer is waited for. A loop that
    wakes up late takes what the kernel has heard meanwhile, so that a busy machine turns no answer into silence.
    """
    began = time.perf_counter()

    def came_to(reading: Reading, number: int = 0, router: str | None = None) -> Dialled:
        ms = (time.perf_counter() - began) * 1000
        return Dialled(reading, ms, errno_name(number) if number else None, router)

    try:
        opened = socket.socket(endpoint.family, socket.SOCK_STREAM)
    except OSError as error:
        return came_to(Reading.LOCAL, error.errno or 0)
    keep = False
    try:
        opened.setblocking(False)
        errqueue.enable(opened, stamps=False)
        if ttl is not None:
            errqueue.set_ttl(opened, ttl)
        number = opened.connect_ex(endpoint.sockaddr)
        at_once = number not in (errno_module.EINPROGRESS, errno_module.EWOULDBLOCK)
        if not at_once:
            if not await _writable(opened, timeout_s if callable(timeout_s) else lambda: timeout_s):
                return came_to(Reading.SILENT)
            number = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number:
            keep = True
            return msgspec.structs.replace(came_to(Reading.OPEN), opened=opened)
        router = _sender(opened)
        return came_to(_reading(number, router, at_once=at_once), number, router)
    finally:
        if not keep:
            opened.close()


def _reading(number: int, router: str | None, *, at_once: bool) -> Reading:
    if number in (errno_module.ECONNREFUSED, errno_module.ECONNRESET):
        return Reading.REFUSED
    if number == errno_module.ETIMEDOUT:
        return Reading.SILENT
    if number in _REJECTING and (router is not None or not at_once):
        return Reading.REJECTED
    return Reading.LOCAL


def _sender(opened: socket.socket) -> str | None:
    """Return who sent the ICMP error that ended the attempt, if it was one."""
    for error in errqueue.drain(opened):
        if error.icmp is not None:
            return error.icmp.sender
    return None


async def _writable(opened: socket.socket, limit_s: Callable[[], float]) -> bool:
    """Wait until the connection has come to something, or its time is over."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()

    def settle(*, ready: bool) -> None:
        if not done.done():
            done.set_result(ready)

    descriptor = opened.fileno()
    try:
        loop.add_writer(descriptor, lambda: settle(ready=True))
    except NotImplementedError:  # Windows' usual loop: the socket is asked in turns
        return await _ask_in_turns(opened, limit_s)
    began = loop.time()
    timer: asyncio.TimerHandle

    def look_at_the_clock() -> None:
        nonlocal timer
        over_s = began + limit_s()
        if loop.time() >= over_s:
            settle(ready=_ready_now(descriptor))
        else:
            timer = loop.call_at(min(over_s, loop.time() + _LOOK_S), look_at_the_clock)

    timer = loop.call_later(min(limit_s(), _LOOK_S), look_at_the_clock)
    try:
        return await done
    finally:
        timer.cancel()
        loop.remove_writer(descriptor)


def _ready_now(descriptor: int) -> bool:
    if not hasattr(select, "poll"):
        _, ready, failed = select.select([], [descriptor], [descriptor], 0)
        return bool(ready or failed)
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


async def _ask_in_turns(opened: socket.socket, limit_s: Callable[[], float]) -> bool:
    began = time.monotonic()
    while not (ready := _ready_now(opened.fileno())) and time.monotonic() < began + limit_s():  # noqa: ASYNC110 - see above
        await asyncio.sleep(_TURN_S)
    return ready
