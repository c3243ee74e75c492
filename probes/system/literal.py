"""Address literals as the kernel's tables know them: without the zone, and IPv4 where one is mapped to IPv6."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import msgspec

from probes.base import NotApplicable


class Literal(msgspec.Struct, frozen=True):
    """One address: its canonical text without the zone, its ``packed`` form, and the zone (RFC 4007) beside it."""

    text: str
    packed: bytes
    zone: str | None

    @property
    def family(self) -> int:
        """4 or 6, as the packets are."""
        return 4 if len(self.packed) == 4 else 6

    def interface(self, names: Mapping[int, str]) -> int | None:
        """Return the index of the interface that the zone names, by its name or index, of ``names`` by index."""
        return next((index for index, name in names.items() if self.zone in (name, str(index))), None)


def literal(address: str) -> Literal:
    """Read a literal; raises :class:`NotApplicable` (``reason.not-an-address``) for anything else."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        raise NotApplicable("reason.not-an-address", text=address[:80]) from None
    if isinstance(read, ipaddress.IPv4Address):
        return Literal(str(read), read.packed, None)
    plain = read.ipv4_mapped or ipaddress.IPv6Address(read.packed)
    return Literal(str(plain), plain.packed, read.scope_id)
