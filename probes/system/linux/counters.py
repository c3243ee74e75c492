"""The stack's counters (proc_net_snmp(5), proc_net_netstat(5)), of the machine or its network namespace.

IPv6 counters get the dot of the others: ``Icmp6.InDestUnreachs``.
"""

from __future__ import annotations

from collections.abc import Iterator

from probes.base import Context

_TABLES = ("/proc/net/snmp", "/proc/net/netstat")
_TABLE_6 = "/proc/net/snmp6"
_GROUPS_6 = ("UdpLite6", "Icmp6", "Udp6", "Ip6")


def read(context: Context) -> Iterator[tuple[str, int]]:
    """Yield each counter by its kernel name with its value; none where there is no ``/proc``."""
    for path in _TABLES:
        yield from _pairs(_read(context, path))
    yield from _lines(_read(context, _TABLE_6))


def _read(context: Context, path: str) -> str:
    try:
        return context.read_text(path)
    except OSError:
        return ""  # a kernel without IPv6 has no snmp6


def _pairs(text: str) -> Iterator[tuple[str, int]]:
    """Yield the counters of a file that holds a line of names before each line of values."""
    lines = iter(text.splitlines())
    for names, values in zip(lines, lines, strict=False):
        group, _, rest = names.partition(":")
        if values.partition(":")[0] != group:
            return
        for name, value in zip(rest.split(), values.partition(":")[2].split(), strict=False):
            number = _integer(value)
            if number is not None:
                yield f"{group}.{name}", number


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield the counters of a file with one name and one value a line."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        number = _integer(value.strip())
        group = next((group for group in _GROUPS_6 if name.startswith(group)), None)
        if number is not None and group is not None:
            yield f"{group}.{name.removeprefix(group)}", number


def _integer(text: str) -> int | None:
    try:
        return int(text.strip()[:24])
    except ValueError:
        return None
