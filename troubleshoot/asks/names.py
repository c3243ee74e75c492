"""The target's name: resolver, files, and the way to the name servers."""

from __future__ import annotations

from collections.abc import Iterator

from probes.address import AddressRequest
from probes.hosts_file import HostsFileRequest
from probes.neighbours import NeighboursRequest
from probes.ping import PingRequest
from probes.resolve import ResolveRequest
from probes.services_file import ServicesFileRequest
from probes.traceroute import TracerouteRequest
from troubleshoot.asks.model import Job, ask
from troubleshoot.facts import Facts


def _looked_up(facts: Facts) -> Iterator[Job]:
    target = facts.request.target
    if target.host is not None and facts.names.has_name:
        yield Job("resolve", target.host, ResolveRequest(target.host, facts.request.family))
        yield Job("hosts-file", target.host, HostsFileRequest(target.host))
    name = facts.request.service_name
    if target.service is not None or (name is not None and "services-file" in facts.request.steps):
        yield Job("services-file", name or "", ServicesFileRequest(target.transport, service=name))
    elif target.port is not None and "service-name" in facts.request.about:
        yield Job("services-file", "", ServicesFileRequest(target.transport, port=target.port))


def what_it_stands_for(facts: Facts) -> Iterator[Job]:
    """Name what tells what the target's name and service name stand for on this machine."""
    yield from _looked_up(facts)
    for address in facts.targets:
        yield Job("address", address, AddressRequest(address))


@ask("resolve", "hosts-file", "services-file")
def named(facts: Facts) -> Iterator[Job]:
    """The target's name and service name: what the resolver, the name servers and the local files say."""
    return _looked_up(facts)


@ask("ping", "neighbours", "traceroute")
def servers(facts: Facts) -> Iterator[Job]:
    """The name leads nowhere yet: is the way to the name servers clear, and are they there?

    Whoever has been silent for a moment is looked for while it is awaited: its neighbour's silence takes the kernel
    three seconds to establish, about as long as the resolver takes to give up; so does a router that reports it absent.
    """
    if facts.targets:
        return
    for server in facts.names.destinations:
        if server in facts.names.awaited or facts.names.server_responds(server) is False:
            yield Job("ping", server, PingRequest(server, silent_wait_s=3.2))
            route = facts.link.peek_route(server)
            if route is not None and route.on_link:
                yield Job("neighbours", server, NeighboursRequest((server,)))
            elif route is not None and route.gateway is not None:
                yield Job("traceroute", server, TracerouteRequest(server))
