"""Read the stack's counters: resets and ICMP errors received and sent, retransmissions, listen overflows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StatisticsRequest:
    """Nothing to ask for; whoever runs it twice can subtract."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter by its kernel name, e.g. ``Tcp.OutRsts``, ``Icmp.InDestUnreachs``, ``TcpExt.ListenOverflows``."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class StatisticsResult:
    """Counters since the machine (or its network namespace) started (proc_net_snmp, proc_net_netstat)."""

    counters: tuple[Counter, ...]
