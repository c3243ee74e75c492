"""Find out, by trying, whether an ordinary program may have a network namespace of its own.

Run as a script in a process of its own, because what it does to its process cannot be undone (unshare(2)). It
imports next to nothing, to start fast, and prints the name of the error that stood in the way, if one did.
Sources: namespaces(7), user_namespaces(7), netdevice(7).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # <linux/sockios.h>, <linux/if.h>


def enter() -> None:
    """Move this process into a network namespace with loopback up; raises ``OSError`` where that is not allowed.

    Without privilege a user namespace lends it. Some systems (AppArmor) grant the namespace and no right in it:
    that shows when loopback is to be switched on.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWNET) != 0:
        if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        answer = fcntl.ioctl(opened, _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        flags = struct.unpack_from("H", answer, 16)[0] | _IFF_UP
        fcntl.ioctl(opened, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags))


if __name__ == "__main__":
    try:
        enter()
    except OSError as problem:
        print(errno.errorcode.get(problem.errno or 0, "EIO"))  # noqa: T201 - it is the script's answer
