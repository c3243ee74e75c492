"""Rules of this machine's resources and of the program itself: ports, descriptors, memory, families, calls."""

from __future__ import annotations

from datetime import UTC, datetime

from probes.address import AddressKind, AddressResult
from probes.address_family import AddressFamilyResult, Combination
from probes.base import Note, note
from probes.bind import BindResult
from probes.buffers import BuffersResult
from probes.datagram import DatagramResult
from probes.descriptors import DescriptorsResult
from probes.failure import Failure
from probes.interfaces import InterfacesResult
from probes.network_subsystem import NO_ANSWER, NetworkSubsystemResult
from probes.path_mtu import PathMtuResult
from probes.services_file import ServicesFileResult
from probes.sockets import SocketEntry, SocketsResult
from troubleshoot import describe
from troubleshoot.facts import Facts, Reading, bind_subject, family_of, plain
from troubleshoot.judge import usage
from troubleshoot.judge.model import Finding, rule, values

#: The states in which a connection only waits for its end (RFC 9293, section 3.3.2).
CLOSING = frozenset({"time-wait", "fin-wait-1", "fin-wait-2", "closing", "last-ack", "close-wait"})
#: No more sockets, peers or processes than this are put into the evidence.
_NAMED = 4
#: What socket() says of what the kernel does not have, or is not allowed to give.
_NOT_OFFERED = frozenset({"EAFNOSUPPORT", "EPFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"})
_REFUSED_BY_POLICY = frozenset({"EACCES", "EPERM"})
#: Codes that are about what socket() was asked for.
_FAMILY_CODES = frozenset({"WSAEPROTONOSUPPORT", "WSAESOCKTNOSUPPORT", "WSAEPFNOSUPPORT", "WSAEAFNOSUPPORT"})
#: Codes that a program gets where it did not start the socket library, or asked for a version that is none.
_START_CODES = frozenset({"WSANOTINITIALISED", "WSAVERNOTSUPPORTED"})

Evidence = tuple[tuple[str, Note], ...]


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
    if facts.request.code == "WSAEACCES":
        return _broadcast(facts)
    if facts.request.code == "WSAEMSGSIZE":
        return _too_long(facts)
    if facts.request.code in _START_CODES:
        return _not_started(facts)
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
        evidence=(("api-usage", note("fact.code-from-calls", code=facts.request.code)), *usage.evidence(facts)),
        values=values(code=facts.request.code),
    )


def _broadcast(facts: Facts) -> Finding | None:
    """The destination is a broadcast address: the kernel refuses it to sockets without SO_BROADCAST (socket(7))."""
    address = next((a for a in facts.targets if facts.kind(a) is AddressKind.BROADCAST), None)
    if address is None:
        return None
    tried = next((o for o in facts.of("datagram") if o.subject.startswith(f"{address} ")), None)
    if tried is not None and (tried.probe, tried.subject) in facts.running:
        facts.get("datagram", DatagramResult, tried.subject)
    result = tried.result if tried is not None else None
    seen = isinstance(result, DatagramResult) and result.errno == "EACCES"
    live: Evidence = (("connect", note("fact.broadcast-refused", address=address, errno="EACCES")),) if seen else ()
    return Finding(
        cause="api-misuse",
        confidence="certain" if seen else "likely",
        scope="application",
        step="address-valid",
        evidence=(
            ("address-valid", note("fact.address-broadcast", address=address)),
            *live,
            *usage.evidence(facts),
        ),
        values=values(code=facts.request.code, address=address),
        variant="broadcast",
        address=address,
    )


