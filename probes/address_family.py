"""Try which address families, socket types and protocols this machine's stack really offers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AddressFamilyRequest:
    """Nothing to ask for: the usual combinations are tried."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One ``socket(family, type, protocol)`` call; ``errno`` is ``None`` where it worked."""

    family: str
    type: str
    protocol: str
    errno: str | None = None


@dataclass(frozen=True, slots=True)
class AddressFamilyResult:
    """``ipv6_disabled`` reflects the sysctl; ``ipv6_loopback``/``ipv4_loopback`` whether a bind to it works."""

    combinations: tuple[Combination, ...]
    ipv4_loopback: bool
    ipv6_loopback: bool
    ipv6_disabled: bool
