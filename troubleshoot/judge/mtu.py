"""The rule for large packets that vanish and nobody says so: by datagrams of growing size, and by real transfers.

Datagrams show the way to the target alone, and a host may ignore long ones for reasons of its own. A transfer whose
short segments arrive and whose long ones do not is what the user's program meets, in whichever direction.
"""

from __future__ import annotations

from typing import Final

import msgspec

from probes.base import Note, note
from probes.mtu_hop import MtuHopResult
from probes.path_mtu import LEAST, PathMtuResult
from probes.service import ServiceOutcome
from probes.transfer import TransferOutcome, TransferResult
from troubleshoot import asks
from troubleshoot.facts import Facts, NotYet, Reach, Reading, describe, family_of
from troubleshoot.facts.rungs import Ending
from troubleshoot.facts.transfers import Contrast, contrast, moved, suspicious
from troubleshoot.judge.evidence.attempt import attempt_evidence, step_of
from troubleshoot.judge.model import Finding, first_step, rule, values
from troubleshoot.judge.service import on_any, packet_loss
from troubleshoot.report import Confidence

#: One size may always be lost by chance.
_SIZES: Final = 2


@rule(
    "path-mtu-blackhole",
    asks=(
        asks.connected.large_packets,
        asks.connected.service,
        asks.connected.flows,
        asks.connected.losses,
        asks.path.mtu,
    ),
    holds_up="healthy",
)
def path_mtu_blackhole(facts: Facts) -> Finding | None:
    """Large packets vanish and nobody says so."""
    if "message-size" in facts.request.about:
        address = next(iter(facts.targets), None)
        return _swallows(facts, Reach(address, Reading.UNTRIED)) if address is not None else None
    return on_any(facts, _swallows)


class _Place(msgspec.Struct, frozen=True):
    """Where the size shrinks: behind device ``hop``, as far as known.

    ``back``: on the way from the target; ``near``: before the first router.
    """

    shown: tuple[Note, ...] = ()
    hop: int | None = None
    router: str | None = None
    back: bool = False
    near: bool = False


def _swallows(facts: Facts, reach: Reach) -> Finding | None:
    address, connected = reach.address, reach.reading is Reading.CONNECTED
    if connected and _known_lossy(facts):
        return None  # what is lost anyway is not lost for its size
    found = _sizes(facts, address)
    transfer = _transfer(facts, address, found)
    proven = contrast(transfer)
    told = found is not None and _told(found)
    if proven is not None and not proven.back and told:
        proven = None  # the kernel has been told, and will keep to it
    hole = found if found is not None and found.black_hole and not told else None
    if (hole is None or hole.mtu is None) and proven is None:
        return None
    if connected:
        packet_loss(facts)  # it may still turn out that packets of any size are lost
    walked = facts.get("mtu-hop", MtuHopResult, address)
    if walked is not None and walked.told is not None and (proven is None or not proven.back):
        return None
    step = first_step(facts, "path-mtu", step_of(facts))
    confidence = _by_transfer(proven, found) if proven is not None else _by_datagrams(facts, hole, walked, transfer)
    place = _place(facts, address, found, walked, back=proven is not None and proven.back and hole is None)
    sizes = [found.mtu] if found is not None and (hole is not None or told) else []
    sizes += [proven.works] if proven is not None else []
    size = max((size for size in sizes if size is not None), default=None)
    return Finding(
        cause="path-mtu-blackhole",
        confidence=confidence,
        step=step,
        evidence=(
            *(((step, note("fact.mtu-blackhole", address=address, mtu=size)),) if hole is not None else ()),
            *((step, fact) for fact in place.shown),
            *((step_of(facts), fact) for fact in _transferred(transfer, proven)),
            *((attempt_evidence(facts, reach),) if connected else ()),
        ),
        values=values(address=address, found=size, interface=facts.link.interface(address), router=place.router),
        variant=(
            ("back-hop" if place.hop else "back")
            if place.back
            else "first"
            if place.near
            else "hop"
            if place.hop
            else "default"
        ),
        hop=place.hop,
        address=place.router,
    )


def _sizes(facts: Facts, address: str) -> PathMtuResult | None:
    """Return what datagrams of several sizes showed: all of it, or that there is a hole where transfers proved one."""
    found = facts.peek("path-mtu", PathMtuResult, address)
    proven = None
    if ("transfer", facts.endpoint(address)) not in facts.running:
        proven = contrast(facts.peek("transfer", TransferResult, facts.endpoint(address)))
    if proven is not None and proven.repeated and found is not None and found.black_hole:
        return found
    return facts.get("path-mtu", PathMtuResult, address)


def _told(found: PathMtuResult) -> bool:
    """Whether a router has said that packets are too big, to this run or to the kernel."""
    smallest = min((step.size for step in found.steps if step.answer in ("silence", "too-big")), default=0)
    known = found.known_mtu is not None and found.known_mtu < smallest
    return known or any(step.answer == "too-big" for step in found.steps)


