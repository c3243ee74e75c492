"""Which process holds a socket, and how many descriptors it has: ``/proc/PID/fd`` matched with socket inodes.

Sources: proc(5). Reading another user's descriptors takes CAP_SYS_PTRACE; since Linux 6.2 anybody may learn
their number from the size of the directory.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from probes.system.rights import TO_LOOK, using

_PREFIX = "socket:["
#: No text that another process chose (its name, its command line) is kept longer than this.
MAX_WORDS = 400


class Holders(msgspec.Struct, frozen=True):
    """``by_inode`` gives the processes that hold each socket; ``hidden`` counts those that could not be read."""

    by_inode: dict[int, tuple[int, ...]]
    hidden: int


def processes(proc: Path) -> list[int]:
    """Return the process numbers below ``proc`` (``/proc``); raises ``OSError`` where there is none."""
    with os.scandir(proc) as entries:
        return [int(entry.name) for entry in entries if entry.name.isdecimal()]


def socket_inodes(proc: Path, pid: int) -> list[int]:
    """Return the inode of every socket descriptor of a process, one for each descriptor.

    Raises ``PermissionError`` where they may not be seen and ``FileNotFoundError`` where the process is gone.
    """
    return [inode for _, inode in socket_descriptors(proc, pid)]


def socket_descriptors(proc: Path, pid: int) -> list[tuple[int, int]]:
    """Return (descriptor, inode) of every socket descriptor of a process; raises as :func:`socket_inodes`."""
    found = []
    with using(*TO_LOOK), os.scandir(proc / str(pid) / "fd") as entries:
        for entry in entries:
            try:
                target = os.readlink(entry.path)  # noqa: PTH115 - a Path for each descriptor trebles the time
            except FileNotFoundError:
                continue  # closed since
            if target.startswith(_PREFIX):
                found.append((int(entry.name), int(target[len(_PREFIX) : -1])))
    return found


def may_look_into(proc: Path, pid: int) -> bool:
    """Tell whether the descriptors of a process can be read: tried on one, which root may list and yet not read.

    Raises ``FileNotFoundError`` where the process is gone.
    """
    try:
        with using(*TO_LOOK), os.scandir(proc / str(pid) / "fd") as entries:
            for entry in entries:
                os.readlink(entry.path)  # noqa: PTH115 - as above
                break
    except PermissionError:
        return False
    return True


def protocol_of(proc: Path, pid: int, descriptor: int) -> str | None:
    """Return the kernel's word for a socket's protocol (``TCP``, ``UDPv6``, ``UNIX-STREAM``), ``None`` where hidden."""
    try:
        with using(*TO_LOOK):
            word = os.getxattr(proc / str(pid) / "fd" / str(descriptor), "system.sockprotoname")
    except OSError:
        return None
    return tame(word.rstrip(b"\0").decode("ascii", "replace")) or None


def non_blocking(proc: Path, pid: int, descriptor: int) -> bool | None:
    """Return whether ``O_NONBLOCK`` is set on a descriptor, ``None`` where that may not be seen."""
    try:
        path = proc / str(pid) / "fdinfo" / str(descriptor)
        with using(*TO_LOOK), path.open(encoding="ascii", errors="replace") as file:
            text = file.read(4096)
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("flags:"):
            return bool(int(line.split()[1], 8) & os.O_NONBLOCK)
    return None


def find(proc: Path, inodes: Collection[int]) -> Holders:
    """Look through every readable process for the sockets ``inodes``; blocks for some microseconds a descriptor."""
    wanted = set(inodes) - {0}
    found: dict[int, set[int]] = {}
    hidden = 0
    if not wanted:
        return Holders({}, 0)
    for pid in processes(proc):
        try:
            for inode in socket_inodes(proc, pid):
                if inode in wanted:
                    found.setdefault(inode, set()).add(pid)
        except PermissionError:
            hidden += 1
        except OSError:
            continue  # gone since, or a zombie
    return Holders({inode: tuple(sorted(pids)) for inode, pids in found.items()}, hidden)


def descriptor_count(proc: Path, pid: int) -> int:
    """Return how many descriptors a process has open.

    Raises ``PermissionError`` before Linux 6.2 where they may not be listed, ``FileNotFoundError`` where the
    process is gone.
    """
    directory = proc / str(pid) / "fd"
    with using(*TO_LOOK):
        size = directory.stat().st_size
        if size or (proc / "self/fd").stat().st_size:
            return size
        return sum(1 for _ in directory.iterdir())


def tame(text: str) -> str:
    """Make text that another process chose fit for a report: bounded, control characters escaped."""
    kept = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:MAX_WORDS])
    return kept if len(text) <= MAX_WORDS else kept + "…"
