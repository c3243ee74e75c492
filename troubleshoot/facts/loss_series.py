"""The series of packets that tell a loss in numbers: which are called for, and after which hop it begins."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from probes.failure import IcmpMeaning
from probes.flows import FlowOutcome, FlowsResult
from probes.ping import PingMethod, PingRequest, PingResult
from probes.tcp_loss import TcpLossRequest
from troubleshoot.facts import Facts, NotYet, plain
from troubleshoot.facts.address import series_subject
from troubleshoot.facts.chance import interval, rarer
from troubleshoot.facts.losses import (
    LEAST_LOST,
    Kind,
    Sample,
    Told,
    before_limit,
    echoes,
    first,
    longer_subject,
    lossy,
    samples,
    told,
)
from troubleshoot.report import Confidence

#: Below these probabilities a difference is not left to chance: a router to which less is lost than beyond it, one to
#: which more is, and kinds of packets, where a loss could be taken for a limit.
_BY_CHANCE, _UNEVEN = 0.01, 0.05


#: Echoes of a series are sent so far apart and waited for so long; a connect almost as long as until its SYN is sent
#: again, seconds.
_INTERVAL_S, _WAIT_S, _SILENT_S, _CONNECT_S = 0.006, 0.5, 1.0, 0.9


class Series(msgspec.Struct, frozen=True):
    """A run of a probe that measures a loss."""

    probe: str
    subject: str
    request: PingRequest | TcpLossRequest


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
    return any(s.kind is Kind.SYN and s.lost >= LEAST_LOST for s in found.limited)


def measured(facts: Facts, address: str) -> bool:
    """Whether a loss can be measured towards an address that answers, and is: the first one, and where one was met."""
    if facts.machine.is_local(address) or facts.path.slow(address):
        return False
    return (facts.request.kind == "network" and first(facts) == address) or _hinted(facts, address)


def _hinted(facts: Facts, address: str) -> bool:
    try:
        return facts.service.losing(address) or _spread_lost(facts, address)
    except NotYet:
        return False


def _spread_lost(facts: Facts, address: str) -> bool:
    """Whether one of the connections from several ports lost a packet, and it is no limit that has set in."""
    spread = facts.peek("flows", FlowsResult, facts.endpoint(address))
    if spread is None or ("flows", facts.endpoint(address)) in facts.running:
        return False
    lost = spread.row.index(FlowOutcome.SILENCE) if FlowOutcome.SILENCE in spread.row else len(spread.row)
    return False in spread.parted or FlowOutcome.ACCEPTED in spread.row[lost:]


def series(facts: Facts, address: str) -> Iterator[Series]:
    """Name the series that are called for; :class:`NotYet` where that depends on whether the address answers pings.

    Echoes cost a service nothing and go first. Connections do, and may meet a limit: they follow only where something
    was lost, for only what SYNs and FINs meet too is a loss of the path.
    """
    if not measured(facts, address):
        return
    port, tcp = facts.port, facts.request.target.transport == "tcp"
    echoed = facts.path.echoes(address) is not None
    lost = any(sample.lost for sample in samples(facts, address)) or _hinted(facts, address)
    if echoed:
        subject = series_subject(address)
        # more packets where a loss is what the code may be about
        yield Series("ping", subject, _pings(address, 40 if facts.service.stalls(address) else 20))
        if lost:
            yield Series("ping", longer_subject(subject), _pings(address, 40))
    elif not _by_udp(facts, address) and facts.path.awaits_echo(address):
        raise NotYet(f"ping {address}")
    elif facts.service.stalls(address) and facts.path.unechoed(address):
        # a host that ignores pings, or a loss that took every one of the few
        yield Series("ping", series_subject(address), replace(_pings(address, 20), silent_wait_s=_WAIT_S))
    if port is None or not tcp or not lost:
        return
    subject = f"{address} {port}"
    count = 20 if echoed or facts.service.stalls(address) else 10
    yield Series("tcp-loss", subject, TcpLossRequest(address, port, count, wait_s=_CONNECT_S))
    if facts.observation("tcp-loss", subject) is None or ("tcp-loss", subject) in facts.running:
        return  # one after the other: many connects at once may meet a limit
    connects_lost = any(sample.lost for sample in samples(facts, address) if sample.kind is not Kind.ECHO)
    if connects_lost and (not echoed or told(facts, address).limited):
        yield Series("tcp-loss", longer_subject(subject), TcpLossRequest(address, port, 20, wait_s=_CONNECT_S))


def _by_udp(facts: Facts, address: str) -> bool:
    ping = facts.peek("ping", PingResult, address)
    return ping is not None and ping.method is PingMethod.UDP


def _pings(address: str, count: int) -> PingRequest:
    return PingRequest(
        address,
        count,
        interval_s=_INTERVAL_S,
        wait_s=_WAIT_S,
        silent_wait_s=_SILENT_S,
        answered_s=_INTERVAL_S,  # losses come in bursts: what is to be counted is spread over time
    )


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
        if sample.lost == sample.sent or before_limit(sample.answered) < sample.sent:
            continue  # it does not answer, or not any longer
        if rarer(lost, sent, sample.lost, sample.sent) < _UNEVEN:
            return None
        if sample.lost >= LEAST_LOST:
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
