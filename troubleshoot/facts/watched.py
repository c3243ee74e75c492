"""What a connection that was watched on the wire came to, and a segment that belongs to none (root only).

Where the code is about silence both begin with the first SYN, before it is known how long answers take. What was
watched for too short a time by that measure is watched again (:func:`troubleshoot.facts.second_look`), and counts then.
"""

from __future__ import annotations

from probes.stray_ack import StrayAckResult
from probes.wire import WireResult
from troubleshoot.facts import Facts, NotYet, second_look

#: An answer is late after so many round trips.
_TRIPS = 4


def wire(facts: Facts, address: str) -> WireResult | None:
    """Return what was seen of an attempt; :class:`NotYet` while more may be seen that tells something."""
    subject = facts.endpoint(address)
    if ("wire", subject) in facts.running and not _silent_by_now(facts, address):
        raise NotYet(f"wire {subject}")
    again = facts.get("wire", WireResult, facts.endpoint(second_look(address)))
    return again or facts.peek("wire", WireResult, subject)


def _silent_by_now(facts: Facts, address: str) -> bool:
    """Whether nothing has come to any of the SYNs, and by what the way takes nothing will."""
    record = facts.observation("wire", facts.endpoint(address))
    seen = facts.peek("wire", WireResult, facts.endpoint(address))
    if record is None or seen is None or seen.answer_in or seen.unfitting or seen.socket_heard:
        return False
    trips_ms = _TRIPS * facts.path.rtt_ms(address)
    return facts.path.alive(address) and record.duration_ms >= facts.threshold("silence_ms") + trips_ms


def wire_too_short(facts: Facts, address: str) -> bool:
    """Whether a silent attempt has been watched for a time in which an answer may still have been on its way."""
    record = facts.observation("wire", facts.endpoint(address))
    seen = facts.peek("wire", WireResult, facts.endpoint(address))
    if record is None or seen is None or seen.answer_in or ("wire", record.subject) in facts.running:
        return False
    return facts.path.alive(address) and record.duration_ms < _TRIPS * facts.path.rtt_ms(address)


def stray(facts: Facts, address: str) -> StrayAckResult | None:
    """Return what a stray segment came to; :class:`NotYet` while a reset may come."""
    first = facts.get("stray-ack", StrayAckResult, facts.endpoint(address))
    return facts.get("stray-ack", StrayAckResult, facts.endpoint(second_look(address))) or first


def stray_too_short(facts: Facts, address: str) -> bool:
    """Whether the segments have been waited for a time in which a reset may still have been on its way."""
    record = facts.observation("stray-ack", facts.endpoint(address))
    seen = facts.peek("stray-ack", StrayAckResult, facts.endpoint(address))
    if record is None or seen is None or seen.reset or not seen.sent or ("stray-ack", record.subject) in facts.running:
        return False
    return record.duration_ms < _TRIPS * facts.path.rtt_ms(address)


def reached(facts: Facts, address: str) -> bool:
    """Whether the host resets a stray segment to the port: SYNs alone vanish on the way, or its queue is full."""
    looks = (facts.endpoint(address), facts.endpoint(second_look(address)))
    found = (facts.peek("stray-ack", StrayAckResult, look) for look in looks)
    return any(one is not None and one.reset for one in found)
