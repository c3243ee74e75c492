"""Rules of this machine's resources and of the program itself: ports, descriptors, memory, families, calls."""

from __future__ import annotations

from probes.address import AddressResult
from probes.address_family import AddressFamilyResult
from probes.base import Note, note
from probes.bind import BindResult
from probes.buffers import BuffersResult
from probes.descriptors import DescriptorsResult
from probes.failure import Failure
from probes.network_subsystem import NetworkSubsystemResult
from probes.sockets import SocketEntry, SocketsResult
from troubleshoot import describe
from troubleshoot.facts import Facts, Reading
from troubleshoot.judge.model import Finding, rule, values

#: The states in which a connection only waits for its end (RFC 793).
_CLOSING = frozenset({"time-wait", "fin-wait-1", "fin-wait-2", "closing", "last-ack", "close-wait"})


@rule("no-network-meaning")
def no_network_meaning(facts: Facts) -> Finding | None:
    """The code has no counterpart on a network stack."""
    if facts.request.kind != "no-network-meaning":
        return None
    return Finding(
        cause="no-network-meaning",
        confidence="certain",
        scope="application",
        step="api-usage",
        evidence=(("api-usage", note("fact.code-without-meaning", code=facts.request.code)),),
        values=values(code=facts.request.code),
    )


@rule("api-misuse")
def api_misuse(facts: Facts) -> Finding | None:
    """The code can only come from how the program called the socket API."""
    if facts.request.kind != "api-misuse":
        return None
    # A missing destination may come from a name that did not resolve, an invalid argument from a blackhole route:
    # for those codes the network is looked at too, and what it shows outranks this.
    looked = "resolve-name" in facts.request.steps
    if looked and facts.has_name and facts.unresolved():
        return None
    return Finding(
        cause="api-misuse",
        confidence="likely" if looked else "certain",
        scope="application",
        step="api-usage",
        evidence=(("api-usage", note("fact.code-from-calls", code=facts.request.code)),),
        values=values(code=facts.request.code),
    )


def _bind(facts: Facts) -> BindResult | None:
    return facts.get("bind", BindResult, str(facts.port))


def _held(facts: Facts) -> tuple[SocketEntry, ...]:
    result = facts.get("sockets", SocketsResult, str(facts.port))
    return tuple(e for e in result.entries if e.local_port == facts.port) if result is not None else ()


def _refused_bind(facts: Facts, *failures: Failure) -> bool:
    bind = _bind(facts)
    return bind is not None and bool(bind.attempts) and bind.attempts[0].failure in failures


def owner_text(entry: SocketEntry) -> str:
    """Return who holds a socket, as far as it can be seen."""
    if entry.owners:
        return ", ".join(f"{o.name or '?'} (pid {o.pid})" for o in entry.owners[:3])
    return f"uid {entry.uid}" if entry.uid is not None else "?"


@rule("port-in-use")
def port_in_use(facts: Facts) -> Finding | None:
    """Another socket holds the local port."""
    if facts.port is None or not _refused_bind(facts, Failure.ADDRESS_IN_USE):
        return None
    holders = [e for e in _held(facts) if e.state not in _CLOSING]
    if not holders:
        return None
    first = next((e for e in holders if e.state == "listen"), holders[0])
    process = owner_text(first)
    where = (
        f"[{first.local_address}]:{first.local_port}"
        if first.family == 6
        else f"{first.local_address}:{first.local_port}"
    )
    return Finding(
        cause="port-in-use",
        confidence="certain",
        scope="this-machine",
        step="port-owner",
        evidence=(
            ("port-owner", note("fact.bind-failed", port=facts.port, errno="EADDRINUSE")),
            ("port-owner", note("fact.port-held", where=where, state=first.state, process=process)),
        ),
        values=values(port=facts.port, process=process),
        variant="default" if first.owners else "unknown",
    )


