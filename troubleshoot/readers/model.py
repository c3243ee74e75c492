"""What a reader hands over: typed observations, whose machine they are of, and the lines that it did not understand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from probes.base import Note
from probes.failure import Failure
from probes.interfaces import Interface
from probes.neighbours import Neighbour
from probes.ping import PingResult
from probes.resolve import Answer
from probes.route import RouteResult
from probes.service import ServiceResult
from probes.sockets import SocketEntry
from probes.traceroute import TracerouteResult
from troubleshoot.knowledge.kinds import System
from troubleshoot.readers.words import command_line

#: So much of what was not understood is kept: lines of one output, and characters of a line.
MOST_UNREAD: Final = 40
LONGEST_LINE: Final = 400


class LookUp(msgspec.Struct, frozen=True, kw_only=True, tag="look-up"):
    """What became of a name: what the system says where ``server`` is ``None``, else what that server answered.

    ``answer`` is what kind of answer a server gave, ``eai`` the symbolic error of the system's look-up.
    ``record_type`` is ``A``, ``AAAA`` or empty for both.
    """

    name: str
    server: str | None = None
    answer: Answer | None = None
    record_type: str = ""
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    eai: str | None = None
    ttl_s: int | None = None
    rtt_ms: float | None = None


class NameServers(msgspec.Struct, frozen=True, kw_only=True, tag="name-servers"):
    """The name servers that a machine is told to ask, in its order, and what it appends to short names."""

    servers: tuple[str, ...]
    search: tuple[str, ...] = ()


class RouteEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a routing table; ``interface`` is the name, number or own address that the system calls it by."""

    prefix: str
    gateway: str | None = None
    interface: str | None = None
    source: str | None = None
    metric: int = 0
    kind: str = "unicast"
    linkdown: bool = False


class Routes(msgspec.Struct, frozen=True, kw_only=True, tag="routes"):
    """A routing table; not ``whole`` where a filter or an option left lines out."""

    entries: tuple[RouteEntry, ...]
    families: tuple[int, ...] = ()
    whole: bool = True


class Sockets(msgspec.Struct, frozen=True, kw_only=True, tag="sockets"):
    """A table of sockets; not ``whole`` where a filter, an option or a line that was not understood left some out.

    ``listening`` is whether listeners are in it, ``transports`` the protocols whose sockets are.
    """

    entries: tuple[SocketEntry, ...]
    whole: bool = True
    listening: bool = True
    transports: tuple[str, ...] = ("tcp", "udp")


class Interfaces(msgspec.Struct, frozen=True, kw_only=True, tag="interfaces"):
    """Interfaces with their addresses, or with their counters alone (``counters``).

    ``some`` tells that a filter or an option left interfaces or addresses out.
    """

    interfaces: tuple[Interface, ...]
    counters: bool = False
    some: bool = False


class Neighbours(msgspec.Struct, frozen=True, kw_only=True, tag="neighbours"):
    """The table of neighbours."""

    table: tuple[Neighbour, ...]


class Connection(msgspec.Struct, frozen=True, kw_only=True, tag="connection"):
    """One attempt to connect; a failure whose kind was not said has neither ``failure`` nor ``errno``."""

    name: str | None
    address: str | None
    port: int
    connected: bool
    failure: Failure | None = None
    errno: str | None = None
    duration_ms: float | None = None
    source: str | None = None


class Served(msgspec.Struct, frozen=True, kw_only=True, tag="service"):
    """What a service did on one connection to ``name``; the result's address is empty where it was not said."""

    name: str | None
    result: ServiceResult


class Ports(msgspec.Struct, frozen=True, kw_only=True, tag="ports"):
    """Ranges of ports: kept back (``excluded``, with whether an administrator did), or for outgoing connections."""

    transport: str
    family: int | None
    excluded: tuple[tuple[int, int, bool], ...] | None = None
    dynamic: tuple[int, int] | None = None


class FirewallRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: ``direction`` is ``in``, ``out`` or ``forward``, ``action`` ``allow``, ``drop`` or ``reject``.

    ``ports`` are as they stood, empty for any. ``default`` marks what becomes of packets that no rule takes.
    """

    name: str
    direction: str | None
    action: str | None
    enabled: bool = True
    transport: str | None = None
    ports: str = ""
    by_user: bool = False
    by_group: bool = False
    default: bool = False


class Firewall(msgspec.Struct, frozen=True, kw_only=True, tag="firewall"):
    """The rules of a packet filter."""

    rules: tuple[FirewallRule, ...]
    whole: bool = True


class Processes(msgspec.Struct, frozen=True, kw_only=True, tag="processes"):
    """Process number and name."""

    names: tuple[tuple[int, str], ...]


class Providers(msgspec.Struct, frozen=True, kw_only=True, tag="providers"):
    """The catalogue of socket providers: number, name, kind (``base``, ``layered``, ``chain``) and library."""

    entries: tuple[tuple[int, str, str, str | None], ...]


class Machine(msgspec.Struct, frozen=True, kw_only=True, tag="machine"):
    """What the machine is called."""

    hostname: str


Seen = (
    PingResult
    | TracerouteResult
    | LookUp
    | NameServers
    | Routes
    | RouteResult
    | Sockets
    | Interfaces
    | Neighbours
    | Connection
    | Served
    | Ports
    | Firewall
    | Processes
    | Providers
    | Machine
)


class Unread(msgspec.Struct, frozen=True):
    """A line that was not understood, by its number in the text (from 1)."""

    line: int
    text: str


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one command's output says.

    ``command`` is the reader's, empty for text of no known command. ``typed`` is the command line where it was there.
    ``vantage`` says whose eyes these are, ``host`` what the prompt calls the machine, empty where it does not.
    ``unread`` are the lines that were not understood, cut to :data:`LONGEST_LINE` characters, ``more`` how many beyond
    :data:`MOST_UNREAD` were left out. ``remarks`` are notes on what a line means.
    """

    command: str
    line: int = 1
    typed: str = ""
    host: str = ""
    system: System | None = None
    language: str | None = None
    vantage: str = "pasted"
    seen: tuple[Seen, ...] = ()
    unread: tuple[Unread, ...] = ()
    more: int = 0
    remarks: tuple[Note, ...] = ()


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """The lines that one command wrote, the first of them line ``first`` of the text.

    ``typed`` is what was typed, ``host`` the machine that the prompt before it names.
    """

    command: str
    lines: tuple[str, ...]
    first: int = 1
    typed: str = ""
    host: str = ""

    @property
    def arguments(self) -> list[str]:
        """The words behind the command's name, up to a pipe."""
        return list(command_line(self.typed)[1:])

    @property
    def filtered(self) -> bool:
        """Whether the output went through another program that may have left lines out."""
        return "|" in self.typed


class Walk:
    """Goes through the lines of a block; whoever does not understand one leaves it."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.at = -1
        self._left: list[int] = []

    def __iter__(self) -> Iterator[str]:
        for at, line in enumerate(self.block.lines):
            self.at = at
            if line.strip():
                yield line

    def leave(self) -> None:
        """Say that the line at hand was not understood."""
        if not self._left or self._left[-1] != self.at:
            self._left.append(self.at)

    @property
    def clean(self) -> bool:
        """Whether every line so far was understood."""
        return not self._left

    def peek(self) -> str:
        """Return the next line, empty at the end."""
        return self.block.lines[self.at + 1] if self.at + 1 < len(self.block.lines) else ""

    def reading(self, system: System | None, seen: Iterable[Any], **more: Any) -> Reading:
        """Return what was read."""
        kept = self._left[:MOST_UNREAD]
        return Reading(
            command=self.block.command,
            line=self.block.first,
            typed=self.block.typed[:LONGEST_LINE],
            host=self.block.host,
            system=system,
            seen=tuple(seen),
            unread=tuple(Unread(self.block.first + n, self.block.lines[n][:LONGEST_LINE]) for n in kept),
            more=len(self._left) - len(kept),
            **more,
        )
