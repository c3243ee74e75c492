"""Whom Windows knows at link level, and a question of our own to one neighbour, as ``probes.neighbours`` has it.

Asked in this order: ``ResolveIpNetEntry2``; where the system lacks it ``SendARP``, which knows IPv4 alone; where it
lacks that, too, one datagram to the discard port, after which the table is watched until it holds an answer. Sources:
Microsoft: ResolveIpNetEntry2, SendARP, GetIpNetTable2, MIB_IPNET_ROW2, NL_NEIGHBOR_STATE.
"""

from __future__ import annotations

import asyncio
import ctypes
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Final

from probes.base import Context
from probes.system.blocking import in_thread
from probes.system.literal import Literal, literal
from probes.system.records import Neighbour, NeighbourState, RouteKind, RouteResult
from probes.system.windows import adapters, iphlpapi, routes
from probes.system.windows.layouts import NeighbourRow
from probes.system.windows.name_servers import address_of

#: ERROR_GEN_FAILURE (SendARP), and the ERROR_HOST_UNREACHABLE of both calls: nobody answered. 67 and 1168 are about
#: the network or the interface (ResolveIpNetEntry2), and say nothing of a neighbour.
_NOBODY: Final = frozenset({31, 1232})
#: The stack has given a neighbour up that it has looked for this long, seconds.
_GIVEN_UP_S: Final = 3.1
_LOOK_AGAIN_S: Final = 0.05
_MOST_ASKED: Final = 8
_MAX_TABLE: Final = 1024
_DISCARD_PORT: Final = 9
_STATES: Final = {
    0: NeighbourState.FAILED,
    1: NeighbourState.INCOMPLETE,
    2: NeighbourState.PROBE,
    3: NeighbourState.DELAY,
    4: NeighbourState.STALE,
    5: NeighbourState.REACHABLE,
    6: NeighbourState.PERMANENT,
}


#: Of the addresses that were asked for, and the rest of the table.
Known = tuple[tuple[Neighbour, ...], tuple[Neighbour, ...]]


async def look(addresses: Sequence[str], wait_s: float, context: Context, progress: Callable[[Known], None]) -> Known:
    """Read the table and ask for each address. Raises ``iphlpapi.Lacking``, and ``OSError`` where a call fails."""
    names = {one.index: one.name for one in adapters.interfaces()}
    asked = [Neighbour(address, None, NeighbourState.ABSENT, None) for address in addresses]

    async def one(number: int, address: str) -> None:
        asked[number] = await _ask(context, literal(address), address, names, wait_s)
        progress(_result(asked, names))

    async with asyncio.TaskGroup() as group:
        for number, address in enumerate(addresses[:_MOST_ASKED]):
            group.create_task(one(number, address))
    return _result(asked, names)


def _result(asked: Sequence[Neighbour], names: dict[int, str]) -> Known:
    known = {literal(one.address).text for one in asked}
    table = [one for row in _rows() if (one := entry(row, names)) is not None and one.address not in known]
    return tuple(asked), tuple(table[:_MAX_TABLE])


def _rows() -> list[NeighbourRow]:
    """Return the tables of both families; where one cannot be had, the other's. Raises ``Lacking`` without either."""
    found: list[NeighbourRow] = []
    lacking = 0
    for family in (iphlpapi.AF_INET, iphlpapi.AF_INET6):
        try:
            found += iphlpapi.table("GetIpNetTable2", NeighbourRow, family)
        except (iphlpapi.Lacking, OSError):
            lacking += 1
    if lacking == 2:
        raise iphlpapi.Lacking("GetIpNetTable2")
    return found


def entry(row: NeighbourRow, names: dict[int, str]) -> Neighbour | None:
    """Return what one row says; ``None`` for multicast. Without a link address nobody has answered, whatever the state.

    A state is a memory: only a question of our own confirms it.
    """
    address = address_of(bytes(row.address))
    if address is None:
        return None
    plain = address.partition("%")[0]
    if ipaddress.ip_address(plain).is_multicast or plain == "255.255.255.255":
        return None
    mac = bytes(row.physical_address[: min(32, row.physical_length)])
    state = _STATES.get(row.state, NeighbourState.ABSENT)
    if not any(mac) and state in (NeighbourState.REACHABLE, NeighbourState.STALE, NeighbourState.PERMANENT):
        state = NeighbourState.INCOMPLETE
    if state is NeighbourState.REACHABLE:
        state = NeighbourState.STALE
    return Neighbour(
        address=plain,
        interface=names.get(row.index),
        state=state,
        mac=mac.hex(":") if any(mac) else None,
        router=bool(row.flags & 1),
    )


