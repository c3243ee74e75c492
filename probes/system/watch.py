"""Wait for any of several sockets, own them, and close them whatever happens."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import Self


class Watch:
    """Wakes one coroutine as soon as one of its sockets has something to tell, an error included.

    A context manager: leaving it takes every socket off the event loop and closes it, so that cancellation
    leaks nothing. The loop reports a pending error or an entry of the error queue as readable and as writable.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._sockets: dict[socket.socket, bool] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in list(self._sockets):
            self.drop(opened)

    def add(self, opened: socket.socket, *, writing: bool = False) -> None:
        """Own a socket and watch it: for reading, or for becoming writable (a TCP socket that connects)."""
        self._sockets[opened] = writing
        if writing:
            self._loop.add_writer(opened, self._event.set)
        else:
            self._loop.add_reader(opened, self._event.set)

    def drop(self, opened: socket.socket) -> None:
        """Watch a socket no longer and close it."""
        if self._sockets.pop(opened):
            self._loop.remove_writer(opened)
        else:
            self._loop.remove_reader(opened)
        opened.close()

    def wake(self) -> None:
        """Let the waiting coroutine go on."""
        self._event.set()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Return when a socket stirs, or after ``timeout_s`` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()
