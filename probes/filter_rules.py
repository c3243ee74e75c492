"""Tell whether this machine's own packet filter has a rule that could stop what it sends, or what it is sent."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes.base import Context, NotPermitted, Probe, ProbeTarget, sends_nothing
from probes.system import need_linux


class FilterRulesRequest(msgspec.Struct, frozen=True):
    """Nothing is to be said: the rules of this network namespace."""


class FilterRulesResult(msgspec.Struct, frozen=True):
    """How many ``rules`` there are, and what they can do to packets of this machine's own.

    ``stopping`` counts those that may drop or refuse one, or hand it to another program, and chains that drop what no
    rule takes. ``by_user`` counts rules that look at the user or group who sends, ``by_group`` at its control group.
    ``complete`` is false where some could not be read: there are very many, or some of the older iptables.
    """

    rules: int
    stopping: int
    by_user: int
    by_group: int
    complete: bool


async def observe(
    request: FilterRulesRequest,
    context: Context,
    progress: Callable[[FilterRulesResult], None],
) -> FilterRulesResult:
    """Say what the rules come to that were read when this process could, or are read now (nft(8)).

    Raises :class:`NotPermitted` where neither could be done: the kernel tells them to CAP_NET_ADMIN alone.
    """
    del request, progress
    need_linux("filter-rules")
    from probes.system.linux import ruleset  # noqa: PLC0415 - most runs have nothing to understand

    raw = context.ruleset or ruleset.read(context)
    if raw is None:
        raise NotPermitted("reason.needs-net-admin")
    found = ruleset.understand(raw)
    return FilterRulesResult(found.rules, found.stopping, found.by_user, found.by_group, found.complete)


def _request_for(target: ProbeTarget) -> FilterRulesRequest:
    del target
    return FilterRulesRequest()


PROBE: Probe[FilterRulesRequest, FilterRulesResult] = Probe(
    name="filter-rules",
    request=FilterRulesRequest,
    result=FilterRulesResult,
    observe=observe,
    request_for=_request_for,
    subject=lambda request: "",  # noqa: ARG005 - there is one
    deadline_s=1.0,
    most_packets=sends_nothing,
)