def _too_long(facts: Facts) -> Finding | None:
    """A datagram is larger than what fits: the sizes that do fit are measured, the program's own cannot be seen."""
    if facts.has_name and facts.unresolved():
        return None
    address = next(iter(facts.targets), None)
    if address is None:
        return None
    evidence: list[tuple[str, Note]] = []
    path = facts.get("path-mtu", PathMtuResult, address)
    if path is not None and path.black_hole:
        # Large packets vanish on the way as well: a fault of its own, which raises no such code.
        evidence.append(("path-mtu", note("fact.mtu-blackhole", address=address, mtu=path.mtu or "?")))
    elif path is not None and path.mtu is not None:
        payload = path.largest_udp_payload or "?"
        evidence.append(("path-mtu", note("fact.mtu", address=address, mtu=path.mtu, payload=payload)))
    elif path is not None and path.interface_mtu is not None:
        evidence.append(("path-mtu", note("fact.mtu-interface", mtu=path.interface_mtu)))
    most = 65507 if family_of(address) == 4 else 65527
    evidence.append(("api-usage", note("fact.datagram-most", payload=most)))
    memory = facts.get("buffers", BuffersResult)
    if memory is not None and memory.default_send is not None and memory.default_receive is not None:
        evidence.append(
            ("buffers", note("fact.buffers-default", used=memory.default_send, limit=memory.default_receive))
        )
    return Finding(
        cause="api-misuse",
        confidence="likely",
        scope="application",
        step="api-usage",
        evidence=(*evidence, *usage.evidence(facts)),
        values=values(code=facts.request.code),
        variant="size",
    )


def _not_started(facts: Facts) -> Finding | None:
    """The stack works, so that only the program's own start of the socket library is left."""
    result = facts.get("network-subsystem", NetworkSubsystemResult)
    if result is None or result.loopback_up is False or _dead(result):
        return None
    return Finding(
        cause="api-misuse",
        confidence="likely",
        scope="application",
        step="api-usage" if "api-usage" in facts.request.steps else "network-subsystem",
        evidence=(
            ("network-subsystem", note("fact.loopback-works", count=sum(e.errno is None for e in result.exchanges))),
            ("api-usage", note("fact.code-from-calls", code=facts.request.code)),
            *usage.evidence(facts),
        ),
        values=values(code=facts.request.code),
        variant="startup",
    )


# -- binding a port ---------------------------------------------------------------------------------------------


def binds(facts: Facts) -> tuple[BindResult, ...]:
    """Return the trials to bind the target's port, those of each address in turn."""
    if facts.port is None and ("services-file", facts.request.target.service or "") in facts.running:
        facts.get("services-file", ServicesFileResult, facts.request.target.service or "")
    # For WSAEADDRNOTAVAIL the address is tried with any port.
    port = 0 if facts.request.code == "WSAEADDRNOTAVAIL" else facts.port or 0
    tried = ["0.0.0.0", "::"] if facts.request.target.host is None else list(facts.targets)
    found = (facts.get("bind", BindResult, bind_subject(address, port)) for address in tried)
    return tuple(result for result in found if result is not None and result.attempts)


def refused(trials: tuple[BindResult, ...], *failures: Failure) -> tuple[BindResult, ...]:
    """Return the trials that failed in one of these ways, done as most programs do it."""
    return tuple(trial for trial in trials if trial.attempts[0].failure in failures)


def held(facts: Facts) -> tuple[SocketEntry, ...]:
    """Return the sockets on the target's port."""
    result = facts.get("sockets", SocketsResult, str(facts.port))
    return tuple(e for e in result.entries if e.local_port == facts.port) if result is not None else ()


def _families(address: str, *, v6_only: bool | None) -> set[int]:
    """The families that a socket bound to the address takes: ``::`` takes both, unless it says otherwise."""
    if plain(address) != "::":
        return {4} if plain(address).startswith("::ffff:") else {family_of(address)}
    return {6} if v6_only else {4, 6}


def clashes(entry: SocketEntry, address: str) -> bool:
    """Whether a socket stands in the way of binding ``address`` (bind(2), ipv6(7))."""
    if not _families(entry.local_address, v6_only=entry.v6_only) & _families(address, v6_only=False):
        return False
    everywhere = ("0.0.0.0", "::")
    one, other = plain(entry.local_address), plain(address)
    return one in everywhere or other in everywhere or one.removeprefix("::ffff:") == other.removeprefix("::ffff:")


def owner_text(entry: SocketEntry) -> str:
    """Return who holds a socket, as far as it can be seen."""
    if entry.owners:
        return ", ".join(f"{o.name or '?'} (pid {o.pid})" for o in entry.owners[:3])
    if entry.uid is None:
        return "?"
    return f"{entry.user} (uid {entry.uid})" if entry.user else f"uid {entry.uid}"


def endpoint_text(entry: SocketEntry) -> str:
    """Return a socket's own address and port, brackets around IPv6."""
    if entry.family == 6:
        return f"[{entry.local_address}]:{entry.local_port}"
    return f"{entry.local_address}:{entry.local_port}"


