"""Which probes the facts known so far call for: the asks of the checklist's steps and of the rules, in one order.

Pure, and asked again after every answer: it names them all, and the engine starts what is not yet started. So one probe
feeds many steps and rules, nothing runs twice, what depends on an answer starts the moment that the answer is there,
and everything else runs side by side.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from probes.address import AddressKind, AddressResult
from troubleshoot.asks import COMMON, Ask, Job, around, connected, failed, ftp, machine, names, path, proxied, target
from troubleshoot.facts import Facts
from troubleshoot.judge.model import DECLARED
from troubleshoot.steps import ASKS

#: Steps that need the target to be looked at over the network.
_NETWORK_STEPS = frozenset(
    {"connect", "ping-remote", "traceroute", "resolve-name", "check-dns", "path-mtu", "address-valid"}
)
#: The steps that try the target, or a name server, over the network.
_TRYING_STEPS = frozenset({"connect", "ping-remote", "check-dns"})


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Asks that follow each other: put ``when`` that holds, once, or for ``each`` address in turn."""

    asks: tuple[Ask, ...]
    when: Callable[[Facts], bool]
    each: Callable[[Facts], Sequence[str]] | None = None


def _about_network(facts: Facts) -> bool:
    """Whether the code has a meaning for a network at all."""
    return facts.request.kind != "no-network-meaning"


def _looked_at(facts: Facts) -> bool:
    """Whether the target is looked at. Where a port of this machine is to be bound, there is nothing to be reached."""
    request = facts.request
    if request.to_bind or not _about_network(facts) or not _NETWORK_STEPS.intersection(request.steps):
        return False
    return "bind-port" not in request.about or any(_is_far(facts, a) for a in facts.targets)


def _is_far(facts: Facts, address: str) -> bool:
    """Whether the address is another machine's (known once its kind is)."""
    result = facts.peek("address", AddressResult, address)
    return result is not None and not result.local and result.kind is not AddressKind.UNSPECIFIED


def _tried(facts: Facts) -> bool:
    """Whether packets are sent to the target."""
    steps = facts.request.steps
    nameless = not facts.targets and not facts.names.resolving
    over_network = facts.request.kind != "api-misuse" or "connect" in steps or nameless
    return _looked_at(facts) and over_network and not _TRYING_STEPS.isdisjoint(steps)


def _only_looked_at(facts: Facts) -> bool:
    return _looked_at(facts) and not _tried(facts)


def _all_addresses(facts: Facts) -> Sequence[str]:
    return (*facts.names.destinations, *facts.names.extra_targets)


def _first(facts: Facts) -> Sequence[str]:
    return target.looked_into(facts)[:1]


#: Every ask, in the order of usefulness: it decides what is still sent where the number of packets is limited.
ORDER = (
    Group(
        when=_about_network,
        asks=(
            machine.process,
            names.named,
            machine.subsystem,
            machine.families,
            machine.buffers,
            machine.queues,
            machine.descriptors,
            machine.port,
            machine.broadcast,
            machine.filter_rules,
        ),
    ),
    Group(when=_looked_at, asks=(machine.statistics, machine.interfaces, proxied.settings, proxied.container)),
    Group(when=_tried, each=_all_addresses, asks=(target.kind, target.route)),
    Group(when=_tried, asks=(names.servers, target.attempts, proxied.way)),
    Group(when=_tried, each=target.looked_into, asks=(path.echoes, path.neighbour, path.traceroute, path.tcp_path)),
    Group(when=_tried, asks=(around.routers, around.local_host)),
    Group(when=_tried, each=target.looked_into, asks=(around.beyond_router, around.subnet)),
    Group(
        when=_tried,
        each=failed.in_focus,
        asks=(failed.second_look, failed.as_ourselves, failed.no_way_out, failed.not_even_here, failed.stays_here),
    ),
    Group(
        when=_tried,
        each=failed.unanswered,
        asks=(
            failed.reset_ttl,
            failed.tcp_path_again,
            connected.flows,
            failed.drop_point,
            failed.other_route,
            failed.own_filter,
            failed.wire,
            failed.stray_ack,
            failed.link,
            failed.claims,
            failed.tunnel,
        ),
    ),
    Group(
        when=_tried,
        each=connected.answering,
        asks=(
            connected.service,
            connected.flows,
            connected.losses,
            connected.large_packets,
            connected.accepted_ttl,
            ftp.data_way,
        ),
    ),
    Group(when=_tried, asks=(machine.listeners,)),
    Group(when=_tried, each=_first, asks=(path.mtu,)),
    Group(when=_only_looked_at, each=lambda facts: facts.targets, asks=(target.kind, path.mtu_alone)),
)


def declared(steps: Iterable[str]) -> set[Ask]:
    """Return the asks that the checklist's ``steps``, the rules and every diagnosis rest on."""
    of_steps = (one for step in steps for one in ASKS[step])
    of_rules = (one for rule in DECLARED.values() for one in rule.asks)
    return {*COMMON, *of_steps, *of_rules}


@functools.lru_cache(maxsize=64)
def in_order(steps: tuple[str, ...]) -> tuple[Group, ...]:
    """Return the order without what nobody rests on. What has no place in it looks at no address, and comes last."""
    known = declared(steps)
    placed = {one for group in ORDER for one in group.asks}
    last = Group(when=_about_network, asks=tuple(sorted(known - placed, key=lambda one: one.name)))
    return (*(replace(group, asks=tuple(one for one in group.asks if one in known)) for group in ORDER), last)


class BrokenAsk(msgspec.Struct, frozen=True):
    """What stands in a request's place where an ask raised ``bug``."""

    bug: Exception


def wanted(facts: Facts) -> tuple[Job, ...]:
    """Return every job that the facts call for, in the order of their usefulness, each once."""
    found: dict[tuple[str, str], Job] = {}
    for job in _jobs(facts):
        found.setdefault(job.key, job)
    return tuple(found.values())


def _jobs(facts: Facts) -> Iterator[Job]:
    for group in in_order(facts.request.steps):
        if not group.asks or not group.when(facts):
            continue
        for given in [()] if group.each is None else [(a,) for a in group.each(facts)]:
            for one in group.asks:
                try:
                    yield from one.jobs(facts, *given)
                except Exception as bug:  # noqa: BLE001 - it harms no other: its probe is recorded as broken
                    yield Job(one.probes[0], one.name, BrokenAsk(bug))
