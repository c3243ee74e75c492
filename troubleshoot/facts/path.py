"""What came back from an address and from the routers towards it: pings, traceroute, walking SYNs."""

from __future__ import annotations

import ipaddress

from probes.base import Status
from probes.failure import IcmpError, IcmpMeaning
from probes.ping import PingMethod, PingResult
from probes.tcp_path import TcpPathResult
from probes.traceroute import TracerouteResult
from troubleshoot.facts.address import (
    family_of,
    plain,
    second_look,
    series_subject,
)
from troubleshoot.facts.machine import Machine
from troubleshoot.facts.names import Names
from troubleshoot.facts.view import NotYet, Theme, View, once

#: What a router says that cannot pass a packet on.
UNREACHABLE = frozenset({IcmpMeaning.NETWORK_UNREACHABLE, IcmpMeaning.HOST_UNREACHABLE})
#: Loss is told from slowness by these: no answer takes longer on a path where it is measured, and an echo or a SYN
#: that is not answered for so long while others are counts as lost, milliseconds.
LONGEST_RTT_MS = 400.0
OVERDUE_MS = 150.0


class Path(Theme):
    """What came back from an address and from the routers towards it: pings, traceroute, walking SYNs."""

    def __init__(self, view: View, names: Names, machine: Machine) -> None:
        super().__init__(view)
        self._names = names
        self._machine = machine

    def ping(self, address: str) -> PingResult | None:
        """Return the pings of an address (:class:`NotYet` while they run and none was answered)."""
        result = self.peek_ping(address)
        if result is not None and (result.received or any(e.icmp for e in result.echoes)):
            return result
        self._view.wait_for("ping", address)
        self._view.get("ping", PingResult, second_look(address))
        return result

    def wait_for_ping(self, address: str) -> None:
        """Raise :class:`NotYet` while the pings of an address run and none was answered."""
        self.ping(address)

    @once
    def peek_ping(self, address: str) -> PingResult | None:
        """Return the pings of an address as far as known; where the first were silent, the second look counts."""
        first = self._view.peek("ping", PingResult, address)
        if first is not None and (first.received or any(e.icmp or e.failure for e in first.echoes)):
            return first
        return self._view.peek("ping", PingResult, second_look(address)) or first

    def withheld(self, address: str) -> bool:
        """Whether the silence of an address tells nothing, for its router had others to report (as far as known)."""
        pings = (self._view.peek("ping", PingResult, subject) for subject in (address, second_look(address)))
        return any(ping.withheld for ping in pings if ping is not None)

    def missed(self, address: str) -> bool:
        """Whether nobody looked if an address answers: its pings ended before anything could be seen."""
        record = self._view.observation("ping", address)
        cut = record is not None and record.status is Status.CUT_SHORT and record.result is None
        return cut and self.peek_ping(address) is None

    def echoes(self, address: str) -> PingResult | None:
        """Return the first pings that were ICMP echoes and of which the address answered any (as far as known).

        Where a few were lost, all of them, those of the series that looks for a loss.
        """
        pings = (self._view.peek("ping", PingResult, subject) for subject in (address, series_subject(address)))
        return next((p for p in pings if p is not None and p.received and p.method is not PingMethod.UDP), None)

    def unechoed(self, address: str) -> bool:
        """Whether the first echoes have met silence for so long that they are lost, if the address answers any."""
        ping = self._view.peek("ping", PingResult, address)
        if ping is None or ping.method is PingMethod.UDP or ping.waited_ms < OVERDUE_MS:
            return False
        return all(e.rtt_ms is None and e.failure is None for e in ping.echoes)

    def awaits_echo(self, address: str) -> bool:
        """Whether the first ping has not been sent long enough ago to miss its answer."""
        ping = self._view.peek("ping", PingResult, address)
        return ("ping", address) in self._view.running and (ping is None or ping.waited_ms < OVERDUE_MS)

    def overdue(self, ping: PingResult) -> int:
        """Return how many echoes of a series can be called lost by now."""
        missing = sum(e.rtt_ms is None and e.failure is None for e in ping.echoes)
        return missing if ping.waited_ms >= max(OVERDUE_MS, 3 * (ping.rtt_max_ms or 0.0)) else 0

    def patchy(self, ping: PingResult) -> bool:
        """Whether some of a series are answered and others lost.

        An ordinary user's are answered by ICMP errors, which hosts limit: those that come first get all of them.
        """
        if not ping.received or not self.overdue(ping):
            return False
        answered = [e.rtt_ms is not None for e in ping.echoes]
        spent = ping.method is PingMethod.UDP and answered == sorted(answered, reverse=True)
        return not spent

    def trace(self, address: str) -> TracerouteResult | None:
        """Return the path to an address (:class:`NotYet` while its end is not known)."""
        return self._view.get("traceroute", TracerouteResult, address)

    def peek_trace(self, address: str) -> TracerouteResult | None:
        """Return the path to an address as far as known."""
        return self._view.peek("traceroute", TracerouteResult, address)

    def tcp_path(self, address: str) -> TcpPathResult | None:
        """Return how far SYNs to the target's port travel (:class:`NotYet` while unknown)."""
        return self._view.get("tcp-path", TcpPathResult, self._names.endpoint(address))

    @once
    def alive(self, address: str) -> bool:
        """Whether the address itself has answered anything yet."""
        ping = self.peek_ping(address)
        trace = self.peek_trace(address)
        return bool((ping and ping.received) or (trace and trace.reached_ttl))

    @once
    def rtt_ms(self, address: str) -> float:
        """The longest round trip seen to the address or towards it, 0 where none was.

        Reports of an absent host do not count: they come when a router has given up waiting.
        """
        ping = self.peek_ping(address)
        trace = self.peek_trace(address)
        seen = [ping.rtt_max_ms or 0.0] if ping else []
        for hop in trace.hops if trace else ():
            seen += [a.rtt_ms for a in hop.answers if a.icmp is None or a.icmp.meaning not in UNREACHABLE]
        return max(seen, default=0.0)

    def slow(self, address: str) -> bool:
        """Whether answers take so long that a lost packet cannot be told from a late one."""
        return self.rtt_ms(address) > LONGEST_RTT_MS

    def unreachables(self, address: str) -> tuple[tuple[float, IcmpError], ...]:
        """What routers said of the address to pings and traceroute: how long that took, and what it was."""
        ping, trace = self.peek_ping(address), self.peek_trace(address)
        told = [(e.rtt_ms, e.icmp) for e in (ping.echoes if ping else ())]
        told += [(a.rtt_ms, a.icmp) for hop in (trace.hops if trace else ()) for a in hop.answers]
        return tuple(
            (wait_ms, error)
            for wait_ms, error in told
            if error is not None
            and wait_ms is not None
            and error.meaning in UNREACHABLE
            and not self._machine.is_own(error.sender)
        )

    def sought_in_vain(self, address: str) -> bool:
        """Whether this machine itself reports, once it has looked for it, that nobody on the link has the address."""
        ping = self.peek_ping(address)
        return any(
            e.icmp is not None
            and e.icmp.meaning is IcmpMeaning.HOST_UNREACHABLE
            and self._machine.is_own(e.icmp.sender)
            and (e.rtt_ms or 0.0) >= self._view.threshold("neighbour_wait_ms")  # a filter's report comes at once
            for e in (ping.echoes if ping is not None else ())
        )

    def unreachable_early(self, address: str) -> bool:
        """Whether routers said so within the round trip, and not after they had looked for a neighbour in vain.

        A dead host, too, is reported soon to a packet that comes late in that search: one such report is not enough.
        """
        told = self.unreachables(address)
        early = all(ms - self.rtt_ms(address) < self._view.threshold("neighbour_wait_ms") for ms, _ in told)
        decided = any(error.meaning is IcmpMeaning.NETWORK_UNREACHABLE for _, error in told)
        return early and (decided or len(told) > 1)

    @once
    def remote_neighbours(self, address: str) -> tuple[str, ...]:
        """Addresses on the target's subnet to ping: the user's, else the two that routers usually have.

        A guess that answers proves that the target's network works; so does the last router's report that a
        guess is absent. Silence proves nothing by itself.
        """
        if self._view.request.remote_neighbour is not None:
            return (self._view.request.remote_neighbour,)
        prefix = 24 if family_of(address) == 4 else 64
        network = ipaddress.ip_network(f"{plain(address)}/{prefix}", strict=False)
        guesses = [network[1], network[254] if prefix == 24 else network[2]]
        return tuple(str(g) for g in guesses if str(g) != plain(address))

    def remote_neighbour_alive(self, address: str) -> PingResult | None:
        """Return the pings that show the target's network at work, ``None`` where none does."""
        open_ones = False
        for neighbour in self.remote_neighbours(address):
            result = self.peek_ping(neighbour)
            if result is not None and result.received:
                return result
            for echo in result.echoes if result is not None else ():
                absent = echo.icmp is not None and echo.icmp.meaning is IcmpMeaning.HOST_UNREACHABLE
                late = (echo.rtt_ms or 0.0) >= self._view.threshold("neighbour_wait_ms")
                if (
                    absent
                    and late
                    and result is not None
                    and not self._machine.is_own(echo.icmp.sender if echo.icmp else None)
                ):
                    return result
            open_ones = open_ones or ("ping", neighbour) in self._view.running
        if open_ones:
            raise NotYet("ping of a neighbour of the target")
        return None

    def living_neighbour(self, address: str, router: str | None) -> PingResult | None:
        """Return the pings of a machine on the target's network that answers, its router's own address aside."""
        if self._view.request.remote_neighbour is None:
            return None  # what a guess would show may be the router itself
        asked = self.remote_neighbour_asked(address)
        return next((p for p in asked if p.received and plain(p.address) != plain(router or "")), None)

    def remote_neighbour_asked(self, address: str) -> tuple[PingResult, ...]:
        """Return the pings of the target's neighbours, whatever came of them."""
        found = (self.peek_ping(n) for n in self.remote_neighbours(address))
        return tuple(p for p in found if p is not None)
