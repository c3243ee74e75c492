"""Who refused: the host, or a device in front of it that sends resets in its name.

Three measurements bear on it, none of which needs root. The least TTL of a SYN that brings the reset: a refuser at a
smaller distance than the host's is another device. The TTL of the reset itself, against that of another answer of the
host or, on a path that is the same both ways, against the routers'. And whether traceroute's packet of that TTL died
at a router, in which case no host can have answered there.

What they cannot tell apart is said: a firewall on the host itself looks like the host, and a device that copies or
forges TTLs is only caught where it contradicts itself.
"""

from __future__ import annotations

import enum

import msgspec

from probes.answer_ttl import AnswerTtlResult, TtlAnswer
from probes.base import Note, note
from probes.tcp_path import TcpAnswer, TcpPathResult
from probes.wire import WireResult
from troubleshoot.facts import Facts, Reach, describe, flows, second_look
from troubleshoot.judge import forwarded
from troubleshoot.judge.evidence.attempt import attempt_evidence, path_evidence, step_of
from troubleshoot.judge.evidence.distance import reply_ttl, rewritten, routers_back, same_way_back, start_of
from troubleshoot.report import Confidence


class Place(enum.StrEnum):
    """Where the refuser stands: the host (or inseparable from it), nearer, or the evidence contradicts itself."""

    HOST = "host"
    NEARER = "nearer"
    UNKNOWN = "unknown"


class Refuser(msgspec.Struct, frozen=True):
    """What the measurements say of whoever sent the reset; ``hop`` is its distance where it is known."""

    place: Place
    hop: int | None
    confidence: Confidence
    evidence: tuple[tuple[str, Note], ...]


def find(facts: Facts, reach: Reach) -> Refuser:
    """Place the refuser of a TCP connection; raises :class:`troubleshoot.facts.NotYet` while it is measured."""
    refuser = _find(facts, reach)
    ways = flows.differ(facts, reach.address)
    if refuser.place is Place.HOST and refuser.hop is not None and refuser.hop - 1 in ways:
        # Ways that have not met again before the host may differ in length: distances by different flows do not tell.
        return Refuser(Place.UNKNOWN, None, "possible", refuser.evidence)
    if refuser.place is not Place.NEARER:
        return refuser
    # Equal-cost ways may be of unequal length: what looks nearer may be the host by a shorter way. So the SYNs are
    # sent twice, each by a flow of its own, and any disagreement leaves the question open.
    path = facts.path.tcp_path(reach.address)
    again = facts.get("tcp-path", TcpPathResult, facts.endpoint(second_look(reach.address)))
    elsewhere = any(walk is not None and walk.final is not TcpAnswer.RESET for walk in (path, again))
    if elsewhere or ways:
        return Refuser(Place.UNKNOWN, None, "possible", refuser.evidence)
    if path is not None and again is not None and path.final_ttl != again.final_ttl:
        return Refuser(Place.UNKNOWN, None, "possible", refuser.evidence)
    return refuser


class _Signs(msgspec.Struct, frozen=True):
    """What was measured of the reset: its own TTL, the least TTL of a SYN that brings it, another answer's TTL."""

    address: str
    path: TcpPathResult | None
    measured: int | None
    least: int | None
    reply: int | None
    alike: bool
    evidence: tuple[tuple[str, Note], ...]

    @property
    def by_ttl(self) -> int | None:
        """The distance that the reset's own TTL tells, if the way back is as long as the way there."""
        return routers_back(self.measured) + 1 if self.measured is not None else None

    def host(self, hop: int | None) -> Refuser:
        return Refuser(Place.HOST, hop, "likely", self.evidence)

    def nearer(self, hop: int | None) -> Refuser:
        return Refuser(Place.NEARER, hop, "likely", self.evidence)

    def unclear(self) -> Refuser:
        return Refuser(Place.UNKNOWN, None, "possible", self.evidence)


