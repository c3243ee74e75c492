"""With root: watch the interface while a SYN leaves, and see what the local filter keeps from the socket.

A packet socket sees frames after the outgoing and before the incoming filter (packet(7)): a SYN that never
appears was stopped on this machine; an answer that appears and never reaches the socket was too.
"""

from __future__ import annotations

import msgspec

from probes.base import endpoint_probe
from probes.failure import Failure, IcmpError, Unfitting
from probes.system.dial import syns_in
from probes.system.late import body_of


class WireRequest(msgspec.Struct, frozen=True):
    """One connection attempt to ``address``:``port`` is made and watched for ``wait_s``."""

    address: str
    port: int
    wait_s: float = 1.2


class WireResult(msgspec.Struct, frozen=True):
    """Frames seen on the wire for that attempt.

    ``syns_out`` counts SYNs that left; ``answer_in`` is ``syn-ack``, ``reset``, ``icmp`` or ``None``, of packets that
    TCP takes for an answer; ``unfitting`` are the others. ``answer_ttl`` is its TTL or hop limit as it arrived.
    ``socket_heard`` tells whether the attempt ended, well or not, so that it also tells a refusal made on this machine.
    ``watched`` names the interface. ``icmp`` is the error of an ``icmp`` answer, ``failure``/``errno`` what the socket
    reported. ``unresolved`` is true where no SYN left because nobody claims the next hop's link address: no filter need
    be at work then.
    ``refusers`` are the addresses that sent ICMP errors about it: one packet is refused by one machine.
    """

    address: str
    port: int
    watched: str
    syns_out: int
    answer_in: str | None
    answer_ttl: int | None
    socket_heard: bool
    icmp: IcmpError | None = None
    failure: Failure | None = None
    errno: str | None = None
    unresolved: bool = False
    unfitting: tuple[Unfitting, ...] = ()
    refusers: tuple[str, ...] = ()


PROBE = endpoint_probe(
    "wire",
    WireRequest,
    WireResult,
    body_of(__name__),
    deadline_s=3.0,
    most_packets=lambda request: syns_in(request.wait_s),
)
