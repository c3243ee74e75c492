"""What a check is given and what it gives: targets with their expectations, attempts, groups, the report.

Pure data; the document that ``wsadiag check --format json`` prints (``wsadiag/check/1``) is made of it by a renderer.
"""

from __future__ import annotations

import enum

import msgspec

from troubleshoot.intake.target import Target
from troubleshoot.report import Confidence, Report


class Reading(enum.StrEnum):
    """What one attempt came to, as far as this machine's own calls tell."""

    OPEN = "open"
    REFUSED = "refused"
    #: An ICMP error, of a router or of the host.
    REJECTED = "rejected"
    SILENT = "silent"
    UNRESOLVED = "unresolved"
    #: This machine itself did not let the attempt go out.
    LOCAL = "local"


class Status(enum.StrEnum):
    """How a target stands at the end."""

    PASSED = "passed"
    FAILED = "failed"
    #: It passed, but not at once.
    FLAKY = "flaky"
    #: This machine's own environment is at fault: nothing is known of the target.
    ENVIRONMENT = "environment"
    #: It could not be found out: the run was interrupted, or this machine was too busy.
    UNDECIDED = "undecided"


class Basis(enum.StrEnum):
    """What the cause of a failed target rests on."""

    #: The whole checklist was run for it.
    DIAGNOSED = "diagnosed"
    #: What it was asked itself had the same answer as one that was diagnosed.
    ASKED = "asked"
    #: It was not asked: the ports or addresses on either side of it have that answer.
    INFERRED = "inferred"


#: Statuses of the command line, the worst first.
EXIT_STATUS = {Status.FAILED: 1, Status.ENVIRONMENT: 5, Status.UNDECIDED: 3, Status.FLAKY: 4, Status.PASSED: 0}


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that is trusted, fits ``name`` (the target's own where ``None``) and is good for ``days``."""

    name: str | None = None
    days: int = 0


class Http(msgspec.Struct, frozen=True, kw_only=True):
    """One of ``statuses`` (any below 400 where empty) as the answer to a GET of ``path``."""

    statuses: tuple[int, ...] = ()
    path: str = "/"


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What a target has to come to.

    ``connection`` is ``open``, ``refused`` or ``unreachable`` (rejected or silent). The others ask for more than that
    and go with ``open`` only: ``addresses`` are what the name has to resolve to (all of them, no other), ``greeting``
    is what the service's first line has to begin with.
    """

    connection: str = "open"
    addresses: tuple[str, ...] = ()
    greeting: str | None = None
    tls: Tls | None = None
    http: Http | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One target to be checked. Times are seconds; ``retries`` come ``backoff_s`` apart, twice as long each time.

    Without ``timeout_s`` an answer is waited for as long as the round trips of its host and network call for.
    With ``wait_s`` the target is tried again until it answers or that time is over; that is no flakiness.
    With ``show_secrets`` what the target and its service say is not masked.
    """

    target: Target
    name: str
    expect: Expectation = Expectation()
    tags: tuple[str, ...] = ()
    timeout_s: float | None = None
    retries: int = 0
    backoff_s: float = 1.0
    wait_s: float = 0.0
    show_secrets: bool = False


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a target.

    ``error`` is the errno's or the resolver's symbolic name, ``address`` the one that was tried first, ``router`` the
    sender of the ICMP error. ``met`` says whether the expectation was met, ``found`` is what was found instead, as
    ``(key, values)`` of a sentence. ``starved`` tells that this machine was too busy to find it out.
    """

    reading: Reading
    duration_ms: float
    met: bool
    address: str | None = None
    error: str | None = None
    router: str | None = None
    found: tuple[str, dict[str, str]] | None = None
    starved: bool = False


class Outcome(msgspec.Struct, kw_only=True):
    """What a target came to; filled in as the check goes on."""

    check: Check
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    status: Status = Status.UNDECIDED
    cause: str | None = None
    confidence: Confidence | None = None
    group: int | None = None
    basis: Basis | None = None

    @property
    def last(self) -> Attempt | None:
        """The last attempt."""
        return self.attempts[-1] if self.attempts else None


class Group(msgspec.Struct, kw_only=True):
    """Failures with one reason; ``report`` is the diagnosis of one of them."""

    id: int
    report: Report
    targets: int = 0

    @property
    def cause(self) -> str | None:
        """The cause that was found."""
        return self.report.verdict.cause


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole check, targets in the order given."""

    started: str
    duration_ms: float
    hostname: str
    version: str
    outcomes: tuple[Outcome, ...]
    groups: tuple[Group, ...]
    interrupted: bool = False

    def count(self, status: Status) -> int:
        """Return how many targets stand so."""
        return sum(outcome.status is status for outcome in self.outcomes)

    @property
    def exit_status(self) -> int:
        """The command line's exit status: the worst that any target stands for."""
        if self.interrupted:
            return 130
        return next((status for kind, status in EXIT_STATUS.items() if self.count(kind)), 0)