def in_use(facts: Facts, trials: tuple[BindResult, ...]) -> tuple[BindResult, ...]:
    """Return the trials that found the port taken.

    For WSAEADDRINUSE also those that wanted a privilege: the program that met the code had it, and what holds the port
    can be seen all the same.
    """
    found = refused(trials, Failure.ADDRESS_IN_USE)
    if found or facts.request.code != "WSAEADDRINUSE":
        return found
    return refused(trials, Failure.ACCESS_DENIED, Failure.NOT_PERMITTED)


def in_the_way(facts: Facts, trials: tuple[BindResult, ...]) -> tuple[SocketEntry, ...]:
    """Return the sockets that keep the port from being bound: those that clash.

    Where the kernel says that it is taken and none seems to clash, all sockets of the port.
    """
    everything = held(facts)
    clashing = tuple(e for e in everything if any(clashes(e, trial.address) for trial in trials))
    if clashing or not refused(trials, Failure.ADDRESS_IN_USE):
        return clashing
    return everything


def owners(entries: tuple[SocketEntry, ...]) -> Evidence:
    """Say of each process that holds one of the sockets who it is, and where owners are hidden, that they are."""
    said: list[tuple[str, Note]] = []
    known = {o.pid: o for e in entries for o in e.owners}
    for owner in list(known.values())[:_NAMED]:
        process = f"{owner.name or '?'} (pid {owner.pid})"
        since = f"{datetime.fromtimestamp(owner.started, UTC):%Y-%m-%d %H:%M:%S}Z" if owner.started else "?"
        said.append(("port-owner", note("fact.owner", process=process, user=owner.user or "?", since=since)))
        if owner.command:
            said.append(("port-owner", note("fact.owner-command", process=process, command=owner.command)))
    hidden = [e for e in entries if e.owner_hidden]
    if hidden:
        user = hidden[0].user or (f"uid {hidden[0].uid}" if hidden[0].uid is not None else "?")
        said.append(("port-owner", note("fact.owner-hidden", where=endpoint_text(hidden[0]), user=user)))
    return tuple(said)


def _sharing(entries: tuple[SocketEntry, ...], trials: tuple[BindResult, ...]) -> Evidence:
    """What can be seen of IPV6_V6ONLY, SO_REUSEPORT and SO_REUSEADDR."""
    said: list[tuple[str, Note]] = []
    both = next((e for e in entries if plain(e.local_address) == "::" and e.v6_only is False), None)
    if both is not None and any(family_of(trial.address) == 4 for trial in trials):
        said.append(("port-owner", note("fact.dual-stack", where=endpoint_text(both), port=both.local_port)))
    listening = [e for e in entries if e.state in ("listen", "unconnected")]
    for place in dict.fromkeys(endpoint_text(e) for e in listening):
        same = sum(endpoint_text(e) == place for e in listening)
        if same > 1:
            said.append(("port-owner", note("fact.shared-port", where=place, count=same)))
    port = trials[0].port
    for trial in trials:
        ways = {attempt.how: attempt.failure for attempt in trial.attempts}
        if "reuse-address" in ways:
            key = "fact.reuse-helps" if ways["reuse-address"] is None else "fact.reuse-fails"
            said.append(("port-owner", note(key, port=port)))
            break
    for trial in trials if entries else ():
        if any(attempt.how == "v6-only" and attempt.failure is None for attempt in trial.attempts):
            said.append(("port-owner", note("fact.v6-only-helps", port=port)))
            break
    return tuple(said)


def _connects(facts: Facts) -> bool:
    """Whether the code was brought for a target that a connection now reaches: then nothing keeps it from that."""
    host = facts.request.target.host
    if host is None or facts.request.code == "WSAEADDRINUSE" or not facts.targets:
        return False
    return any(facts.decided_reach(a).reading is Reading.CONNECTED for a in facts.targets)


