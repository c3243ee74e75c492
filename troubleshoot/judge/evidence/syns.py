"""How far the SYNs of the walk up the TTLs came."""

from __future__ import annotations

from probes.drop_point import DropPointResult
from probes.tcp_path import TcpPathResult
from troubleshoot.facts import Facts


def passed_ttl(facts: Facts, address: str, path: TcpPathResult) -> int:
    """The greatest TTL at which a router is known to have seen the port's SYNs."""
    point = facts.get("drop-point", DropPointResult, facts.endpoint(address))
    return max(path.passed_ttl, point.passed_ttl if point is not None else 0)
