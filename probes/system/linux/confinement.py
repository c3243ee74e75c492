"""Give up, for good, what a run does not need.

That is root's user where sudo tells another, most capabilities, and the gain of any by starting a program. What the
network and other programs say is read by this process; a mistake in reading it should not be worth root. What stays is
laid down until a call needs it (:mod:`probes.system.rights`). Sources: capabilities(7), credentials(7), prctl(2),
PR_SET_NO_NEW_PRIVS(2const), sudo(8), section ENVIRONMENT.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection

from probes.base import Context
from probes.system.rights import Capability, lay_down, mask, set_to

#: Raw packets; ports below 1024; the rules of this machine's own filter, which are read only; whose sockets those of
#: other users are (proc(5) asks for both of the last).
FOR_PROBES = frozenset(
    {
        Capability.NET_RAW,
        Capability.NET_BIND_SERVICE,
        Capability.NET_ADMIN,
        Capability.SYS_PTRACE,
        Capability.DAC_READ_SEARCH,
    }
)
_SET_KEEPCAPS, _SET_SECUREBITS, _SET_NO_NEW_PRIVS = 8, 28, 38  # <linux/prctl.h>
#: Programs started by root gain nothing by its user id, and that stays so (SECBIT_NOROOT and its lock).
_NOROOT = 1 << 0 | 1 << 1
#: CAP_SYS_ADMIN opens files where the whole system has no more to open (proc(5), file-max); from here on it is kept.
_SCARCE = 0.9


def confine(keep: Collection[Capability], context: Context, *, as_caller: bool = True) -> None:
    """Set ``no_new_privs``, become the user who called sudo, and keep of the capabilities only those of ``keep``.

    All of it holds for threads and processes that are started from here on, so that it is called before any are; none
    can be undone. What is kept is not in effect but while :func:`~probes.system.rights.using` says so, with two
    exceptions: CAP_DAC_READ_SEARCH where our own modules cannot be read without it, CAP_SYS_ADMIN where the system is
    about to run out of files. With ``as_caller`` false the user stays, and with it what root owns: for a run that is to
    write files. Where the system has none of this, nothing happens.
    """
    held = _permitted(context)
    scarce = held & mask({Capability.SYS_ADMIN}) if _files_scarce(context) else 0
    # A C library without these calls, an interpreter without ctypes, a process that may open no more files.
    with contextlib.suppress(ImportError, OSError, AttributeError):
        _prctl(_SET_NO_NEW_PRIVS, 1)
        if held:
            _prctl(_SET_SECUREBITS, _NOROOT)
        caller = _caller(context) if as_caller else None
        if caller is not None:
            _become(*caller)
        if held:
            set_to(scarce, held)
            reading = 0 if _usable() else held & mask({Capability.DAC_READ_SEARCH})
            lay_down(held & mask(keep) | scarce | reading, scarce | reading)


def give_up(held: int, kept: int, inherited: int = 0) -> None:
    """Set ``no_new_privs`` and keep ``kept`` of the capabilities ``held`` (masks), with ``inherited`` for programs.

    CAP_DAC_READ_SEARCH stays where our own modules cannot be read without it.
    """
    _prctl(_SET_NO_NEW_PRIVS, 1)
    if held:
        set_to(kept, held, inherited)
        reading = 0 if _usable() else held & mask({Capability.DAC_READ_SEARCH})
        set_to(kept | reading, kept | reading, inherited)


def _prctl(option: int, value: int) -> None:
    import ctypes  # noqa: PLC0415 - 3 ms that only runs with a network pay

    ctypes.CDLL(None).prctl(option, *(ctypes.c_ulong(word) for word in (value, 0, 0, 0)))


def _caller(context: Context) -> tuple[int, int] | None:
    """Return user and group of whoever called sudo, ``None`` where nobody did, or could not run this program."""
    environment = context.environment()
    words = [environment.get(name, "") for name in ("SUDO_UID", "SUDO_GID")]
    if os.geteuid() != 0 or not all(word.isascii() and word.isdecimal() for word in words):
        return None
    user, group = (int(word[:10]) for word in words)
    if not 0 < user < 1 << 32 or not 0 <= group < 1 << 32:
        return None
    # As that user for a moment: the capabilities in effect go and come with the user id.
    try:
        os.setegid(group)
        os.seteuid(user)
        return (user, group) if _usable() else None
    except OSError:  # an id that this user namespace does not know
        return None
    finally:
        os.seteuid(0)
        os.setegid(0)


def _become(user: int, group: int) -> None:
    """Be that user from here on, in that group alone; what is permitted stays permitted until it is laid down."""
    _prctl(_SET_KEEPCAPS, 1)
    with contextlib.suppress(PermissionError):  # a user namespace may forbid it (setgroups, user_namespaces(7))
        os.setgroups([group])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    _prctl(_SET_KEEPCAPS, 0)


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
    """Whether modules can be imported, and children started: folders that are not there at all do not count."""
    for path in filter(None, (*sys.path, __file__, sys.executable)):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except PermissionError:
            return False
        except OSError:
            continue
    return True
