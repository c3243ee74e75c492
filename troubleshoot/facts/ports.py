"""Local ports: what binding one came to, which sockets are in the way, and whether any is left to go out from."""

from __future__ import annotations

from probes.bind import BindResult
from probes.descriptors import DescriptorsResult
from probes.failure import Failure
from probes.sockets import SocketEntry, SocketsResult
from troubleshoot.facts import Facts, bind_subject, family_of, plain

#: The states in which a connection only waits for its end (RFC 9293, section 3.3.2).
CLOSING = frozenset({"time-wait", "fin-wait-1", "fin-wait-2", "closing", "last-ack", "close-wait"})


def port_to_bind(facts: Facts) -> int | None:
    """Return the port that is tried to bind, 0 where any will do: then it is not refused for its own sake."""
    return facts.port if facts.request.about & {"bind-port", "permission"} else 0


def binds(facts: Facts) -> tuple[BindResult, ...]:
    """Return the trials to bind the target's port, those of each address in turn."""
    if facts.port is None and ("services-file", facts.request.target.service or "") in facts.running:
        facts.wait_for("services-file", facts.request.target.service or "")
    port = port_to_bind(facts) or 0
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


def listeners(facts: Facts) -> tuple[SocketEntry, ...]:
    """Return the sockets of this machine that wait for somebody on the target's port."""
    result = facts.get("sockets", SocketsResult, str(facts.port))
    states = ("listen",) if facts.request.target.transport == "tcp" else ("unconnected", "close", "bound", "listen")
    return tuple(e for e in result.entries if e.state in states) if result is not None else ()


def takes(entry: SocketEntry, address: str, interface: str | None) -> bool:
    """Whether a listener would take a connection to ``address`` that comes in by that interface.

    A socket that is bound to an interface (``SO_BINDTODEVICE``, socket(7)) takes nothing from another. Whether ``::``
    takes IPv4 as well is only said where that could be seen.
    """
    if entry.device is not None and entry.device != interface:
        return False
    local, asked = plain(entry.local_address), plain(address)
    if local == "::":
        return family_of(address) == 6 or entry.v6_only is False
    return local.removeprefix("::ffff:") in ((asked, "0.0.0.0") if family_of(address) == 4 else (asked,))


def in_use(facts: Facts, trials: tuple[BindResult, ...]) -> tuple[BindResult, ...]:
    """Return the trials that found the port taken.

    For WSAEADDRINUSE also those that wanted a privilege: the program that met the code had it, and what holds the port
    can be seen all the same. A trial with any port (0) finds none taken: then there is none left.
    """
    trials = tuple(trial for trial in trials if trial.port)
    found = refused(trials, Failure.ADDRESS_IN_USE)
    if found:
        return found
    if "bind-port" not in facts.request.about:
        # Windows calls access denied what another program has bound for itself alone (SO_EXCLUSIVEADDRUSE).
        return tuple(t for t in refused(trials, Failure.ACCESS_DENIED) if on_windows(t) and held_by_one(facts, t))
    return refused(trials, Failure.ACCESS_DENIED, Failure.NOT_PERMITTED)


def on_windows(trial: BindResult) -> bool:
    """Whether Windows denied access: no other system keeps ranges of ports back."""
    return trial.excluded is not None


def held_by_one(facts: Facts, trial: BindResult) -> bool:
    """Whether a socket that is in use clashes with what was tried."""
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
