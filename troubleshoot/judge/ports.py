"""Rules of this machine's ports: who holds one, who may bind it, and whether any is left to go out from."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from probes.base import Note, note
from probes.bind import BindResult
from probes.descriptors import DescriptorsResult
from probes.failure import Failure
from probes.sockets import SocketEntry, SocketsResult
from troubleshoot.facts import Facts, Reading, bind_subject, describe, family_of, plain
from troubleshoot.judge.model import NAMED, Evidence, Finding, attempted, rule, values

#: How much of a command line is shown; the report's observations hold more.
_COMMAND = 200
#: The states in which a connection only waits for its end (RFC 9293, section 3.3.2).
CLOSING = frozenset({"time-wait", "fin-wait-1", "fin-wait-2", "closing", "last-ack", "close-wait"})


def binds(facts: Facts) -> tuple[BindResult, ...]:
    """Return the trials to bind the target's port, those of each address in turn."""
    if facts.port is None and ("services-file", facts.request.target.service or "") in facts.running:
        facts.wait_for("services-file", facts.request.target.service or "")
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
        return ", ".join(describe.process(o.name, o.pid) for o in entry.owners[:3])
    if entry.uid is None:
        return "?"
    return f"{entry.user} (uid {entry.uid})" if entry.user else f"uid {entry.uid}"


def place(entry: SocketEntry) -> str:
    """Return a socket's own address and port."""
    return describe.endpoint(entry.local_address, entry.local_port)


def in_use(facts: Facts, trials: tuple[BindResult, ...]) -> tuple[BindResult, ...]:
    """Return the trials that found the port taken.

    For WSAEADDRINUSE also those that wanted a privilege: the program that met the code had it, and what holds the port
    can be seen all the same. A trial with any port (0) finds none taken: then there is none left.
    """
    trials = tuple(trial for trial in trials if trial.port)
    found = refused(trials, Failure.ADDRESS_IN_USE)
    if found:
        return found
    if facts.request.code != "WSAEADDRINUSE":
        # Windows calls access denied what another program has bound for itself alone (SO_EXCLUSIVEADDRUSE).
        return tuple(t for t in refused(trials, Failure.ACCESS_DENIED) if on_windows(t) and _held_by_one(facts, t))
    return refused(trials, Failure.ACCESS_DENIED, Failure.NOT_PERMITTED)


def on_windows(trial: BindResult) -> bool:
    """Whether Windows denied access: no other system keeps ranges of ports back."""
    return trial.excluded is not None


