"""The counters of Windows' TCP, UDP, IP and ICMP under the names that Linux' kernel has for them.

Windows counts each family by itself; TCP, UDP and IP of both are added up here, as Linux has one count for both. ICMP's
outgoing columns are not read. Sources: Microsoft: GetTcpStatisticsEx, GetUdpStatisticsEx, GetIpStatisticsEx,
GetIcmpStatisticsEx, MIB_TCPSTATS, MIB_UDPSTATS, MIB_IPSTATS, MIBICMPSTATS_EX.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from probes.system.windows import iphlpapi

#: The columns of each table that are read, by number; every column is a DWORD.
_TCP: Final = {
    4: "ActiveOpens",
    5: "PassiveOpens",
    6: "AttemptFails",
    7: "EstabResets",
    9: "InSegs",
    10: "OutSegs",
    11: "RetransSegs",
    12: "InErrs",
    13: "OutRsts",
}
_UDP: Final = {0: "InDatagrams", 1: "NoPorts", 2: "InErrors", 3: "OutDatagrams"}
_IP: Final = {2: "InReceives", 4: "InAddrErrors", 7: "InDiscards", 8: "InDelivers", 9: "OutRequests", 12: "OutNoRoutes"}
_TABLES: Final[tuple[tuple[str, str, int, Mapping[int, str]], ...]] = (
    ("GetTcpStatisticsEx", "Tcp", 15, _TCP),
    ("GetUdpStatisticsEx", "Udp", 5, _UDP),
    ("GetIpStatisticsEx", "Ip", 23, _IP),
)
#: ``MIBICMPSTATS_EX`` of what came in: messages, errors, and one column for each type; then the same of what went out.
_ICMP_COLUMNS: Final = 2 * 258
_ICMP: Final = {0: "InMsgs", 1: "InErrors", 2 + 3: "InDestUnreachs", 2 + 11: "InTimeExcds"}
_ICMP6: Final = {0: "InMsgs", 1: "InErrors", 2 + 1: "InDestUnreachs", 2 + 2: "InPktTooBigs", 2 + 3: "InTimeExcds"}


def read() -> Iterator[tuple[str, int]]:
    """Yield each counter by its name with its value; those of calls that the system lacks are left out."""
    for call, group, size, columns in _TABLES:
        rows = [row for family in (4, 6) if (row := _row(call, size, family)) is not None]
        yield from added(group, columns, rows)
    for group, family, columns in (("Icmp", 4, _ICMP), ("Icmp6", 6, _ICMP6)):
        row = _row("GetIcmpStatisticsEx", _ICMP_COLUMNS, family)
        yield from added(group, columns, [row] if row is not None else [])


def added(group: str, columns: Mapping[int, str], rows: Sequence[Sequence[int]]) -> Iterator[tuple[str, int]]:
    """Yield the sums of the columns; two rows that are the same are one stack's, which does not tell families apart."""
    if len(rows) == 2 and list(rows[0]) == list(rows[1]):
        rows = rows[:1]
    for number, name in columns.items() if rows else ():
        yield f"{group}.{name}", sum(row[number] for row in rows)


def _row(call: str, size: int, family: int) -> Sequence[int] | None:
    row = (ctypes.c_uint32 * size)()
    try:
        return list(row) if iphlpapi.ask(call, ctypes.byref(row), iphlpapi.FAMILY[family]) == 0 else None
    except iphlpapi.Lacking:
        return None
