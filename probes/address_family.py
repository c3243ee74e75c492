"""Try which address families, socket types and protocols this machine's stack really offers."""

from __future__ import annotations

import socket
from collections.abc import Callable

import msgspec

from probes.base import Context, NotApplicable, Probe, sends_nothing
from probes.failure import OUT_OF_DESCRIPTORS, errno_name
from probes.system import platform_name
from probes.system.linux import modules

#: What is tried: family, type, protocol.
_USUAL: tuple[tuple[str, str, str], ...] = (
    ("AF_INET", "SOCK_STREAM", "IPPROTO_TCP"),
    ("AF_INET", "SOCK_STREAM", "IPPROTO_SCTP"),
    ("AF_INET", "SOCK_STREAM", "IPPROTO_MPTCP"),
    ("AF_INET", "SOCK_DGRAM", "IPPROTO_UDP"),
    ("AF_INET", "SOCK_DGRAM", "IPPROTO_ICMP"),
    ("AF_INET", "SOCK_SEQPACKET", "IPPROTO_SCTP"),
    ("AF_INET", "SOCK_RAW", "IPPROTO_ICMP"),
    ("AF_INET6", "SOCK_STREAM", "IPPROTO_TCP"),
    ("AF_INET6", "SOCK_STREAM", "IPPROTO_SCTP"),
    ("AF_INET6", "SOCK_STREAM", "IPPROTO_MPTCP"),
    ("AF_INET6", "SOCK_DGRAM", "IPPROTO_UDP"),
    ("AF_INET6", "SOCK_DGRAM", "IPPROTO_ICMPV6"),
    ("AF_INET6", "SOCK_SEQPACKET", "IPPROTO_SCTP"),
    ("AF_INET6", "SOCK_RAW", "IPPROTO_ICMPV6"),
    ("AF_UNIX", "SOCK_STREAM", "0"),
    ("AF_UNIX", "SOCK_DGRAM", "0"),
    ("AF_UNIX", "SOCK_SEQPACKET", "0"),
    ("AF_NETLINK", "SOCK_RAW", "0"),
    ("AF_PACKET", "SOCK_RAW", "0"),
    ("AF_VSOCK", "SOCK_STREAM", "0"),
)


class AddressFamilyRequest(msgspec.Struct, frozen=True):
    """The usual combinations are tried; of the process ``pid`` it is looked up whether a filter limits its calls."""

    pid: int | None = None


class Combination(msgspec.Struct, frozen=True):
    """One ``socket(family, type, protocol)`` call; ``errno`` is ``None`` where it worked.

    Names are those of the C headers, ``0`` for the default protocol. ``EACCES`` and ``EPERM`` of a raw socket,
    a packet socket or ICMP over a datagram socket mean a missing privilege: the kernel knows the combination.
    """

    family: str
    type: str
    protocol: str
    errno: str | None = None


class Module(msgspec.Struct, frozen=True):
    """A kernel module that a combination which was refused needs.

    ``present`` tells whether the running kernel has it (``None``: there is no list of its modules here);
    ``blocked_by`` is file and line of the modprobe setting that keeps it from being loaded on demand.
    """

    name: str
    present: bool | None
    blocked_by: str | None


class AddressFamilyResult(msgspec.Struct, frozen=True):
    """``ipv6_disabled`` reflects the sysctl ``net.ipv6.conf.all.disable_ipv6`` (or no IPv6 in the kernel at all);
    on Windows, that no adapter with a link has IPv6 bound;
    ``ipv6_loopback``/``ipv4_loopback`` whether a bind to it works. ``ipv6_present`` tells whether the kernel has IPv6
    at all (its settings are there), whatever this process may do with it. ``modules`` are those behind combinations
    that were refused; ``filtered`` and ``process_filtered`` tell whether a seccomp filter limits the system calls of
    this process and of the one that was asked for, as containers and RestrictAddressFamilies= set it.
    """  # noqa: D205

    combinations: tuple[Combination, ...]
    ipv4_loopback: bool
    ipv6_loopback: bool
    ipv6_disabled: bool
    ipv6_present: bool | None = None
    modules: tuple[Module, ...] = ()
    filtered: bool | None = None
    process_filtered: bool | None = None


