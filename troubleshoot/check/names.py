"""Many names looked up by the system's resolver, in one child process with a few threads.

The C library may abort the process that asks it, and a call that waits for a dead name server cannot be called back:
see :mod:`probes.system.resolver`, whose child serves one name. Here one child serves all of a check.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from typing import IO, Final, Self

from probes.base import Context
from probes.system import platform_name, resolver

#: So many look-ups are under way at once: what stub resolvers serve without dropping any.
_THREADS: Final = 16
#: Takes ``NAME FAMILY`` lines and says ``NAME FAMILY =ADDRESS,…`` or ``NAME FAMILY !ERROR`` for each, as they come.
_CHILD: Final = f"""
import os, socket, sys, threading
lock = threading.Lock()
def serve():
    while True:
        with lock:
            line = sys.stdin.readline()
        if not line:
            return
        name, family = line.split()
        try:
            found = socket.getaddrinfo(name.encode("ascii"), None, int(family), socket.SOCK_STREAM)
            said = "=" + ",".join(dict.fromkeys(entry[4][0] for entry in found))
        except socket.gaierror as error:
            said = "!%d" % error.args[0]
        except OSError:
            said = "!"
        os.write(1, ("%s %s %s\\n" % (name, family, said)).encode())
threads = [threading.Thread(target=serve) for _ in range({_THREADS})]
for each in threads:
    each.start()
for each in threads:
    each.join()
"""
#: No line of the child is longer: a name, and as many addresses as an answer of 64 KB holds.
_LONGEST: Final = 1 << 20


class Names:
    """Looks names up; an asynchronous context manager that ends its child.

    :meth:`addresses_of` raises what :func:`probes.system.resolver.addresses_of` raises.
    """

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int], asyncio.Future[tuple[str, ...]]] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._unsent, self._unread = bytearray(), bytearray()
        self._alone_at: set[asyncio.Task[None]] = set()
        self._broken = platform_name() == "windows" or not sys.executable

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._alone_at:
            task.cancel()
        self._end()

    async def addresses_of(self, name: str, family: int) -> tuple[str, ...]:
        """Return the addresses of an ASCII name in the resolver's order; each name is asked for once."""
        key = (name, int(family))
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.get_running_loop().create_future()
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting
            self._ask(key)
        return await asyncio.shield(asked)

    def forget(self) -> None:
        """Ask anew from here on: the next look-up is another attempt."""
        self._asked = {key: asked for key, asked in self._asked.items() if not asked.done()}

    def _ask(self, key: tuple[str, int]) -> None:
        if self._child is None and not self._broken:
            self._start()
        if self._child is None:
            self._ask_alone(key)
            return
        self._unsent += f"{key[0]} {key[1]}\n".encode("ascii")
        self._write()

    def _start(self) -> None:
        """Start the child, by subprocess and not by asyncio, whose watcher wants a thread for it."""
        try:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                process_group=0,  # a group of its own: Ctrl-C is for us alone
                env={**os.environ, "PYTHONUTF8": "1"},
            )
        except OSError:
            self._broken = True
            return
        self._child = child
        try:
            for pipe in _pipes(child):
                os.set_blocking(pipe.fileno(), False)
            asyncio.get_running_loop().add_reader(_pipes(child)[1], self._read)
        except OSError:
            self._end()

    def _end(self) -> None:
        """End the child, if there is one; none is started again."""
        child, self._child, self._broken = self._child, None, True
        if child is None:
            return
        running = asyncio.get_running_loop()
        for pipe in _pipes(child):
            running.remove_reader(pipe)
            running.remove_writer(pipe)
            with contextlib.suppress(OSError):
                pipe.close()
        child.kill()
        child.wait()

    def _write(self) -> None:
        """Send what is to be sent, as much as the pipe takes now."""
        if self._child is None:
            return
        into, running = _pipes(self._child)[0], asyncio.get_running_loop()
        try:
            del self._unsent[: os.write(into.fileno(), self._unsent)]
            if self._unsent:
                running.add_writer(into, self._write)
            else:
                running.remove_writer(into)
        except BlockingIOError:
            running.add_writer(into, self._write)
        except OSError:
            self._died()

    def _read(self) -> None:
        """Take the lines that have come."""
        if self._child is None:
            return
        try:
            piece = os.read(_pipes(self._child)[1].fileno(), 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        *lines, rest = (self._unread + piece).split(b"\n")
        self._unread = bytearray(rest)
        for line in lines:
            self._take(line.decode("ascii", "replace").split())
        if not piece or len(rest) > _LONGEST:
            self._died()

    def _died(self) -> None:
        """The child died, perhaps of one of the names: each that is still open gets a child of its own."""
        self._end()
        for key, asked in self._asked.items():
            if not asked.done():
                self._ask_alone(key)

    def _take(self, words: list[str]) -> None:
        if len(words) != 3 or not words[1].isdecimal():
            return
        asked = self._asked.get((words[0], int(words[1])))
        if asked is None or asked.done():
            return
        kind, said = words[2][:1], words[2][1:]
        if kind == "=":
            asked.set_result(tuple(said.split(",")))
        elif said.lstrip("-").isdecimal():
            asked.set_exception(socket.gaierror(int(said), ""))
        else:
            asked.set_exception(OSError())

    def _ask_alone(self, key: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._alone(key))
        self._alone_at.add(task)
        task.add_done_callback(self._alone_at.discard)

    async def _alone(self, key: tuple[str, int]) -> None:
        asked = self._asked[key]
        try:
            found = await resolver.addresses_of(*key, Context())
        except (OSError, resolver.ResolverCrashedError) as error:
            if not asked.done():
                asked.set_exception(error)
        else:
            if not asked.done():
                asked.set_result(found)


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert child.stdin is not None  # noqa: S101 - both were asked for
    assert child.stdout is not None  # noqa: S101
    return child.stdin, child.stdout
