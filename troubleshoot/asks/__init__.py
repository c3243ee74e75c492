"""What can be asked: which probes the facts known so far call for, by what they look at.

Steps and rules name the asks that they rest on beside ``COMMON``; the plan puts those of one request into one order.
Nothing here runs a probe or touches a network.
"""

from __future__ import annotations

from troubleshoot.asks import around, connected, failed, ftp, machine, names, path, proxied, target
from troubleshoot.asks.model import Ask, Job, whole_machine

__all__ = [
    "COMMON",
    "Ask",
    "Job",
    "around",
    "connected",
    "failed",
    "ftp",
    "machine",
    "names",
    "path",
    "proxied",
    "target",
    "whole_machine",
]

#: What every diagnosis rests on: what the target stands for, the way there, and what attempts and pings come to.
#: Counters, a proxy and a container are recorded for whoever reads the report, whatever step says a word of them.
COMMON = (
    names.named,
    machine.interfaces,
    target.kind,
    target.route,
    target.attempts,
    path.echoes,
    path.neighbour,
    path.traceroute,
    path.tcp_path,
    machine.statistics,
    machine.process,
    proxied.settings,
    proxied.way,
    proxied.container,
)