def _number(name: str) -> int | None:
    if name == "0":
        return 0
    value = getattr(socket, name, None)
    return None if value is None else int(value)


def _attempt(context: Context, names: tuple[str, str, str]) -> Combination | None:
    numbers = [_number(name) for name in names]
    family, kind, protocol = numbers
    if family is None or kind is None or protocol is None:
        return None
    try:
        context.socket(family, kind, protocol).close()
    except OSError as error:
        return Combination(*names, errno_name(error.errno or 0))
    return Combination(*names)


def _binds(context: Context, family: int, address: str) -> bool:
    try:
        with context.socket(family, socket.SOCK_DGRAM) as opened:
            opened.bind((address, 0))
    except OSError:
        return False
    return True


def _unbound() -> bool:
    """Whether IPv6 is bound to no adapter of Windows that has a link (the loopback's cannot be taken away)."""
    from probes.system.windows import adapters, iphlpapi  # noqa: PLC0415 - Windows alone has it

    try:
        linked = [one for one in adapters.interfaces() if not one.loopback and one.carrier]
    except (iphlpapi.Lacking, OSError):
        return False
    return bool(linked) and all(one.ipv6_off for one in linked)


def _disabled(context: Context) -> bool:
    if platform_name() == "windows":
        return _unbound()
    try:
        return context.read_text("/proc/sys/net/ipv6/conf/all/disable_ipv6").strip() == "1"
    except FileNotFoundError:
        return _present(context) is False
    except OSError:
        return False


def _present(context: Context) -> bool | None:
    try:
        context.read_text("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    except FileNotFoundError:
        # without /proc nothing is known
        return False if (context.root / "proc/sys/net/ipv4").exists() else None
    except OSError:
        return None
    return True


#: The module that a protocol or, without one, a family needs.
_MODULES = {"IPPROTO_SCTP": "sctp", "AF_INET6": "ipv6", "AF_VSOCK": "vsock", "AF_PACKET": "af_packet"}
_NOT_THERE = ("EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT")


def _modules(context: Context, tried: tuple[Combination, ...]) -> tuple[Module, ...]:
    names = {
        name: None
        for one in tried
        if one.errno in _NOT_THERE and (name := _MODULES.get(one.protocol) or _MODULES.get(one.family))
    }
    return tuple(Module(name, modules.present(context, name), modules.blocked_by(context, name)) for name in names)


async def observe(
    request: AddressFamilyRequest,
    context: Context,
    progress: Callable[[AddressFamilyResult], None],  # noqa: ARG001
) -> AddressFamilyResult:
    """Open and close one socket of each usual combination; nothing is sent. Source: socket(2), protocols(5).

    Works without privilege; what needs one then shows ``EPERM`` or ``EACCES``. An answer may take as long as
    the kernel needs to look for a module it has not loaded. Raises :class:`NotApplicable` where this process may open
    no socket for want of descriptors.
    """
    async with context.budget.slot():
        outcomes = [done for names in _USUAL if (done := _attempt(context, names))]
        tried = tuple(one for one in outcomes if one.errno not in OUT_OF_DESCRIPTORS)
        if not tried:
            raise NotApplicable("reason.no-descriptor", errno=outcomes[0].errno)
        return AddressFamilyResult(
            combinations=tried,
            ipv4_loopback=_binds(context, socket.AF_INET, "127.0.0.1"),
            ipv6_loopback=_binds(context, socket.AF_INET6, "::1"),
            ipv6_disabled=_disabled(context),
            ipv6_present=_present(context),
            modules=_modules(context, tried),
            filtered=modules.filtered(context),
            process_filtered=None if request.pid is None else modules.filtered(context, request.pid),
        )


PROBE: Probe[AddressFamilyRequest, AddressFamilyResult] = Probe(
    name="address-family",
    request=AddressFamilyRequest,
    result=AddressFamilyResult,
    observe=observe,
    request_for=lambda target: AddressFamilyRequest(target.pid),
    deadline_s=2.0,
    most_packets=sends_nothing,
)
