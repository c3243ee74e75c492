"""Send UDP datagrams to one address and port: an answer, an ICMP refusal with its sender, or silence."""

from __future__ import annotations

from dataclasses import dataclass

from probes.failure import Failure, IcmpError


@dataclass(frozen=True, slots=True)
class DatagramRequest:
    """``payload_hex`` is what is sent (a question that the service would answer, where one is known)."""

    address: str
    port: int
    payload_hex: str = ""
    attempts: int = 3
    interval_s: float = 0.3
    wait_s: float = 1.0
    silent_wait_s: float = 3.4


@dataclass(frozen=True, slots=True)
class DatagramResult:
    """``answered`` where the service sent anything back; ``icmp`` is the first ICMP error.

    Silence of UDP proves nothing by itself. ``duration_ms`` is until the answer, the error or the end.
    """

    address: str
    port: int
    answered: bool
    sent: int
    duration_ms: float
    icmp: IcmpError | None = None
    failure: Failure | None = None
    errno: str | None = None
    reply_bytes: int = 0
