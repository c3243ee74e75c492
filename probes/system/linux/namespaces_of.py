"""Whether another process shares this one's namespaces, as far as that can be seen (namespaces(7))."""

from __future__ import annotations

import os

from msgspec.structs import replace

from probes.base import Context
from probes.system.linux import status_of
from probes.system.rights import TO_LOOK, using


def same(context: Context, pid: int, kind: str) -> bool | None:
    """Whether process ``pid`` is in this process's namespace of ``kind`` (``net``, ``mnt``, ``user``, …)."""
    try:
        with using(*TO_LOOK):
            theirs = os.stat(context.path(f"/proc/{pid}/ns/{kind}"))  # noqa: PTH116 - the same question thrice
        ours = os.stat(context.path(f"/proc/self/ns/{kind}"))  # noqa: PTH116
    except OSError:
        return None
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def same_network(context: Context, pid: int) -> bool | None:
    """Whether process ``pid`` is in this process's network namespace.

    Whose namespace links may not be followed still has a table of sockets that everybody may read, and each network
    namespace has a file of its own for it.
    """
    told = same(context, pid, "net")
    if told is not None:
        return told
    try:
        theirs = context.path(f"/proc/{pid}/net/tcp").stat()
        ours = context.path("/proc/self/net/tcp").stat()
    except OSError:
        return None
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def same_files(context: Context, pid: int) -> bool | None:
    """Whether process ``pid`` sees the same files: it shares the mount namespace and has the same root directory."""
    mounts = same(context, pid, "mnt")
    if mounts is not True:
        return mounts
    try:
        with using(*TO_LOOK):
            theirs, ours = context.path(f"/proc/{pid}/root").stat(), context.root.stat()
    except OSError:
        return None
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def same_user(context: Context, pid: int) -> bool | None:
    """Whether process ``pid`` is of this process's user, with the same groups and capabilities."""
    theirs, ours = status_of.read(context, pid), status_of.read(context, "self")
    if theirs is None or ours is None:
        return None
    return replace(theirs, filtered=False, bound=False) == replace(ours, filtered=False, bound=False)
