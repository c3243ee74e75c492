"""The way over the proxy that the environment names, beside the direct one; and where this runs at all."""

from __future__ import annotations

from collections.abc import Iterator

from probes.container import ContainerRequest
from probes.proxy import ProxyRequest
from probes.proxy_way import subject_of
from troubleshoot.asks.model import Job, ask
from troubleshoot.facts import Facts, proxies


@ask("proxy")
def settings(facts: Facts) -> Iterator[Job]:
    """A proxy that programs here, or the failing one, are told to use."""
    request = facts.request
    yield Job("proxy", "", ProxyRequest(request.target.host, proxies.scheme(facts), facts.port, request.pid))


@ask("proxy-way")
def way(facts: Facts) -> Iterator[Job]:
    """Does the proxy lead to the target? And to its address, where it does not get to the name?"""
    if not facts.port or facts.request.target.host is None:
        return
    for one in proxies.ways(facts):
        if not one.usable:
            continue
        for wanted in (proxies.asked_for(facts, one), proxies.by_address(facts, one)):
            if wanted is not None:
                request = proxies.question(facts, one, wanted)
                yield Job("proxy-way", subject_of(request), request)


@ask("container")
def container(facts: Facts) -> Iterator[Job]:
    """Is this a container, or where the failing program runs?"""
    yield Job("container", "", ContainerRequest(facts.request.pid))
