"""The system's resolver, getaddrinfo(3), asked in a child process that may die and that can be ended.

The C library reads its configuration and loads modules (nsswitch.conf(5)) on the way; some of what it finds there makes
it abort the whole process (glibc 2.36 does for a search domain of more than 255 letters), and a call that waits for a
dead name server cannot be called back. The child is an interpreter without ``site`` and without any other module than
the one that makes the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys

from probes.base import Context
from probes.system.blocking import in_thread

#: Takes the name, the family and, where another root directory is meant, its descriptor; says ``=`` and an address a
#: line, or ``!`` and the number of the error (``!`` alone for one of the system). It ends without tidying up, which
#: takes as long as starting.
_CHILD = """
import _socket, posix, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
name = sys.argv[1].encode("ascii")
try:
    if len(sys.argv) > 3:
        posix.fchdir(int(sys.argv[3]))
        posix.chroot(".")
    found = _socket.getaddrinfo(name, None, int(sys.argv[2]), _socket.SOCK_STREAM)
    said = "".join(f"={entry[4][0]}\\n" for entry in found)
except _socket.gaierror as error:
    said = f"!{error.args[0]}\\n"
except OSError:
    said = "!\\n"
data = said.encode()
while data:
    data = data[posix.write(1, data):]
posix._exit(0)
"""
#: More than a name can have in answers of 64 KB, bytes.
_LONGEST = 1 << 20


class ResolverCrashedError(Exception):
    """The child died; ``args[0]`` is the symbolic name of the signal (``SIGABRT``), or ``status N``."""


async def addresses_of(name: str, family: int, context: Context) -> tuple[str, ...]:
    """Return the addresses of an ASCII name in the resolver's order, each once.

    Holds one slot of the budget for as long as the C library is at work, also where the caller is cancelled meanwhile.
    Raises ``socket.gaierror`` and ``OSError`` as getaddrinfo does, and :class:`ResolverCrashedError`. Where no child
    can be started (Windows, a limit of processes or descriptors) the call is made in a thread of this process, unless
    the files of another root directory decide: that is an ``OSError``.
    """
    async with context.budget.slot():
        child = _start(name, family, context)
        if child is not None:
            return await _answer_of(child)
    if context.files is not None:
        raise OSError
    return await _in_thread(name, family, context)


def _start(name: str, family: int, context: Context) -> subprocess.Popen[bytes] | None:
    if sys.platform == "win32" or not sys.executable:
        return None
    words = [sys.executable, "-I", "-S", "-c", _CHILD, name, str(int(family))]
    root = -1
    try:
        if context.files is not None:
            root = os.open(context.files, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            words.append(str(root))
        # A process group of its own: Ctrl-C is for us alone.
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
            pass_fds=(root,) if root >= 0 else (),
        )
    except OSError:
        return None
    finally:
        if root >= 0:
            os.close(root)


async def _answer_of(child: subprocess.Popen[bytes]) -> tuple[str, ...]:
    try:
        said = await _said_by(child)
    except BaseException:
        child.kill()
        raise
    finally:
        assert child.stdout is not None  # noqa: S101 - it was asked for
        child.stdout.close()
        status = child.wait()
    lines = said.decode("ascii", "replace").split()
    if lines and lines[0].startswith("!"):
        if lines[0] == "!":
            raise OSError
        raise socket.gaierror(int(lines[0][1:]), "")
    if status == 0 and said.endswith(b"\n"):
        return tuple(dict.fromkeys(line.removeprefix("=") for line in lines))
    with contextlib.suppress(ValueError):
        raise ResolverCrashedError(signal.Signals(-status).name)
    raise ResolverCrashedError(f"status {status}")


async def _said_by(child: subprocess.Popen[bytes]) -> bytes:
    """Return what the child wrote until it closed its output, which its death does too."""
    assert child.stdout is not None  # noqa: S101 - it was asked for
    pipe = child.stdout.fileno()
    os.set_blocking(pipe, False)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    said = bytearray()

    def readable() -> None:
        with contextlib.suppress(BlockingIOError):
            piece = os.read(pipe, 65536)
            said.extend(piece)
            if (not piece or len(said) > _LONGEST) and not ended.done():
                ended.set_result(None)

    loop.add_reader(pipe, readable)
    try:
        await ended
    finally:
        loop.remove_reader(pipe)
    return bytes(said)


async def _in_thread(name: str, family: int, context: Context) -> tuple[str, ...]:
    """Ask in a thread, which nothing can end: the slot is given back when the C library has answered, not before."""
    slot = context.budget.slot()
    await slot.__aenter__()
    # As bytes: Python would put a text through its own IDNA codec, which refuses names that the C library takes.
    work = in_thread(
        lambda: socket.getaddrinfo(name.encode("ascii"), None, family, socket.SOCK_STREAM), "system resolver"
    )
    work.add_done_callback(lambda _: asyncio.ensure_future(slot.__aexit__(None, None, None)))
    found = await asyncio.shield(work)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
