"""A destination that no network could bring a connection to: ``address-invalid``."""

from __future__ import annotations

from probes.address import AddressKind
from probes.base import note
from troubleshoot import asks
from troubleshoot.facts import Facts
from troubleshoot.facts.ports import binds
from troubleshoot.judge.model import Evidence, Finding, rule, values

_NEVER = frozenset({AddressKind.UNSPECIFIED, AddressKind.MULTICAST, AddressKind.BROADCAST, AddressKind.SUBNET_NETWORK})

_OF_NETWORKS = frozenset({"network", "name-service"})


@rule("address-invalid", asks=(asks.machine.port,))
def address_invalid(facts: Facts) -> Finding | None:
    """The destination can never be connected to, whatever the network does."""
    target = facts.request.target
    if "bind-port" in facts.request.about or target.host is None:
        return None
    # Access is refused where a port is to be bound everywhere, and to a broadcast address without SO_BROADCAST: both
    # can be used, and have causes of their own.
    usable = {AddressKind.BROADCAST} if "permission" in facts.request.about else set()
    if facts.request.to_bind and "bind-address" not in facts.request.about:
        usable.add(AddressKind.UNSPECIFIED)
    address = next(iter(facts.targets), target.host)
    kind, variant = None, "default"
    if target.port == 0 or facts.port == 0:
        kind, variant = "port 0", "port"
    else:
        for candidate in facts.targets:
            sort = facts.machine.kind(candidate)
            never = (
                sort in _NEVER
                and sort not in usable
                and not (target.transport == "udp" and sort is AddressKind.MULTICAST)
            )
            if not never and not facts.machine.zone_missing(candidate):
                return None
            if sort is AddressKind.UNSPECIFIED and facts.names.has_name and facts.request.kind in _OF_NETWORKS:
                return None  # nobody asked for it: whoever gave it for the name is at fault
            address, kind = candidate, "link-local without %interface" if not never else (sort.value if sort else None)
            variant = "zone" if not never else "unspecified" if sort is AddressKind.UNSPECIFIED else "default"
    if kind is None:
        return None
    trial = next(iter(binds(facts)), None) if facts.request.to_bind else None
    if trial is not None and trial.attempts[0].failure is not None:
        return None
    # An address that can be bound is right for whoever listens: the code then comes from connecting to it.
    bound: Evidence = (
        (("address-valid", note("fact.bind-works", address=address, port=target.port or 0)),) if trial else ()
    )
    if trial is not None and variant == "unspecified":
        variant = "unspecified-bound"
    return Finding(
        cause="address-invalid",
        confidence="likely" if trial is not None else "certain",
        step="address-valid",
        evidence=(("address-valid", note("fact.address-never", address=address, kind=kind)), *bound),
        values=values(kind=kind),
        variant=variant,
        address=address,
    )
