"""Rules of this machine's protocol stack: its addresses, the families it offers, and whether it works at all."""

from __future__ import annotations

import ipaddress

from probes.address import AddressKind, AddressResult
from probes.address_family import AddressFamilyResult, Combination
from probes.base import Note, note
from probes.bind import BindResult
from probes.failure import Failure
from probes.interfaces import InterfacesResult
from probes.network_subsystem import NO_ANSWER, NetworkSubsystemResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reading, family_of, plain, winsock
from troubleshoot.facts.ports import binds
from troubleshoot.judge.model import NAMED, Evidence, Finding, attempted, first_step, rule, values
from troubleshoot.report import Confidence

#: What socket() says of what the kernel does not have, or is not allowed to give.
_NOT_OFFERED = frozenset({"EAFNOSUPPORT", "EPFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"})
_REFUSED_BY_POLICY = frozenset({"EACCES", "EPERM"})


@rule("address-not-local", asks=(asks.machine.port,))
def address_not_local(facts: Facts) -> Finding | None:
    """The address to bind is not this machine's, or not usable yet."""
    if "bind-address" not in facts.request.about or facts.request.target.host is None:
        return None
    if facts.names.has_name and facts.names.unresolved():
        return None
    address = next(iter(facts.targets), None)
    result = facts.get("address", AddressResult, address) if address is not None else None
    if address is None or result is None or result.zone_missing:
        return None
    trial = next((trial for trial in binds(facts) if trial.address == address), None)
    if result.local:
        return _not_usable(facts, address, trial)
    if result.kind not in (AddressKind.UNICAST, AddressKind.LINK_LOCAL):
        return None
    reach = facts.attempts.decided_reach(address)
    if reach.failure is Failure.ADDRESS_NOT_AVAILABLE:
        return None  # connecting fails with the very code: then nobody wants to bind it
    if trial is not None and trial.attempts[0].failure is not Failure.ADDRESS_NOT_AVAILABLE:
        return None
    proof: Evidence = (
        (("address-valid", note("fact.bind-foreign", address=address, errno="EADDRNOTAVAIL")),) if trial else ()
    )
    near = _near_miss(facts, address)
    confidence: Confidence = (
        "possible" if reach.reading is Reading.CONNECTED or not (facts.names.is_literal or near) else "likely"
    )
    own = ", ".join(result.near[:3])
    shown: Evidence = (("address-valid", note("fact.address-foreign", address=address, near=own or "-")), *proof)
    beside: Evidence = (("address-valid", note("fact.address-near", address=address, near=near)),) if near else ()
    return Finding(
        cause="address-not-local",
        confidence=confidence,
        evidence=(*shown, *beside),
        values=values(found=near),
        variant="near" if near else "default",
        step="address-valid",
        address=address,
    )


def _not_usable(facts: Facts, address: str, trial: BindResult | None) -> Finding | None:
    """An address of this machine that cannot be bound: it is being checked for a duplicate, or one was found."""
    if trial is None or trial.attempts[0].failure is not Failure.ADDRESS_NOT_AVAILABLE:
        return None
    for interface in facts.machine.interfaces():
        for own in interface.addresses:
            if plain(own.address) != plain(address) or not own.tentative:
                continue
            key = "fact.address-duplicate" if own.duplicate else "fact.address-tentative"
            return Finding(
                cause="address-not-local",
                confidence="certain",
                evidence=(
                    ("address-valid", note("fact.bind-foreign", address=address, errno="EADDRNOTAVAIL")),
                    ("interface", note(key, address=address, interface=interface.name)),
                ),
                values=values(interface=interface.name),
                variant="duplicate" if own.duplicate else "tentative",
                step="address-valid",
                address=address,
            )
    return None


def _near_miss(facts: Facts, address: str) -> str | None:
    """An address of ours in the same subnet: what DHCP hands out in place of the one that was configured."""
    wanted = ipaddress.ip_address(plain(address))
    interfaces = facts.get("interfaces", InterfacesResult)
    for found in interfaces.interfaces if interfaces is not None else ():
        for own in found.addresses if not found.loopback else ():
            if own.family != wanted.version or own.prefix == wanted.max_prefixlen:
                continue
            if wanted in ipaddress.ip_interface(f"{plain(own.address)}/{own.prefix}").network:
                return own.address
    return None


