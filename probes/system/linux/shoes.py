"""Put this process where another one stands: in its network namespace, under its root directory, as its user.

For a child that does nothing else from then on, because none of it can be undone. Needs CAP_SYS_ADMIN over the
namespaces that are joined; a user may join those that belong to a user namespace of his own. What a seccomp filter or a
security module forbids the other process stays unknown. Sources: setns(2), credentials(7), capabilities(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

import msgspec

from probes.base import Context
from probes.system.linux import status_of
from probes.system.linux.confinement import give_up
from probes.system.rights import Capability

_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x00020000, 4096, 16384, 1 << 18  # <linux/sched.h>, <sys/mount.h>
_CLONE_NEWUTS, _CLONE_NEWNET, _CLONE_NEWUSER = 0x04000000, 0x40000000, 0x10000000  # <linux/sched.h>
_SET_KEEPCAPS, _CAP_AMBIENT, _CAP_AMBIENT_RAISE = 8, 47, 2  # <linux/prctl.h>


class Account(msgspec.Struct, frozen=True):
    """A user with the primary group and all further ones, as a login of his has them."""

    user: int
    group: int
    groups: tuple[int, ...]


class Shoes(msgspec.Struct, frozen=True):
    """Where to stand. ``network``, ``host`` and ``users`` are files of namespaces, ``root`` is a root directory.

    ``groups`` are files of which one takes us into its control group: what is denied to that group is denied to us.
    ``user_of`` is the process whose user, groups and capabilities are taken on, ``account`` a user without a process;
    ``covers`` are files with what they are laid over, in a mount namespace of our own, as `ip netns exec` does with
    ``/etc/netns``. What is ``None`` stays as it is.
    """

    network: str | None = None
    host: str | None = None
    users: str | None = None
    root: str | None = None
    groups: tuple[str, ...] = ()
    user_of: int | None = None
    account: Account | None = None
    covers: tuple[tuple[str, str], ...] = ()


def enter_group(files: tuple[str, ...]) -> bool:
    """Enter a control group by one of its files; false where that may not be, or it takes no process in."""
    for file in files:
        with contextlib.suppress(OSError), Path(file).open("r+", encoding="ascii") as opened:
            opened.write("0")
            opened.flush()
            return True
    return False


def step_into(shoes: Shoes, context: Context) -> Context:
    """Stand there, and return the context whose files are those of its root directory.

    Raises ``OSError`` where that is not allowed or what is named is gone. The process may have one thread only.
    """
    root = os.open(shoes.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if shoes.root is not None else None
    users = os.open(shoes.users, os.O_RDONLY | os.O_CLOEXEC) if shoes.users is not None else None
    first = [(shoes.network, _CLONE_NEWNET), (shoes.host, _CLONE_NEWUTS)]
    try:
        _join_all(first)
    except PermissionError:
        if users is None:
            raise
        # The right to its other namespaces may come with the user namespace, to which they belong.
        _join(users, _CLONE_NEWUSER)
        users = None
        _join_all(first)
    if users is not None:
        _join(users, _CLONE_NEWUSER)
    if shoes.covers:
        _cover(shoes.covers)
    if shoes.account is not None:
        _log_in(shoes.account, context, changes_root=root is not None)
    if shoes.user_of is not None:
        _become(shoes.user_of, context, changes_root=root is not None)
    return context if root is None else msgspec.structs.replace(context, files=Path(f"/proc/self/fd/{root}"))


def _join_all(namespaces: list[tuple[str | None, int]]) -> None:
    for path, kind in namespaces:
        if path is not None:
            namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _join(namespace, kind)
            finally:
                os.close(namespace)


def _join(namespace: int, kind: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    _succeeded(library.setns(namespace, kind))


def _cover(covers: tuple[tuple[str, str], ...]) -> None:
    """Lay files over others, for this process alone."""
    library = ctypes.CDLL(None, use_errno=True)
    _succeeded(library.unshare(_CLONE_NEWNS))
    _succeeded(library.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))
    for source, place in covers:
        _succeeded(library.mount(os.fsencode(source), os.fsencode(place), None, ctypes.c_ulong(_MS_BIND), None))


def _succeeded(done: int) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _log_in(account: Account, context: Context, *, changes_root: bool) -> None:
    """Become a user for good; whoever is not root loses every capability by that (capabilities(7)).

    For a root directory, the right to change it stays.
    """
    if os.getuid() == account.user:
        return
    library = ctypes.CDLL(None, use_errno=True)
    ours = status_of.read(context, "self") if changes_root else None
    if ours is not None:
        library.prctl(_SET_KEEPCAPS, *(ctypes.c_ulong(word) for word in (1, 0, 0, 0)))
    os.setgroups(account.groups)
    os.setresgid(account.group, account.group, account.group)
    os.setresuid(account.user, account.user, account.user)
    if ours is not None:
        _keep_chroot(library, ours.capabilities, 0)


def _keep_chroot(library: ctypes.CDLL, held: int, others: int) -> None:
    """Keep, of what is held, the right to change the root directory and ``others``; programs inherit the former."""
    chroot = 1 << Capability.SYS_CHROOT
    give_up(held, held & (others | chroot), inherited=chroot)
    raised = (_CAP_AMBIENT_RAISE, Capability.SYS_CHROOT, 0, 0)
    library.prctl(_CAP_AMBIENT, *(ctypes.c_ulong(word) for word in raised))


def _become(pid: int, context: Context, *, changes_root: bool) -> None:
    """Take on user, groups and capabilities of process ``pid``; for a root directory, keep the right to change it."""
    theirs = status_of.read(context, pid)  # read now: a user namespace has ids of its own
    ours = status_of.read(context, "self")
    if theirs is None or ours is None:
        raise ProcessLookupError(pid)
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_SET_KEEPCAPS, *(ctypes.c_ulong(word) for word in (1, 0, 0, 0)))
    with contextlib.suppress(PermissionError):  # a user namespace may forbid it (setgroups, user_namespaces(7))
        os.setgroups(theirs.more_groups)
    os.setresgid(*theirs.groups[:3])
    os.setresuid(*theirs.users[:3])
    if changes_root:
        _keep_chroot(library, ours.capabilities, theirs.capabilities)
    else:
        give_up(ours.capabilities, ours.capabilities & theirs.capabilities)
