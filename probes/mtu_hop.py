"""Find the hop up to which packets of a size travel that does not arrive (RFC 792, RFC 4443, ip(7)).

Datagrams that must not be fragmented are sent with small TTLs. A router looks at the TTL before it looks at the size:
the greatest TTL at which a large one brings *time exceeded* is the last hop that received it. Silence counts only where
a small datagram of the same TTL, sent right after it, was answered: routers limit what they say, and the limit only
grows laxer with time. All packets belong to one flow, so that equal-cost paths do not come in between.
"""

from __future__ import annotations

import msgspec

from probes.base import ProbeTarget, address_probe
from probes.system.late import body_of


class MtuHopRequest(msgspec.Struct, frozen=True):
    """IP packets of ``large`` bytes, which do not arrive, and of ``small`` bytes, which do.

    ``hops`` is the distance of the address where it is known (1 = no router between), ``rtt_ms`` a round trip to it.
    ``silent`` TTLs are not asked, because nothing was ever answered there. ``packets`` bounds how many are sent,
    ``patience_s`` the whole search.
    """

    address: str
    large: int
    small: int
    hops: int | None = None
    rtt_ms: float = 0.0
    silent: tuple[int, ...] = ()
    packets: int = 40
    patience_s: float = 5.0


class MtuHopStep(msgspec.Struct, frozen=True):
    """How many packets of each size were sent with one TTL and answered. ``sender`` is who answered."""

    ttl: int
    large: int = 0
    large_answers: int = 0
    small: int = 0
    small_answers: int = 0
    sender: str | None = None


class MtuHopResult(msgspec.Struct, frozen=True):
    """``passed_ttl`` is the greatest TTL at which a large packet was answered, ``passed_router`` by whom; 0 for none.

    ``settled`` is true where the next device answers small packets and, asked repeatedly, no large one. ``reached``
    tells that the address itself answered a large one: then only its own large packets can be what is lost. ``told``
    is who said that a large one is too big.
    ``errno`` names why this machine would not send.
    """

    address: str
    large: int
    small: int
    steps: tuple[MtuHopStep, ...]
    passed_ttl: int = 0
    passed_router: str | None = None
    settled: bool = False
    reached: bool = False
    told: str | None = None
    errno: str | None = None


def request_for(target: ProbeTarget) -> MtuHopRequest:
    """Point the probe at an address: packets as long as Ethernet's, and the least that every path carries."""
    address = target.needed_address("mtu-hop")
    return MtuHopRequest(address, 1500, 1280 if ":" in address else 576)


PROBE = address_probe(
    "mtu-hop",
    MtuHopRequest,
    MtuHopResult,
    body_of(__name__),
    deadline_s=8.0,
    most_packets=lambda request: request.packets,
    request_for=request_for,
)
