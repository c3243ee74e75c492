"""What the sockets of the failing program (``--pid``) say about a code that comes from its calls.

A code such as WSAENOTCONN names a state of the socket. The states of all sockets of the process are read, and those
in which a call could have raised the code are named. The program may have moved on since: a state that fits is a
lead, and none that fits proves nothing.
"""

from __future__ import annotations

from probes.base import Note, note
from probes.descriptors import DescriptorsResult, HeldSocket
from troubleshoot.facts import Facts, describe
from troubleshoot.knowledge.model import HeldEntry

#: No more sockets than this are put into the evidence.
_NAMED = 5
#: The end of a connection's life, by the kernel's words (RFC 9293, section 3.3.2).
_HALF_CLOSED = frozenset({"fin-wait-1", "fin-wait-2", "closing", "last-ack"})


def _stream(held: HeldSocket) -> bool:
    return (held.protocol or "").startswith(("TCP", "MPTCP"))


def _fits(held: HeldSocket, entry: HeldEntry) -> bool:
    """Whether a socket is one of those that an entry of the catalogue speaks of."""
    kind = {
        "any": True,
        "stream": _stream(held),
        "no-stream": held.protocol is not None and not _stream(held),
        "udp": (held.protocol or "").startswith("UDP"),
    }[entry.socket]
    return kind and held.state in (entry.states or (held.state,)) and (held.non_blocking or not entry.non_blocking)


def looked_at(facts: Facts) -> DescriptorsResult | None:
    """Return what was read of the process that the user named, where its sockets may be seen."""
    if facts.request.pid is None:
        return None
    result = facts.get("descriptors", DescriptorsResult)
    return result if result is not None and result.sockets is not None else None


def fitting(facts: Facts, result: DescriptorsResult) -> tuple[HeldSocket, ...]:
    """Return the sockets in a state in which a call could have raised the code."""
    return tuple(held for held in result.held if any(_fits(held, entry) for entry in facts.request.held))


def summary(facts: Facts, result: DescriptorsResult) -> Note:
    """Say in one line how many sockets of the process fit the code."""
    process = describe.process(result.name, result.pid)
    total = len(result.held)
    if "not-a-socket" in facts.request.about:
        others = (result.open_at_start or 0) - (result.sockets or 0)
        return note("fact.held-others", process=process, total=result.sockets or 0, count=max(others, 0))
    if not facts.request.held:
        return note("fact.held-count", process=process, total=total)
    found = fitting(facts, result)
    if not found:
        return note("fact.held-none", process=process, total=total, code=facts.request.code)
    return note("fact.held-some", process=process, total=total, count=len(found), code=facts.request.code)


def evidence(facts: Facts) -> tuple[tuple[str, Note], ...]:
    """Return the summary and the sockets that fit, or that the process may not be looked into."""
    if facts.request.pid is None:
        return ()
    result = looked_at(facts)
    if result is None:
        observation = facts.observation("descriptors")
        reason = observation.reason if observation is not None and observation.reason is not None else None
        hidden = note("reason.process-hidden", pid=facts.request.pid)
        return (("api-usage", reason if reason is not None else hidden),)
    sockets = fitting(facts, result)[:_NAMED]
    return (("api-usage", summary(facts, result)), *(("api-usage", _held(held)) for held in sockets))


def _held(held: HeldSocket) -> Note:
    """Say what one socket is, and in which state."""
    where = _where(held)
    protocol = held.protocol or "?"
    number = held.descriptor
    if held.non_blocking:
        protocol = f"{protocol}, O_NONBLOCK"
    if held.state == "listen":
        return note("fact.held-listening", descriptor=number, protocol=protocol, where=where)
    if held.state in ("unconnected", "bound"):
        return note("fact.held-unconnected", descriptor=number, protocol=protocol)
    if held.state == "syn-sent":
        return note("fact.held-connecting", descriptor=number, protocol=protocol, where=where)
    if held.state in _HALF_CLOSED:
        return note("fact.held-half-closed", descriptor=number, protocol=protocol, where=where)
    if held.state == "close-wait":
        return note("fact.held-peer-closed", descriptor=number, protocol=protocol, where=where)
    if held.state == "established":
        return note("fact.held-connected", descriptor=number, protocol=protocol, where=where)
    return note("fact.held-other", descriptor=number, protocol=protocol)


def _where(held: HeldSocket) -> str:
    """The peer's end, for a listener its own."""
    address, port = held.remote_address, held.remote_port
    if address is None:
        address, port = held.local_address, held.local_port
    return "?" if address is None else describe.endpoint(address, port)
