"""What a port that accepts does with a connection, and whether packets are lost to it."""

from __future__ import annotations

from probes.connect import ConnectOutcome, ConnectResult
from probes.path_mtu import PathMtuResult
from probes.service import ServiceOutcome, ServiceResult
from probes.transfer import TransferResult
from troubleshoot.facts import rungs
from troubleshoot.facts.address import (
    service_subject,
)
from troubleshoot.facts.attempts import Attempts, Reading
from troubleshoot.facts.link import Link
from troubleshoot.facts.machine import Machine
from troubleshoot.facts.names import Names
from troubleshoot.facts.path import LONGEST_RTT_MS, OVERDUE_MS, Path
from troubleshoot.facts.rungs import Ending, Rung
from troubleshoot.facts.transfers import contrast
from troubleshoot.facts.view import NotYet, Theme, View, once

#: A SYN is sent again after so long (RFC 6298).
_RETRANSMITTED_MS = 1000.0
#: How often a service that may turn away one connection in several is greeted, and how far apart, seconds.
GREETINGS = 3
GREETINGS_APART_S = 1.0


class Service(Theme):
    """What a port that accepts does with a connection, and whether packets are lost to it."""

    def __init__(
        self, view: View, names: Names, machine: Machine, *, link: Link, path: Path, attempts: Attempts
    ) -> None:
        super().__init__(view)
        self._names = names
        self._machine = machine
        self._link = link
        self._path = path
        self._attempts = attempts

    @property
    def established(self) -> bool:
        """Whether the code is one that connections bring once they are made."""
        return not {"established", "connection"}.isdisjoint(self._view.request.about)

    @property
    def comes_and_goes(self) -> bool:
        """Whether the code may be met at one connection in several, once it is made."""
        return "established" in self._view.request.about or {"stall", "now-and-then"} <= self._view.request.about

    def greets_slowly(self, address: str) -> bool:
        """Whether the first greeting took longer than two of them are to be apart."""
        first = self.peek(address)
        return first is not None and (first.first_byte_ms or 0.0) > GREETINGS_APART_S * 1000

    def repeats(self, address: str) -> tuple[str, ...]:
        """Return the rungs on which a service that greeted well is greeted again, none before it has.

        One that takes its time is greeted once more: more would be waited for longer than for all else.
        """
        first = self.climbed(address)
        if first is None or first.ending is not Ending.WELL or not self.comes_and_goes:
            return ()
        if not self._view.request.speaks_first and (self.known or not first.quote):
            return ()
        count = 2 if self.greets_slowly(address) else GREETINGS
        return tuple(f"{rungs.AGAIN} {number}" for number in range(2, count + 1))

    def stalls(self, address: str) -> bool:
        """Whether the code fits a connection that opens and then does not get on, and this is the one it fits."""
        if "stall" not in self._view.request.about or self._machine.is_local(address):
            return False
        first = next((r.address for r in self._attempts.reaches() if r.reading is Reading.CONNECTED), None)
        return first == address

    @property
    def known(self) -> bool:
        """Whether it is known what the service on the port says first, or is to be told."""
        request = self._view.request
        return request.tls or request.speaks_first or self.first == rungs.SAY

    @property
    def first(self) -> str:
        """The name of the rung that is climbed first: what is expected on the port decides."""
        request = self._view.request
        if request.tls:
            return rungs.TLS
        opens = not request.speaks_first and any(name == rungs.SAY for name, _ in request.openings)
        return rungs.SAY if opens else rungs.LISTEN

    def seen(self, address: str) -> ServiceResult | None:
        """Return what the service did with the first connection (:class:`NotYet` while it is watched)."""
        return self._view.get("service", ServiceResult, self.subject(address))

    def peek(self, address: str) -> ServiceResult | None:
        """Return what the service did with the first connection, as far as known."""
        return self._view.peek("service", ServiceResult, self.subject(address))

    def subject(self, address: str, rung: str | None = None) -> str:
        """Return the subject under which a connection to the service behind an address is watched."""
        return service_subject(address, self._names.port or 0, self.first if rung is None else rung)

    def rung(self, address: str, name: str | None = None) -> Rung:
        """Return what one rung came to (:class:`NotYet` while it is climbed), the first where none is named."""
        name = self.first if name is None else name
        self._view.wait_for("service", self.subject(address, name))
        return self.peek_rung(address, name)

    @once
    def peek_rung(self, address: str, name: str) -> Rung:
        """Return what one rung came to, as far as known; one that was not climbed is *not tried*."""
        request = self._view.request
        result = self._view.peek("service", ServiceResult, self.subject(address, name))
        # on a port of which nothing is known, and in the clear where TLS belongs, whoever speaks tells what it is
        manner = request.manner if self.known and name != rungs.GET else None
        if self.first != rungs.TLS and name in (rungs.TLS, rungs.OTHER_NAME):
            manner = None
        return rungs.read_rung(name, result, manner, request.marks)

    def overheard(self, address: str) -> Rung | None:
        """Return what the connection that was made to move data was greeted with, ``None`` where nothing was heard."""
        found = self._view.peek("transfer", TransferResult, self._names.endpoint(address))
        said = next((one.first_hex for one in (found.trials if found is not None else ()) if one.first_hex), "")
        if found is None or not said or not self.comes_and_goes:
            return None
        heard = ServiceResult(address, found.port, ServiceOutcome.SPEAKS, first_hex=said)
        request = self._view.request
        return rungs.read_rung(rungs.OVERHEARD, heard, request.manner if self.known else None, request.marks)

    def speaks_as_expected(self, address: str, name: str) -> bool:
        """Whether the protocol that is expected was recognised on a rung that did not speak it."""
        spoken = self.peek_rung(address, name).speaks
        return spoken is not None and spoken == self._view.request.protocol

    def wait_for_rungs(self, address: str) -> None:
        """Raise :class:`NotYet` while any rung is climbed at an address: what it comes to may tell more."""
        start = self.subject(address, "")
        if any(p == "service" and (s == start or s.startswith(f"{start} ")) for p, s in self._view.running):
            raise NotYet(f"service {start}")

    def climbed(self, address: str, name: str | None = None) -> Rung | None:
        """Return what a rung came to once it is over, ``None`` before that."""
        name = self.first if name is None else name
        subject = self.subject(address, name)
        if ("service", subject) in self._view.running or self._view.observation("service", subject) is None:
            return None
        return self.peek_rung(address, name)

    def rungs(self, address: str) -> tuple[Rung, ...]:
        """Return every rung that was climbed at an address, in that order."""
        found = []
        for observation in self._view.of("service"):
            start = self.subject(address, "")
            if observation.subject == start or observation.subject.startswith(f"{start} "):
                found.append(self.peek_rung(address, observation.subject[len(start) + 1 :]))
        return tuple(found)

    def losing(self, address: str) -> bool:
        """Whether a packet to or from a port that connects seems to have been lost; :class:`NotYet` while open.

        Not on a slow path, where an answer may still come. A UDP ping says nothing: hosts limit their refusals.
        """
        if self._machine.is_local(address) or self._path.slow(address):
            return False
        if self.syn_lost(address):
            return True
        ping = self._path.echoes(address)
        if ping is None:
            return False
        if self._path.overdue(ping):
            return True
        if ("ping", address) in self._view.running:
            raise NotYet(f"ping {address}")
        return False

    def slow(self, address: str) -> bool:
        """Whether answers, also to connections, take so long that none in time means nothing."""
        found = self._attempts.reach(address)
        late = found.reading is Reading.CONNECTED and found.heard_ms > LONGEST_RTT_MS and not self.syn_lost(address)
        return late or self._path.slow(address)

    def syn_lost(self, address: str) -> bool:
        """Whether a SYN met silence while another was answered quickly."""
        result = self._view.peek("connect", ConnectResult, self._names.endpoint(address))
        made = [a for a in (result.attempts if result else ()) if a.outcome is ConnectOutcome.CONNECTED]
        if result is None or not made:
            return False
        # where a first SYN was answered, but slowly, the other ones may just have been slower still
        answers = [a.duration_ms for a in made if a.syns <= 1] or [a.duration_ms - _RETRANSMITTED_MS for a in made]
        quick_ms = max(0.0, min(answers))
        if quick_ms > LONGEST_RTT_MS:
            # one SYN that was answered late: the answer was lost and sent again, if others take no time
            echoes = self._path.echoes(address)
            echo_ms = (echoes.rtt_max_ms if echoes is not None else None) or LONGEST_RTT_MS
            return echo_ms < LONGEST_RTT_MS and quick_ms >= _RETRANSMITTED_MS - OVERDUE_MS
        if any(a.syns > 1 for a in made):
            return True
        before = [a for a in result.attempts if a.started_ms < made[0].started_ms and a is not made[0]]
        return any(a.duration_ms >= OVERDUE_MS + 3 * quick_ms for a in before)

    def hole(self, address: str) -> tuple[int, int] | None:
        """Return a size of packets to the address that vanishes and one that arrives, where that is so, bytes."""
        found = self._view.peek("path-mtu", PathMtuResult, address)
        if found is not None and found.mtu is not None:
            vanished = [s.size for s in found.steps if s.answer == "silence" and s.size > found.mtu]
            return (max(vanished), found.mtu) if found.black_hole and len(set(vanished)) > 1 else None
        proven = contrast(self._view.peek("transfer", TransferResult, self._names.endpoint(address)))
        name = self._link.interface(address)
        own = [i.mtu for i in self._machine.interfaces() if i.name == name]
        return (own[0], proven.short.bound) if proven is not None and not proven.back and own else None
