"""Wait for any of several sockets, own them, and close them whatever happens."""

from __future__ import annotations

import asyncio
import select
import socket
from types import TracebackType
from typing import Final, Self

#: How often sockets are asked that the loop cannot watch, seconds; Windows' clock makes up to 16 ms of it.
_ASK_AGAIN_S: Final = 0.002


class Watch:
    """Wakes one coroutine as soon as one of its sockets has something to tell, an error included.

    A context manager: leaving it takes every socket off the event loop and closes it, so that cancellation
    leaks nothing. The loop reports a pending error or an entry of the error queue as readable and as writable.
    Where the loop cannot watch sockets (the proactor, usual on Windows), they are asked in turns.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        #: Each socket, and whether it is watched for becoming writable; ``None`` where it rests.
        self._sockets: dict[socket.socket, bool | None] = {}
        self._by_loop = True

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
        try:
            if writing:
                self._loop.add_writer(opened, self._event.set)
            else:
                self._loop.add_reader(opened, self._event.set)
        except NotImplementedError:
            self._by_loop = False

    def rest(self, opened: socket.socket) -> None:
        """Watch a socket no longer but own it still: one that stays writable, or unread, would turn the loop."""
        writing = self._sockets[opened]
        if writing is not None and self._by_loop:
            (self._loop.remove_writer if writing else self._loop.remove_reader)(opened)
        self._sockets[opened] = None

    def drop(self, opened: socket.socket) -> None:
        """Watch a socket no longer and close it."""
        self.rest(opened)
        del self._sockets[opened]
        opened.close()

    def wake(self) -> None:
        """Let the waiting coroutine go on."""
        self._event.set()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Return when a socket stirs, or after ``timeout_s`` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await (self._event.wait() if self._by_loop else self._ask())
        except TimeoutError:
            return
        self._event.clear()

    async def _ask(self) -> None:
        """Return when a socket stirs or :meth:`wake` is called, by asking again and again."""
        while not self._event.is_set():
            readers = [opened for opened, writing in self._sockets.items() if writing is False]
            writers = [opened for opened, writing in self._sockets.items() if writing]
            # A connection that fails is told as an exception there, not as writable (Microsoft: select function).
            if (readers or writers) and any(select.select(readers, writers, writers, 0)):
                return
            await asyncio.sleep(_ASK_AGAIN_S)
