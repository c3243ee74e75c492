"""Keep a reproduction from harming anybody: limits, namespaces of its own, no privilege it does not need.

Sources: namespaces(7), user_namespaces(7), capabilities(7), setrlimit(2), rtnetlink(7), netdevice(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import socket
import struct
from pathlib import Path

from troubleshoot.reproduce.stage import CannotRun

with contextlib.suppress(ImportError):  # Windows has neither, and calls nothing of this module
    import fcntl
    import resource

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
_MS_REC, _MS_PRIVATE, _MS_NOSUID, _MS_NODEV = 0x4000, 0x40000, 2, 4
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_CAPABILITY_VERSION_3 = 0x20080522


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent, process ``parent``, ends; a change of user forgets it."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was faster
        os._exit(1)


def limit(seconds: int, parent: int) -> None:
    """Bound what this process may use, and let it end with its parent or after ``seconds`` at the latest."""
    end_with_parent(parent)
    _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    signal.alarm(seconds)
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 1 << 20),
        (resource.RLIMIT_AS, 1 << 31),
        (resource.RLIMIT_NOFILE, 64),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))


def isolate(*, mounts: bool = False) -> str | None:
    """Move into a network namespace (and with ``mounts`` a mount namespace) of our own, with loopback up.

    Without privilege a user namespace lends it. Returns ``None`` where that worked, else what stood in the way.
    """
    wanted = _CLONE_NEWNET | (_CLONE_NEWNS if mounts else 0)
    user, group = os.geteuid(), os.getegid()
    if _libc().unshare(wanted) != 0:
        if _libc().unshare(_CLONE_NEWUSER | wanted) != 0:
            return f"unshare: {os.strerror(ctypes.get_errno())}"
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        except OSError as error:
            return f"{error.filename}: {error.strerror}"
    try:
        loopback(up=True)
    except OSError as error:
        return f"loopback: {error.strerror}"
    if mounts and _libc().mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return f"mount: {os.strerror(ctypes.get_errno())}"
    return None


def loopback(*, up: bool) -> None:
    """Switch this namespace's loopback interface on or off; raises ``OSError`` where that is not allowed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        answer = fcntl.ioctl(opened, _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        flags = struct.unpack_from("H", answer, 16)[0]
        flags = flags | _IFF_UP if up else flags & ~_IFF_UP
        fcntl.ioctl(opened, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags))


def empty_folder(path: str) -> None:
    """Cover a folder with an empty one in memory, in our own mount namespace; raises :class:`CannotRun`."""
    if _libc().mount(b"none", path.encode(), b"tmpfs", _MS_NOSUID | _MS_NODEV, b"size=1m") != 0:
        raise CannotRun(f"mount {path}: {os.strerror(ctypes.get_errno())}")


def drop_capabilities() -> None:
    """Give up every capability (capset(2)); what an ordinary user may not do then fails for root too."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if _libc().capset(header, bytes(24)) != 0:
        raise CannotRun(f"capset: {os.strerror(ctypes.get_errno())}")


def become_ordinary() -> None:
    """Stop being the machine's root, where we are: some limits do not bind that user."""
    if os.getuid() == 0:
        parent = os.getppid()
        try:
            os.setresuid(65534, 65534, 65534)
        except OSError:
            return  # a user namespace that maps only our own, ordinary user: nothing to stop being
        end_with_parent(parent)


def set_route(kind: int, prefix: str, length: int) -> None:
    """Add an IPv4 route of type ``kind`` (rtnetlink(7), ``RTN_*``) without an interface; raises ``OSError``."""
    rtm_newroute, request_ack_create = 24, 0x1 | 0x4 | 0x400
    table_main, protocol_static, scope_universe, attribute_destination = 254, 4, 0, 1
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, length, 0, 0, table_main, protocol_static, scope_universe, kind, 0)
    body += struct.pack("=HH", 8, attribute_destination) + socket.inet_aton(prefix)
    ask_netlink(socket.NETLINK_ROUTE, rtm_newroute, request_ack_create, body)


def ask_netlink(family: int, kind: int, flags: int, body: bytes) -> None:
    """Send one netlink request and wait for its acknowledgement; raises ``OSError`` with the kernel's answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family) as opened:
        opened.settimeout(2)
        opened.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = opened.recv(65536)
    code = -int(struct.unpack_from("=i", answer, 16)[0])
    if code:
        raise OSError(code, os.strerror(code))
