"""This machine: its interfaces and addresses, and what of it may not be looked into."""

from __future__ import annotations

from probes.address import AddressKind, AddressResult
from probes.descriptors import DescriptorsResult
from probes.interfaces import Interface, InterfacesResult
from probes.sockets import SocketEntry, SocketsResult
from troubleshoot.facts.address import (
    is_loopback,
    plain,
)
from troubleshoot.facts.view import Theme, once

#: Steps about the whole machine, and the probe without which nothing is known of them.
_OF_THE_MACHINE = (
    ("open-sockets", "descriptors"),
    *((name, name) for name in ("buffers", "address-family", "network-subsystem")),
)


class Machine(Theme):
    """This machine: its interfaces and addresses, and what of it may not be looked into."""

    def interfaces(self) -> tuple[Interface, ...]:
        """Return the interfaces (:class:`NotYet` while they are read)."""
        result = self._view.get("interfaces", InterfacesResult)
        return result.interfaces if result is not None else ()

    @once
    def is_own(self, address: str | None) -> bool:
        """Whether the address belongs to this machine."""
        if address is None:
            return False
        result = self._view.peek("interfaces", InterfacesResult)
        if is_loopback(address):
            return True
        own = {plain(a.address) for i in (result.interfaces if result else ()) for a in i.addresses}
        return plain(address) in own

    @once
    def is_local(self, address: str) -> bool:
        """Whether the target address is this machine itself."""
        kind = self._view.peek("address", AddressResult, address)
        return is_loopback(address) or (kind is not None and kind.local)

    def kind(self, address: str) -> AddressKind | None:
        """Return what kind of address it is."""
        result = self._view.get("address", AddressResult, address)
        return result.kind if result is not None else None

    def zone_missing(self, address: str) -> bool:
        """Whether a link-local IPv6 address lacks the interface that it is on."""
        result = self._view.get("address", AddressResult, address)
        return result is not None and result.zone_missing

    def loopback_down(self) -> bool:
        """Whether the loopback interface is not up."""
        return any(i.loopback and not i.up for i in self.interfaces())

    def full_queue(self, port: int | None) -> SocketEntry | None:
        """Return a local listener on ``port`` whose accept queue is full, if there is one."""
        result = self._view.get("sockets", SocketsResult, str(port))
        for entry in result.entries if result else ():
            if (
                entry.state == "listen"
                and entry.queue is not None
                and entry.queue_limit is not None
                and entry.queue > entry.queue_limit
            ):
                return entry
        return None

    def unemptied_queue(self, port: int | None) -> SocketEntry | None:
        """Return a local listener on ``port`` for which connections waited at both of two looks, if there is one."""
        result = self._view.get("sockets", SocketsResult, str(port))
        return next((entry for entry in (result.entries if result else ()) if entry.waited_ms is not None), None)

    def hidden(self) -> bool:
        """Whether what could be at fault may not be looked into: by this user, or on this system at all."""
        if any(
            self._view.unseen(probe) and step in self._view.request.reference_steps for step, probe in _OF_THE_MACHINE
        ):
            return True
        if "port-owner" in self._view.request.reference_steps and any(o.result is None for o in self._view.of("bind")):
            return True
        result = self._view.peek("descriptors", DescriptorsResult)
        # Where only the sockets of the heaviest process are hidden, its number of descriptors is not.
        counted = result is not None and result.open_at_start is not None and result.sockets is None
        return (
            result is not None
            and (result.hidden > (1 if counted else 0) or result.unlisted)
            and self._view.request.pid is None
            and "open-sockets" in self._view.request.reference_steps
        )
