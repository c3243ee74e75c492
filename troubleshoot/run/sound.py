"""What the record of a probe must hold beyond its types, for its words to mean anything: bounds, addresses, no gaps.

A saved report may come from anybody. Types are checked where it is read; here it is looked at whether the values can
be what a probe has seen, because the judge counts on it: it takes networks of addresses and the first of attempts.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable
from typing import Any, Final, get_args

import msgspec

from probes.base import Observation, Status
from probes.connect import ConnectOutcome, ConnectResult
from troubleshoot.errors import UserError
from troubleshoot.knowledge.kinds import Language
from troubleshoot.report import Report

#: The time to live of a packet and a hop's distance are one byte (RFC 791, section 3.1; RFC 8200, section 3).
_BYTE: Final = (0, 255)
#: RFC 9293, section 3.1; RFC 768.
_PORT: Final = (0, 65535)
#: No probe sends or counts packets of its own beyond this: a run sends some hundred.
_PACKETS: Final = (0, 100_000)
_NOT_NEGATIVE: Final = (0, float(1 << 63))

_TTLS = ("ttl", "reply_ttl", "icmp_ttl", "answer_ttl", "ended_ttl", "final_ttl", "reached_ttl", "passed_ttl")
_PORTS = ("port", "local_port", "remote_port", "source_port", "resolved_port", "low_port_start", "unprivileged_start")
_COUNTS = (
    *("sent", "received", "looped", "syns", "syns_out", "syn_answers", "datagrams", "datagram_answers", "connects"),
    *("rounds", "packets", "sequence", "transmissions", "requests", "large_answers", "small_answers"),
)
#: Field, whosever it is → the least and the greatest value that it can hold.
_BOUNDS: Final = {
    **dict.fromkeys(_TTLS, _BYTE),
    **dict.fromkeys(_PORTS, _PORT),
    **dict.fromkeys(_COUNTS, _PACKETS),
    "prefix": (0, 128),
    "mtu": (0, (1 << 32) - 1),
}
#: Fields of which a few values alone mean something.
_ONE_OF: Final = {"family": (4, 6)}
#: As every report is dated.
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
#: Units of time, by how a field's name ends.
_TIMES: Final = ("_ms", "_s")
#: Fields, and lists, of addresses; a zone (``%eth0``) may follow.
_ADDRESSES: Final = frozenset(
    {
        *("address", "addresses", "broadcast", "gateway", "icmp_sender", "local_address", "mapped", "near"),
        *("passed_router", "remote_address", "sender", "server", "servers", "source"),
    }
)
#: Lists of a finished observation that are never empty, by probe.
_NEVER_EMPTY: Final = {"connect": "attempts", "bind": "attempts"}
#: Integers are held to 64 bits, which no number of a kernel exceeds.
_WIDEST: Final = 1 << 64


def check_head(report: Report) -> None:
    """Raise :class:`UserError` with the place and the value where what stands about a run cannot be that of one."""
    target = report.target
    if target.port is not None and not _PORT[0] <= target.port <= _PORT[1]:
        raise UserError(f"target.port: {target.port} does not lie between {_PORT[0]} and {_PORT[1]}")
    if target.transport not in {"tcp", "udp"}:
        raise UserError(f"target.transport: {target.transport[:60]!r} is not tcp or udp")
    for position, address in enumerate(target.addresses):
        if not _is_address(address):
            raise UserError(f"target.addresses[{position}]: {address[:60]!r} is not an address")
    if report.language not in get_args(Language):
        raise UserError(f"language: {report.language[:60]!r} is not {' or '.join(get_args(Language))}")
    if report.duration_ms < 0:
        raise UserError(f"duration_ms: {report.duration_ms:g} is less than 0")
    if not _INSTANT.fullmatch(report.started):
        raise UserError(f"started: {report.started[:60]!r} is not an instant of RFC 3339 in UTC")


def check(observation: Observation[Any]) -> None:
    """Raise :class:`UserError` with the place and the value where the record cannot be what a probe has seen."""
    if observation.duration_ms < 0:
        raise UserError(f"duration_ms: {observation.duration_ms:g} is less than 0")
    never = _NEVER_EMPTY.get(observation.probe)
    if never is not None and observation.status is Status.OBSERVED and not getattr(observation.result, never, True):
        raise UserError(f"result.{never}: nothing stands where something must")
    if isinstance(observation.result, ConnectResult):
        outcome = observation.result.outcome
        if outcome is ConnectOutcome.CONNECTED and all(a.outcome is not outcome for a in observation.result.attempts):
            raise UserError(f"result.outcome: {outcome}, and no attempt ended so")
    fault = _fault(observation.result, "")
    if fault is not None:
        place, complaint = fault
        raise UserError(f"result{place}: {complaint}")


def _fault(held: Any, field: str) -> tuple[str, str] | None:
    """Return the place of the first text or number behind ``held`` that cannot be, and why; ``field`` holds it.

    Places are spelt on the way back alone: a report has some thousand values, and mostly all are sound.
    """
    if isinstance(held, str):
        if field in _ADDRESSES and not _is_address(held):
            return "", f"{held[:60]!r} is not an address"
        return None
    if isinstance(held, int | float):
        if isinstance(held, bool):
            return None
        if field in _ONE_OF and held not in _ONE_OF[field]:
            return "", f"{held:g} is none of {', '.join(map(str, _ONE_OF[field]))}"
        low, high = _bounds(field)
        return None if low <= held <= high else ("", f"{held:g} does not lie between {low:g} and {high:g}")
    inside: Iterable[tuple[str, Any, str]] = ()
    if isinstance(held, msgspec.Struct):
        inside = ((f".{name}", getattr(held, name), name) for name in held.__struct_fields__)
    elif isinstance(held, tuple | list):
        inside = ((f"[{position}]", one, field) for position, one in enumerate(held))
    elif isinstance(held, dict):
        inside = ((f".{key}", one, field) for key, one in held.items())
    for step, one, name in inside:
        fault = None if one is None else _fault(one, name)
        if fault is not None:
            return f"{step}{fault[0]}", fault[1]
    return None


@functools.cache
def _bounds(field: str) -> tuple[float, float]:
    if field in _BOUNDS:
        return _BOUNDS[field]
    return _NOT_NEGATIVE if field.endswith(_TIMES) else (-_WIDEST, _WIDEST)


@functools.lru_cache(maxsize=4096)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
