"""The steps about this machine's own resources and the program: ports, descriptors, memory, families, calls."""

from __future__ import annotations

from probes.address_family import AddressFamilyResult
from probes.base import note
from probes.bind import BindResult
from probes.buffers import BuffersResult
from probes.descriptors import DescriptorsResult
from probes.failure import Failure
from probes.network_subsystem import NetworkSubsystemResult
from probes.sockets import SocketsResult
from troubleshoot import asks
from troubleshoot.facts import Facts, NotYet, bind_subject, describe, family_of, usage, winsock
from troubleshoot.facts.memory import short_of_memory
from troubleshoot.facts.ports import (
    CLOSING,
    binds,
    exhausted_towards_target,
    in_the_way,
    in_use,
    outgoing_ports,
)
from troubleshoot.report import StepStatus
from troubleshoot.steps.model import StepView, address_in_question, no_address, skipped, step, unavailable


@step("listeners", asks=(asks.machine.listeners,))
def listeners(facts: Facts) -> StepView:
    """Does a program listen on the port?"""
    if facts.port is None:
        return skipped("reason.no-port")
    address = address_in_question(facts)
    if address is None and facts.request.target.host is not None:
        return no_address(facts)
    if address is not None:
        facts.wait_for("address", address)
        if not facts.machine.is_local(address):
            return StepView(
                "unavailable", note("reason.far-listeners", host=facts.request.target.host), note("reason.far-host")
            )
    key = ("sockets", str(facts.port))
    result = facts.get("sockets", SocketsResult, str(facts.port))
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    listening = [e for e in result.entries if e.state == "listen" or result.transport == "udp"]
    if not listening:
        return StepView("failed", note("fact.not-listening", port=facts.port), None, (key,))
    full = facts.machine.full_queue(facts.port)
    if full is not None:
        fact = note("fact.queue-full", port=facts.port, queue=full.queue, limit=full.queue_limit)
        return StepView("failed", fact, None, (key,))
    first = listening[0]
    where = describe.socket_address(first)
    refused = address is not None and facts.attempts.reach(address).failed
    fact = note("fact.listening", where=where, process=describe.holder(first))
    return StepView("warning" if refused else "passed", fact, None, (key,))


@step("port-owner", asks=(asks.machine.port, asks.machine.listeners))
def port_owner(facts: Facts) -> StepView:
    """Who holds the local port, and can it be bound?"""
    trials = binds(facts)
    if facts.port is None:
        return skipped("reason.no-port")
    keys = (*(("bind", bind_subject(t.address, t.port)) for t in trials), ("sockets", str(facts.port)))
    facts.wait_for("sockets", str(facts.port))
    if not trials:
        if facts.names.has_name and not facts.targets and facts.names.resolving:
            raise NotYet("resolve")
        if facts.targets and not any(facts.machine.is_local(a) for a in facts.targets):
            return skipped("reason.not-own-address", address=facts.targets[0])
        tried = next((("bind", o.subject) for o in facts.of("bind")), ("bind", str(facts.port)))
        return unavailable(facts, "reason.not-run", tried)
    failed = [t for t in trials if t.attempts[0].failure is not None]
    if not failed:
        return _bindable(facts, trials[0], keys)
    taken = in_use(facts, trials)
    denied = failed[0].attempts[0].failure in _DENIALS
    if not taken or (denied and not in_the_way(facts, taken)):
        first = failed[0]
        if taken and first.unprivileged_start is not None:
            # The program that met the code was allowed to bind; nothing holds the port, which is all that is seen.
            fact = note("fact.port-privileged", port=first.port, start=first.unprivileged_start)
            return StepView("unavailable", fact, note("reason.needs-bind-right"), keys)
        # A family that this machine lacks cannot be bound, and does not keep the other from it.
        lacking = len(failed) < len(trials) and first.attempts[0].failure not in _DENIALS
        if lacking:
            free = next(t for t in trials if t.attempts[0].failure is None)
            return _bindable(facts, free, keys)
        if first.excluded is not None and first.excluded.ranges is not None:
            return StepView("failed", describe.excluded(first), None, keys)
        errno = first.attempts[0].errno or "?"
        why = first.excluded.reason if first.excluded is not None else None
        return StepView("failed", note("fact.bind-failed", port=first.port, errno=errno), why, keys)
    entries = in_the_way(facts, taken)
    if not entries:
        return StepView("failed", note("fact.holder-unseen", port=facts.port), None, keys)
    first_held = next((e for e in entries if e.state == "listen"), entries[0])
    fact = note(
        "fact.port-held",
        where=describe.socket_address(first_held),
        state=first_held.state,
        process=describe.holder(first_held),
    )
    if all(e.state in CLOSING for e in entries):
        left = max((e.time_left_s or 0.0 for e in entries), default=0.0)
        fact = note("fact.port-closing", port=facts.port, count=len(entries), seconds=f"{left:.0f}")
    why = note("reason.owner-hidden") if any(e.owner_hidden for e in entries) else None
    return StepView("failed", fact, why, keys)