@rule("port-in-time-wait")
def port_in_time_wait(facts: Facts) -> Finding | None:
    """The port is held only by connections that wait for their end."""
    if facts.port is None or not _refused_bind(facts, Failure.ADDRESS_IN_USE):
        return None
    held = _held(facts)
    if not held or any(e.state not in _CLOSING for e in held):
        return None
    left = max((e.time_left_s or 0.0 for e in held), default=0.0)
    return Finding(
        cause="port-in-time-wait",
        confidence="certain",
        scope="this-machine",
        step="port-owner",
        evidence=(("port-owner", note("fact.port-closing", port=facts.port, count=len(held), seconds=f"{left:.0f}")),),
        values=values(port=facts.port, found=f"{len(held)}, {left:.0f} s"),
    )


@rule("port-not-permitted")
def port_not_permitted(facts: Facts) -> Finding | None:
    """The port needs a privilege that the program may lack."""
    if facts.port is None:
        return None
    bind = _bind(facts)
    if bind is None or not _refused_bind(facts, Failure.ACCESS_DENIED, Failure.NOT_PERMITTED):
        return None
    start = bind.unprivileged_start
    return Finding(
        cause="port-not-permitted",
        confidence="certain" if start is not None and facts.port < start else "likely",
        scope="this-machine",
        step="port-owner",
        evidence=(
            ("port-owner", note("fact.port-privileged", port=facts.port, start=start if start is not None else "?")),
        ),
        values=values(port=facts.port, expected=f"{start if start is not None else 1024}-65535"),
    )


@rule("address-not-local")
def address_not_local(facts: Facts) -> Finding | None:
    """The address to bind is not this machine's."""
    if facts.request.code != "WSAEADDRNOTAVAIL" or facts.request.target.host is None:
        return None
    for address in facts.targets[:1]:
        result = facts.get("address", AddressResult, address)
        if result is None or result.local or result.kind.value in ("unspecified", "multicast"):
            return None
        near = ", ".join(result.near[:3])
        connects = facts.port is not None and facts.reach(address).reading is Reading.CONNECTED
        return Finding(
            cause="address-not-local",
            confidence="likely" if facts.is_literal or connects else "possible",
            scope="this-machine",
            step="address-valid",
            evidence=(("address-valid", note("fact.address-foreign", address=address, near=near or "-")),),
            values=values(address=address),
            address=address,
        )
    return None


@rule("address-family-unavailable")
def address_family_unavailable(facts: Facts) -> Finding | None:
    """The address family is not available here."""
    result = facts.get("address-family", AddressFamilyResult)
    if result is None:
        return None
    targets = {6 if ":" in a else 4 for a in facts.targets}
    if not result.ipv6_loopback and (targets == {6} or facts.request.family == 6):
        family = "IPv6"
    elif not result.ipv4_loopback and targets == {4}:
        family = "IPv4"
    else:
        return None
    refused = [c for c in result.combinations if c.errno is not None][:2]
    return Finding(
        cause="address-family-unavailable",
        confidence="certain",
        scope="this-machine",
        step="address-family",
        evidence=(
            ("address-family", note("fact.family-missing", family=family)),
            *(
                ("address-family", note("fact.family-refused", family=c.family, type=c.type, errno=c.errno))
                for c in refused
            ),
        ),
        values=values(family=family),
    )


@rule("ephemeral-ports-exhausted")
def ephemeral_ports_exhausted(facts: Facts) -> Finding | None:
    """No free local port is left for outgoing connections."""
    result = facts.get("descriptors", DescriptorsResult)
    if result is None or result.ephemeral_range is None or result.ephemeral_used is None:
        return None
    low, high = result.ephemeral_range
    total = high - low + 1
    focus = facts.focus
    failed = focus is not None and focus.failure is Failure.ADDRESS_NOT_AVAILABLE
    busiest = max((p.count for p in result.ephemeral_busiest), default=0)
    if not failed or max(result.ephemeral_used, busiest) < total * facts.threshold("ephemeral_share"):
        return None
    found = f"{result.ephemeral_used}/{total}"
    return Finding(
        cause="ephemeral-ports-exhausted",
        confidence="certain",
        scope="this-machine",
        step="open-sockets",
        evidence=(
            ("open-sockets", note("fact.ephemeral", used=result.ephemeral_used, total=total, low=low, high=high)),
        ),
        values=values(found=found),
    )