def _held_by_one(facts: Facts, trial: BindResult) -> bool:
    return any(clashes(e, trial.address) for e in held(facts) if e.state not in CLOSING)


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
                    where=place(hidden[0]),
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
                    where=place(both),
                    port=both.local_port,
                ),
            )
        )
    listening = [e for e in entries if e.state in ("listen", "unconnected")]
    for where, same in Counter(place(e) for e in listening).items():
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
    if host is None or facts.request.code == "WSAEADDRINUSE" or not facts.targets:
        return False
    return any(facts.attempts.decided_reach(a).reading is Reading.CONNECTED for a in facts.targets)


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
    for entry in holding[:NAMED]:
        held_by = owner_text(entry)
        said.append(
            (
                "port-owner",
                note(
                    "fact.port-held",
                    where=place(entry),
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


def _denied_by_windows(facts: Facts, trial: BindResult) -> Finding | None:
    """The port lies in a range that Windows keeps back, or is refused for a reason that cannot be seen."""
    if trial.excluded is None or _held_by_one(facts, trial):
        return None
    found = excluded(trial)
    kept = trial.excluded.holding(trial.port)
    span = f"{kept.first}-{kept.last}" if kept is not None else None
    sure = kept is not None and not kept.administered
    return Finding(
        cause="port-not-permitted",
        confidence="certain" if sure else "likely",
        scope="this-machine",
        step="port-owner",
        evidence=(
            ("port-owner", note("fact.bind-failed", port=trial.port, errno=trial.attempts[0].errno or "?")),
            ("port-owner", found),
        ),
        values=values(port=trial.port, expected=span if sure else None),
        variant="excluded" if sure else "windows",
    )


def excluded(trial: BindResult) -> Note:
    """Return what is known of the ranges that Windows keeps back, as far as this port is concerned."""
    known = trial.excluded
    if known is None or known.ranges is None:
        return note("fact.ports-unread")
    kept = known.holding(trial.port)
    if kept is None:
        return note("fact.port-not-excluded", port=trial.port, count=len(known.ranges))
    key = "fact.port-excluded-administered" if kept.administered else "fact.port-excluded"
    return note(key, port=trial.port, prefix=f"{kept.first}-{kept.last}")


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
    # A filter of this machine's gives whoever connects there the very code as well.
    stopped = any(r.failure in (Failure.ACCESS_DENIED, Failure.NOT_PERMITTED) for r in facts.attempts.reaches())
    return Finding(
        cause="port-not-permitted",
        confidence="likely" if stopped else "certain",
        scope="this-machine",
        step="port-owner",
        evidence=(
            *failed,
            ("port-owner", note("fact.port-privileged", port=trial.port, start=start)),
            *lacking,
        ),
        values=values(port=trial.port, expected=f"{start}-65535"),
    )


def outgoing_ports(result: DescriptorsResult) -> int:
    """Return how many ports the kernel picks from for outgoing connections; 0 where that is not known."""
    if result.ephemeral_range is None:
        return 0
    low, high = result.ephemeral_range
    return high - low + 1 - result.ephemeral_reserved


def exhausted_towards_target(facts: Facts) -> int | None:
    """How many outgoing ports the connections to the target hold, where that is (nearly) all of them."""
    result = facts.get("descriptors", DescriptorsResult)
    if result is None or result.ephemeral_range is None or not facts.targets:
        return None
    enough = outgoing_ports(result) * facts.threshold("ephemeral_share")
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
    if any(r.reading is Reading.CONNECTED for r in facts.attempts.reaches()):
        return None
    low, high = result.ephemeral_range
    total = outgoing_ports(result)
    focus = facts.attempts.focus
    failed = focus is not None and focus.no_port_left
    towards = exhausted_towards_target(facts)
    crowded = result.ephemeral_used >= total * facts.threshold("ephemeral_share")
    about = facts.request.code in ("WSAENOBUFS", "WSAEADDRINUSE", "WSAEADDRNOTAVAIL")
    if not (failed and (towards or crowded)) and not (about and towards) and not (about and crowded and not failed):
        return None
    used = towards or result.ephemeral_used
    said: list[tuple[str, Note]] = [
        ("open-sockets", note("fact.ephemeral", used=result.ephemeral_used, total=total, low=low, high=high))
    ]
    if result.ephemeral_reserved:
        said.append(("open-sockets", note("fact.ephemeral-reserved", count=result.ephemeral_reserved)))
    if result.ephemeral_states:
        states = ", ".join(f"{count} {state}" for state, count in result.ephemeral_states[:NAMED])
        said.append(("open-sockets", note("fact.ephemeral-states", counters=states)))
    for peer in result.ephemeral_busiest[:NAMED]:
        where = describe.endpoint(peer.remote_address, peer.remote_port)
        said.append(("open-sockets", note("fact.ephemeral-towards", count=peer.count, where=where, state=peer.state)))
    for one in result.ephemeral_processes[:NAMED]:
        if one.pid is None:
            said.append(("open-sockets", note("fact.ephemeral-hidden", count=one.count)))
            continue
        process = describe.process(one.name, one.pid)
        said.append(("open-sockets", note("fact.ephemeral-process", count=one.count, process=process)))
    # Ports can be shared by connections to different destinations: a full range alone fails only for bind().
    sure = failed and bool(towards or crowded)
    resting = sum(count for state, count in result.ephemeral_states if state == "time-wait") * 2 > used
    holder = next((p for p in result.ephemeral_processes if p.pid is not None and p.count * 2 > used), None)
    return Finding(
        cause="ephemeral-ports-exhausted",
        confidence="certain" if sure else "likely" if towards else "possible",
        scope="this-machine",
        step="open-sockets" if "open-sockets" in facts.request.steps else "connect",
        evidence=(*attempted(facts), *said),
        values=values(
            found=f"{used}/{total}", process=describe.process(holder.name, holder.pid) if holder is not None else None
        ),
        variant="time-wait" if resting else "process" if holder is not None else "default",
    )
