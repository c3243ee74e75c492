"""Which device stands at which hop, and how far packets get."""

from __future__ import annotations

from probes.failure import IcmpMeaning
from probes.tcp_path import TcpAnswer, TcpPathResult
from troubleshoot.facts.address import (
    early_look,
    plain,
    second_look,
)
from troubleshoot.facts.link import Link
from troubleshoot.facts.machine import Machine
from troubleshoot.facts.names import Names
from troubleshoot.facts.path import OVERDUE_MS, Path
from troubleshoot.facts.view import Theme, View, once


class Hops(Theme):
    """Which device stands at which hop, and how far packets get."""

    def __init__(self, view: View, names: Names, machine: Machine, link: Link, path: Path) -> None:
        super().__init__(view)
        self._names = names
        self._machine = machine
        self._link = link
        self._path = path

    @once
    def distance(self, address: str) -> int | None:
        """The least TTL that reaches the address itself (1 = no router between), as far as known."""
        trace = self._path.peek_trace(address)
        if trace is not None and trace.reached_ttl is not None:
            return trace.reached_ttl
        route = self._link.peek_route(address)
        return 1 if route is not None and route.on_link and self._path.alive(address) else None

    def hop_of(self, target: str, sender: str | None) -> int | None:
        """The hop at which ``sender`` stands on the path to ``target``, as traceroute or SYNs showed it."""
        if sender is None:
            return None
        route = self._link.peek_route(target)
        if route is not None and route.gateway is not None and plain(route.gateway) == plain(sender):
            return 1
        trace = self._path.peek_trace(target)
        for hop in trace.hops if trace else ():
            if any(a.address is not None and plain(a.address) == plain(sender) for a in hop.answers):
                return hop.ttl
        path = self._view.peek("tcp-path", TcpPathResult, self._names.endpoint(target))
        for step in path.hops if path else ():
            exceeded = step.icmp is not None and step.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
            if exceeded and step.icmp and step.icmp.sender and plain(step.icmp.sender) == plain(sender):
                return step.ttl
        return None

    @once
    def router_at(self, target: str, ttl: int) -> str | None:
        """The address that answered for TTL ``ttl`` on the path to ``target``."""
        trace = self._path.peek_trace(target)
        for hop in trace.hops if trace else ():
            if hop.ttl == ttl:
                for answer in hop.answers:
                    if answer.icmp is not None and answer.icmp.meaning is IcmpMeaning.TIME_EXCEEDED:
                        return answer.address
        path = self._view.peek("tcp-path", TcpPathResult, self._names.endpoint(target))
        for step in path.hops if path else ():
            if step.ttl == ttl and step.icmp is not None and step.icmp.meaning is IcmpMeaning.TIME_EXCEEDED:
                return step.icmp.sender
        return None

    def router_at_by_trace(self, target: str, ttl: int) -> str | None:
        """The router that answered traceroute (not SYNs) at ``ttl``."""
        trace = self._path.peek_trace(target)
        for hop in trace.hops if trace else ():
            if hop.ttl == ttl:
                return next((a.address for a in hop.answers if a.address is not None), None)
        return None

    @once
    def last_hop(self, target: str) -> int:
        """The greatest TTL at which a router answered for any protocol, 0 for none."""
        trace = self._path.peek_trace(target)
        path = self._view.peek("tcp-path", TcpPathResult, self._names.endpoint(target))
        hops = [
            hop.ttl
            for hop in (trace.hops if trace else ())
            if any(a.icmp is not None and a.icmp.meaning is IcmpMeaning.TIME_EXCEEDED for a in hop.answers)
        ]
        return max([*hops, path.passed_ttl if path else 0], default=0)

    def dies_at(self, address: str, ttl: int) -> bool:
        """Whether traceroute's packet of that TTL was ended by a router: the host is farther away."""
        trace = self._path.peek_trace(address)
        return any(
            a.icmp is not None
            and a.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
            and (a.address is None or plain(a.address) != plain(address))
            for hop in (trace.hops if trace is not None else ())
            if hop.ttl == ttl
            for a in hop.answers
        )

    def before_the_host(self, address: str) -> int | None:
        """Return the TTL of the last device before the host, as traceroute shows it; ``None`` for none.

        Where it did not get to the host that is the last router which said anything. :class:`NotYet` while it runs.
        """
        trace = self._path.trace(address)
        if trace is None:
            return None
        if trace.reached_ttl is not None:
            return trace.reached_ttl - 1 or None
        died = [hop.ttl for hop in trace.hops if self.dies_at(address, hop.ttl)]
        return max(died, default=None)

    def taken_early(self, address: str) -> bool:
        """Whether the one SYN that ends before the host was accepted, or passed on in the host's name."""
        early = self._view.get("tcp-path", TcpPathResult, self._names.endpoint(early_look(address)))
        senders = [hop.icmp.sender for hop in (early.hops if early is not None else ()) if hop.icmp is not None]
        in_its_name = any(sender is not None and plain(sender) == plain(address) for sender in senders)
        return early is not None and (early.final is TcpAnswer.ACCEPTED or in_its_name)

    @once
    def passes_on(self, address: str) -> int | None:
        """The least TTL at which the very address that SYNs were sent to answers *time exceeded*: it passes them on."""
        subjects = (self._names.endpoint(address), self._names.endpoint(second_look(address)))
        paths = [self._view.peek("tcp-path", TcpPathResult, subject) for subject in subjects]
        seen = [
            hop.ttl
            for path in paths
            for hop in (path.hops if path is not None else ())
            if hop.answer is TcpAnswer.TIME_EXCEEDED
            and hop.icmp is not None
            and hop.icmp.sender is not None
            and plain(hop.icmp.sender) == plain(address)
        ]
        return min(seen, default=None)

    def accepted_early(self, address: str) -> int | None:
        """Return the TTL from which SYNs to the port are accepted, where other packets of that TTL go no further.

        One SYN that ends before the host tells whether there is such a TTL, and only then are the others sent.
        Both walks need not be over: the least TTL is known once the one before it brought *time exceeded*, or once
        the SYNs of all before it have been on their way for much longer than an answer takes. :class:`NotYet` while
        it is not known.
        """
        route = self._link.route(address)
        if route is None or route.on_link or self._machine.is_local(address):
            return None
        path = self._view.peek("tcp-path", TcpPathResult, self._names.endpoint(address))
        if path is None and (self.before_the_host(address) is None or not self.taken_early(address)):
            return None
        least = path.final_ttl if path is not None and path.final is TcpAnswer.ACCEPTED else None
        if least is None or path is None or not self._least_known(path, least):
            path = self._path.tcp_path(address)
            least = path.final_ttl if path is not None and path.final is TcpAnswer.ACCEPTED else None
        if least is None or self.router_at_by_trace(address, least) == plain(address):
            return None
        if self.dies_at(address, least):
            return least
        trace = self._path.trace(address)
        reached = trace.reached_ttl if trace is not None else None
        return least if reached is not None and least < reached else None

    def _least_known(self, path: TcpPathResult, least: int) -> bool:
        if path.passed_ttl >= least - 1:
            return True
        record = self._view.observation("tcp-path", f"{path.address} {path.port}")
        asked = {hop.ttl for hop in path.hops if hop.sent}
        patience_ms = OVERDUE_MS + 50 + 4 * self._path.rtt_ms(path.address)
        return record is not None and record.duration_ms >= patience_ms and asked >= set(range(1, least))
