"""Read the neighbour table (ARP and IPv6 neighbour discovery), after giving the kernel a reason to fill it."""

from __future__ import annotations

import enum

import msgspec

from probes.base import Probe, ProbeTarget
from probes.system.late import body_of
from probes.system.linux import packet


class NeighbourState(enum.StrEnum):
    """The kernel's states (arp(7), RFC 4861); ``absent`` where it knows nothing of the address."""

    INCOMPLETE = "incomplete"
    REACHABLE = "reachable"
    STALE = "stale"
    DELAY = "delay"
    PROBE = "probe"
    FAILED = "failed"
    NOARP = "noarp"
    PERMANENT = "permanent"
    ABSENT = "absent"


class NeighboursRequest(msgspec.Struct, frozen=True):
    """``addresses`` are on-link addresses to be resolved; empty to read the table only.

    For each a single UDP datagram to the discard port makes the kernel resolve it, or, where its link address is
    known and a packet socket may be opened, up to 3 ARP requests or neighbour solicitations are sent by hand. The
    probe then watches until there is an answer, until the kernel gives up (after about 3.05 s), or until ``wait_s``
    ends; a known link address is not watched for longer than 0.9 s. At most 8 addresses are asked.
    """

    addresses: tuple[str, ...] = ()
    wait_s: float = 3.4


class Neighbour(msgspec.Struct, frozen=True):
    """One entry of the table, as it stands at the end.

    ``answered`` is true where the neighbour answered during this probe, to whatever question. ``requests`` counts
    the ARP requests or neighbour solicitations that this probe sent itself (0 without the privilege).
    ``confirmed`` is true where it answered, or where it could not be asked by hand and the kernel still holds it
    reachable: that may be a memory of up to 45 s (RFC 4861, ReachableTime). ``duration_ms`` is the time until
    then, or until the probe gave up; ``None`` where nothing was asked.
    """

    address: str
    interface: str | None
    state: NeighbourState
    mac: str | None
    router: bool = False
    confirmed: bool = False
    duration_ms: float | None = None
    requests: int = 0
    answered: bool = False


class NeighboursResult(msgspec.Struct, frozen=True):
    """``asked`` holds one entry for each requested address, in order; ``table`` the rest of the table."""

    asked: tuple[Neighbour, ...]
    table: tuple[Neighbour, ...]


def _request_for(target: ProbeTarget) -> NeighboursRequest:
    return NeighboursRequest((target.address,) if target.address else ())


PROBE = Probe(
    name="neighbours",
    request=NeighboursRequest,
    result=NeighboursResult,
    observe=body_of(__name__),
    request_for=_request_for,
    subject=lambda request: ", ".join(request.addresses),
    deadline_s=5.0,
    most_packets=lambda request: len(request.addresses) * (1 + packet.TRIES),
)
