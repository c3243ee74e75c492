"""Which failures have the same reason, as far as cheap questions tell: pure functions over attempts and hints."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

from troubleshoot.check.model import Attempt, Outcome, Reading

#: Neighbours on one network, for this purpose: what is usually one subnet, and never more than one.
_PREFIX = {4: 24, 6: 64}


class Hint(msgspec.Struct, frozen=True):
    """What the cheap questions found about a failure.

    ``alive`` is whether the host answers an echo, ``icmp`` the meaning and the sender of the error that came instead;
    ``nearer`` is whether a refusal comes from before the host, by its TTL against that of the echo's reply. ``None``
    where that was not asked or not answered.
    """

    alive: bool | None = None
    icmp: tuple[str, str] | None = None
    nearer: bool | None = None


def network_of(address: str | None) -> str:
    """Return the network that an address is taken to share with its neighbours."""
    if address is None:
        return ""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if parsed.is_loopback:
        return "loopback"
    return str(ipaddress.ip_network(f"{parsed}/{_PREFIX[parsed.version]}", strict=False))


def zone_of(name: str) -> str:
    """Return the last two labels of a name, the whole of one that has no more."""
    return ".".join(name.rstrip(".").lower().split(".")[-2:])


def key_of(outcome: Outcome, hint: Hint) -> tuple[object, ...]:
    """Return what failures of one reason have in common."""
    attempt = outcome.last or Attempt(reading=Reading.LOCAL, duration_ms=0.0, met=False)
    network = network_of(attempt.address)
    match attempt.reading:
        case Reading.UNRESOLVED if attempt.error == "EAI_AGAIN":  # nobody answered: one resolver for all
            return attempt.reading, attempt.error
        case Reading.UNRESOLVED:  # an answer about this very name, of servers that answer for its neighbours, too
            return attempt.reading, attempt.error, zone_of(outcome.check.target.host or "")
        case Reading.LOCAL:
            return attempt.reading, attempt.error, 6 if ":" in network else 4
        case Reading.REJECTED:
            return attempt.reading, attempt.error, attempt.router, network
        case _:
            return attempt.reading, network, hint


def grouped(failures: Iterable[tuple[Outcome, Hint]]) -> list[list[Outcome]]:
    """Return failures by what they have in common, in the order in which they were given."""
    found: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome, hint in failures:
        found.setdefault(key_of(outcome, hint), []).append(outcome)
    return list(found.values())
