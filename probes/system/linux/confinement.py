"""Give up, for good, what a run does not need: most capabilities of root, and the gain of any by starting a program.

What the network and other programs say is read by this process; a mistake in reading it should not be worth root. The
user id stays, and with it what root owns. Sources: capabilities(7), prctl(2), PR_SET_NO_NEW_PRIVS(2const).
"""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from collections.abc import Collection, Iterable

from probes.base import Context


class Capability(enum.IntEnum):
    """Those that some probe has a use for, by their numbers in ``linux/capability.h``."""

    DAC_READ_SEARCH = 2
    NET_BIND_SERVICE = 10
    NET_RAW = 13
    SYS_CHROOT = 18
    SYS_PTRACE = 19
    SYS_ADMIN = 21


#: Raw packets; ports below 1024; whose sockets those of other users are (proc(5) asks for both of the last).
FOR_PROBES = frozenset(
    {Capability.NET_RAW, Capability.NET_BIND_SERVICE, Capability.SYS_PTRACE, Capability.DAC_READ_SEARCH}
)
_SET_NO_NEW_PRIVS = 38
_VERSION_3 = 0x20080522
#: CAP_SYS_ADMIN opens files where the whole system has no more to open (proc(5), file-max); from here on it is kept.
_SCARCE = 0.9


def confine(keep: Collection[Capability], context: Context) -> None:
    """Set ``no_new_privs`` and keep of this thread's capabilities only those of ``keep`` that it has.

    Both hold for threads and processes that are started from here on, so that it is called before any are; neither can
    be undone. CAP_DAC_READ_SEARCH stays where our own modules cannot be read without it, CAP_SYS_ADMIN where the system
    is about to run out of files. Where the system has none of this, nothing happens.
    """
    held = _permitted(context)
    kept = held & _mask(keep)
    if _files_scarce(context):
        kept |= held & _mask({Capability.SYS_ADMIN})
    # A C library without these calls, an interpreter without ctypes, a process that may open no more files.
    with contextlib.suppress(ImportError, OSError, AttributeError):
        give_up(held, kept)


def give_up(held: int, kept: int, inherited: int = 0) -> None:
    """Set ``no_new_privs`` and keep ``kept`` of the capabilities ``held`` (masks), with ``inherited`` for programs."""
    import ctypes  # noqa: PLC0415 - 3 ms that only runs with a network pay

    library = ctypes.CDLL(None)
    library.prctl(_SET_NO_NEW_PRIVS, *(ctypes.c_ulong(word) for word in (1, 0, 0, 0)))

    def set_to(effective: int, permitted: int) -> None:
        header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
        halves = ((effective, permitted, inherited), (effective >> 32, permitted >> 32, inherited >> 32))
        words = (ctypes.c_uint32 * 6)(*(word & 0xFFFFFFFF for half in halves for word in half))
        library.capset(ctypes.byref(header), ctypes.byref(words))

    reading = held & ~kept & _mask({Capability.DAC_READ_SEARCH})
    if reading:
        set_to(kept, held)
        kept |= 0 if _usable() else reading
    if held:
        set_to(kept, kept)


def _mask(capabilities: Iterable[Capability]) -> int:
    return sum(1 << capability for capability in capabilities)


def _permitted(context: Context) -> int:
    try:
        status = context.read_text("/proc/self/status")
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapPrm:")), 0)


def _files_scarce(context: Context) -> bool:
    try:
        allocated, _, limit = (int(word) for word in context.read_text("/proc/sys/fs/file-nr").split())
    except (OSError, ValueError):
        return True
    return allocated > _SCARCE * limit


def _usable() -> bool:
    """Whether modules can still be imported: folders that are not there at all do not count."""
    for path in filter(None, (*sys.path, __file__)):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except PermissionError:
            return False
        except OSError:
            continue
    return True
