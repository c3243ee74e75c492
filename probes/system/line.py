"""One TCP connection to a service: connect, say something, read what comes, and note when it ends (RFC 9293)."""

from __future__ import annotations

import asyncio
import errno as errno_module
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from probes.base import Context
from probes.failure import number_of
from probes.system.endpoint import Endpoint

#: So many bytes are read in all: the longest sensible chain of certificates is shorter.
MOST_READ: Final = 1 << 17
#: So many bytes are held: the head of an HTTP answer, a handshake in the clear.
HELD: Final = 1 << 14
_CHUNK: Final = 4096
#: A greeting that took so long has had its wait: only a close that comes right behind it is still seen, seconds.
_SLOW_S, _SOON_S = 1.0, 0.01
RESETS: Final = frozenset({errno_module.ECONNRESET, errno_module.EPIPE, errno_module.ECONNABORTED})


class Ended(Exception):  # noqa: N818 - it is an outcome, not a failure
    """The service has closed the connection, or reset it."""


class Patience(msgspec.Struct, frozen=True):
    """How long the connection, the first byte, and what follows that are waited for, seconds."""

    connect_s: float
    first_s: float
    settle_s: float


class Line:
    """One connection, and what the service has done with it so far."""

    def __init__(self, target: Endpoint, patience: Patience) -> None:
        self.target = target
        self.patience = patience
        self.loop = asyncio.get_running_loop()
        self.opened: socket.socket | None = None
        #: Called with the socket before it is connected.
        self.prepare: Callable[[socket.socket], None] = lambda _: None
        self.start_s = self.loop.time()
        self.made_s: float | None = None
        self.first_s: float | None = None
        self.ended_s: float | None = None
        self.reset = False
        self.errno = 0
        self.raw = b""
        self.read = 0

    async def connect(self, context: Context) -> bool:
        """Connect; false where that failed, or where the connection was reset at once."""
        await context.sending()
        self.start_s = self.loop.time()
        try:
            self.opened = context.socket(self.target.family, socket.SOCK_STREAM)
            self.prepare(self.opened)
            async with asyncio.timeout(self.patience.connect_s):
                await self.loop.sock_connect(self.opened, self.target.sockaddr)
        except OSError as error:
            self.errno = number_of(error)  # none where our own patience has ended
            if self.errno in RESETS:
                self.made_s = self.ended_s = self.loop.time()
                self.reset = True
            return False
        self.made_s = self.loop.time()
        return True

    def close(self) -> None:
        """Close the connection."""
        if self.opened is not None:
            self.opened.close()

    async def receive(self) -> bytes:
        """Return what the service sends next. Raises :class:`Ended`; the caller bounds the time."""
        if self.opened is None or self.read >= MOST_READ:
            raise Ended
        try:
            data = await self.loop.sock_recv(self.opened, _CHUNK)
        except OSError as error:
            self.end(error)
            raise Ended from error
        if not data:
            self.end(None)
            raise Ended
        self.first_s = self.loop.time() if self.first_s is None else self.first_s
        self.read += len(data)
        self.raw = (self.raw + data)[:HELD]
        return data

    async def send(self, data: bytes, context: Context) -> None:
        """Send bytes. A service that is gone already shows when it is read from."""
        if self.opened is not None and data:
            await context.sending()
            try:
                await self.loop.sock_sendall(self.opened, data)
            except OSError as error:
                if number_of(error) not in RESETS:
                    self.end(error)
                    raise Ended from error

    def end(self, error: OSError | None) -> None:
        """Take note that the service has ended the connection, by a reset where ``error`` is one."""
        self.ended_s = self.loop.time()
        self.errno = 0 if error is None else number_of(error) or errno_module.EIO
        self.reset = error is not None and self.errno in RESETS

    async def watch(self, say: bytes, context: Context) -> None:
        """Say something, wait for the first byte, then shortly for what follows it."""
        try:
            async with asyncio.timeout(self.patience.first_s):
                await self.send(say, context)
                await self.receive()
            async with asyncio.timeout(self.settle_s()):
                while self.read < MOST_READ:
                    await self.receive()
        except (TimeoutError, Ended):
            return

    def settle_s(self) -> float:
        """Return how long more is waited for once something came, seconds."""
        rtt_s = 0.0 if self.made_s is None else self.made_s - self.start_s
        slow = self.made_s is not None and self.loop.time() - self.made_s >= _SLOW_S
        return min(self.patience.first_s, (_SOON_S if slow else self.patience.settle_s) + 2 * rtt_s)

    def since_ms(self, moment_s: float | None) -> float | None:
        """Return a moment in milliseconds since the connection was made."""
        return None if moment_s is None or self.made_s is None else max(0.0, (moment_s - self.made_s) * 1000)

    def announcement(self) -> bytes:
        """Return the line by which a proxy tells for whom it connects: here for this machine itself, as it is.

        Version 1 of HAProxy's PROXY protocol (proxy-protocol.txt, section 2.1).
        """
        if self.opened is None:
            return b""
        own = self.opened.getsockname()
        family = "TCP6" if self.target.family == socket.AF_INET6 else "TCP4"
        words = (family, str(own[0]).partition("%")[0], self.target.text.partition("%")[0])
        return f"PROXY {' '.join(words)} {own[1]} {self.target.sockaddr[1]}\r\n".encode()
