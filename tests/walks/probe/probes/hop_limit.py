"""Read how many hops packets of this machine start with, where a program asks for none (ip(7), ipv6(7))."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes.base import Context, NotApplicable, Probe, sends_nothing
from probes.system import need_linux


class HopLimitRequest(msgspec.Struct, frozen=True):
    """Nothing to ask for: the whole machine is read."""


class HopLimitResult(msgspec.Struct, frozen=True):
    """Hops (TTL, hop limit) of a new socket's packets, 1 to 255; ``None`` for a family that is not there."""

    ipv4: int | None
    ipv6: int | None


def _number(context: Context, path: str) -> int | None:
    try:
        return int(context.read_text(path))
    except (OSError, ValueError):
        return None


async def observe(
    request: HopLimitRequest,
    context: Context,
    progress: Callable[[HopLimitResult], None],
) -> HopLimitResult:
    """Read the settings of this network namespace; nothing is sent and no privilege needed.

    Raises :class:`NotApplicable` where the platform is not Linux, or shows neither setting.
    """
    del request, progress
    need_linux("hop-limit")
    ipv4 = _number(context, "/proc/sys/net/ipv4/ip_default_ttl")
    ipv6 = _number(context, "/proc/sys/net/ipv6/conf/default/hop_limit")
    if ipv4 is None and ipv6 is None:
        raise NotApplicable("reason.not-run")
    return HopLimitResult(ipv4, ipv6)


PROBE = Probe(
    name="hop-limit",
    request=HopLimitRequest,
    result=HopLimitResult,
    observe=observe,
    request_for=lambda _target: HopLimitRequest(),
    subject=lambda _request: "",
    deadline_s=1.0,
    most_packets=sends_nothing,
)
