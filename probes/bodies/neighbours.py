"""Give the kernel a reason to look for a neighbour, and watch its table until it knows."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator

import msgspec

from probes.base import Context, NotPermitted
from probes.failure import IcmpError, IcmpMeaning
from probes.neighbours import Neighbour, NeighboursRequest, NeighboursResult, NeighbourState
from probes.system import need_linux, platform_name
from probes.system.linux import errqueue, packet, rtnetlink
from probes.system.literal import Literal, literal

#: No more addresses are asked in one run; for the others the table is read only.
MAX_ASKED = 8
#: At most so many other entries of the table are reported.
MAX_TABLE = 1024
#: A neighbour on the own link answers within a fraction of this, or not at all.
_DIRECT_WAIT_S = 0.9
#: The table is read again so often, in case a notice was lost.
_REREAD_S = 0.5
_DISCARD_PORT = 9

_STATES = {
    rtnetlink.NUD_INCOMPLETE: NeighbourState.INCOMPLETE,
    rtnetlink.NUD_REACHABLE: NeighbourState.REACHABLE,
    rtnetlink.NUD_STALE: NeighbourState.STALE,
    rtnetlink.NUD_DELAY: NeighbourState.DELAY,
    rtnetlink.NUD_PROBE: NeighbourState.PROBE,
    rtnetlink.NUD_FAILED: NeighbourState.FAILED,
    rtnetlink.NUD_NOARP: NeighbourState.NOARP,
    rtnetlink.NUD_PERMANENT: NeighbourState.PERMANENT,
}
#: The kernel is still finding out.
_UNDECIDED = (NeighbourState.INCOMPLETE, NeighbourState.DELAY, NeighbourState.PROBE)
#: The kernel has a link address, with more or less fresh proof of it.
_HELD = (
    NeighbourState.REACHABLE,
    NeighbourState.STALE,
    NeighbourState.DELAY,
    NeighbourState.PROBE,
    NeighbourState.PERMANENT,
)

_Key = tuple[int, bytes]


class _Board(msgspec.Struct):
    """The neighbour table as it is now: read once, kept up by the kernel's notices."""

    context: Context
    entries: dict[_Key, rtnetlink.NeighbourEntry] = msgspec.field(default_factory=dict)
    #: Whom the kernel has looked for in vain while we watched: the next packet makes it begin anew.
    given_up: set[_Key] = msgspec.field(default_factory=set)
    changed: asyncio.Event = msgspec.field(default_factory=asyncio.Event)

    def read(self) -> None:
        """Read the whole table again."""
        self.entries = {(entry.index, entry.address): entry for entry in rtnetlink.neighbours(self.context)}

    def on_notice(self, watch: socket.socket) -> None:
        """Take the kernel's notices in, and wake whoever waits."""
        with contextlib.suppress(OSError):  # ENOBUFS: notices were lost, the next reading makes up for it
            data, (sender, _groups) = watch.recvfrom(1 << 16)
            for entry in rtnetlink.neighbour_changes(data) if sender == 0 else ():
                self.entries[entry.index, entry.address] = entry
                if entry.state == rtnetlink.NUD_FAILED:
                    self.given_up.add((entry.index, entry.address))
        self.wake()

    def wake(self) -> None:
        """Wake everyone who waits in :meth:`change`."""
        self.changed.set()
        self.changed = asyncio.Event()

    def state(self, key: _Key) -> NeighbourState:
        """Return the state of one entry; another search after one in vain changes nothing until there is an answer."""
        entry = self.entries.get(key)
        now = _STATES.get(entry.state, NeighbourState.ABSENT) if entry else NeighbourState.ABSENT
        return NeighbourState.FAILED if now is NeighbourState.INCOMPLETE and key in self.given_up else now

    async def change(self, until_s: float) -> bool:
        """Wait for a change (or read again after a while); false once the loop's clock has reached ``until_s``."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now >= until_s:
            return False
        try:
            async with asyncio.timeout_at(min(until_s, now + _REREAD_S)):
                await self.changed.wait()
        except TimeoutError:
            self.read()
        return True


async def observe(
    request: NeighboursRequest,
    context: Context,
    progress: Callable[[NeighboursResult], None],
) -> NeighboursResult:
    """Read the table and have the asked addresses resolved, all side by side.

    Nothing is sent for an address that the routing table does not reach directly. An entry with a link address is
    asked by hand where a packet socket may be opened, because the kernel trusts its memory too long to notice a
    router that has just died; otherwise a change of state or an ICMP error of the neighbour itself tells.
    """
    if platform_name() == "windows":
        from probes.system.windows import iphlpapi, neighbourhood  # noqa: PLC0415 - Windows alone has it

        try:
            found = await neighbourhood.look(
                request.addresses, request.wait_s, context, lambda known: progress(NeighboursResult(*known))
            )
            return NeighboursResult(*found)
        except* (iphlpapi.Lacking, OSError):
            need_linux("neighbours")
    need_linux("neighbours")
    for address in request.addresses:
        literal(address)
    links = {link.index: link for link in rtnetlink.links(context)}
    board = _Board(context)
    loop = asyncio.get_running_loop()
    with rtnetlink.open_neighbour_watch(context) as watch:  # before the reading, so that nothing falls between
        board.read()
        loop.add_reader(watch.fileno(), board.on_notice, watch)
        try:
            asked = [_unknown(address) for address in request.addresses]

            async def one(number: int, address: str) -> None:
                asked[number] = await _ask(context, board, links, address, request.wait_s, quiet=number >= MAX_ASKED)
                progress(_result(asked, board, links))

            async with asyncio.TaskGroup() as group:
                for number, address in enumerate(request.addresses):
                    group.create_task(one(number, address))
        finally:
            loop.remove_reader(watch.fileno())
    return _result(asked, board, links)


def _unknown(address: str, interface: str | None = None) -> Neighbour:
    return Neighbour(address, interface, NeighbourState.ABSENT, None)


def _result(asked: list[Neighbour], board: _Board, links: dict[int, rtnetlink.Link]) -> NeighboursResult:
    names = {(neighbour.interface, literal(neighbour.address).text) for neighbour in asked}
    table = [neighbour for neighbour in _table(board, links) if (neighbour.interface, neighbour.address) not in names]
    return NeighboursResult(tuple(asked), tuple(table[:MAX_TABLE]))


def _table(board: _Board, links: dict[int, rtnetlink.Link]) -> Iterator[Neighbour]:
    """Yield what ``ip neighbour`` shows: no multicast, no own addresses, nothing that has gone."""
    for (index, address), entry in board.entries.items():
        state = _STATES.get(entry.state)
        if state in (None, NeighbourState.NOARP):
            continue
        link = links.get(index)
        yield Neighbour(
            address=str(ipaddress.ip_address(address)),
            interface=link.name if link else None,
            state=state,
            mac=entry.mac.hex(":") or None,
            router=bool(entry.flags & rtnetlink.NTF_ROUTER),
            confirmed=state is NeighbourState.REACHABLE,
        )


async def _ask(
    context: Context,
    board: _Board,
    links: dict[int, rtnetlink.Link],
    address: str,
    wait_s: float,
    *,
    quiet: bool,
) -> Neighbour:
    """Find one neighbour out; with ``quiet`` only look."""
    asked = literal(address)
    index = asked.interface({number: link.name for number, link in links.items()})
    try:
        route = rtnetlink.route_to(context, asked.text, interface=index)
    except OSError:
        return _unknown(address)
    link = links.get(route.interface or 0)
    if link is None or route.type != rtnetlink.RTN_UNICAST or route.gateway not in (None, asked.text):
        return _unknown(address, link.name if link else None)
    if link.flags & (rtnetlink.IFF_NOARP | rtnetlink.IFF_LOOPBACK):
        return Neighbour(address, link.name, NeighbourState.NOARP, None)
    loop = asyncio.get_running_loop()
    start = loop.time()
    heard = _Heard() if quiet else await _inquire(context, board, link, asked, wait_s)
    entry = board.entries.get((link.index, asked.packed))
    final = board.state((link.index, asked.packed))
    mac = heard.mac or (entry.mac if entry else b"")
    return Neighbour(
        address=address,
        interface=link.name,
        state=final,
        mac=mac.hex(":") or None,
        router=bool(entry and entry.flags & rtnetlink.NTF_ROUTER),
        confirmed=heard.answered or (heard.requests == 0 and final is NeighbourState.REACHABLE),
        duration_ms=None if quiet else (loop.time() - start) * 1000,
        requests=heard.requests,
        answered=heard.answered,
    )


class _Heard(msgspec.Struct, frozen=True):
    """What came of asking a neighbour: its link address, how many requests we sent ourselves, whether it answered."""

    mac: bytes | None = None
    requests: int = 0
    answered: bool = False


async def _inquire(context: Context, board: _Board, link: rtnetlink.Link, asked: Literal, wait_s: float) -> _Heard:
    """Ask by hand where the kernel holds an entry, through the kernel elsewhere."""
    key = (link.index, asked.packed)
    until_s = asyncio.get_running_loop().time() + wait_s
    async with context.budget.slot():
        ethernet = link.hardware_type == rtnetlink.ARPHRD_ETHER
        if ethernet and board.state(key) in _HELD:
            heard = await _by_hand(context, link, asked.text, min(wait_s, _DIRECT_WAIT_S))
            if heard.requests:
                return heard
        if await _by_kernel(context, board, key, asked.text, until_s):
            return _Heard(answered=True)
        if ethernet and board.state(key) is NeighbourState.ABSENT:
            # a local filter kept the datagram from ever reaching the link
            return await _by_hand(context, link, asked.text, min(wait_s, _DIRECT_WAIT_S))
    return _Heard()


async def _by_hand(context: Context, link: rtnetlink.Link, address: str, wait_s: float) -> _Heard:
    """Ask the link ourselves; no request is counted where that is not possible."""
    try:
        mac, requests = await packet.who_has(context, link, address, wait_s)
    except (NotPermitted, OSError):
        return _Heard()
    return _Heard(mac, requests, answered=mac is not None)


async def _by_kernel(context: Context, board: _Board, key: _Key, address: str, until_s: float) -> bool:
    """Send one datagram to the discard port and watch what the kernel finds out; true where the neighbour answered."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    destination = (address, _DISCARD_PORT, 0, key[0]) if family == socket.AF_INET6 else (address, _DISCARD_PORT)
    before = board.state(key)
    with context.socket(family, socket.SOCK_DGRAM) as caller:
        errqueue.enable(caller, stamps=False)
        await context.sending()
        try:
            caller.connect(destination)
            caller.send(b"")
        except OSError:
            return False  # a local filter (EPERM), or the interface went down: the table says the rest
        board.read()
        held, at_once = before is NeighbourState.REACHABLE, True
        if board.state(key) in _HELD and before not in _UNDECIDED:
            # the kernel itself looks into such an entry only after 5 s (RFC 4861, DELAY_FIRST_PROBE_TIME)
            until_s = min(until_s, loop.time() + _DIRECT_WAIT_S)
        loop.add_reader(caller.fileno(), board.wake)
        try:
            while True:
                errors = [error.icmp for error in errqueue.drain(caller) if error.icmp is not None]
                if not at_once and _own_report(errors, address):
                    board.given_up.add(key)  # the table may show the next search by now
                at_once = False  # so is only what a local filter says
                state = board.state(key)
                if state is NeighbourState.REACHABLE and not held:
                    return True
                if any(error.sender == address for error in errors):
                    return True  # the closed port's own answer
                with contextlib.suppress(OSError):
                    caller.recv(1)
                    return True  # or even an open one's
                if state in (NeighbourState.FAILED, NeighbourState.ABSENT, NeighbourState.NOARP):
                    return False
                if not await board.change(until_s):
                    return False
        finally:
            loop.remove_reader(caller.fileno())


def _own_report(errors: list[IcmpError], address: str) -> bool:
    """Whether this machine itself reports that it has looked for the neighbour in vain."""
    return any(e.sender != address and e.meaning is IcmpMeaning.HOST_UNREACHABLE for e in errors)