@rule("too-many-open-sockets")
def too_many_open_sockets(facts: Facts) -> Finding | None:
    """The process or the system has run into its descriptor limit."""
    result = facts.get("descriptors", DescriptorsResult)
    if result is None or facts.request.code not in ("WSAEMFILE", "WSAENOBUFS"):
        return None
    share = facts.threshold("descriptor_share")
    if result.system_used >= result.system_limit * share:
        return Finding(
            cause="too-many-open-sockets",
            confidence="certain",
            scope="this-machine",
            step="open-sockets",
            evidence=(
                ("open-sockets", note("fact.descriptors-system", used=result.system_used, limit=result.system_limit)),
            ),
            values=values(process="system", found=result.system_used, expected=result.system_limit),
        )
    if result.open_at_end is None or result.limit is None or result.open_at_end < result.limit * share:
        return None
    process = f"{result.name or '?'} (pid {result.pid})"
    return Finding(
        cause="too-many-open-sockets",
        confidence="certain",
        scope="this-machine",
        step="open-sockets",
        evidence=(
            ("open-sockets", note("fact.descriptors", process=process, used=result.open_at_end, limit=result.limit)),
        ),
        values=values(process=process, found=result.open_at_end, expected=result.limit),
    )


@rule("buffers-exhausted")
def buffers_exhausted(facts: Facts) -> Finding | None:
    """Socket memory or system memory is used up."""
    result = facts.get("buffers", BuffersResult)
    if result is None:
        return None
    evidence: list[tuple[str, Note]] = []
    pools = (("TCP", result.tcp_pages, result.tcp_limits), ("UDP", result.udp_pages, result.udp_limits))
    for name, pages, limits in pools:
        if pages is not None and limits is not None and pages >= limits[1] > 0:
            evidence.append(
                ("buffers", note("fact.buffers-pool", pool=name, pages=pages, pressure=limits[1], high=limits[2]))
            )
    if result.memory_available < result.memory_total * facts.threshold("memory_share"):
        megabytes = result.memory_available >> 20
        evidence.append(("buffers", note("fact.buffers-memory", available=megabytes, total=result.memory_total >> 20)))
    if not evidence:
        return None
    return Finding(
        cause="buffers-exhausted",
        confidence="likely",
        scope="this-machine",
        step="buffers",
        evidence=tuple(evidence),
        values=values(found=evidence[0][1].values[0][1]),
    )


@rule("network-subsystem-down")
def network_subsystem_down(facts: Facts) -> Finding | None:
    """The protocol stack itself is not usable: loopback is down, or nothing passes over it."""
    if any(r.reading is Reading.CONNECTED for r in facts.reaches()):
        return None
    result = facts.get("network-subsystem", NetworkSubsystemResult)
    if result is None:
        return None
    local = any(facts.is_local(a) for a in facts.targets)
    concerned = local or facts.request.kind == "local-resource" or facts.request.code == "WSAENETDOWN"
    dead = [e for e in result.exchanges if e.errno is not None and e.family == 4]
    if not concerned or (result.loopback_up is not False and not dead):
        return None
    focus = facts.focus
    found = (
        note("fact.loopback-down") if result.loopback_up is False else note("fact.loopback-dead", errno=dead[0].errno)
    )
    return Finding(
        cause="network-subsystem-down",
        confidence="certain",
        scope="this-machine",
        step="network-subsystem" if "network-subsystem" in facts.request.steps else "interface",
        evidence=(
            ("network-subsystem", found),
            *((("connect", describe.reach(focus, facts.port)),) if focus is not None and focus.failed else ()),
        ),
        values=values(found="loopback"),
    )
