"""What a report is among many: where it was made, what it came to, and what can set it apart from others."""

from __future__ import annotations

from typing import Literal

import msgspec

from probes.base import Note
from troubleshoot.report import Confidence, Outcome

#: What the reports of one target bear together; the sentences are ``ui.merge-KIND``.
Kind = Literal[
    "works", "undecided", "alone",
    "everywhere", "one-network", "each-its-own", "name-everywhere",
    "family", "address", "time", "comes-and-goes",
    "machine", "resolver", "answers", "site", "one-point", "hop", "part", "scattered",
]  # fmt: skip


class Cell(msgspec.Struct, frozen=True):
    """One address of the target, and whether it took the connection (answered, without a port)."""

    address: str
    works: bool

    @property
    def family(self) -> str:
        """``IPv4`` or ``IPv6``."""
        return "IPv6" if ":" in self.address else "IPv4"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A report as one of many. Empty and ``None``: the report does not tell.

    ``moment`` is seconds since the epoch; ``own`` are the machine's addresses, ``source`` the one that faces the target
    and ``network`` its subnet, ``gateway`` the next router with its hardware address behind it where that was seen.
    ``servers`` are the name servers that were asked and ``resolved`` what the name came to; ``spoke`` tells that a
    server said there is nothing, rather than kept silent. ``routers`` were passed on the way, nearest first, and
    ``arrives`` tells that the target itself was reached. ``site`` and ``machine`` are told apart among the reports of
    one target. A ``redacted`` report has names and addresses of its own, which mean nothing beside others'.
    """

    label: str
    folder: str = ""
    hostname: str
    user: str | None = None
    target: str
    host: str
    port: int | None
    transport: str
    addresses: tuple[str, ...] = ()
    started: str
    moment: float
    identity: str = ""
    outcome: Outcome
    cause: str | None = None
    title: str | None = None
    confidence: Confidence = "possible"
    scope: str | None = None
    own: tuple[str, ...] = ()
    source: str = ""
    network: str = ""
    gateway: str = ""
    cells: tuple[Cell, ...] = ()
    servers: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    spoke: bool = False
    routers: tuple[str, ...] = ()
    arrives: bool = False
    redacted: bool = False
    machine: str = ""
    site: str = ""

    @property
    def fails(self) -> bool:
        """Whether a fault was found."""
        return self.outcome == "fault"

    @property
    def decided(self) -> bool:
        """Whether there is a verdict that can be set against others."""
        return self.outcome != "inconclusive"

    @property
    def at_home(self) -> bool:
        """Whether the fault is the machine's or its program's own."""
        return self.fails and self.scope in ("this-machine", "application")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What the reports bear together. ``keys`` are what fails by name: sites, machines, servers, addresses.

    ``works`` are their counterparts. ``router`` is where all failing ways have passed last and no working one passes.
    ``rivals`` fit as well; ``beside`` are machines with a fault of their own, whatever else fails. ``evidence`` and
    ``settle`` (what would make it surer) are notes of ``ui.merge-…``.
    """

    kind: Kind
    outcome: Outcome = "fault"
    confidence: Confidence = "possible"
    keys: tuple[str, ...] = ()
    works: tuple[str, ...] = ()
    router: str | None = None
    rivals: tuple[Kind, ...] = ()
    beside: tuple[str, ...] = ()
    evidence: tuple[Note, ...] = ()
    settle: tuple[Note, ...] = ()