_DENIALS = (Failure.ACCESS_DENIED, Failure.NOT_PERMITTED)


def _bindable(facts: Facts, trial: BindResult, keys: tuple[tuple[str, str], ...]) -> StepView:
    """The port can be bound; where that takes a privilege which the failing program may lack, it is odd."""
    start = trial.unprivileged_start
    if "permission" in facts.request.about and start is not None and trial.port < start:
        status: StepStatus = "passed" if trial.process_may_bind_low else "warning"
        return StepView(status, note("fact.port-privileged", port=trial.port, start=start), None, keys)
    return StepView("passed", note("fact.bind-works", address=trial.address, port=trial.port), None, keys)


@step("open-sockets", asks=(asks.machine.descriptors, asks.failed.no_way_out))
def open_sockets(facts: Facts) -> StepView:
    """How close are processes to their descriptor limit, and connections to the port range?"""
    key = ("descriptors", "")
    result = facts.get("descriptors", DescriptorsResult)
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    count = result.hidden - (1 if result.pid is not None and result.sockets is None else 0)
    why = note("reason.processes-hidden", count=count) if count > 0 else None
    if result.unlisted:
        why = note("reason.processes-unlisted")
    share = facts.threshold("descriptor_share")
    if facts.request.pid is not None and result.pid is not None and result.sockets is None:
        why = note("fact.sockets-hidden", process=describe.process(result.name, result.pid))
    ephemeral = result.ephemeral_range
    towards = exhausted_towards_target(facts)
    if ephemeral is not None and "descriptors" not in facts.request.about:
        total = outgoing_ports(result)
        used = towards or result.ephemeral_used or 0
        if used >= total * facts.threshold("ephemeral_share"):
            fact = note("fact.ephemeral", used=used, total=total, low=ephemeral[0], high=ephemeral[1])
            return StepView("failed", fact, why, (key,))
    if result.open_at_start is None or result.limit is None:
        fact = note("fact.descriptors-system", used=result.system_used, limit=result.system_limit)
        return StepView("warning" if why is not None else "passed", fact, why, (key,))
    used = max(result.open_at_start, result.open_at_end or 0)
    fact = note("fact.descriptors", process=describe.process(result.name, result.pid), used=used, limit=result.limit)
    system = result.system_used >= result.system_limit * share
    if system:
        fact = note("fact.descriptors-system", used=result.system_used, limit=result.system_limit)
    full = used >= result.limit * share or system
    unseen = result.sockets is None if facts.request.pid is not None else why is not None
    status: StepStatus = "failed" if full else "warning" if unseen else "passed"
    return StepView(status, fact, why, (key,))


@step("buffers", asks=(asks.machine.buffers,))
def buffers(facts: Facts) -> StepView:
    """Is socket memory or system memory running out?"""
    key = ("buffers", "")
    result = facts.get("buffers", BuffersResult)
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    short = short_of_memory(facts, result)
    if short:
        return StepView("failed", short[0][1], None, (key,))
    fact = note("fact.buffers-memory", available=result.memory_available >> 20, total=result.memory_total >> 20)
    if result.tcp_limits is None:
        # The pools are the whole machine's; what is left of them is not known here, so that it is not called fine.
        return StepView(
            "unavailable",
            note("fact.buffers-limits-hidden", available=result.memory_available >> 20),
            note("reason.limits-hidden"),
            (key,),
        )
    return StepView("passed", fact, None, (key,))


