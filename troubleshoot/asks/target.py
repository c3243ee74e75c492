"""The target itself: what kind of address it has, and what an attempt at it comes to."""

from __future__ import annotations

from collections.abc import Iterator

from probes.address import AddressKind, AddressRequest, AddressResult
from probes.connect import ConnectRequest
from probes.datagram import DatagramRequest
from probes.route import RouteRequest
from troubleshoot.asks.model import Job, ask
from troubleshoot.facts import Facts, family_of


@ask("address")
def kind(facts: Facts, address: str) -> Iterator[Job]:  # noqa: ARG001 - whatever the target is
    """What kind of address it is, and whether it is this machine's."""
    yield Job("address", address, AddressRequest(address))


@ask("route")
def route(facts: Facts, address: str) -> Iterator[Job]:  # noqa: ARG001 - whatever the target is
    """The way that the kernel would send packets."""
    yield Job("route", address, RouteRequest(address))


@ask("connect", "datagram")
def attempts(facts: Facts) -> Iterator[Job]:
    """What a program does: to the port at each address, and at some to the port that is registered for the service."""
    port = facts.port
    if port is None or port <= 0:
        return
    tried = reachable(facts)
    for address in tried:
        yield _attempt(facts, address, port)
    for address in facts.names.extra_targets:
        if _may_be_tried(facts, address):
            yield _attempt(facts, address, port)
    registered = facts.request.service_port
    if registered is not None and registered != port:
        for address in tried[:2]:
            yield _attempt(facts, address, registered)


def reachable(facts: Facts) -> list[str]:
    """Return the target's addresses that packets can be sent to, as far as known."""
    return [a for a in facts.targets if _may_be_tried(facts, a)]


def _may_be_tried(facts: Facts, address: str) -> bool:
    """Whether packets to the address make sense (known once its kind is)."""
    result = facts.peek("address", AddressResult, address)
    if result is None or facts.request.target.port == 0:
        return False
    if "bind-port" in facts.request.about and result.local:
        return False  # the port is to be bound, and whoever has it is left alone
    never = {AddressKind.UNSPECIFIED, AddressKind.MULTICAST, AddressKind.BROADCAST, AddressKind.SUBNET_NETWORK}
    return result.kind not in never and not result.zone_missing


def _attempt(facts: Facts, address: str, port: int) -> Job:
    if facts.request.target.transport == "udp":
        return Job("datagram", f"{address} {port}", DatagramRequest(address, port, facts.request.question_hex))
    return Job("connect", f"{address} {port}", ConnectRequest(address, port))


def answered_or_quiet(facts: Facts, address: str) -> bool:
    """Whether an attempt has ended, or has been silent long enough to look around."""
    reach = facts.attempts.reach(address)
    return reach.decided or reach.heard_ms >= facts.threshold("look_around_ms")


def looked_into(facts: Facts) -> list[str]:
    """Return the addresses whose path is followed: the first of each family, and the one that fails first."""
    tried = reachable(facts)
    found: list[str] = []
    for family in (4, 6):
        found += [a for a in tried if family_of(a) == family][:1]
    found.sort(key=tried.index)
    focus = facts.attempts.focus
    if focus is not None and focus.failed and focus.address in tried and focus.address not in found:
        found.append(focus.address)
    return found