@rule("address-family-unavailable", asks=(asks.machine.families, asks.machine.port, asks.failed.no_way_out))
def address_family_unavailable(facts: Facts) -> Finding | None:
    """The address family, or a protocol of it, is not available here."""
    off = _switched_off_outside(facts)
    if off is not None:
        return off
    result = facts.get("address-family", AddressFamilyResult)
    if result is None:
        return None
    asked = _asked_families(facts)
    if any(r.reading is Reading.CONNECTED for r in facts.attempts.reaches()):
        # One family never speaks for the other: the code may have been met on the one that does not work.
        asked = {family_of(a) for a in facts.targets if facts.attempts.is_the_code(facts.attempts.decided_reach(a))}
        if not asked:
            return None
    for family in (6, 4):
        if family not in asked:
            continue
        found = _family_fault(facts, result, family, only=asked == {family})
        if found is not None:
            return found
    if "family" not in facts.request.about:
        return None
    if result.process_filtered and not result.filtered:
        return _sandboxed(facts, result, asked)
    # TCP and UDP work; what else a program may have asked for cannot be seen, only what this machine lacks.
    families = {f"AF_INET{'6' if family == 6 else ''}" for family in asked or {4, 6}}
    lacking = [c for c in result.combinations if c.errno in _NOT_OFFERED and c.family in families]
    if not lacking:
        return None
    return Finding(
        cause="address-family-unavailable",
        confidence="possible",
        step="address-family",
        evidence=(*_refusals(lacking), *_reasons(facts, result)),
        values=values(family=", ".join(dict.fromkeys(c.protocol.removeprefix("IPPROTO_") for c in lacking))),
    )


def _switched_off_outside(facts: Facts) -> Finding | None:
    """Every interface that leads out has IPv6 switched off, and the target has addresses of no other family."""
    out = [i for i in facts.machine.interfaces() if i.up and not i.loopback and not i.serves]
    away = [a for a in facts.targets if family_of(a) == 6 and not facts.machine.is_local(a)]
    if not away or len(away) < len(facts.targets) or not out or not all(i.ipv6_off for i in out):
        return None
    failed = [facts.attempts.decided_reach(a) for a in away]
    if not all(r.reading is Reading.LOCAL for r in failed):
        return None
    path = ", ".join(f"net.ipv6.conf.{i.name}.disable_ipv6" for i in out[:NAMED])
    return Finding(
        cause="address-family-unavailable",
        confidence="certain",
        step=first_step(facts, "address-family", "interface"),
        evidence=(("interface", note("fact.family-disabled", path=path)), *attempted(facts)),
        values=values(family="IPv6"),
        variant="sysctl",
    )


def _sandboxed(facts: Facts, result: AddressFamilyResult, asked: set[int]) -> Finding | None:
    """The family works here, and a filter of system calls stands over the program that met the code."""
    names = " / ".join(f"IPv{family}" for family in sorted(asked or {4, 6}, reverse=True))
    return Finding(
        cause="address-family-unavailable",
        confidence="likely",
        step="address-family",
        evidence=_reasons(facts, result),
        values=values(family=names),
        variant="policy",
    )


def _asked_families(facts: Facts) -> set[int]:
    """The families that the program would use: the user's, else the target's, else (a port alone) unknown."""
    if facts.request.family is not None:
        return {facts.request.family}
    return {family_of(address) for address in facts.targets}


def _refusals(combinations: list[Combination]) -> Evidence:
    return tuple(
        (
            "address-family",
            note("fact.family-refused", family=c.family, type=c.type, protocol=c.protocol, errno=c.errno),
        )
        for c in combinations[:NAMED]
    )


def _reasons(facts: Facts, result: AddressFamilyResult) -> Evidence:
    """Say what keeps the modules of refused protocols away, and whether the program's calls are filtered."""
    said = []
    for module in result.modules:
        if module.blocked_by is not None:
            said.append(note("fact.module-blocked", module=module.name, where=module.blocked_by))
        elif module.present is not None:
            said.append(note("fact.module-there" if module.present else "fact.module-missing", module=module.name))
    if result.process_filtered:
        said.append(note("fact.process-filtered", process=facts.request.pid))
    elif result.filtered and facts.request.pid is None:
        said.append(note("fact.run-filtered"))
    return tuple(("address-family", one) for one in said)


