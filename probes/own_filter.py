"""Tell without root whether this machine's own packet filter stops a connection: by its interfaces' packet counters.

A SYN that leaves raises the interface's count of sent packets, an answer that arrives raises the count of received
ones before the filter sees it, and a reset that the local filter makes up comes back over loopback. Each round makes
one connect and reads the counts (proc_net_dev, proc(5)) before and after; idle rounds of the same length in between
show what else is on the wire, and a datagram that must leave shows that the counts are kept up at once.

An answer that arrives is one that the filter took only where the IP layer did not hand it on: what TCP gets and throws
away (RFC 9293, 3.10.7.3) is no matter of a filter. The counters of IP, TCP and ICMP (proc_net_snmp) tell the two apart.
"""

from __future__ import annotations

import asyncio
import errno as errno_module
import socket
import time
from collections.abc import Callable
from typing import Final

import msgspec

from probes.base import Context, NotApplicable, ProbeTarget, endpoint_probe
from probes.system import need_linux
from probes.system.endpoint import endpoint
from probes.system.linux import counters
from probes.system.watch import Watch


class OwnFilterRequest(msgspec.Struct, frozen=True):
    """``interface`` is the one that packets to ``address`` leave by; ``rtt_ms`` the round trip as far as known.

    Up to ``most_rounds`` are made where something arrives in each round with a connect and in idle ones too. A round
    ends with the answer, or with ``whole`` at the end of its time, so that all that one SYN brings falls into it.
    """

    address: str
    port: int
    interface: str
    rtt_ms: float = 1.0
    rounds: int = 4
    most_rounds: int = 8
    whole: bool = False


class Round(msgspec.Struct, frozen=True):
    """By how much the counts rose: ``sent`` and ``received`` on the interface, ``looped`` on loopback.

    Of all interfaces: ``accounted`` counts packets that the IP layer handed on, or dropped for reasons of its own,
    ``segments`` those that TCP got, ``refusals`` ICMP errors that say *unreachable*. ``None`` where the system does not
    tell.
    """

    sent: int
    received: int
    looped: int
    accounted: int | None = None
    segments: int | None = None
    refusals: int | None = None


class OwnFilterResult(msgspec.Struct, frozen=True):
    """``attempts`` are the rounds with a connect, ``idle`` those without, ``control`` one with a datagram.

    ``control`` is ``None`` where the local stack refused to send it; without its ``sent`` the counts of the
    interface say nothing. There are two, before and after, and the smaller figures count: some drivers bring their
    counts up to date only now and then. ``window_ms`` is the length of a round.
    """

    address: str
    port: int
    interface: str
    attempts: tuple[Round, ...]
    idle: tuple[Round, ...]
    control: Round | None
    window_ms: float


#: What becomes of a packet that no filter takes: its counter in the tables of IP, and that of the reverse path.
_FATES: Final = frozenset({
    "InDelivers", "ForwDatagrams", "OutForwDatagrams", "InHdrErrors", "InAddrErrors", "InUnknownProtos", "InDiscards",
    "InNoRoutes", "InTooBigErrors", "InTruncatedPkts", "IPReversePathFilter",
})  # fmt: skip


class _Counts(msgspec.Struct, frozen=True):
    """The counters of one moment, in the order of :class:`Round`."""

    sent: int = 0
    received: int = 0
    looped: int = 0
    accounted: int | None = None
    segments: int | None = None
    refusals: int | None = None

    def risen(self, later: _Counts) -> Round:
        """Return by how much each has risen since."""
        return Round(
            later.sent - self.sent,
            later.received - self.received,
            later.looped - self.looped,
            _difference(self.accounted, later.accounted),
            _difference(self.segments, later.segments),
            _difference(self.refusals, later.refusals),
        )


def _difference(early: int | None, late: int | None) -> int | None:
    return None if early is None or late is None else late - early