async def _ask(context: Context, address: Literal, text: str, names: dict[int, str], wait_s: float) -> Neighbour:
    index = address.interface(names)
    route = await in_thread(lambda: _route(context, address, index), "route")
    unknown = Neighbour(text, route.interface if route else None, NeighbourState.ABSENT, None)
    if route is None or route.kind is not RouteKind.UNICAST or not route.on_link:
        return unknown
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    number = next((key for key, name in names.items() if name == route.interface), 0)
    before = _entry_of(address, names)
    try:
        mac = await in_thread(lambda: _by_call(address, number), "resolve")
        answered, found = mac is not None, None
    except iphlpapi.Lacking:
        answered, found = await _by_datagram(context, address, names, wait_s, before)
        mac = None
    final = found.state if found is not None else NeighbourState.REACHABLE if answered else NeighbourState.FAILED
    return Neighbour(
        address=text,
        interface=route.interface,
        state=NeighbourState.REACHABLE if answered else final,
        mac=(mac.hex(":") if mac else None) or (found.mac if found is not None else None),
        router=bool(before and before.router),
        confirmed=answered,
        duration_ms=(loop.time() - begun_s) * 1000,
        answered=answered,
    )


def _route(context: Context, address: Literal, index: int | None) -> RouteResult | None:
    try:
        return routes.look_up(context, address, index)
    except (iphlpapi.Lacking, OSError):
        return None


def _entry_of(address: Literal, names: dict[int, str]) -> Neighbour | None:
    return next(
        (one for row in _rows() if (one := entry(row, names)) is not None and one.address == address.text), None
    )


def _by_call(address: Literal, index: int) -> bytes | None:
    """Ask by a call of Windows: the link address, ``None`` where nobody answered. Raises ``Lacking``, ``OSError``."""
    try:
        row = NeighbourRow(index=index)
        row.address[:] = routes.sockaddr(address)
        number = iphlpapi.ask("ResolveIpNetEntry2", ctypes.byref(row), None)
        mac = bytes(row.physical_address[: min(32, row.physical_length)])
    except iphlpapi.Lacking:
        if address.family == 6:
            raise
        buffer, size = ctypes.create_string_buffer(8), ctypes.c_uint32(6)
        target = int.from_bytes(address.packed, "little")
        number = iphlpapi.ask("SendARP", target, 0, buffer, ctypes.byref(size))
        mac = buffer.raw[: min(8, size.value)]
    if number in _NOBODY:
        return None
    if number:
        raise OSError(number, "ResolveIpNetEntry2")
    return mac if any(mac) else None


async def _by_datagram(
    context: Context, address: Literal, names: dict[int, str], wait_s: float, before: Neighbour | None
) -> tuple[bool, Neighbour | None]:
    """Send one datagram and watch the table: whether it was the neighbour's answer that filled it, and the entry.

    An entry that held a link address before stays what it was: a memory.
    """
    family = socket.AF_INET if address.family == 4 else socket.AF_INET6
    index = address.interface(names) or 0
    to = (address.text, _DISCARD_PORT) if address.family == 4 else (address.text, _DISCARD_PORT, 0, index)
    await context.sending()
    with context.socket(family, socket.SOCK_DGRAM) as opened:
        opened.sendto(b"", to)
    held = before is not None and before.mac is not None
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    while True:
        found = _entry_of(address, names)
        if found is not None and found.mac is not None:
            return not held, found
        if loop.time() - begun_s >= wait_s:
            break
        await asyncio.sleep(_LOOK_AGAIN_S)
    if found is None or wait_s < _GIVEN_UP_S:
        return False, found or Neighbour(address.text, None, NeighbourState.ABSENT, None)
    return False, Neighbour(address.text, found.interface, NeighbourState.FAILED, None)