def _family_fault(facts: Facts, result: AddressFamilyResult, family: int, *, only: bool) -> Finding | None:
    """What is wrong with IPv4 or IPv6: not in the kernel, forbidden by a policy, or switched off by its sysctl."""
    name, constant = ("IPv6", "AF_INET6") if family == 6 else ("IPv4", "AF_INET")
    ordinary = [
        c
        for c in result.combinations
        if c.family == constant and c.protocol in ("IPPROTO_TCP", "IPPROTO_UDP") and c.errno is not None
    ]
    refused_by_policy = [c for c in ordinary if c.errno in _REFUSED_BY_POLICY]
    absent = family == 6 and result.ipv6_present is False and bool(ordinary)
    switched_off = family == 6 and result.ipv6_disabled and result.ipv6_present is not False
    lost = not (result.ipv6_loopback if family == 6 else result.ipv4_loopback)
    if not ordinary and not (switched_off and lost):
        return None
    everywhere = [t for t in binds(facts) if family_of(t.address) == family and t.attempts[0].failure is None]
    if not ordinary and everywhere and facts.request.to_bind:
        return None  # a socket can be bound to all its addresses, whether there are any or not
    # A name with both families still works over the other one, unless the code says that it was this one.
    confidence: Confidence = "certain" if only else "likely" if "family" in facts.request.about else "possible"
    missing: Evidence = (
        ("address-family", note("fact.family-missing", family=name)),
        *_refusals(ordinary),
        *(_reasons(facts, result) if ordinary else ()),
    )
    variant, more = "default", tuple[Note, ...]()
    if absent and not refused_by_policy:
        variant, more = "module", (note("fact.family-absent", family=name),)
    elif ordinary and (result.ipv6_present or family == 4 or refused_by_policy):
        variant, more = "policy", (note("fact.family-policy", family=name),)
    elif switched_off:
        variant, more = "sysctl", (note("fact.family-disabled", path="net.ipv6.conf.all.disable_ipv6"),)
    return Finding(
        cause="address-family-unavailable",
        confidence=confidence,
        step="address-family",
        evidence=(
            *missing,
            *(("address-family", fact) for fact in more),
            *(attempted(facts) if variant == "sysctl" else ()),
        ),
        values=values(family=name),
        variant=variant,
    )


def dead_exchanges(result: NetworkSubsystemResult) -> list[str]:
    """Return the errors of the exchanges over IPv4's loopback that failed."""
    return [e.errno for e in result.exchanges if e.errno is not None and e.family == 4]


@rule("network-subsystem-down", asks=(asks.machine.subsystem, asks.failed.not_even_here))
def network_subsystem_down(facts: Facts) -> Finding | None:
    """The protocol stack itself is not usable: loopback is down, or nothing passes over it."""
    if any(r.reading is Reading.CONNECTED for r in facts.attempts.reaches()):
        return None
    result = facts.get("network-subsystem", NetworkSubsystemResult)
    if result is None:
        return None
    local = any(facts.machine.is_local(a) for a in facts.targets)
    concerned = local or facts.request.kind == "local-resource" or "subsystem" in facts.request.about
    dead = dead_exchanges(result)
    alive = any(e.errno is None for e in result.exchanges if e.family == 4)
    library = _library(facts, result)
    if not concerned or (result.loopback_up is not False and (not dead or alive)):
        return library if concerned else None
    found = note("fact.loopback-down") if result.loopback_up is False else note("fact.loopback-dead", errno=dead[0])
    counters: Evidence = () if result.counters else (("network-subsystem", note("fact.no-counters")),)
    # A loopback that is up and silent may be filtered; a far target does not need it at all.
    silent = result.loopback_up is not False and set(dead) <= {NO_ANSWER, "EPERM"}
    also = (("local-firewall", note("verdict.open-loopback")),) if silent else ()
    far = bool(facts.targets) and not local and facts.request.kind == "network"
    return Finding(
        cause="network-subsystem-down",
        confidence="possible" if far else "likely" if silent else "certain",
        step=first_step(facts, "network-subsystem", "interface"),
        evidence=(("network-subsystem", found), *(library.evidence if library else ()), *counters, *attempted(facts)),
        values=values(found="loopback"),
        also=also,
    )


def _library(facts: Facts, result: NetworkSubsystemResult) -> Finding | None:
    """Winsock refuses to start, or its catalogue of providers or its library is not what Windows installed.

    This process has sockets all the same: another one may be given other providers. Layers alone are no fault.
    """
    if result.winsock is None:
        return None
    named = "provider" in facts.request.about
    refused = winsock.refused(result.winsock)
    broken = winsock.broken(result.winsock) or winsock.foreign(result.winsock)
    layers = winsock.layers(result.winsock) if named else None
    faults = tuple(fault for fault in (refused, broken, layers) if fault is not None)
    if not faults:
        return None
    return Finding(
        cause="network-subsystem-down",
        confidence="certain" if refused else "likely" if broken and named else "possible",
        step=first_step(facts, "network-subsystem", "interface"),
        evidence=tuple(("network-subsystem", fault) for fault in faults),
        values=values(found=winsock.subject(faults[0])),
        variant="winsock",
    )
