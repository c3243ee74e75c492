"""What lies around the target and this machine: routers, a local host, beyond the router, the target's subnet."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from probes.neighbours import NeighboursRequest
from probes.ping import PingRequest
from troubleshoot.asks.model import Job, ask
from troubleshoot.asks.target import answered_or_quiet
from troubleshoot.facts import Facts, Reading, plain


@ask("ping", "neighbours")
def routers(facts: Facts) -> Iterator[Job]:
    """Are the routers there that the packets go by way of?"""
    for router in facts.link.routers:
        yield Job("ping", router, PingRequest(router))
        yield Job("neighbours", router, NeighboursRequest((router,)))


@ask("neighbours", "ping")
def local_host(facts: Facts) -> Iterator[Job]:
    """Another host of the local network: the one that the user named, else one that the kernel has met."""
    if "ping-local-host" not in facts.request.steps:
        return
    host = facts.request.local_host or facts.link.guess_local_host()
    yield Job("neighbours", "", NeighboursRequest())
    if host is not None:
        yield Job("ping", host, PingRequest(host))


def _gateway_to(facts: Facts, address: str) -> bool:
    found = facts.link.peek_route(address)
    return found is not None and found.gateway is not None and not facts.machine.is_local(address)


@ask("ping")
def beyond_router(facts: Facts, address: str) -> Iterator[Job]:
    """The router behind the first one."""
    if "ping-beyond-router" not in facts.request.steps or not _gateway_to(facts, address):
        return
    beyond = facts.hops.router_at_by_trace(address, 2)
    if beyond is not None and plain(beyond) != plain(address):
        yield Job("ping", beyond, replace(PingRequest(beyond), silent_wait_s=1.0))


@ask("ping")
def subnet(facts: Facts, address: str) -> Iterator[Job]:
    """Other hosts of the target's subnet."""
    if not _gateway_to(facts, address):
        return
    on_checklist = "ping-remote-subnet" in facts.request.steps and answered_or_quiet(facts, address)
    if on_checklist or _silent_so_far(facts, address):
        # Reports of guesses that are absent use up what the last router may say, also of the target.
        few = facts.request.remote_neighbour is None and facts.attempts.reach(address).reading is Reading.CONNECTED
        for other in facts.path.remote_neighbours(address):
            yield Job("ping", other, PingRequest(other, count=1) if few else PingRequest(other))


def _silent_so_far(facts: Facts, address: str) -> bool:
    """Whether the target's own pings and the attempts have met silence long enough to look around it."""
    ping = facts.path.peek_ping(address)
    if ping is None or ping.received or any(e.icmp or e.failure for e in ping.echoes):
        return False
    reach = facts.attempts.reach(address)
    quiet = reach.reading in (Reading.UNDECIDED, Reading.SILENT)
    return quiet and ping.waited_ms >= facts.threshold("look_around_ms") and not facts.path.alive(address)
