"""Try to bind a local address and port, as the failing program would, and give it back at once."""

from __future__ import annotations

from dataclasses import dataclass

from probes.failure import Failure


@dataclass(frozen=True, slots=True)
class BindRequest:
    """``address`` is a literal of this machine or unspecified (``0.0.0.0``, ``::``)."""

    address: str
    port: int
    transport: str = "tcp"


@dataclass(frozen=True, slots=True)
class BindAttempt:
    """One way to bind: ``plain``, ``reuse-address`` or ``v6-only``; ``failure`` is ``None`` where it worked."""

    how: str
    failure: Failure | None = None
    errno: str | None = None


@dataclass(frozen=True, slots=True)
class BindResult:
    """``attempts`` in order; the first is how most programs do it.

    ``unprivileged_start`` is ``net.ipv4.ip_unprivileged_port_start``; ``may_bind_low`` whether this process has
    CAP_NET_BIND_SERVICE; ``ephemeral_range`` the ports that outgoing connections use; ``reserved`` whether
    ``ip_local_reserved_ports`` holds the port.
    """

    address: str
    port: int
    transport: str
    attempts: tuple[BindAttempt, ...]
    unprivileged_start: int | None = None
    may_bind_low: bool = False
    ephemeral_range: tuple[int, int] | None = None
    reserved: bool = False
