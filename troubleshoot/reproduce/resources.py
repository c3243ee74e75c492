"""Limits: descriptors, memory, quotas, and the file system's errors that have Winsock numbers too."""

from __future__ import annotations

import array
import contextlib
import ctypes
import os
import socket
import struct
from pathlib import Path

from troubleshoot.reproduce import isolation
from troubleshoot.reproduce.stage import CannotRun, Failed, Stage, name_of, unix

with contextlib.suppress(ImportError):  # Windows has none
    import resource

_AT_FDCWD = -100


def _few_descriptors(stage: Stage, more: int) -> None:
    lowest = os.dup(0)
    os.close(lowest)
    limit = lowest + more
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    stage.record("setrlimit", f"RLIMIT_NOFILE, {limit}", "0", None)


def socket_without_free_descriptors(stage: Stage) -> None:
    """Open sockets until the process may have no more."""
    _few_descriptors(stage, 8)
    while True:
        stage.tcp()


def accept_without_free_descriptors(stage: Stage) -> None:
    """Accept when the process may have no more descriptors."""
    server, address = stage.listener()
    stage.connect(stage.tcp(), address)
    _few_descriptors(stage, 0)
    stage.accept(server)


def join_too_many_groups(stage: Stage) -> None:
    """Join more multicast groups with one socket than the kernel keeps for it."""
    fd = stage.udp()
    index = socket.if_nametoindex("lo")
    for number in range(1, 4096):
        # on loopback, so that no other machine is told
        request = socket.inet_aton(f"239.255.{number >> 8}.{number & 255}") + bytes(4) + struct.pack("=i", index)
        stage.setsockopt(fd, socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request, "IP_ADD_MEMBERSHIP, another group")


def recv_after_an_overrun(stage: Stage) -> None:
    """Receive from a netlink socket whose buffer has run over."""
    fd = stage.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    stage.option(fd, socket.SO_RCVBUF, 1, "SO_RCVBUF")
    address = struct.pack("=HHII", socket.AF_NETLINK, 0, 0, 1)
    stage.call("bind", f"{fd}, news of interfaces", fd, address, len(address))
    for number in range(8):
        isolation.loopback(up=bool(number % 2))
    stage.record("ioctl", "SIOCSIFFLAGS, lo, down and up again", "0", None)
    while True:
        stage.recv(fd, 4096)


def pass_too_many_descriptors(stage: Stage) -> None:
    """Send descriptors over a Unix socket until more are under way than the limit allows."""
    isolation.become_ordinary()
    isolation.drop_capabilities()
    stage.record("capset", "no capability", "0", None)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    stage.record("socketpair", "AF_UNIX, SOCK_DGRAM, 0", "0", None)
    _few_descriptors(stage, 0)
    message = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [near.fileno()] * 8))]
    what = f"{near.fileno()}, 1 byte, SCM_RIGHTS with 8 descriptors"
    far.setblocking(False)
    near.setblocking(False)
    for _ in range(64):
        try:
            near.sendmsg([b"x"], message)
        except OSError as error:
            stage.record("sendmsg", what, "-1", name_of(error.errno or 0))
            raise Failed from None
        stage.record("sendmsg", what, "1", None)


def connect_through_a_loop_of_links(stage: Stage) -> None:
    """Connect to a Unix socket by a path of symbolic links that lead to each other."""
    isolation.empty_folder("/mnt")
    for here, there in (("/mnt/a", "b"), ("/mnt/b", "a")):
        stage.call("symlink", f"{there}, {here}", there.encode(), here.encode())
    stage.connect(stage.socket(socket.AF_UNIX, socket.SOCK_STREAM), unix("/mnt/a"))


def open_a_name_too_long(stage: Stage) -> None:
    """Open a file whose name has more than 255 bytes."""
    stage.open("x" * 256, os.O_RDONLY)


def remove_a_folder_with_a_file(stage: Stage) -> None:
    """Remove a folder that is not empty."""
    isolation.empty_folder("/mnt")
    stage.call("mkdir", "/mnt/folder, 0700", b"/mnt/folder", 0o700)
    Path("/mnt/folder/file").touch()
    stage.record("creat", "/mnt/folder/file", "0", None)
    stage.call("rmdir", "/mnt/folder", b"/mnt/folder")


def keep_a_key_beyond_the_quota(stage: Stage) -> None:
    """Store a key larger than all keys of an ordinary user may be together."""
    isolation.become_ordinary()
    quota = int(Path("/proc/sys/kernel/keys/maxbytes").read_text())
    size = 32767
    if quota >= size:
        raise CannotRun(f"the quota of {quota} bytes is larger than a key can be")
    numbers = {"x86_64": 248, "aarch64": 217, "riscv64": 217}  # add_key; the C library has no function for it
    machine = os.uname().machine
    if machine not in numbers:
        raise CannotRun(f"the number of add_key on {machine} is not known here")
    process_keyring = -2
    stage.call_as(
        "add_key",
        f"user, wsadiag, {size} bytes, KEY_SPEC_PROCESS_KEYRING",
        "syscall",
        ctypes.c_long(numbers[machine]),
        b"user",
        b"wsadiag",
        bytes(size),
        ctypes.c_size_t(size),
        ctypes.c_int(process_keyring),
    )


def open_a_stale_handle(stage: Stage) -> None:
    """Open a folder by its handle after it was removed."""
    isolation.empty_folder("/mnt")
    stage.call("mkdir", "/mnt/folder, 0700", b"/mnt/folder", 0o700)
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    stage.call("name_to_handle_at", "/mnt/folder", _AT_FDCWD, b"/mnt/folder", handle, ctypes.byref(mount), 0)
    parent = stage.open("/mnt", os.O_RDONLY)
    stage.call("rmdir", "/mnt/folder", b"/mnt/folder")
    try:
        # A folder and not a file: without being the machine's root only those may be opened by handle.
        flags = os.O_RDONLY | os.O_DIRECTORY
        stage.call("open_by_handle_at", f"{parent}, the handle of the folder", parent, handle, flags)
    except Failed:
        if stage.calls[-1].errno == "EPERM":
            raise CannotRun("opening by handle needs CAP_DAC_READ_SEARCH before Linux 6.12") from None
        raise
