"""What the pasted outputs of one machine hold, put together by kind."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from probes.interfaces import Interface
from probes.ping import PingResult
from probes.route import RouteResult
from probes.traceroute import TracerouteResult
from troubleshoot.readers.model import (
    Connection,
    Firewall,
    Interfaces,
    LookUp,
    NameServers,
    Neighbours,
    Ports,
    Processes,
    Reading,
    RouteEntry,
    Routes,
    Served,
    Sockets,
)
from troubleshoot.readers.ping import goes_all_the_way

T = TypeVar("T")
_COUNTERS = ("rx_packets", "tx_packets", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped")


class Evidence:
    """The observations in ``readings``; of the same thing seen twice, what was seen last."""

    def __init__(self, readings: Sequence[Reading], *, foreign: bool = False) -> None:
        #: Whether it is asked if an address is not this machine's.
        self.foreign = foreign
        self._seen = [seen for reading in readings for seen in reading.seen]
        #: Who was asked where the command line named nobody.
        self.asked = tuple(
            dict.fromkeys(
                seen.server
                for reading in readings
                for seen in reading.seen
                if isinstance(seen, LookUp) and seen.server and reading.typed and seen.server not in reading.typed
            )
        )
        self.system = next((reading.system for reading in readings if reading.system is not None), None)
        self.pings = {
            seen.address: seen
            for reading in readings
            for seen in reading.seen
            if isinstance(seen, PingResult) and goes_all_the_way(reading.typed, reading.system)
        }
        self.traces = {one.address: one for one in self.of(TracerouteResult)}
        self.routed = {one.address: one for one in self.of(RouteResult)}
        self.look_ups = self.of(LookUp)
        self.connections = self.of(Connection)
        self.services = self.of(Served)
        self.firewalls = self.of(Firewall)
        self.ports = self.of(Ports)
        self.interfaces = self._interfaces()
        #: Whether a list of all addresses is there: only then is an address that is not in it no own one.
        self.knows_own = any(
            not table.some and any(one.addresses for one in table.interfaces) for table in self.of(Interfaces)
        )
        self.own = {held.address for one in self.interfaces for held in one.addresses}

    def of(self, kind: type[T]) -> list[T]:
        """Return all observations of a kind, in their order."""
        return [seen for seen in self._seen if isinstance(seen, kind)]

    @property
    def servers(self) -> NameServers | None:
        """The name servers that the machine is told to ask."""
        return next(reversed(self.of(NameServers)), None)

    @property
    def neighbours(self) -> Neighbours | None:
        """The table of neighbours."""
        return next(reversed(self.of(Neighbours)), None)

    def sockets(self, transport: str) -> Sockets | None:
        """Return the table of a protocol's sockets: a whole one, else the last."""
        tables = [table for table in self.of(Sockets) if transport in table.transports]
        whole = [table for table in tables if table.whole and table.listening]
        return next(reversed(whole or tables), None)

    @functools.cached_property
    def names(self) -> dict[int, str]:
        """Process number → name."""
        return dict(pair for one in self.of(Processes) for pair in one.names)

    def routes(self, family: int) -> tuple[list[RouteEntry], bool]:
        """Return the routes of a family, and whether they are all that there are."""
        tables = self.of(Routes)
        whole = [table for table in tables if table.whole and family in table.families]
        chosen = whole[-1:] or tables
        entries = [entry for table in chosen for entry in table.entries if _family(entry.prefix) == family]
        return [replace(entry, interface=self._named(entry.interface)) for entry in entries], bool(whole)

    def _named(self, interface: str | None) -> str | None:
        """Return the name of an interface that a table calls by its own address, as Windows does."""
        for one in self.interfaces:
            if any(held.address == interface for held in one.addresses):
                return one.name
        return interface

    def _interfaces(self) -> tuple[Interface, ...]:
        found: dict[str, Interface] = {}
        for table in self.of(Interfaces):
            for one in table.interfaces:
                known = found.get(one.name)
                if known is None:
                    found[one.name] = one
                elif table.counters:
                    found[one.name] = replace(known, **{name: getattr(one, name) for name in _COUNTERS})
                else:
                    counted = {name: getattr(known, name) for name in _COUNTERS if getattr(one, name) is None}
                    found[one.name] = replace(one, **counted)
        return tuple(found.values())


def _family(prefix: str) -> int:
    return ipaddress.ip_network(prefix).version
