"""With root: watch the interface while a SYN leaves, and see what the local filter keeps from the socket.

A packet socket sees frames after the outgoing and before the incoming filter (packet(7)): a SYN that never
appears was stopped on this machine; an answer that appears and never reaches the socket was too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One connection attempt to ``address``:``port`` is made and watched for ``wait_s``."""

    address: str
    port: int
    wait_s: float = 1.2


@dataclass(frozen=True, slots=True)
class WireResult:
    """Frames seen on the wire for that attempt.

    ``syns_out`` counts SYNs that left; ``answer_in`` is ``syn-ack``, ``reset``, ``icmp`` or ``None``;
    ``answer_ttl`` its TTL or hop limit as it arrived. ``socket_heard`` tells whether the socket saw any answer.
    ``watched`` names the interface.
    """

    address: str
    port: int
    watched: str
    syns_out: int
    answer_in: str | None
    answer_ttl: int | None
    socket_heard: bool
