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
from typing import Final, Self

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
        self._child: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._broken = platform_name() == "windows" or not sys.executable

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._child is not None and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()

    async def addresses_of(self, name: str, family: int) -> tuple[str, ...]:
        """Return the addresses of an ASCII name in the resolver's order; each name is asked for once."""
        key = (name, int(family))
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.get_running_loop().create_future()
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting
            await self._ask(key)
        return await asyncio.shield(asked)

    def forget(self) -> None:
        """Ask anew from here on: the next look-up is another attempt."""
        self._asked = {key: asked for key, asked in self._asked.items() if not asked.done()}

    async def _ask(self, key: tuple[str, int]) -> None:
        async with self._starting:
            if self._child is None and not self._broken:
                await self._start()
        if self._child is None or self._child.stdin is None:
            await self._alone(key)
            return
        try:
            self._child.stdin.write(f"{key[0]} {key[1]}\n".encode("ascii"))
            await self._child.stdin.drain()
        except (OSError, RuntimeError):
            await self._alone(key)

    async def _start(self) -> None:
        words = [sys.executable, "-I", "-S", "-c", _CHILD]
        try:
            # A process group of its own: Ctrl-C is for us alone.
            self._child = await asyncio.create_subprocess_exec(
                *words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,
                limit=_LONGEST,
                env={**os.environ, "PYTHONUTF8": "1"},
            )
        except OSError:
            self._broken = True
            return
        self._reading = asyncio.create_task(self._read(self._child))

    async def _read(self, child: asyncio.subprocess.Process) -> None:
        if child.stdout is None:
            return
        with contextlib.suppress(ValueError, OSError):
            while line := await child.stdout.readline():
                self._take(line.decode("ascii", "replace").split())
        # It died, perhaps of one of the names: each that is still open gets a child of its own.
        self._broken, self._child = True, None
        for key, asked in list(self._asked.items()):
            if not asked.done():
                await self._alone(key)

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
