"""Read the stack's counters: resets and ICMP errors received and sent, retransmissions, listen overflows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from probes.base import Context, NotApplicable, Probe, sends_nothing
from probes.system import need_linux


class StatisticsRequest(msgspec.Struct, frozen=True):
    """Nothing to ask for; whoever runs it twice can subtract."""


class Counter(msgspec.Struct, frozen=True):
    """One counter by its kernel name, e.g. ``Tcp.OutRsts``, ``Icmp.InDestUnreachs``, ``TcpExt.ListenOverflows``."""

    name: str
    value: int


class StatisticsResult(msgspec.Struct, frozen=True):
    """Counters since the machine (or its network namespace) started (proc_net_snmp, proc_net_netstat)."""

    counters: tuple[Counter, ...]


_TABLES = ("/proc/net/snmp", "/proc/net/netstat")
_TABLE_6 = "/proc/net/snmp6"
_GROUPS_6 = ("UdpLite6", "Icmp6", "Udp6", "Ip6")


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
    need_linux("statistics")
    counters: list[Counter] = []
    for path in _TABLES:
        counters.extend(_pairs(_read(context, path)))
    counters.extend(_lines(_read(context, _TABLE_6)))
    if not counters:
        raise NotApplicable("reason.no-counters", path="/proc/net/snmp")
    return StatisticsResult(tuple(counters))


def _read(context: Context, path: str) -> str:
    try:
        return context.read_text(path)
    except OSError:
        return ""  # a kernel without IPv6 has no snmp6


def _pairs(text: str) -> Iterator[Counter]:
    """Yield the counters of a file that holds a line of names before each line of values."""
    lines = iter(text.splitlines())
    for names, values in zip(lines, lines, strict=False):
        group, _, rest = names.partition(":")
        if values.partition(":")[0] != group:
            return
        for name, value in zip(rest.split(), values.partition(":")[2].split(), strict=False):
            number = _integer(value)
            if number is not None:
                yield Counter(f"{group}.{name}", number)


def _lines(text: str) -> Iterator[Counter]:
    """Yield the counters of a file with one name and one value a line."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        number = _integer(value.strip())
        group = next((group for group in _GROUPS_6 if name.startswith(group)), None)
        if number is not None and group is not None:
            yield Counter(f"{group}.{name.removeprefix(group)}", number)


def _integer(text: str) -> int | None:
    try:
        return int(text.strip()[:24])
    except ValueError:
        return None


PROBE = Probe(
    name="statistics",
    request=StatisticsRequest,
    result=StatisticsResult,
    observe=observe,
    request_for=lambda _target: StatisticsRequest(),
    deadline_s=2.0,
    most_packets=sends_nothing,
)