def _counts(context: Context, interface: str) -> _Counts:
    """Return the counters as they stand."""
    sent = received = looped = 0
    for line in context.read_text("/proc/net/dev").splitlines():
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if not colon or len(fields) < 10:
            continue
        if name.strip() == interface:
            received, sent = int(fields[1]), int(fields[9])
        elif name.strip() == "lo":
            looped = int(fields[1])
    tables = dict(counters.read(context))
    if "Ip.InDelivers" not in tables:
        return _Counts(sent, received, looped)
    accounted = sum(value for name, value in tables.items() if _is_fate(name))
    refusals = tables.get("Icmp.InDestUnreachs", 0) + tables.get("Icmp6.InDestUnreachs", 0)
    return _Counts(sent, received, looped, accounted, tables.get("Tcp.InSegs"), refusals)


def _is_fate(name: str) -> bool:
    group, _, counter = name.partition(".")
    return group in {"Ip", "Ip6", "TcpExt"} and counter in _FATES


async def observe(
    request: OwnFilterRequest, context: Context, progress: Callable[[OwnFilterResult], None]
) -> OwnFilterResult:
    """Make ``rounds`` connects one after another, each followed by an idle round; more where other traffic disturbs.

    Raises :class:`NotApplicable` for an address that is no literal and where there are no such counters.
    """
    need_linux("own-filter")
    target = endpoint(request.address, request.port)
    window_s = min(0.6, max(0.02, 4 * request.rtt_ms / 1000))
    control = await _control(request, context, window_s)
    attempts: list[Round] = []
    idle: list[Round] = []

    def result() -> OwnFilterResult:
        return OwnFilterResult(
            request.address, request.port, request.interface, tuple(attempts), tuple(idle), control, window_s * 1000
        )

    while len(attempts) < request.rounds or (len(attempts) < request.most_rounds and _disturbed(attempts, idle)):
        before = _counts(context, request.interface)
        began = time.monotonic()
        async with context.budget.slot():
            await context.sending()
            with Watch() as watch:
                opened = context.socket(target.family, socket.SOCK_STREAM)
                watch.add(opened, writing=True)
                number = opened.connect_ex(target.sockaddr)
                if number in (0, errno_module.EINPROGRESS):
                    await watch.wait(window_s)
        if request.whole:
            await asyncio.sleep(max(0.0, began + window_s - time.monotonic()))
        after = _counts(context, request.interface)
        attempts.append(before.risen(after))
        await asyncio.sleep(max(0.0, time.monotonic() - began))
        idle.append(after.risen(_counts(context, request.interface)))
        progress(result())
    last = await _control(request, context, window_s)
    control = None if control is None or last is None else _least(control, last)
    return result()


def _disturbed(attempts: list[Round], idle: list[Round]) -> bool:
    return all(r.received for r in attempts) and any(r.received for r in idle)


def _least(one: Round, other: Round) -> Round:
    return Round(min(one.sent, other.sent), min(one.received, other.received), min(one.looped, other.looped))


async def _control(request: OwnFilterRequest, context: Context, window_s: float) -> Round | None:
    """Send one datagram to a closed high port of the address, which nobody filters as a rule."""
    target = endpoint(request.address, 33434)
    before = _counts(context, request.interface)
    async with context.budget.slot():
        await context.sending()
        with context.socket(target.family, socket.SOCK_DGRAM) as opened:
            try:
                opened.sendto(b"wsadiag", target.sockaddr)
            except OSError:
                return None
            await asyncio.sleep(window_s)
            return before.risen(_counts(context, request.interface))


def request_for(target: ProbeTarget) -> OwnFilterRequest:
    """Point the probe at an address and port, on the interface that the kernel would choose."""
    address, port = target.endpoint("own-filter")
    return OwnFilterRequest(address, port, _interface_to(address))


def _interface_to(address: str) -> str:
    from probes.system.linux import rtnetlink  # noqa: PLC0415

    need_linux("own-filter")
    found = rtnetlink.route_to(Context(), address)
    if found.interface is None:
        raise NotApplicable("reason.no-route", address=address)
    return socket.if_indextoname(found.interface)


PROBE = endpoint_probe(
    "own-filter",
    OwnFilterRequest,
    OwnFilterResult,
    observe,
    deadline_s=6.0,
    most_packets=lambda request: max(request.rounds, request.most_rounds) + 2,
    request_for=request_for,
)