def _find(facts: Facts, reach: Reach) -> Refuser:
    address = reach.address
    signs = _signs(facts, reach)
    path, least = signs.path, signs.least
    route = facts.link.peek_route(address)
    on_link = route is not None and route.on_link
    if not on_link:
        ttl_search = facts.peek("answer-ttl", AnswerTtlResult, facts.endpoint(address))
        mixed = ttl_search is not None and ttl_search.answer is TtlAnswer.MIXED
        if mixed or (path is not None and path.final in (TcpAnswer.ACCEPTED, TcpAnswer.ICMP)):
            return signs.unclear()  # other connections to the same port fared differently: not all take one way
    if least is None or on_link:
        return signs.host(facts.hops.distance(address))
    if facts.path.trace(address) is not None and facts.hops.dies_at(address, least):
        return _before_the_host(facts, signs, least)
    if copies(facts, address):
        return signs.unclear()
    if forwarded.by_host(facts, address):
        return Refuser(Place.HOST, facts.hops.distance(address), "likely", forwarded.shown(facts, reach))
    return _by_distance(facts, signs, least)


def _signs(facts: Facts, reach: Reach) -> _Signs:
    """Gather what was measured; raises :class:`troubleshoot.facts.NotYet` while that is under way."""
    address = reach.address
    path = facts.path.tcp_path(address)
    facts.path.trace(address)
    measured = _reset_ttl(facts, address)
    reply = reply_ttl(facts, address)
    evidence: list[tuple[str, Note]] = [attempt_evidence(facts, reach)]
    if path is not None:
        evidence.append((step_of(facts), describe.tcp_path(path)))
    if measured is not None:
        evidence.append((step_of(facts), note("fact.reset-ttl", ttl=measured)))
    if reply is not None:
        evidence.append(("ping-remote", note("fact.reply-ttl", ttl=reply)))
    evidence += path_evidence(facts, address)
    return _Signs(
        address=address,
        path=path,
        measured=measured,
        least=path.final_ttl if path is not None and path.final is TcpAnswer.RESET else None,
        reply=reply,
        alike=same_way_back(facts, address),
        evidence=tuple(evidence),
    )


def _before_the_host(facts: Facts, signs: _Signs, least: int) -> Refuser:
    """Place a refuser that answers a SYN whose TTL ends at a router: the host never saw it."""
    if copies(facts, signs.address):
        # A reset with what the SYN has left gets home only if that is enough for the way back: the least TTL that
        # brings one is about twice the distance.
        return signs.nearer(None)
    if signs.by_ttl in (least - 1, least) and signs.alike:
        return signs.nearer(signs.by_ttl)
    # Linux looks at the TTL before its forward chain: a refuser there needs one more than its own distance.
    passed = signs.path is not None and signs.path.passed_ttl == least - 1 and least > 1
    return signs.nearer(least - 1 if passed else least)


def _by_distance(facts: Facts, signs: _Signs, least: int) -> Refuser:
    """Hold the distances that the TTLs tell against the host's own."""
    distance = facts.hops.distance(signs.address)
    measured, reply, by_ttl = signs.measured, signs.reply, signs.by_ttl
    if distance is not None and signs.path is not None and signs.path.passed_ttl >= distance:
        return signs.unclear()  # SYNs take a longer way than what the host's distance was measured by
    if measured is not None and reply is not None and start_of(measured) == start_of(reply):
        if rewritten(facts, signs.address, distance, reply):
            return signs.unclear()
        if measured > reply:
            hop = distance - (measured - reply) if distance is not None else by_ttl if signs.alike else None
            misfit = hop is not None and not 1 <= hop < (distance or hop + 1)
            return signs.unclear() if misfit else signs.nearer(hop)
    elif by_ttl is not None and signs.alike and by_ttl != least:
        return signs.nearer(by_ttl) if by_ttl < least else signs.unclear()
    return signs.host(distance or least) if distance is None or least >= distance else signs.unclear()


def _reset_ttl(facts: Facts, address: str) -> int | None:
    """The TTL with which the resets arrive: found by search, or (root) seen on the wire."""
    result = facts.get("answer-ttl", AnswerTtlResult, facts.endpoint(address))
    if result is not None and result.answer is TtlAnswer.RESET and result.confirmed:
        return result.ttl
    if result is not None and (result.follows or result.varies):
        return None
    wire = facts.peek("wire", WireResult, facts.endpoint(address))
    return wire.answer_ttl if wire is not None and wire.answer_in == "reset" else None


def copies(facts: Facts, address: str) -> bool:
    """Whether the reset's TTL follows that of the SYN, or changes without reason: it tells no distance."""
    result = facts.peek("answer-ttl", AnswerTtlResult, facts.endpoint(address))
    return result is not None and (bool(result.follows) or result.varies)
