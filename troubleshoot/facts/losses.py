"""How many packets to and from an address were lost, of which kinds, what that says, and which series tell more.

An *exchange* is one packet and its answer. Three kinds are told apart, because a limit stops one kind and a loss stops
them all: echoes, the first SYNs of connections, and the FINs of connections that were made. Nothing here touches a
network: plan and judge ask the same questions of the same facts.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import msgspec

from probes.base import Status
from probes.failure import IcmpMeaning
from probes.ping import PingMethod, PingRequest, PingResult
from probes.tcp_loss import TcpLossRequest, TcpLossResult
from troubleshoot.facts import Facts, NotYet, Reading, plain
from troubleshoot.report import Confidence

#: One packet may always be lost, and one moment's interruption is no share: losses are counted in more gaps than one.
_LEAST_LOST = 2
#: Below these probabilities a difference is not left to chance: a router to which less is lost than beyond it, one to
#: which more is, and kinds of packets, where a loss could be taken for a limit.
_BY_CHANCE, _UNEVEN = 0.01, 0.05
_UNLIKE = 0.001
#: The level of every interval here.
_LEVEL = 0.95
#: So many connects in a row that meet silence after all before were answered are stopped by a limit.
_STOPPED = 3
#: Echoes of a series are sent so far apart and waited for so long; a connect almost as long as until its SYN is sent
#: again, seconds.
_INTERVAL_S, _WAIT_S, _SILENT_S, _CONNECT_S = 0.006, 0.5, 1.0, 0.9


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


class Series(msgspec.Struct, frozen=True):
    """A run of a probe that measures a loss."""

    probe: str
    subject: str
    request: PingRequest | TcpLossRequest


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
        return tuple(s for s in (*self.samples, *self.limited) if s.lost or s.sent > _LEAST_LOST)

    def of(self, kind: Kind) -> Sample:
        """Return the sample of a kind, limited or not; an empty one where there is none."""
        return next((s for s in (*self.samples, *self.limited) if s.kind is kind), Sample(kind, ()))


# -- statistics ------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def interval(lost: int, sent: int) -> tuple[float, float]:
    """Return between which shares the true one lies with 95 % confidence (Clopper and Pearson's exact interval)."""
    tail = (1 - _LEVEL) / 2
    low = _share(lambda p: 1 - _at_most(lost - 1, sent, p) > tail) if lost else 0.0
    return low, _share(lambda p: _at_most(lost, sent, p) < tail) if lost < sent else 1.0


@functools.lru_cache(maxsize=1024)
def ceiling(lost: int, sent: int) -> float:
    """Return the share that the true one does not exceed with 95 % confidence (exact; about 3/``sent`` for no loss)."""
    return _share(lambda p: _at_most(lost, sent, p) < 1 - _LEVEL) if lost < sent else 1.0


def _share(beyond: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return (low + high) / 2


def _at_most(lost: int, sent: int, share: float) -> float:
    """The probability that no more than ``lost`` of ``sent`` are lost."""
    return sum(math.comb(sent, k) * share**k * (1 - share) ** (sent - k) for k in range(lost + 1))


@functools.lru_cache(maxsize=1024)
def rarer(lost: int, sent: int, other_lost: int, other_sent: int) -> float:
    """Return the probability of so few losses beside so many others, were both of one share (Fisher's exact test)."""
    all_lost, everything = lost + other_lost, sent + other_sent
    ways = sum(math.comb(sent, k) * math.comb(other_sent, all_lost - k) for k in range(lost + 1) if k <= all_lost)
    return ways / math.comb(everything, all_lost)


# -- what was seen ---------------------------------------------------------------------------------------------


def series_subject(address: str) -> str:
    """Return the subject of the series of pings that looks for a loss."""
    return f"{address} loss"


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
    answered = _stopped(told)
    return Sample(Kind.SYN, told[:answered], at[:answered])


def _stopped(told: tuple[bool, ...]) -> int:
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
    if found.lost < _LEAST_LOST or found.gaps < _LEAST_LOST:
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
    return found.lost < _LEAST_LOST and ceiling(found.lost, found.sent) <= facts.threshold("loss_hidden")


# -- what would tell more --------------------------------------------------------------------------------------


def weight(facts: Facts, address: str) -> Confidence | None:
    """How sure it is that a path loses a share of what it carries; :class:`NotYet` while a series runs.

    What only one kind of packet meets may be a limit on that kind, or a filter that only some connections meet.
    """
    for one in series(facts, address):
        facts.get(one.probe, object, one.subject)
    found = told(facts, address)
    if not lossy(facts, found):
        return "possible" if _connects_lost(found) else None
    if len(found.losing) == 1:
        return "possible"
    return "certain" if interval(found.lost, found.sent)[0] > facts.threshold("loss_certain") else "likely"


def _connects_lost(found: Told) -> bool:
    """Whether connects meet silence now and then, and more often than other packets do."""
    return any(s.kind is Kind.SYN and s.lost >= _LEAST_LOST for s in found.limited)


def measured(facts: Facts, address: str) -> bool:
    """Whether a loss can be measured towards an address that answers, and is: the first one, and where one was met."""
    if facts.machine.is_local(address) or facts.path.slow(address):
        return False
    return (facts.request.kind == "network" and first(facts) == address) or _hinted(facts, address)


def first(facts: Facts) -> str | None:
    """Return the first address that answers."""
    return next((r.address for r in facts.attempts.reaches() if r.reading is Reading.CONNECTED), None)


def _hinted(facts: Facts, address: str) -> bool:
    try:
        return facts.service.losing(address)
    except NotYet:
        return False


def series(facts: Facts, address: str) -> Iterator[Series]:
    """Name the series that are called for; :class:`NotYet` where that depends on whether the address answers pings.

    Echoes cost a service nothing and go first. Connections do where echoes are not answered, and where something was
    lost: only what SYNs and FINs meet too is a loss of the path.
    """
    if not measured(facts, address):
        return
    port, tcp = facts.port, facts.request.target.transport == "tcp"
    ping = facts.peek("ping", PingResult, address)
    echoed = facts.path.echoes(address) is not None
    by_udp = ping is not None and ping.method is PingMethod.UDP
    lost = any(sample.lost for sample in samples(facts, address)) or _hinted(facts, address)
    if echoed:
        subject = series_subject(address)
        # more packets where a loss is what the code may be about
        yield Series("ping", subject, _pings(address, 40 if facts.service.stalls(address) else 20))
        if lost:
            yield Series("ping", longer_subject(subject), _pings(address, 40))
    elif not by_udp and facts.path.awaits_echo(address):
        raise NotYet(f"ping {address}")
    if port is None or not tcp or (echoed and not lost):
        return
    subject = f"{address} {port}"
    count = 20 if echoed or facts.service.stalls(address) else 10
    yield Series("tcp-loss", subject, TcpLossRequest(address, port, count, wait_s=_CONNECT_S))
    if facts.observation("tcp-loss", subject) is None or ("tcp-loss", subject) in facts.running:
        return  # one after the other: many connects at once may meet a limit
    connects_lost = any(sample.lost for sample in samples(facts, address) if sample.kind is not Kind.ECHO)
    if connects_lost and (not echoed or told(facts, address).limited):
        yield Series("tcp-loss", longer_subject(subject), TcpLossRequest(address, port, 20, wait_s=_CONNECT_S))


def _pings(address: str, count: int) -> PingRequest:
    return PingRequest(address, count, interval_s=_INTERVAL_S, wait_s=_WAIT_S, silent_wait_s=_SILENT_S)


# -- where it begins -------------------------------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True):
    """After which hop a loss begins (0: this machine), and that hop's address."""

    hop: int
    router: str | None


def search(facts: Facts, address: str) -> Place | tuple[Series, ...] | None:
    """Return where a loss begins, or the series of pings to routers that would tell more.

    A router is clean where no echo to it is lost, and that is not by chance beside what goes farther. ``None`` where
    the evidence singles nothing out: routers that do not answer pings, or that limit their answers, so that one loses
    some and a farther one none. Raises :class:`NotYet` while a series runs.
    """
    if facts.path.echoes(address) is None:
        return None
    distance = facts.hops.distance(address)
    facts.wait_for("traceroute", address)
    found = told(facts, address)
    count = _enough(found.lost / found.sent)
    if distance is None or (1 - found.lost / found.sent) ** count > _BY_CHANCE / 5:
        return None  # so little is lost that no handful of echoes would place it
    routers = _routers(facts, address, distance)
    if any(("ping", series_subject(router)) in facts.running for router in routers.values()):
        raise NotYet(f"pings of the routers to {address}")
    sides = _sides(facts, found, routers, distance)
    if sides is None:
        return None
    clean, beyond, goes_on = sides
    unasked = [ttl for ttl in routers if facts.observation("ping", series_subject(routers[ttl])) is None]
    between = [ttl for ttl in unasked if clean < ttl < beyond]
    after = [ttl for ttl in unasked if ttl > beyond]
    chosen: set[int] = set()
    if between:  # two at once: half the time of one after the other, for few packets more
        thirds = (clean + (beyond - clean) * part / 3 for part in (1, 2))
        chosen = {min(between, key=lambda ttl: abs(ttl - aim)) for aim in thirds}
    elif after and not goes_on:
        chosen = {min(after)}
    if chosen:
        return tuple(Series("ping", series_subject(routers[t]), _pings(routers[t], count)) for t in sorted(chosen))
    if not goes_on or beyond != clean + 1:
        return None
    return Place(clean, routers.get(clean))


def asked(facts: Facts, address: str) -> tuple[tuple[int, str, Sample], ...]:
    """Return the routers to which echoes were counted: hop, address, sample."""
    distance = facts.hops.distance(address)
    routers = _routers(facts, address, distance) if distance is not None else {}
    return tuple((t, r, found) for t, r in sorted(routers.items()) if (found := _sample(facts, r)).sent)


def _routers(facts: Facts, address: str, distance: int) -> dict[int, str]:
    """The routers on the way, each by its hop, where one and only one answered there."""
    trace, found = facts.path.peek_trace(address), dict[int, str]()
    for hop in trace.hops if trace is not None else ():
        said = {
            a.address for a in hop.answers if a.icmp is not None and a.icmp.meaning is IcmpMeaning.TIME_EXCEEDED
        } - {None}
        if hop.ttl < distance and len(said) == 1:
            found[hop.ttl] = str(said.pop())
    return {t: a for t, a in found.items() if plain(a) != plain(address) and list(found.values()).count(a) == 1}


def _sample(facts: Facts, router: str) -> Sample:
    return Sample(Kind.ECHO, echoes(facts, series_subject(router)))


def _sides(facts: Facts, found: Told, routers: dict[int, str], distance: int) -> tuple[int, int, bool] | None:
    """Return the last clean hop, the first one behind it that loses, and whether what lies behind that loses, too.

    Hops that were not asked, or do not answer, stand on neither side; ``None`` where one seems to lose more than
    farther ones: it limits its answers, or too few were sent.
    """
    lost, sent, clean, open_, losing = found.lost, found.sent, 0, False, [distance]
    for ttl in sorted(routers, reverse=True):
        sample = _sample(facts, routers[ttl])
        if sample.lost == sample.sent or _stopped(sample.answered) < sample.sent:
            continue  # it does not answer, or not any longer
        if rarer(lost, sent, sample.lost, sample.sent) < _UNEVEN:
            return None
        if sample.lost >= _LEAST_LOST:
            if clean or open_:
                return None
            losing.append(ttl)
            lost, sent = lost + sample.lost, sent + sample.sent
        elif not sample.lost and rarer(0, sample.sent, lost, sent) < _BY_CHANCE:
            clean = clean or ttl
        else:
            open_ = True
    return clean, losing[-1], len(losing) > 2 or losing[-1] >= distance - 1


def _enough(share: float) -> int:
    """How many echoes show that a router loses less: so many that none lost of them is not left to chance."""
    return max(12, min(40, math.ceil(math.log(_BY_CHANCE / 50) / math.log(1 - min(0.9, share)))))