@rule("port-in-use")
def port_in_use(facts: Facts) -> Finding | None:
    """Another socket holds the local port."""
    if facts.port is None or exhausted_towards_target(facts) is not None:
        return None
    trials = binds(facts)
    failed = in_use(facts, trials)
    if not failed or _connects(facts):
        return None
    entries = in_the_way(facts, failed)
    tried = failed[0].attempts[0].failure is Failure.ADDRESS_IN_USE
    if not tried and not entries:
        return None
    holding = tuple(e for e in entries if e.state not in CLOSING)
    if entries and not holding:
        return None
    free = [trial for trial in trials if trial.attempts[0].failure is None]
    first = next((e for e in holding if e.state == "listen"), next(iter(holding), None))
    said: list[tuple[str, Note]] = [
        ("port-owner", note("fact.bind-failed", port=facts.port, errno=failed[0].attempts[0].errno or "?")),
    ]
    for entry in holding[:_NAMED]:
        held_by = owner_text(entry)
        said.append(
            ("port-owner", note("fact.port-held", where=endpoint_text(entry), state=entry.state, process=held_by))
        )
    if len(holding) > _NAMED:
        said.append(("port-owner", note("fact.port-held-more", count=len(holding) - _NAMED, port=facts.port)))
    if first is None:
        said.append(("port-owner", note("fact.holder-unseen", port=facts.port)))
    said.extend(("port-owner", note("fact.bind-works", address=t.address, port=facts.port)) for t in free)
    binding = facts.request.code == "WSAEADDRINUSE" or facts.request.target.host is None
    sure = binding and tried and not free
    return Finding(
        cause="port-in-use",
        confidence="certain" if sure else "likely",
        scope="this-machine",
        step="port-owner",
        evidence=(*said, *owners(holding), *_sharing(holding, failed)),
        values=values(port=facts.port, process=owner_text(first) if first is not None else None),
        variant="default" if first is not None and first.owners else "unknown",
    )


@rule("port-in-time-wait")
def port_in_time_wait(facts: Facts) -> Finding | None:
    """The port is held only by connections that wait for their end."""
    if facts.port is None:
        return None
    failed = in_use(facts, binds(facts))
    if not failed or _connects(facts):
        return None
    entries = in_the_way(facts, failed)
    if not entries or any(e.state not in CLOSING for e in entries):
        return None
    result = facts.get("sockets", SocketsResult, str(facts.port))
    counts = {state: sum(e.state == state for e in entries) for state in dict.fromkeys(e.state for e in entries)}
    if result is not None and result.truncated:
        counts = {state: count for state, count in result.states if state in CLOSING}
    left = max((e.time_left_s or 0.0 for e in entries), default=0.0)
    total = sum(counts.values())
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    return Finding(
        cause="port-in-time-wait",
        confidence="certain" if failed[0].attempts[0].failure is Failure.ADDRESS_IN_USE else "likely",
        scope="this-machine",
        step="port-owner",
        evidence=(
            ("port-owner", note("fact.bind-failed", port=facts.port, errno=failed[0].attempts[0].errno or "?")),
            ("port-owner", note("fact.port-closing", port=facts.port, count=total, seconds=f"{left:.0f}")),
            ("port-owner", note("fact.closing-states", port=facts.port, counters=states)),
            *owners(entries),
            *_sharing((), failed),
        ),
        values=values(port=facts.port, found=f"{states}, {left:.0f} s"),
    )


@rule("port-not-permitted")
def port_not_permitted(facts: Facts) -> Finding | None:
    """The port needs a privilege that the program may lack."""
    if facts.port is None:
        return None
    trials = binds(facts)
    failed = refused(trials, Failure.ACCESS_DENIED, Failure.NOT_PERMITTED)
    if facts.request.code == "WSAEADDRINUSE" and failed and failed[0].port < (failed[0].unprivileged_start or 0):
        return None  # whoever met that code was allowed to bind
    if failed and not _connects(facts):
        return _denied(facts, failed[0])
    # With the privilege that the failing program lacks the port can be bound, and that proves nothing for it.
    low = next((t for t in trials if t.unprivileged_start is not None and t.port < t.unprivileged_start), None)
    if facts.request.code != "WSAEACCES" or low is None or not low.may_bind_low or _connects(facts):
        return None
    if low.process_may_bind_low:
        return None
    process: Evidence = (
        (("port-owner", note("fact.process-lacks-capability", process=facts.request.pid)),)
        if low.process_may_bind_low is False
        else ()
    )
    return Finding(
        cause="port-not-permitted",
        confidence="certain" if process else "likely",
        scope="this-machine",
        step="port-owner",
        evidence=(
            ("port-owner", note("fact.port-privileged", port=low.port, start=low.unprivileged_start)),
            ("port-owner", note("fact.capability-here", port=low.port)),
            *process,
        ),
        values=values(port=low.port, expected=f"{low.unprivileged_start}-65535"),
    )