@step("address-family", asks=(asks.machine.families, asks.failed.no_way_out))
def address_family(facts: Facts) -> StepView:
    """Does the stack offer the families, types and protocols that programs ask for?"""
    key = ("address-family", "")
    result = facts.get("address-family", AddressFamilyResult)
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    refused_6 = any(
        c.errno is not None and c.family == "AF_INET6" and c.protocol == "IPPROTO_TCP" for c in result.combinations
    )
    if result.ipv6_disabled or refused_6:
        asked = {family_of(a) for a in facts.targets} == {6} or facts.request.family == 6
        status: StepStatus = "failed" if asked else "warning"
        return StepView(status, note("fact.family-missing", family="IPv6"), None, (key,))
    refused_4 = any(
        c.errno is not None and c.family == "AF_INET" and c.protocol == "IPPROTO_TCP" for c in result.combinations
    )
    if refused_4:
        return StepView("failed", note("fact.family-missing", family="IPv4"), None, (key,))
    works = sum(1 for c in result.combinations if c.errno is None)
    return StepView("passed", note("fact.families", works=works, tried=len(result.combinations)), None, (key,))


@step("network-subsystem", asks=(asks.machine.subsystem, asks.failed.not_even_here))
def network_subsystem(facts: Facts) -> StepView:
    """Does the stack itself work, over loopback?"""
    key = ("network-subsystem", "")
    result = facts.get("network-subsystem", NetworkSubsystemResult)
    if result is None:
        return unavailable(facts, "reason.not-run", key)
    dead = [e for e in result.exchanges if e.errno is not None]
    if result.loopback_up is False:
        return StepView("failed", note("fact.loopback-down"), None, (key,))
    library = result.winsock
    wrong = library and (winsock.refused(library) or winsock.broken(library))
    if wrong:
        return StepView("failed", wrong, None, (key,))
    if dead and all(e.errno is not None for e in result.exchanges if e.family == 4):
        return StepView("failed", note("fact.loopback-dead", errno=dead[0].errno), None, (key,))
    if not result.counters:
        return StepView("warning", note("fact.no-counters"), None, (key,))
    if any(e.family == 4 for e in dead):
        errno = next(e.errno for e in dead if e.family == 4)
        transport = next(e.transport for e in dead if e.family == 4)
        return StepView("warning", note("fact.loopback-partly", transport=transport, errno=errno), None, (key,))
    if dead:
        return StepView("warning", note("fact.family-missing", family="IPv6"), None, (key,))
    if library is not None:
        odd = winsock.foreign(library) or winsock.layers(library)
        return StepView("warning" if odd else "passed", odd or winsock.summary(library), None, (key,))
    return StepView("passed", note("fact.loopback-works", count=len(result.exchanges)), None, (key,))


@step("api-usage", asks=(asks.machine.descriptors,))
def api_usage(facts: Facts) -> StepView:
    """How did the program call the socket API?

    With ``--pid`` the state of its sockets tells; without, only its source, or a trace of its calls.
    """
    misuse = facts.request.kind == "api-misuse"
    look = note("reason.look-at-calls")
    if "state" in facts.request.about and facts.request.pid is None:
        return StepView("passed", note("fact.code-of-state", code=facts.request.code))
    if facts.request.kind == "no-network-meaning":
        return StepView("failed", note("fact.code-without-meaning", code=facts.request.code), look)
    if facts.request.pid is not None:
        key = ("descriptors", "")
        result = facts.get("descriptors", DescriptorsResult)
        if result is None:
            return unavailable(facts, "reason.not-run", key)
        if result.sockets is None:
            hidden = note("reason.process-hidden", pid=facts.request.pid)
            return StepView("unavailable", hidden, hidden, (key,))
        wrong = misuse and "state" not in facts.request.about
        fits = misuse or bool(usage.fitting(facts, result))
        return StepView(
            "failed" if wrong else "warning" if fits else "passed", usage.summary(facts, result), look, (key,)
        )
    if misuse:
        return StepView("failed", note("fact.code-from-calls", code=facts.request.code), look)
    return StepView("unavailable", look, look)
