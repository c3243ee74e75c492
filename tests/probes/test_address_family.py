"""The probe of address families, socket types and protocols."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import children
import pytest

from probes.address_family import AddressFamilyRequest, AddressFamilyResult, observe
from probes.base import Context


def look() -> AddressFamilyResult:
    return asyncio.run(observe(AddressFamilyRequest(), Context(), lambda _partial: None))


def errnos(result: AddressFamilyResult) -> dict[tuple[str, str, str], str | None]:
    return {(one.family, one.type, one.protocol): one.errno for one in result.combinations}


def test_what_the_kernel_says_here() -> None:
    found = look()
    seen = errnos(found)
    assert seen["AF_INET", "SOCK_STREAM", "IPPROTO_TCP"] is None
    assert seen["AF_UNIX", "SOCK_STREAM", "0"] is None
    assert found.ipv4_loopback
    assert found.ipv6_loopback is not found.ipv6_disabled or not socket.has_ipv6
    for (family, kind, protocol), number in seen.items():
        expected: str | None = None
        try:
            socket.socket(
                getattr(socket, family), getattr(socket, kind), 0 if protocol == "0" else getattr(socket, protocol)
            ).close()
        except OSError as error:
            expected = os.strerror(error.errno or 0)
        assert (number is None) is (expected is None), (family, kind, protocol)


def test_raw_sockets_are_a_matter_of_privilege() -> None:
    children.need_root()
    seen = errnos(children.run("result = observe('address-family')", uid=children.NOBODY))
    assert seen["AF_INET", "SOCK_RAW", "IPPROTO_ICMP"] == "EPERM"
    assert seen["AF_PACKET", "SOCK_RAW", "0"] == "EPERM"
    assert seen["AF_INET", "SOCK_STREAM", "IPPROTO_TCP"] is None


@pytest.mark.lab
def test_ipv6_disabled_by_its_sysctl() -> None:
    children.need_namespace()
    found = children.run(
        "result = observe('address-family')",
        namespace=True,
        setup="ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
    )
    assert found.ipv6_disabled
    assert not found.ipv6_loopback
    assert found.ipv4_loopback
    # sockets can still be made: it is the addresses that are gone
    assert errnos(found)["AF_INET6", "SOCK_STREAM", "IPPROTO_TCP"] is None


@pytest.mark.lab
def test_loopback_down() -> None:
    children.need_namespace()
    found = children.run("result = observe('address-family')", namespace=True)
    assert not found.ipv6_loopback
    assert not found.ipv6_disabled


def test_a_policy_that_forbids_a_family() -> None:
    # a seccomp filter as a container or a service manager sets it: socket(AF_INET6) returns EAFNOSUPPORT
    found = children.run(
        """
        import ctypes, errno, platform, struct
        numbers = {"x86_64": 41, "aarch64": 198}
        if platform.machine() in numbers:
            def statement(code, jt, jf, k):
                return struct.pack("HBBI", code, jt, jf, k)
            program = b"".join([
                statement(0x20, 0, 0, 0),                                # load the system call's number
                statement(0x15, 0, 3, numbers[platform.machine()]),      # socket()?
                statement(0x20, 0, 0, 16),                               # load its first argument
                statement(0x15, 0, 1, 10),                               # AF_INET6?
                statement(0x06, 0, 0, 0x00050000 | errno.EAFNOSUPPORT),  # return the error
                statement(0x06, 0, 0, 0x7FFF0000),                       # allow
            ])
            buffer = ctypes.create_string_buffer(program)
            filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.prctl(38, 1, 0, 0, 0) == 0
            assert libc.prctl(22, 2, ctypes.create_string_buffer(filter_), 0, 0) == 0, ctypes.get_errno()
            result = observe("address-family")
        """
    )
    if found is None:
        pytest.skip("no system call number known for this architecture")
    seen = errnos(found)
    assert seen["AF_INET6", "SOCK_STREAM", "IPPROTO_TCP"] == "EAFNOSUPPORT"
    assert seen["AF_INET", "SOCK_STREAM", "IPPROTO_TCP"] is None
    assert not found.ipv6_loopback
    assert not found.ipv6_disabled
    assert found.filtered


@pytest.mark.parametrize(
    ("files", "present", "blocked_by"),
    [
        ({}, None, None),
        ({"modules.dep": "kernel/net/dccp/dccp.ko: \n"}, False, None),
        ({"modules.dep": "kernel/net/sctp/sctp.ko.xz: kernel/lib/libcrc32c.ko.xz\n"}, True, None),
        ({"modules.builtin": "kernel/net/sctp/sctp.ko\n"}, True, None),
        ({"/etc/modprobe.d/cis.conf": "# hardening\ninstall sctp /bin/true\n"}, None, "/etc/modprobe.d/cis.conf:2"),
        ({"/lib/modprobe.d/a.conf": "blacklist sctp\n"}, None, "/lib/modprobe.d/a.conf:1"),
        ({"/etc/modprobe.d/a.conf": "install sctp /sbin/modprobe libcrc32c; :\nblacklist sctp_diag\n"}, None, None),
    ],
)
def test_why_a_protocol_is_not_offered(
    tmp_path: Path, files: dict[str, str], present: bool | None, blocked_by: str | None
) -> None:
    """The refusal is this kernel's own; what it has and what modprobe may do is recorded."""
    for name, text in {"/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n", **files}.items():
        path = tmp_path / (name.lstrip("/") if "/" in name else f"lib/modules/6.1.0-18-amd64/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = asyncio.run(observe(AddressFamilyRequest(), Context(root=tmp_path), lambda _partial: None))
    if errnos(found)["AF_INET", "SOCK_STREAM", "IPPROTO_SCTP"] is None:
        pytest.skip("this kernel offers SCTP")
    (sctp,) = (module for module in found.modules if module.name == "sctp")
    assert (sctp.present, sctp.blocked_by) == (present, blocked_by)