def _denied(facts: Facts, trial: BindResult) -> Finding:
    start = trial.unprivileged_start
    failed: Evidence = (
        ("port-owner", note("fact.bind-failed", port=trial.port, errno=trial.attempts[0].errno or "?")),
    )
    if start is None or trial.port >= start:
        return Finding(
            cause="port-not-permitted",
            confidence="likely",
            scope="this-machine",
            step="port-owner",
            evidence=failed,
            values=values(port=trial.port),
            variant="policy",
        )
    lacking: Evidence = () if trial.may_bind_low else (("port-owner", note("fact.capability-lacks")),)
    if trial.process_may_bind_low is True:
        # The program that failed may do it; it is this run that may not.
        also: Evidence = (("port-owner", note("fact.process-has-capability", process=facts.request.pid)),)
        return Finding(
            cause="port-not-permitted",
            confidence="possible",
            scope="this-machine",
            step="port-owner",
            evidence=(*failed, *also),
            values=values(port=trial.port, expected=f"{start}-65535"),
        )
    return Finding(
        cause="port-not-permitted",
        confidence="certain",
        scope="this-machine",
        step="port-owner",
        evidence=(
            *failed,
            ("port-owner", note("fact.port-privileged", port=trial.port, start=start)),
            *lacking,
        ),
        values=values(port=trial.port, expected=f"{start}-65535"),
    )


# -- addresses and families -------------------------------------------------------------------------------------


@rule("address-not-local")
def address_not_local(facts: Facts) -> Finding | None:
    """The address to bind is not this machine's."""
    if facts.request.code != "WSAEADDRNOTAVAIL" or facts.request.target.host is None:
        return None
    if facts.has_name and facts.unresolved():
        return None
    trials = {trial.address: trial for trial in binds(facts)}
    for address in facts.targets[:1]:
        result = facts.get("address", AddressResult, address)
        if result is None or result.local or result.kind not in (AddressKind.UNICAST, AddressKind.LINK_LOCAL):
            return None
        reach = facts.decided_reach(address)
        if reach.failure is Failure.ADDRESS_NOT_AVAILABLE:
            return None  # connecting fails with the very code: then nobody wants to bind it
        trial = trials.get(address)
        if trial is not None and trial.attempts[0].failure is not Failure.ADDRESS_NOT_AVAILABLE:
            return None
        proof: Evidence = (
            (("address-valid", note("fact.bind-foreign", address=address, errno="EADDRNOTAVAIL")),) if trial else ()
        )
        near = _near_miss(facts, address)
        confidence = "possible" if reach.reading is Reading.CONNECTED or not (facts.is_literal or near) else "likely"
        own = ", ".join(result.near[:3])
        common = {"scope": "this-machine", "step": "address-valid", "address": address}
        shown: Evidence = (("address-valid", note("fact.address-foreign", address=address, near=own or "-")), *proof)
        if near is not None:
            return Finding(
                cause="address-not-local",
                confidence=confidence,  # type: ignore[arg-type]
                evidence=(*shown, ("address-valid", note("fact.address-near", address=address, near=near))),
                values=values(address=address, found=near),
                variant="near",
                **common,  # type: ignore[arg-type]
            )
        return Finding(
            cause="address-not-local",
            confidence=confidence,  # type: ignore[arg-type]
            evidence=shown,
            values=values(address=address),
            **common,  # type: ignore[arg-type]
        )
    return None


def _near_miss(facts: Facts, address: str) -> str | None:
    """An address of ours in the same subnet: what DHCP hands out in place of the one that was configured."""
    import ipaddress  # noqa: PLC0415 - this question is rare

    wanted = ipaddress.ip_address(plain(address))
    interfaces = facts.get("interfaces", InterfacesResult)
    for found in interfaces.interfaces if interfaces is not None else ():
        for own in found.addresses if not found.loopback else ():
            if own.family != wanted.version or own.prefix == wanted.max_prefixlen:
                continue
            if wanted in ipaddress.ip_interface(f"{plain(own.address)}/{own.prefix}").network:
                return own.address
    return None


