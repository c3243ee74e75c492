"""What the attempts at the target came to, address by address."""

from __future__ import annotations

import enum
import functools

import msgspec

from probes.connect import ConnectOutcome, ConnectResult
from probes.datagram import DatagramResult
from probes.failure import Failure, IcmpError, IcmpMeaning
from probes.route import RouteKind
from troubleshoot.facts.address import (
    family_of,
)
from troubleshoot.facts.hops import Hops
from troubleshoot.facts.link import Link, neighbour_alive, neighbour_dead
from troubleshoot.facts.machine import Machine
from troubleshoot.facts.names import Names
from troubleshoot.facts.path import Path
from troubleshoot.facts.view import NotYet, Theme, View, once


class Reading(enum.StrEnum):
    """What an attempt to reach one address and port came to."""

    CONNECTED = "connected"
    RESET = "reset"
    CUT = "cut"
    ICMP = "icmp"
    SILENT = "silent"
    LOCAL = "local"
    UNDECIDED = "undecided"
    UNTRIED = "untried"


class Reach(msgspec.Struct, frozen=True):
    """The reading for one address; ``heard_ms`` is from the first packet to the answer that decided."""

    address: str
    reading: Reading
    icmp: IcmpError | None = None
    failure: Failure | None = None
    errno: str | None = None
    heard_ms: float = 0.0
    packets: int = 0

    @property
    def decided(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.reading not in (Reading.UNDECIDED, Reading.UNTRIED)

    @property
    def failed(self) -> bool:
        """Whether it was tried and did not get through."""
        return self.decided and self.reading is not Reading.CONNECTED

    @property
    def no_port_left(self) -> bool:
        """Whether this machine found no local port for it: connect() of TCP and of UDP say so in different words."""
        words = ("EADDRNOTAVAIL", "EAGAIN")
        return self.reading is Reading.LOCAL and self.errno in words


class Attempts(Theme):
    """What the attempts at the target came to, address by address."""

    def __init__(self, view: View, names: Names, machine: Machine, *, link: Link, path: Path, hops: Hops) -> None:
        super().__init__(view)
        self._names = names
        self._machine = machine
        self._link = link
        self._path = path
        self._hops = hops

    @once
    def reach(self, address: str, port: int | None = None) -> Reach:
        """Return what the attempt to reach ``address`` came to; ``port`` stands for the target's own."""
        port = port if port is not None else self._names.port
        if port is None:
            return self._reach_by_ping(address)
        if self._view.request.target.transport == "udp":
            return self._reach_by_datagram(address, port)
        return self._reach_by_connect(address, port)

    def _reach_by_connect(self, address: str, port: int) -> Reach:
        subject = f"{address} {port}"
        result = self._view.peek("connect", ConnectResult, subject)
        running = ("connect", subject) in self._view.running
        if result is None:
            return Reach(address, Reading.UNDECIDED if running else Reading.UNTRIED)
        syns = sum(a.syns for a in result.attempts)
        if result.outcome is ConnectOutcome.CONNECTED:
            return Reach(address, Reading.CONNECTED, heard_ms=_connected_ms(result), packets=syns)
        if result.outcome is ConnectOutcome.FAILED:
            failed = [a for a in result.attempts if a.outcome is ConnectOutcome.FAILED]
            first = next((a for a in failed if a.icmp is not None), failed[0])
            heard = first.started_ms + first.duration_ms
            return Reach(
                address, _reading_of(first.failure, first.icmp), first.icmp, first.failure, first.errno, heard, syns
            )
        waited = max((a.started_ms + a.duration_ms for a in result.attempts), default=0.0)
        # A slow path answers its first packet only after every router on it has resolved its neighbour.
        waited_out = result.complete and waited >= self._view.threshold("neighbour_wait_ms") + 4 * self._path.rtt_ms(
            address
        )
        decided = waited_out or self._silence_is_enough(address, syns, waited)
        reading = Reading.SILENT if decided else Reading.UNDECIDED
        return Reach(address, reading, failure=Failure.NO_ANSWER, packets=syns, heard_ms=waited)

    def _silence_is_enough(self, address: str, packets: int, waited_ms: float) -> bool:
        """Whether silence towards a port means something although the wait is not over.

        The host is known to be alive, or out of a router's reach, so nobody will report it dead later; several
        packets went unanswered, so it is not one that was lost; and the slowest answer seen would be here long since.
        Or the time in which a router reports a dead host (3.05 s) is over, and the host's neighbour is alive, so the
        path works, or another device may get what is sent or answered.
        """
        ping = self._path.peek_ping(address)
        patchy = ping is not None and self._path.patchy(ping)
        if packets < self._view.threshold("silence_packets_lossy" if patchy else "silence_packets"):
            return False
        if self._path.alive(address) or self._path.unreachable_early(address):
            if self._hops.passes_on(address) is not None and waited_ms < self._view.threshold("report_ms"):
                return False  # the machine behind it may be reported absent
            return waited_ms >= self._view.threshold("silence_ms") + 4 * self._path.rtt_ms(address)
        if self._link.contested(address):
            return waited_ms >= self._view.threshold("report_ms")
        route = self._link.peek_route(address)
        if route is None or route.on_link or self._machine.is_local(address):
            return False
        beside = [
            p.rtt_max_ms for p in self._path.remote_neighbour_asked(address) if p.received and p.rtt_max_ms is not None
        ]
        beside += [  # the name's other family is there: the network works, and would report this address by now
            _connected_ms(found)
            for other in self._names.targets
            if family_of(other) != family_of(address)
            and (found := self._view.peek("connect", ConnectResult, self._names.endpoint(other))) is not None
            and found.outcome is ConnectOutcome.CONNECTED
        ]
        return bool(beside) and waited_ms >= self._view.threshold("report_ms") + 4 * max(beside)

    def _reach_by_datagram(self, address: str, port: int) -> Reach:
        subject = f"{address} {port}"
        result = self._view.peek("datagram", DatagramResult, subject)
        running = ("datagram", subject) in self._view.running
        if result is None:
            return Reach(address, Reading.UNDECIDED if running else Reading.UNTRIED)
        heard = result.duration_ms
        if result.answered:
            return Reach(address, Reading.CONNECTED, heard_ms=heard, packets=result.sent)
        if result.icmp is not None or result.failure is not None:
            reading = _reading_of(result.failure, result.icmp)
            return Reach(address, reading, result.icmp, result.failure, result.errno, heard, result.sent)
        reading = Reading.UNDECIDED if running else Reading.SILENT
        return Reach(address, reading, failure=Failure.NO_ANSWER, heard_ms=heard, packets=result.sent)

    def _reach_by_ping(self, address: str) -> Reach:
        result = self._path.peek_ping(address)
        running = ("ping", address) in self._view.running
        if result is None:
            return Reach(address, Reading.UNDECIDED if running else Reading.UNTRIED)
        if result.received:
            return Reach(address, Reading.CONNECTED, heard_ms=result.rtt_min_ms or 0.0, packets=result.sent)
        for echo in result.echoes:
            if echo.icmp is not None or echo.failure is not None:
                reading = _reading_of(echo.failure, echo.icmp)
                heard = echo.rtt_ms or result.waited_ms
                return Reach(address, reading, echo.icmp, echo.failure, echo.errno, heard, result.sent)
        reading = Reading.UNDECIDED if running else Reading.SILENT
        return Reach(address, reading, failure=Failure.NO_ANSWER, heard_ms=result.waited_ms, packets=result.sent)

    @functools.cached_property
    def usable(self) -> tuple[str, ...]:
        """The target addresses of the families that this machine has at all.

        A machine without IPv6 is not at fault for the IPv6 addresses of a name that has IPv4 ones too.
        """
        if len({family_of(a) for a in self._names.targets}) < 2:
            return self._names.targets
        routed = tuple(a for a in self._names.targets if self._has_way(a))
        return routed or self._names.targets

    def _has_way(self, address: str) -> bool:
        route = self._link.peek_route(address)
        return route is None or route.kind is not RouteKind.NONE

    def reaches(self) -> tuple[Reach, ...]:
        """Return the readings of every usable address."""
        return tuple(self.reach(a) for a in self.usable)

    def is_the_code(self, reach: Reach) -> bool:
        """Whether an attempt met the very code that the program did, at an address that it may have tried."""
        if self._view.request.target.host is None:
            return False
        return reach.failed and reach.errno is not None and reach.errno == self._view.request.posix

    def blocked(self) -> bool:
        """Return whether the target was tried and no usable address of it answers.

        :class:`NotYet` while one may still answer; false where nothing was tried.
        """
        reaches = self.reaches()
        if any(r.reading is Reading.CONNECTED for r in reaches):
            return False
        if any(r.reading is Reading.UNDECIDED for r in reaches):
            raise NotYet("connect")
        if not reaches and self._names.resolving:
            raise NotYet("resolve")
        return any(r.failed for r in reaches)

    @property
    def focus(self) -> Reach | None:
        """The first usable address that fails: the one whose path is looked into."""
        reaches = self.reaches()
        return next((r for r in reaches if r.failed), next(iter(reaches), None))

    def decided_reach(self, address: str, port: int | None = None) -> Reach:
        """Return the reading for one address; raises :class:`NotYet` while it is undecided."""
        found = self.reach(address, port)
        if found.reading is Reading.UNDECIDED:
            raise NotYet(f"connect {address}")
        return found

    def wait_for(self, address: str) -> None:
        """Raise :class:`NotYet` while the reading for one address is undecided."""
        self.decided_reach(address)

    def connected(self) -> tuple[Reach, ...]:
        """Return the target's TCP addresses that connect; :class:`NotYet` while none does and one still may."""
        if self._names.port is None or self._view.request.target.transport != "tcp":
            return ()
        reaches = self.reaches()
        found = tuple(r for r in reaches if r.reading is Reading.CONNECTED)
        if not found and any(r.reading is Reading.UNDECIDED for r in reaches):
            raise NotYet("connect")
        return found

    def absent_on_link(self, address: str) -> bool:
        """Whether an on-link target did not answer at link level (:class:`NotYet` while it may)."""
        found = self.reach(address)
        if found.reading is Reading.CONNECTED or self._path.alive(address):
            return False
        if (
            found.icmp is not None
            and self._machine.is_own(found.icmp.sender)
            and found.icmp.meaning is IcmpMeaning.HOST_UNREACHABLE
        ):
            return True
        neighbour = self._link.neighbour(address)
        if neighbour_dead(neighbour):
            return True
        if neighbour_alive(neighbour):
            return False
        return self.decided_reach(address).failure is Failure.HOST_UNREACHABLE


def _connected_ms(result: ConnectResult) -> float:
    """Return how long the quickest of the attempts that were accepted took."""
    return min(a.duration_ms for a in result.attempts if a.outcome is ConnectOutcome.CONNECTED)


def _reading_of(failure: Failure | None, icmp: IcmpError | None) -> Reading:
    if icmp is not None:
        return Reading.ICMP
    if failure is Failure.REFUSED:
        return Reading.RESET
    if failure in (Failure.RESET, Failure.ABORTED):
        return Reading.CUT
    if failure in (Failure.TIMED_OUT, Failure.NO_ANSWER):
        return Reading.SILENT
    return Reading.LOCAL
