"""Read the neighbour table (ARP and IPv6 neighbour discovery), after giving the kernel a reason to fill it."""

from __future__ import annotations

import msgspec

from probes.base import Probe, ProbeTarget
from probes.system.late import body_of
from probes.system.linux import packet
from probes.system.records import Neighbour as Neighbour  # noqa: PLC0414 - offered here, too
from probes.system.records import NeighbourState as NeighbourState  # noqa: PLC0414 - offered here, too


class NeighboursRequest(msgspec.Struct, frozen=True):
    """``addresses`` are on-link addresses to be resolved; empty to read the table only.

    For each a single UDP datagram to the discard port makes the kernel resolve it, or, where its link address is
    known and a packet socket may be opened, up to 3 ARP requests or neighbour solicitations are sent by hand. The
    probe then watches until there is an answer, until the kernel gives up (after about 3.05 s), or until ``wait_s``
    ends; a known link address is not watched for longer than 0.9 s. At most 8 addresses are asked.
    """

    addresses: tuple[str, ...] = ()
    wait_s: float = 3.4


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
