"""The way to an address: pings, the first neighbour, routers hop by hop, and how large packets fare."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from probes.mtu_hop import MtuHopRequest
from probes.neighbours import NeighboursRequest
from probes.path_mtu import PathMtuRequest
from probes.ping import PingRequest
from probes.route import RouteKind, RouteRequest, RouteResult
from probes.tcp_path import TcpPathRequest
from probes.traceroute import TracerouteRequest
from troubleshoot.asks.model import Job, ask
from troubleshoot.facts import Facts, NotYet, Reading, early_look
from troubleshoot.facts.path import OVERDUE_MS


def _followed(facts: Facts, address: str) -> RouteResult | None:
    """The route to an address whose way is looked at, ``None`` where there is nothing to follow, or not yet."""
    found = facts.link.peek_route(address)
    return found if found is not None and found.kind in (RouteKind.UNICAST, RouteKind.LOCAL) else None


@ask("ping")
def echoes(facts: Facts, address: str) -> Iterator[Job]:
    """Pings to the address; where a system's routes cannot be read, that much is left."""
    if facts.unseen("route", address) or _followed(facts, address) is not None:
        yield Job("ping", address, PingRequest(address))


def _over_network(facts: Facts, address: str) -> RouteResult | None:
    found = _followed(facts, address) if not facts.unseen("route", address) else None
    return found if found is not None and found.kind is not RouteKind.LOCAL else None


@ask("neighbours")
def neighbour(facts: Facts, address: str) -> Iterator[Job]:
    """Does an address on our own link answer at link level?"""
    found = _over_network(facts, address)
    if found is not None and found.on_link:
        yield Job("neighbours", address, NeighboursRequest((address,)))


@ask("traceroute")
def traceroute(facts: Facts, address: str) -> Iterator[Job]:
    """The routers on the way."""
    if _over_network(facts, address) is not None:
        yield Job("traceroute", address, TracerouteRequest(address))


#: So long an attempt is silent before SYNs are sent up the TTLs: where the host answers pings, where others on the way
#: answer, and where nothing was heard yet. On a slow path the answer is still to come, and the port is to see no more
#: connections than necessary.
_SILENT_MS, _SILENT_HOST_MS, _NOTHING_MS = 150.0, 1000.0, 2000.0
#: Beside its round trips, the last SYN of such a walk is waited for so long where the host has answered, seconds.
_ANSWER_S = 0.4


@ask("tcp-path")
def tcp_path(facts: Facts, address: str) -> Iterator[Job]:
    """SYNs to the port with growing TTL: how far do they get?

    Where the port accepts connections, each that gets to the host is one more: there, one that ends just before it
    shows whether anybody else accepts them, and only then the others follow.
    """
    port = facts.port if facts.request.target.transport == "tcp" else None
    if port is None or _over_network(facts, address) is None:
        return
    reach = facts.attempts.reach(address)
    if reach.reading is Reading.CONNECTED:
        yield from _accepted_before_the_host(facts, address, port)
        return
    rtt_ms = facts.path.rtt_ms(address)
    least_ms = _SILENT_MS if facts.path.alive(address) else _SILENT_HOST_MS if rtt_ms else _NOTHING_MS
    if reach.decided or reach.heard_ms >= max(least_ms, 2 * rtt_ms):
        request = TcpPathRequest(address, port)
        if facts.path.alive(address):  # its round trips are known
            request = replace(request, wait_s=min(request.wait_s, _ANSWER_S + 4 * rtt_ms / 1000))
        yield Job("tcp-path", facts.endpoint(address), request)


def _accepted_before_the_host(facts: Facts, address: str, port: int) -> Iterator[Job]:
    try:
        last = facts.hops.before_the_host(address)
        if last is None:
            return
        wait_s = (OVERDUE_MS + 4 * facts.path.rtt_ms(address)) / 1000
        one = TcpPathRequest(address, port, last, tries=2, wait_s=wait_s, first_ttl=last)
        yield Job("tcp-path", facts.endpoint(early_look(address)), one)
        if facts.hops.taken_early(address):
            yield Job("tcp-path", facts.endpoint(address), TcpPathRequest(address, port, last))
    except NotYet:
        return


@ask("path-mtu", "mtu-hop")
def mtu(facts: Facts, address: str) -> Iterator[Job]:
    """How long may packets to the address be?"""
    if "message-size" in facts.request.about:
        yield Job("path-mtu", address, PathMtuRequest(address))
        yield from shrinks(facts, address)


@ask("route", "path-mtu", "mtu-hop")
def mtu_alone(facts: Facts, address: str) -> Iterator[Job]:
    """The same where nothing else of the network is looked at."""
    if "message-size" in facts.request.about:
        yield Job("route", address, RouteRequest(address))
        yield Job("path-mtu", address, PathMtuRequest(address))
        yield from shrinks(facts, address)


def shrinks(facts: Facts, address: str) -> Iterator[Job]:
    """Ask up to which hop do packets get that do not arrive."""
    sizes, hops = facts.service.hole(address), facts.hops.distance(address)
    if sizes is None or (facts.path.peek_trace(address) is not None and not facts.hops.last_hop(address) and hops != 1):
        return
    silent = tuple(ttl for ttl in range(1, hops or 1) if facts.hops.router_at(address, ttl) is None)
    yield Job("mtu-hop", address, MtuHopRequest(address, *sizes, hops, facts.path.rtt_ms(address), silent))