def _known_lossy(facts: Facts) -> bool:
    try:
        loss = packet_loss(facts)
    except NotYet:
        return False
    return loss is not None and loss.confidence != "possible"


def _transfer(facts: Facts, address: str, found: PathMtuResult | None) -> TransferResult | None:
    """Return what came of the transfer.

    It is waited for where something is known to be due, or where anything hints at packets being too long. A service of
    unknown manners may wait for its client for ever, and healthy ones do.
    """
    subject = facts.endpoint(address)
    request, so_far = facts.request, facts.peek("transfer", TransferResult, subject)
    due = request.tls or bool(request.say_hex) or request.speaks_first
    hinted = found is not None and (found.black_hole or _told(found))
    settled = found is not None and found.black_hole and ("path-mtu", address) not in facts.running
    if settled and contrast(so_far) is not None:
        return so_far
    return facts.get("transfer", TransferResult, subject) if due or hinted or suspicious(so_far) else so_far


def _by_transfer(proven: Contrast, found: PathMtuResult | None) -> Confidence:
    """Once may be chance; twice is none, nor is once where datagrams have shown a link that is too narrow."""
    narrow = found is not None and (found.black_hole or _told(found))
    return "certain" if proven.repeated or narrow else "likely"


def _by_datagrams(
    facts: Facts, hole: PathMtuResult | None, walked: MtuHopResult | None, transfer: TransferResult | None
) -> Confidence:
    if hole is None or hole.mtu is None:
        return "possible"
    vanished = {s.size for s in hole.steps if s.answer == "silence" and s.size > hole.mtu}
    if len(vanished) < _SIZES or (hole.method == "udp" and hole.mtu <= LEAST[family_of(hole.address)]):
        return "possible"  # lost by chance, or a host that limits its refusals
    if hole.method == "icmp" and (walked is None or not walked.settled):
        return "possible"  # a filter against long pings shows the same
    ordinary = moved(transfer)
    through = ordinary is not None and max(ordinary.said, ordinary.received) > hole.mtu
    service = facts.service.peek(hole.address)
    shaken = service is not None and service.outcome is ServiceOutcome.TLS_OK
    # A connection that is ended before anybody has said anything had no long packet in it.
    ended = service is not None and service.outcome in (ServiceOutcome.RESETS, ServiceOutcome.CLOSES)
    if through or shaken or ended:
        return "possible"
    # One that turns its client away has heard enough and said all that it had to say: nothing long was due.
    facts.service.rung(hole.address)
    refused = any(rung.ending is Ending.NO for rung in facts.service.rungs(hole.address))
    return "possible" if refused else "likely"


def _place(
    facts: Facts, address: str, found: PathMtuResult | None, walked: MtuHopResult | None, *, back: bool
) -> _Place:
    if walked is not None and not walked.reached and (walked.passed_ttl or walked.settled) and not back:
        hop, router, size = walked.passed_ttl, walked.passed_router, walked.large
        if not hop:
            return _Place((note("fact.mtu-hop-none", size=size),), near=True)
        key = "fact.mtu-hop" if walked.settled else "fact.mtu-hop-open"
        return _Place((note(key, size=size, hop=hop, router=router),), hop, router)
    if walked is not None and walked.reached:
        return _Place((note("fact.mtu-back", size=walked.large, address=address),), back=True)
    told = next((s for s in (found.steps if found is not None else ()) if s.answer == "too-big"), None)
    if told is not None and told.mtu is not None and told.sender is not None:
        at = facts.hops.hop_of(address, told.sender)
        fact = note("fact.mtu-told", router=told.sender, mtu=told.mtu)
        return _Place((fact,), at, told.sender if at else None, back=True)
    return _Place(back=back)


def _transferred(transfer: TransferResult | None, proven: Contrast | None) -> tuple[Note, ...]:
    if transfer is None or not transfer.trials:
        return ()
    where = describe.endpoint(transfer.address, transfer.port)
    if proven is None:
        first = transfer.trials[0]
        if first.said == 0 and 0 < first.received < first.mss:
            return (note("fact.transfer-short", where=where, received=first.received),)
        if first.outcome is TransferOutcome.WHOLE:
            return (note("fact.transfer-moved", where=where, sent=first.said, received=first.received),)
        return (note("fact.transfer-none", where=where),) if not first.said else ()
    long, short = proven.long, proven.short
    seconds = f"{long.watched_ms / 1000:.1f}"
    stall = (
        note("fact.transfer-stalls-back", where=where, received=long.received, seconds=seconds)
        if proven.back
        else note("fact.transfer-stalls", where=where, sent=long.said, seconds=seconds)
    )
    return stall, note("fact.transfer-works", size=proven.works, sent=short.said, received=short.received)