@rule("address-family-unavailable")
def address_family_unavailable(facts: Facts) -> Finding | None:
    """The address family, or a protocol of it, is not available here."""
    result = facts.get("address-family", AddressFamilyResult)
    if result is None or any(r.reading is Reading.CONNECTED for r in facts.reaches()):
        return None
    asked = _asked_families(facts)
    for family in (6, 4):
        if family not in asked:
            continue
        found = _family_fault(facts, result, family, only=asked == {family})
        if found is not None:
            return found
    if facts.request.code not in _FAMILY_CODES:
        return None
    # TCP and UDP work; what else a program may have asked for cannot be seen, only what this machine lacks.
    families = {f"AF_INET{'6' if family == 6 else ''}" for family in asked or {4, 6}}
    lacking = [c for c in result.combinations if c.errno in _NOT_OFFERED and c.family in families]
    if not lacking:
        return None
    return Finding(
        cause="address-family-unavailable",
        confidence="possible",
        scope="this-machine",
        step="address-family",
        evidence=_refusals(lacking),
        values=values(family=", ".join(dict.fromkeys(c.protocol.removeprefix("IPPROTO_") for c in lacking))),
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
        for c in combinations[:_NAMED]
    )


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
    common = {"cause": "address-family-unavailable", "scope": "this-machine", "step": "address-family"}
    # A name with both families still works over the other one, unless the code says that it was this one.
    confidence = "certain" if only else "likely" if facts.request.code in _FAMILY_CODES else "possible"
    missing: Evidence = (("address-family", note("fact.family-missing", family=name)), *_refusals(ordinary))
    if absent and not refused_by_policy:
        return Finding(
            confidence=confidence,  # type: ignore[arg-type]
            evidence=(*missing, ("address-family", note("fact.family-absent", family=name))),
            values=values(family=name),
            variant="module",
            **common,  # type: ignore[arg-type]
        )
    if ordinary and (result.ipv6_present or family == 4 or refused_by_policy):
        return Finding(
            confidence=confidence,  # type: ignore[arg-type]
            evidence=(*missing, ("address-family", note("fact.family-policy", family=name))),
            values=values(family=name),
            variant="policy",
            **common,  # type: ignore[arg-type]
        )
    if switched_off:
        return Finding(
            confidence=confidence,  # type: ignore[arg-type]
            evidence=(
                *missing,
                ("address-family", note("fact.family-disabled", path="net.ipv6.conf.all.disable_ipv6")),
                *_attempted(facts),
            ),
            values=values(family=name),
            variant="sysctl",
            **common,  # type: ignore[arg-type]
        )
    return Finding(
        confidence=confidence,  # type: ignore[arg-type]
        evidence=missing,
        values=values(family=name),
        **common,  # type: ignore[arg-type]
    )


def _attempted(facts: Facts) -> Evidence:
    focus = facts.focus
    return (("connect", describe.reach(focus, facts.port)),) if focus is not None and focus.failed else ()


# -- resources --------------------------------------------------------------------------------------------------


def exhausted_towards_target(facts: Facts) -> int | None:
    """How many outgoing ports the connections to the target hold, where that is (nearly) all of them."""
    result = facts.get("descriptors", DescriptorsResult)
    if result is None or result.ephemeral_range is None or not facts.targets:
        return None
    low, high = result.ephemeral_range
    enough = (high - low + 1) * facts.threshold("ephemeral_share")
    targets = {plain(address) for address in facts.targets}
    count = sum(
        peer.count
        for peer in result.ephemeral_busiest
        if peer.remote_port == facts.port and plain(peer.remote_address).removeprefix("::ffff:") in targets
    )
    return count if count and count >= enough else None


