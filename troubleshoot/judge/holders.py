"""Who holds a local port, who may bind it: ``port-*``, ``listener-on-other-address``."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from probes.base import Note, note
from probes.bind import BindResult
from probes.failure import Failure
from probes.sockets import SocketEntry, SocketsResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reading, describe, family_of, plain
from troubleshoot.facts.ports import (
    CLOSING,
    binds,
    exhausted_towards_target,
    held_by_one,
    in_the_way,
    in_use,
    listeners,
    on_windows,
    refused,
    takes,
)
from troubleshoot.intake.target import is_unspecified
from troubleshoot.judge.evidence.attempt import attempt_evidence
from troubleshoot.judge.model import NAMED, Evidence, Finding, first_step, rule, values

#: How much of a command line is shown; the report's observations hold more.
_COMMAND = 200


def owners(entries: tuple[SocketEntry, ...]) -> Evidence:
    """Say of each process that holds one of the sockets who it is, and where owners are hidden, that they are."""
    said: list[tuple[str, Note]] = []
    known = {o.pid: o for e in entries for o in e.owners}
    for owner in list(known.values())[:NAMED]:
        process = describe.process(owner.name, owner.pid)
        since = f"{datetime.fromtimestamp(owner.started, UTC):%Y-%m-%d %H:%M:%S}Z" if owner.started else "?"
        said.append(("port-owner", note("fact.owner", process=process, user=owner.user or "?", since=since)))
        if owner.command:
            words = owner.command if len(owner.command) <= _COMMAND else f"{owner.command[:_COMMAND]}…"
            said.append(("port-owner", note("fact.owner-command", process=process, command=words)))
    hidden = [e for e in entries if e.owner_hidden]
    if hidden:
        user = hidden[0].user or (f"uid {hidden[0].uid}" if hidden[0].uid is not None else "?")
        said.append(
            (
                "port-owner",
                note(
                    "fact.owner-hidden",
                    where=describe.socket_address(hidden[0]),
                    user=user,
                ),
            )
        )
    return tuple(said)


def _sharing(entries: tuple[SocketEntry, ...], trials: tuple[BindResult, ...]) -> Evidence:
    """What can be seen of IPV6_V6ONLY, SO_REUSEPORT and SO_REUSEADDR."""
    said: list[tuple[str, Note]] = []
    both = next((e for e in entries if plain(e.local_address) == "::" and e.v6_only is False), None)
    if both is not None and any(family_of(trial.address) == 4 for trial in trials):
        said.append(
            (
                "port-owner",
                note(
                    "fact.dual-stack",
                    where=describe.socket_address(both),
                    port=both.local_port,
                ),
            )
        )
    listening = [e for e in entries if e.state in ("listen", "unconnected")]
    for where, same in Counter(describe.socket_address(e) for e in listening).items():
        if same > 1:
            said.append(("port-owner", note("fact.shared-port", where=where, count=same)))
    port = trials[0].port
    for trial in trials:
        ways = {attempt.how: attempt.failure for attempt in trial.attempts}
        # A way that wanted a privilege says nothing of what the way itself would change.
        again = ways.get("reuse-address", Failure.ACCESS_DENIED)
        if again in (None, Failure.ADDRESS_IN_USE):
            key = "fact.reuse-helps" if again is None else "fact.reuse-fails"
            said.append(("port-owner", note(key, port=port)))
            break
    if entries and any(a.how == "reuse-port" and a.failure is None for trial in trials for a in trial.attempts):
        said.append(("port-owner", note("fact.reuse-port-helps", port=port)))
    for trial in trials if entries else ():
        if any(attempt.how == "v6-only" and attempt.failure is None for attempt in trial.attempts):
            said.append(("port-owner", note("fact.v6-only-helps", port=port)))
            break
    return tuple(said)


def _connects(facts: Facts) -> bool:
    """Whether the code was brought for a target that a connection now reaches: then nothing keeps it from that."""
    host = facts.request.target.host
    if host is None or "bind-port" in facts.request.about or not facts.targets:
        return False
    return any(facts.attempts.decided_reach(a).reading is Reading.CONNECTED for a in facts.targets)


@rule("port-in-use", asks=(asks.machine.port, asks.machine.listeners, asks.machine.descriptors, asks.failed.no_way_out))
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
    binding = "bind-port" in facts.request.about or facts.request.target.host is None
    sure = binding and tried and not free
    peer = describe.endpoint(first.remote_address, first.remote_port) if first and first.remote_address else None
    return Finding(
        cause="port-in-use",
        confidence="certain" if sure else "likely",
        step="port-owner",
        evidence=(*_held(facts, failed, holding, free), *owners(holding), *_sharing(holding, failed)),
        values=values(
            process=describe.holder(first) if first is not None else None,
            found=peer or (describe.socket_address(first) if first is not None else None),
        ),
        variant=(
            "unknown"
            if first is None
            else "itself"
            if (first.remote_address, first.remote_port) == (first.local_address, first.local_port)
            else "connection"
            if first.remote_port is not None
            else "systemd"
            if any(owner.name == "systemd" for owner in first.owners)
            else "elsewhere"
            if _at_one_of_all(facts, first)
            else "kernel"
            if _without_process(facts, first)
            else "default"
            if first.owners
            else "unknown"
        ),
    )


def _held(
    facts: Facts, failed: tuple[BindResult, ...], holding: tuple[SocketEntry, ...], free: list[BindResult]
) -> Evidence:
    """Say what binding came to, and where the sockets are that hold the port."""
    first = next(iter(holding), None)
    said: list[tuple[str, Note]] = [
        ("port-owner", note("fact.bind-failed", port=facts.port, errno=failed[0].attempts[0].errno or "?")),
    ]
    for entry in holding[:NAMED]:
        held_by = describe.holder(entry)
        said.append(
            (
                "port-owner",
                note(
                    "fact.port-held",
                    where=describe.socket_address(entry),
                    state=entry.state,
                    process=held_by,
                ),
            )
        )
    if len(holding) > NAMED:
        said.append(("port-owner", note("fact.port-held-more", count=len(holding) - NAMED, port=facts.port)))
    if first is None:
        said.append(("port-owner", note("fact.holder-unseen", port=facts.port)))
    said.extend(("port-owner", note("fact.bind-works", address=t.address, port=facts.port)) for t in free)
    return tuple(said)


def _at_one_of_all(facts: Facts, holder: SocketEntry) -> bool:
    """Whether all addresses were to be bound, and a process has the port at one of them."""
    host = facts.request.target.host
    everywhere = host is None or is_unspecified(host)
    return everywhere and bool(holder.owners) and not is_unspecified(holder.local_address)


def _without_process(facts: Facts, holder: SocketEntry) -> bool:
    """Whether a UDP socket of the system has no process, as far as a privileged run can tell."""
    return not holder.owners and facts.request.privileged and holder.transport == "udp" and holder.uid == 0


@rule("port-in-time-wait", asks=(asks.machine.port, asks.machine.listeners))
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
        step="port-owner",
        evidence=(
            ("port-owner", note("fact.bind-failed", port=facts.port, errno=failed[0].attempts[0].errno or "?")),
            ("port-owner", note("fact.port-closing", port=facts.port, count=total, seconds=f"{left:.0f}")),
            ("port-owner", note("fact.closing-states", port=facts.port, counters=states)),
            *owners(entries),
            *_sharing((), failed),
        ),
        values=values(found=f"{states}, {left:.0f} s"),
    )


@rule("port-not-permitted", asks=(asks.machine.port, asks.machine.listeners))
def port_not_permitted(facts: Facts) -> Finding | None:
    """The port needs a privilege that the program may lack."""
    if facts.port is None:
        return None
    trials = tuple(trial for trial in binds(facts) if trial.port)
    failed = refused(trials, Failure.ACCESS_DENIED, Failure.NOT_PERMITTED)
    if "bind-port" in facts.request.about and failed and failed[0].port < (failed[0].unprivileged_start or 0):
        return None  # whoever met that code was allowed to bind
    if failed and not _connects(facts):
        return _denied(facts, failed[0])
    # With the privilege that the failing program lacks the port can be bound, and that proves nothing for it.
    low = next((t for t in trials if t.unprivileged_start is not None and t.port < t.unprivileged_start), None)
    if "permission" not in facts.request.about or low is None or not low.may_bind_low or _connects(facts):
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
        step="port-owner",
        evidence=(
            ("port-owner", note("fact.port-privileged", port=low.port, start=low.unprivileged_start)),
            ("port-owner", note("fact.capability-here", port=low.port)),
            *process,
        ),
        values=values(port=low.port, expected=f"{low.unprivileged_start}-65535"),
    )


def _denied_by_windows(facts: Facts, trial: BindResult) -> Finding | None:
    """The port lies in a range that Windows keeps back, or is refused for a reason that cannot be seen."""
    if trial.excluded is None or held_by_one(facts, trial):
        return None
    found = describe.excluded(trial)
    kept = trial.excluded.holding(trial.port)
    span = f"{kept.first}-{kept.last}" if kept is not None else None
    sure = kept is not None and not kept.administered
    return Finding(
        cause="port-not-permitted",
        confidence="certain" if sure else "likely",
        step="port-owner",
        evidence=(
            ("port-owner", note("fact.bind-failed", port=trial.port, errno=trial.attempts[0].errno or "?")),
            ("port-owner", found),
        ),
        values=values(port=trial.port, expected=span if sure else None),
        variant="excluded" if sure else "windows",
    )


def _denied(facts: Facts, trial: BindResult) -> Finding | None:
    if on_windows(trial):
        return _denied_by_windows(facts, trial)
    start = trial.unprivileged_start
    failed: Evidence = (
        ("port-owner", note("fact.bind-failed", port=trial.port, errno=trial.attempts[0].errno or "?")),
    )
    if start is None or trial.port >= start:
        return Finding(
            cause="port-not-permitted",
            confidence="likely",
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
            step="port-owner",
            evidence=(*failed, *also),
            values=values(port=trial.port, expected=f"{start}-65535"),
        )
    # A filter of this machine's gives whoever connects there the very code as well.
    stopped = any(r.failure in (Failure.ACCESS_DENIED, Failure.NOT_PERMITTED) for r in facts.attempts.reaches())
    return Finding(
        cause="port-not-permitted",
        confidence="likely" if stopped else "certain",
        step="port-owner",
        evidence=(
            *failed,
            ("port-owner", note("fact.port-privileged", port=trial.port, start=start)),
            *lacking,
        ),
        values=values(port=trial.port, expected=f"{start}-65535"),
    )


@rule("listener-on-other-address", asks=(asks.machine.listeners,))
def listener_on_other_address(facts: Facts) -> Finding | None:
    """The target is this machine and the service listens, but on another address or family."""
    focus = facts.attempts.focus
    if focus is None or facts.port is None or not facts.machine.is_local(focus.address):
        return None
    # Where another address of the name connects, a program that stays with the first still meets its code.
    if not facts.attempts.is_the_code(focus) and not facts.attempts.blocked():
        return None
    if focus.reading not in (Reading.RESET, Reading.ICMP):
        return None
    elsewhere = listeners(facts)
    if not elsewhere or any(takes(e, focus.address, facts.link.interface(focus.address)) for e in elsewhere):
        return None  # nobody listens; or somebody does just there, and a filter refuses in its place
    found = ", ".join(dict.fromkeys(describe.socket_address(e) for e in elsewhere))
    return Finding(
        cause="listener-on-other-address",
        confidence="certain",
        step=first_step(facts, "listeners", "connect"),
        evidence=(
            ("listeners", describe.listening(elsewhere)),
            attempt_evidence(facts, focus),
        ),
        values=values(found=found),
        address=focus.address,
    )
