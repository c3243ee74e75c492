"""Read the stack's counters: resets and ICMP errors received and sent, retransmissions, listen overflows."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes.base import Context, NotApplicable, Probe, sends_nothing
from probes.system import need_linux, platform_name
from probes.system.linux import counters


class StatisticsRequest(msgspec.Struct, frozen=True):
    """Nothing to ask for; whoever runs it twice can subtract."""


class Counter(msgspec.Struct, frozen=True):
    """One counter by its kernel name, e.g. ``Tcp.OutRsts``, ``Icmp.InDestUnreachs``, ``TcpExt.ListenOverflows``."""

    name: str
    value: int


class StatisticsResult(msgspec.Struct, frozen=True):
    """Counters since the machine (or its network namespace) started (proc_net_snmp, proc_net_netstat)."""

    counters: tuple[Counter, ...]


async def observe(
    request: StatisticsRequest,
    context: Context,
    progress: Callable[[StatisticsResult], None],
) -> StatisticsResult:
    """Read ``/proc/net/snmp``, ``netstat`` and ``snmp6`` (proc_net(5)); nothing is sent.

    IPv6 counters get the dot of the others: ``Icmp6.InDestUnreachs``. Raises :class:`NotApplicable` where the
    platform is not Linux or ``/proc`` is not there.
    """
    del request, progress
    if platform_name() == "windows":
        from probes.system.windows import counters as of_windows  # noqa: PLC0415 - Windows alone has it

        told = tuple(Counter(name, value) for name, value in of_windows.read())
        if told:
            return StatisticsResult(told)
    need_linux("statistics")
    found = tuple(Counter(name, value) for name, value in counters.read(context))
    if not found:
        raise NotApplicable("reason.no-counters", path="/proc/net/snmp")
    return StatisticsResult(found)


PROBE = Probe(
    name="statistics",
    request=StatisticsRequest,
    result=StatisticsResult,
    observe=observe,
    request_for=lambda _target: StatisticsRequest(),
    deadline_s=2.0,
    most_packets=sends_nothing,
)