@rule("ephemeral-ports-exhausted")
def ephemeral_ports_exhausted(facts: Facts) -> Finding | None:
    """No free local port is left for outgoing connections, all of them or those to the target."""
    result = facts.get("descriptors", DescriptorsResult)
    if result is None or result.ephemeral_range is None or result.ephemeral_used is None:
        return None
    if any(r.reading is Reading.CONNECTED for r in facts.reaches()):
        return None
    low, high = result.ephemeral_range
    total = high - low + 1
    focus = facts.focus
    failed = focus is not None and focus.failure is Failure.ADDRESS_NOT_AVAILABLE
    towards = exhausted_towards_target(facts)
    crowded = result.ephemeral_used >= total * facts.threshold("ephemeral_share")
    about = facts.request.code in ("WSAENOBUFS", "WSAEADDRINUSE", "WSAEADDRNOTAVAIL")
    if not (failed and (towards or crowded)) and not (about and towards) and not (about and crowded and not failed):
        return None
    used = towards or result.ephemeral_used
    said: list[tuple[str, Note]] = [
        ("open-sockets", note("fact.ephemeral", used=result.ephemeral_used, total=total, low=low, high=high))
    ]
    if result.ephemeral_states:
        states = ", ".join(f"{count} {state}" for state, count in result.ephemeral_states[:_NAMED])
        said.append(("open-sockets", note("fact.ephemeral-states", counters=states)))
    for peer in result.ephemeral_busiest[:_NAMED]:
        where = f"[{peer.remote_address}]" if ":" in peer.remote_address else peer.remote_address
        held_there = f"{where}:{peer.remote_port}"
        said.append(
            ("open-sockets", note("fact.ephemeral-towards", count=peer.count, where=held_there, state=peer.state))
        )
    for one in result.ephemeral_processes[:_NAMED]:
        if one.pid is None:
            said.append(("open-sockets", note("fact.ephemeral-hidden", count=one.count)))
            continue
        process = f"{one.name or '?'} (pid {one.pid})"
        said.append(("open-sockets", note("fact.ephemeral-process", count=one.count, process=process)))
    # Ports can be shared by connections to different destinations: a full range alone fails only for bind().
    sure = failed and bool(towards or crowded)
    return Finding(
        cause="ephemeral-ports-exhausted",
        confidence="certain" if sure else "likely" if towards else "possible",
        scope="this-machine",
        step="open-sockets" if "open-sockets" in facts.request.steps else "connect",
        evidence=(*_attempted(facts), *said),
        values=values(found=f"{used}/{total}"),
    )


@rule("too-many-open-sockets")
def too_many_open_sockets(facts: Facts) -> Finding | None:
    """The process or the system has run into its descriptor limit."""
    result = facts.get("descriptors", DescriptorsResult)
    # Without buffers a process that happens to be near its limit explains nothing, unless it is the one that failed.
    about = facts.request.code == "WSAEMFILE" or (facts.request.code == "WSAENOBUFS" and facts.request.pid is not None)
    if result is None or not about:
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
                *descriptors_in_use(result),
            ),
            values=values(found=result.system_used, expected=result.system_limit),
            variant="system",
        )
    used = max(result.open_at_start or 0, result.open_at_end or 0)
    if result.open_at_start is None or result.limit is None or used < result.limit * share:
        return None
    return Finding(
        cause="too-many-open-sockets",
        # Without --pid it is the process nearest to its limit, which need not be the one that failed.
        confidence="certain" if facts.request.pid is not None else "likely",
        scope="this-machine",
        step="open-sockets",
        evidence=descriptors_in_use(result),
        values=values(process=process_text(result), found=used, expected=result.limit),
    )


def process_text(result: DescriptorsResult) -> str:
    """Return the process that was looked at, by name and number."""
    return f"{result.name or '?'} (pid {result.pid})"


def descriptors_in_use(result: DescriptorsResult) -> Evidence:
    """Use and limit, trend, what the descriptors are, and whose closed connections they keep."""
    process = process_text(result)
    said: list[tuple[str, Note]] = []
    used = max(result.open_at_start or 0, result.open_at_end or 0)
    if result.open_at_start is not None and result.limit is not None:
        said.append(("open-sockets", note("fact.descriptors", process=process, used=used, limit=result.limit)))
    if result.open_at_start is not None and result.open_at_end is not None and result.watched_s >= 0.5:
        grown = f"{result.open_at_end - result.open_at_start:+d}"
        said.append(("open-sockets", note("fact.descriptors-trend", count=grown, seconds=f"{result.watched_s:.1f}")))
    if result.sockets is not None:
        states = ", ".join(f"{count} {state}" for state, count in result.socket_states[:_NAMED]) or "-"
        said.append(("open-sockets", note("fact.descriptors-sockets", count=result.sockets, counters=states)))
    elif result.pid is not None:
        said.append(("open-sockets", note("fact.sockets-hidden", process=process)))
    said.extend(
        ("open-sockets", note("fact.close-wait", count=peer.count, address=peer.remote_address))
        for peer in result.waiting_close[:_NAMED]
    )
    said.append(("open-sockets", note("fact.descriptors-system", used=result.system_used, limit=result.system_limit)))
    return tuple(said)


