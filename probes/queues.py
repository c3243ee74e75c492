"""See whether packets of this machine are lost before they leave it: full transmit queues, full neighbour tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from probes.base import Context, Probe, sends_nothing
from probes.system import need_linux
from probes.system.linux import queueing, rtnetlink


class QueuesRequest(msgspec.Struct, frozen=True):
    """Everything is looked at twice, ``watch_s`` seconds apart."""

    watch_s: float = 0.4


class TransmitQueue(msgspec.Struct, frozen=True):
    """The queue of an interface: its discipline, what waits in it (bytes), and what it has dropped so far (packets).

    Between the two looks it dropped ``lost`` packets and let ``sent`` go.
    """

    interface: str
    kind: str
    waiting: int
    dropped: int
    lost: int
    sent: int


class NeighbourTable(msgspec.Struct, frozen=True):
    """The table of neighbours of a family: entries, how many it may hold, how often it was full between the looks.

    It is the whole machine's, and not shown in another network namespace than the first.
    """

    family: int
    entries: int
    limit: int | None
    refused: int


class QueuesResult(msgspec.Struct, frozen=True):
    """``queues`` are those of all interfaces that have one, ``neighbours`` the tables that are shown here."""

    queues: tuple[TransmitQueue, ...]
    neighbours: tuple[NeighbourTable, ...]
    watched_s: float


async def observe(
    request: QueuesRequest,
    context: Context,
    progress: Callable[[QueuesResult], None],  # noqa: ARG001 - one look says nothing yet
) -> QueuesResult:
    """Read both twice; nothing is sent and no privilege needed.

    Raises :class:`NotApplicable` where this is not Linux. Sources: tc(8), rtnetlink(7), arp(7).
    """
    need_linux("queues")
    loop = asyncio.get_running_loop()
    first, tables, since = queueing.disciplines(context), queueing.neighbour_tables(context), loop.time()
    await asyncio.sleep(request.watch_s)
    names = {link.index: link.name for link in rtnetlink.links(context)}
    before = {(one.index, one.handle, one.parent): one for one in first}
    again = [(before.get((one.index, one.handle, one.parent), one), one) for one in queueing.disciplines(context)]
    queues = tuple(
        TransmitQueue(
            interface=names.get(one.index, f"#{one.index}"),
            kind=one.kind,
            waiting=one.waiting,
            dropped=one.dropped,
            lost=one.dropped - earlier.dropped,
            sent=one.sent - earlier.sent,
        )
        for earlier, one in again
        if one.kind != "noqueue"
    )
    refused = {table.family: table.refused for table in tables}
    neighbours = tuple(
        NeighbourTable(t.family, t.entries, t.limit, t.refused - refused.get(t.family, t.refused))
        for t in queueing.neighbour_tables(context)
    )
    return QueuesResult(queues, neighbours, loop.time() - since)


PROBE: Probe[QueuesRequest, QueuesResult] = Probe(
    name="queues",
    request=QueuesRequest,
    result=QueuesResult,
    observe=observe,
    request_for=lambda _: QueuesRequest(),
    deadline_s=2.0,
    most_packets=sends_nothing,
)
