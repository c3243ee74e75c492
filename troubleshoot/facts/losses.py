"""How many packets to and from an address were lost, of which kinds, what that says, and which series tell more.

An *exchange* is one packet and its answer. Three kinds are told apart, because a limit stops one kind and a loss stops
them all: echoes, the first SYNs of connections, and the FINs of connections that were made. Nothing here touches a
network: plan and judge ask the same questions of the same facts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from itertools import groupby

import msgspec

from probes.base import Status
from probes.ping import PingMethod, PingResult
from probes.tcp_loss import TcpLossResult
from troubleshoot.facts import Facts, Reading
from troubleshoot.facts.address import series_subject
from troubleshoot.facts.chance import ceiling, interval, rarer

#: One packet may always be lost, and one moment's interruption is no share: losses are counted in more gaps than one.
LEAST_LOST = 2
_UNLIKE = 0.001
#: So many connects in a row that meet silence after all before were answered are stopped by a limit.
_STOPPED = 3


class Kind(enum.StrEnum):
    """What kind of packet asked for an answer."""

    ECHO = "echo"
    SYN = "syn"
    FIN = "fin"


class Sample(msgspec.Struct, frozen=True):
    """Exchanges of one kind in the order of sending, and whether each was answered.

    ``at`` numbers the connections that SYNs and FINs belong to, so that both are placed in one order; echoes need none.
    """

    kind: Kind
    answered: tuple[bool, ...]
    at: tuple[int, ...] = ()

    @property
    def sent(self) -> int:
        """How many there were."""
        return len(self.answered)

    @property
    def lost(self) -> int:
        """How many were not answered."""
        return self.answered.count(False)


class Told(msgspec.Struct, frozen=True):
    """What the samples come to: ``samples`` that count, and the kinds that are ``limited`` for reasons of their own."""

    samples: tuple[Sample, ...]
    limited: tuple[Sample, ...] = ()

    @property
    def lost(self) -> int:
        """How many exchanges of all kinds that count were lost."""
        return sum(sample.lost for sample in self.samples)

    @property
    def sent(self) -> int:
        """How many there were."""
        return sum(sample.sent for sample in self.samples)

    @property
    def gaps(self) -> int:
        """How many times answers stopped coming: to echoes, and to the SYNs and FINs of connections taken together."""
        connections: dict[int, bool] = {}
        for sample in self.samples:
            if sample.kind is not Kind.ECHO:
                for place, answered in zip(sample.at or range(sample.sent), sample.answered, strict=True):
                    connections[place] = connections.get(place, True) and answered
        whole = [answered for _, answered in sorted(connections.items())]
        rows = (*(s.answered for s in self.samples if s.kind is Kind.ECHO), whole)
        return sum(not answered for row in rows for answered, _ in groupby(row))

    @property
    def losing(self) -> tuple[Kind, ...]:
        """The kinds of which some were lost."""
        return tuple(sample.kind for sample in self.samples if sample.lost)

    @property
    def telling(self) -> tuple[Sample, ...]:
        """The samples, limited ones last, without those that are too small to say anything by themselves."""
        return tuple(s for s in (*self.samples, *self.limited) if s.lost or s.sent > LEAST_LOST)

    def of(self, kind: Kind) -> Sample:
        """Return the sample of a kind, limited or not; an empty one where there is none."""
        return next((s for s in (*self.samples, *self.limited) if s.kind is kind), Sample(kind, ()))


def longer_subject(subject: str) -> str:
    """Return the subject of the longer series that follows where one of them has lost something."""
    return f"{subject} more"


def echoes(facts: Facts, subject: str) -> tuple[bool, ...]:
    """Return which echoes of a series were answered, as far as that is known; refused and cut ones do not count."""
    ping, record = facts.peek("ping", PingResult, subject), facts.observation("ping", subject)
    if ping is None or record is None or ping.method is PingMethod.UDP:
        return ()
    seen = [e.rtt_ms is not None for e in ping.echoes if e.icmp is None and e.failure is None]
    if record.status is not Status.OBSERVED:
        if not facts.path.overdue(ping):
            return tuple(answered for answered in seen if answered)
        while seen and not seen[-1]:  # the last ones may still be on their way
            seen.pop()
    return tuple(seen)


def _numbered(kind: Kind, told: Iterable[bool | None]) -> Sample:
    """Return the sample of those of a row of connections that tell something, each with its number in that row."""
    known = [(number, answered) for number, answered in enumerate(told) if answered is not None]
    return Sample(kind, tuple(answered for _, answered in known), tuple(number for number, _ in known))


def _syns(facts: Facts, results: Iterable[TcpLossResult], address: str) -> Sample:
    """Return which first SYNs were answered, the attempt's own among those of the series.

    Where every one was answered until several were not, a limit of the host or a filter has set in: what it stops does
    not count.
    """
    series = _numbered(Kind.SYN, (answered for result in results for answered in result.answered))
    own: tuple[bool, ...] = ()
    if facts.attempts.reach(address).reading is Reading.CONNECTED:
        own = (False, True) if facts.service.syn_lost(address) else (True,)
    told, at = (*own, *series.answered), (*range(-len(own), 0), *series.at)
    answered = before_limit(told)
    return Sample(Kind.SYN, told[:answered], at[:answered])


def before_limit(told: tuple[bool, ...]) -> int:
    """Return after how many answers a limit has set in, as many as there are where none has."""
    answered = told.index(False) if False in told else len(told)
    return len(told) if True in told[answered:] or len(told) - answered < _STOPPED else answered


def samples(facts: Facts, address: str) -> tuple[Sample, ...]:
    """Return every exchange with an address that tells a loss, as far as known."""
    pings: tuple[bool, ...] = ()
    if facts.path.echoes(address) is not None:
        short = series_subject(address)
        pings = tuple(e for s in (address, short, longer_subject(short)) for e in echoes(facts, s))
    port = facts.endpoint(address)
    found = [facts.peek("tcp-loss", TcpLossResult, subject) for subject in (port, longer_subject(port))]
    results = [result for result in found if result is not None]
    fins = _numbered(Kind.FIN, (parted for result in results for parted in result.parted))
    tcp = facts.request.target.transport == "tcp" and facts.port is not None
    kinds = (Sample(Kind.ECHO, pings), *((_syns(facts, results, address),) if tcp else ()), fins)
    return tuple(sample for sample in kinds if sample.sent)


def told(facts: Facts, address: str) -> Told:
    """Return what the samples come to: a kind that loses more than the others, and not by chance, meets a limit."""
    counted, limited = list(samples(facts, address)), []
    for sample in sorted(counted, key=lambda s: s.lost / s.sent, reverse=True):
        rest = [other for other in counted if other is not sample]
        lost, sent = sum(s.lost for s in rest), sum(s.sent for s in rest)
        if sample.lost and sent and rarer(lost, sent, sample.lost, sample.sent) < _UNLIKE:
            counted.remove(sample)
            limited.append(sample)
    return Told(tuple(counted), tuple(limited))


def lossy(facts: Facts, found: Told) -> bool:
    """Whether so much was lost that it is a share of what is sent, and neither chance nor one interruption."""
    if found.lost < LEAST_LOST or found.gaps < LEAST_LOST:
        return False
    return interval(found.lost, found.sent)[0] > facts.threshold("loss_likely")


def at_most(facts: Facts, address: str) -> float:
    """Return the share that a loss does not exceed (95 %) by what no filter on some flows meets: echoes and FINs."""
    counted = [s for s in told(facts, address).samples if s.kind is not Kind.SYN]
    sent = sum(s.sent for s in counted)
    return ceiling(sum(s.lost for s in counted), sent) if sent else 0.0


def hidden(facts: Facts) -> tuple[str, Told] | None:
    """Return the address that answers and what was exchanged with it; ``None`` where no network is in question."""
    address = first(facts)
    if facts.request.kind != "network" or address is None or facts.machine.is_local(address):
        return None
    return address, told(facts, address)


def clear(facts: Facts, found: Told) -> bool:
    """Whether enough was exchanged, and all but one packet answered, to rule out a loss that matters."""
    return found.lost < LEAST_LOST and ceiling(found.lost, found.sent) <= facts.threshold("loss_hidden")


def first(facts: Facts) -> str | None:
    """Return the first address that answers."""
    return next((r.address for r in facts.attempts.reaches() if r.reading is Reading.CONNECTED), None)