@rule("buffers-exhausted")
def buffers_exhausted(facts: Facts) -> Finding | None:
    """Socket memory or system memory is used up."""
    result = facts.get("buffers", BuffersResult)
    if result is None or facts.request.code != "WSAENOBUFS":
        return None
    evidence = short_of_memory(facts, result)
    if not evidence:
        return None
    holders: list[tuple[str, Note]] = []
    for one in result.processes[:_NAMED]:
        kilobytes = one.memory >> 10
        if one.pid is None:
            holders.append(("buffers", note("fact.buffers-hidden", used=kilobytes, count=one.sockets)))
            continue
        process = f"{one.name or '?'} (pid {one.pid})"
        holders.append(("buffers", note("fact.buffers-process", process=process, used=kilobytes, count=one.sockets)))
    found = describe_memory(result)
    return Finding(
        cause="buffers-exhausted",
        confidence="likely",
        scope="this-machine",
        step="buffers",
        evidence=(*evidence, *holders),
        values=values(found=found),
    )


def pools(result: BuffersResult) -> tuple[tuple[str, int, tuple[int, int, int]], ...]:
    """Return name, pages and limits of each pool of socket memory that is under pressure (tcp(7), udp(7))."""
    known = (("TCP", result.tcp_pages, result.tcp_limits), ("UDP", result.udp_pages, result.udp_limits))
    return tuple(
        (name, pages, limits)
        for name, pages, limits in known
        if pages is not None and limits is not None and pages >= limits[1] > 0
    )


def short_of_memory(facts: Facts, result: BuffersResult) -> Evidence:
    """Say which pool of socket memory is under pressure, and whether the machine's memory is used up."""
    said: list[tuple[str, Note]] = []
    for name, pages, limits in pools(result):
        said.append(("buffers", note("fact.buffers-pool", pool=name, pages=pages, pressure=limits[1], high=limits[2])))
    if result.memory_available < result.memory_total * facts.threshold("memory_share"):
        megabytes = result.memory_available >> 20
        said.append(("buffers", note("fact.buffers-memory", available=megabytes, total=result.memory_total >> 20)))
    if said and result.orphans and result.orphan_limit:
        said.append(("buffers", note("fact.orphans", count=result.orphans, limit=result.orphan_limit)))
    return tuple(said)


def describe_memory(result: BuffersResult) -> str:
    """Return the scarcest memory as a figure: ``TCP 575900/575802`` pages, or MiB of the machine."""
    pressed = pools(result)
    if pressed:
        name, pages, limits = pressed[0]
        return f"{name} {pages}/{limits[2]}"
    return f"{result.memory_available >> 20}/{result.memory_total >> 20} MiB"


# -- the stack --------------------------------------------------------------------------------------------------


def _dead(result: NetworkSubsystemResult) -> list[str]:
    """Return the errors of the exchanges over IPv4's loopback that failed."""
    return [e.errno for e in result.exchanges if e.errno is not None and e.family == 4]


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
    dead = _dead(result)
    alive = any(e.errno is None for e in result.exchanges if e.family == 4)
    if not concerned or (result.loopback_up is not False and (not dead or alive)):
        return None
    found = note("fact.loopback-down") if result.loopback_up is False else note("fact.loopback-dead", errno=dead[0])
    counters: Evidence = () if result.counters else (("network-subsystem", note("fact.no-counters")),)
    # A loopback that is up and silent may be filtered; a far target does not need it at all.
    silent = result.loopback_up is not False and set(dead) <= {NO_ANSWER, "EPERM"}
    also = (("local-firewall", note("verdict.open-loopback")),) if silent else ()
    far = bool(facts.targets) and not local and facts.request.kind == "network"
    return Finding(
        cause="network-subsystem-down",
        confidence="possible" if far else "likely" if silent else "certain",
        scope="this-machine",
        step="network-subsystem" if "network-subsystem" in facts.request.steps else "interface",
        evidence=(("network-subsystem", found), *counters, *_attempted(facts)),
        values=values(found="loopback"),
        also=also,
    )
