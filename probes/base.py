"""What every probe shares: its protocol, its context, and the record that its run leaves.

A probe observes and never judges. It takes a frozen request, sends a handful of packets or reads a few
files through its :class:`Context`, and returns a frozen, typed result. A refused connection is a result.
Where it cannot look at all it raises :class:`NotPermitted` or :class:`NotApplicable`; any other exception is
a bug of ours, recorded as ``broken`` by whoever runs the probe, and harms no other probe.
"""

from __future__ import annotations

import asyncio
import enum
import importlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from probes.budget import Budget as Budget  # noqa: PLC0414 - offered here, too
from probes.budget import Share
from probes.table import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from probes.system.linux.ruleset import RawRuleset

#: No configuration file that a probe reads is longer than this; the rest is cut off, and said so.
MAX_FILE_BYTES = 1 << 20


class Status(enum.StrEnum):
    """How a probe's run ended."""

    OBSERVED = "observed"
    NOT_PERMITTED = "not-permitted"
    NOT_APPLICABLE = "not-applicable"
    CUT_SHORT = "cut-short"
    BROKEN = "broken"


class Note(msgspec.Struct, frozen=True):
    """A sentence of the catalogue by its key, with the values that fill it.

    Facts and reasons travel as notes and become text only in a renderer, in the reader's language.
    """

    key: str
    values: tuple[tuple[str, str], ...] = ()


def note(key: str, **values: object) -> Note:
    """Build a :class:`Note`; every value is turned into its text here."""
    return Note(key, tuple((name, str(value)) for name, value in values.items()))


class CannotObserve(Exception):  # noqa: N818 - it is an outcome, not a failure
    """The probe cannot be carried out here; ``reason`` says why and what would make it possible."""

    status = Status.NOT_APPLICABLE

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.reason = note(key, **values)


class NotPermitted(CannotObserve):
    """A privilege or a kernel setting is missing."""

    status = Status.NOT_PERMITTED


class NotApplicable(CannotObserve):
    """The question makes no sense for this target or on this system."""


class Context(msgspec.Struct):
    """What a probe may reach: files below ``root``, sockets, the shared budget, a count of packets.

    Where ``most`` is given no more packets than that are sent: who asks for one more calls ``at_limit``, which ends
    the probe, and waits for that.

    ``files`` is the root directory whose ``/etc`` is read where that is another one than ``root``: a program in a mount
    namespace of its own has its own resolver configuration, while ``/proc`` and ``/sys`` tell of the whole machine.

    ``masked`` takes what other programs and people wrote, such as a command line, and returns it as a record may hold
    it: whoever runs the probes knows what a secret is. ``show_secrets`` is for a probe that knows some by itself.
    ``ruleset`` is what the packet filter held when this process could still read it.

    Probes open sockets and read files through here and never from module level, so that another network
    namespace or a recorded tree can be looked at by giving another context.
    """

    budget: Budget = msgspec.field(default_factory=Budget)
    root: Path = Path("/")
    files: Path | None = None
    packets_sent: int = 0
    most: int | None = None
    at_limit: Callable[[], None] = lambda: None
    masked: Callable[[str], str] = str
    show_secrets: bool = False
    ruleset: RawRuleset | None = None

    def share(
        self, most: int | None, at_limit: Callable[[], None], held: Callable[[bool], None] = lambda _: None
    ) -> Context:
        """Return a context with the same reach, a count of its own and its own bound.

        ``held`` is told when its user begins to wait for the shared budget, and when that is over.
        """
        return replace(self, budget=Share(self.budget, held), packets_sent=0, most=most, at_limit=at_limit)

    def may_ask(self, destination: str, ttl: int, *, end_limited: bool = False) -> bool:
        """Whether a packet to ``destination`` with this ``ttl`` may be sent to have its router report it.

        ``end_limited`` tells that the destination itself would answer with an ICMP error, too.

        False only where diagnoses side by side have just used up what that router says in a moment: its silence
        would be our own doing. Then the question is asked later or not at all.
        """
        return self.budget.may_ask(destination, ttl, end_limited=end_limited)

    def reported(self, destination: str, ttl: int | None, router: str, *, limited: bool = True) -> None:
        """Take note that ``router`` answered a packet to ``destination``, by an ICMP error or not.

        ``ttl`` is what the packet started with, ``None`` where it was to arrive.
        """
        now = asyncio.get_running_loop().time()
        if ttl is not None:
            self.budget.ledger.answered(destination, ttl, router, now, limited=limited)
        elif limited:
            self.budget.ledger.spoke(router, now)

    def unanswered(self, destination: str) -> None:
        """Take note that nothing has come back from ``destination`` so far."""
        self.budget.ledger.unanswered(destination, asyncio.get_running_loop().time())

    def crowded(self, destination: str) -> bool:
        """Whether silence about ``destination`` tells nothing: its router had others of other diagnoses to report."""
        return self.budget.crowded(destination)

    def at_end(self, destination: str, ttl: int) -> bool:
        """Whether others have found that packets with this ``ttl`` get as far as the destination."""
        return self.budget.ledger.at_end(destination, ttl)

    def path(self, path: str) -> Path:
        """Return where ``path`` (absolute, e.g. ``/etc/hosts``) is to be read."""
        above = self.root if self.files is None or not path.startswith("/etc/") else self.files
        return above / path.lstrip("/")

    def read_text(self, path: str) -> str:
        """Return the text of ``path`` (absolute, e.g. ``/etc/hosts``), at most :data:`MAX_FILE_BYTES`.

        Bytes that are not UTF-8 are replaced. Raises ``OSError`` as :func:`open` does.
        """
        from probes.system.rights import TO_LOOK, using  # noqa: PLC0415 - the seam knows this module

        with using(*TO_LOOK if path.startswith("/proc/") else ()), self.path(path).open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Open a non-blocking socket that no child process inherits."""
        from probes.system.rights import Capability, using  # noqa: PLC0415 - as above

        packets = family == getattr(socket, "AF_PACKET", None)
        raw = packets or (kind == socket.SOCK_RAW and family in (socket.AF_INET, socket.AF_INET6))
        with using(*(Capability.NET_RAW,) if raw else ()):
            opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    async def sending(self, count: int = 1) -> None:
        """Account for ``count`` packets about to be sent, waiting for the shared budget if need be."""
        if self.most is not None and self.packets_sent + count > self.most:
            self.at_limit()
            await asyncio.Event().wait()
        self.packets_sent += count
        try:
            await self.budget.packets(count)
        except asyncio.CancelledError:
            self.packets_sent -= count
            raise

    def environment(self) -> dict[str, str]:
        """Return the process's environment (a copy)."""
        return dict(os.environ)


class ProbeTarget(msgspec.Struct, frozen=True):
    """What ``wsadiag probe NAME TARGET`` points a single probe at; fields that were not given are ``None``.

    ``host`` is what the user wrote (name or address literal), ``address`` one literal address of it,
    ``family`` 4 or 6 where the user insists on one.
    """

    host: str | None = None
    address: str | None = None
    port: int | None = None
    service: str | None = None
    transport: str = "tcp"
    family: int | None = None
    pid: int | None = None

    def needed_address(self, probe: str) -> str:
        """Return the address; raises :class:`NotApplicable` for ``probe`` where there is none."""
        if self.address is None:
            raise NotApplicable("reason.needs-address", probe=probe)
        return self.address

    def needed_host(self) -> str:
        """Return the host as written; raises :class:`NotApplicable` where none was given."""
        if self.host is None:
            raise NotApplicable("reason.no-host-given")
        return self.host

    def endpoint(self, probe: str) -> tuple[str, int]:
        """Return address and port; raises :class:`NotApplicable` for ``probe`` where either is missing."""
        address = self.needed_address(probe)
        if self.port is None:
            raise NotApplicable("reason.needs-port", probe=probe)
        return address, self.port


RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)


class OfAddress(Protocol):
    """A request about an address."""

    @property
    def address(self) -> str:
        """The address literal that is looked at."""
        ...


class OfEndpoint(OfAddress, Protocol):
    """A request about a port of an address."""

    @property
    def port(self) -> int:
        """The port that is looked at."""
        ...


OfAddressT = TypeVar("OfAddressT", bound=OfAddress)
OfEndpointT = TypeVar("OfEndpointT", bound=OfEndpoint)


class Observe(Protocol[RequestT_contra, ResultT_co]):
    """The work of a probe.

    ``progress`` takes intermediate results: whoever runs the probe keeps the last one, and where the probe is
    cancelled by a deadline or by Ctrl-C that partial result is what is known.
    """

    def __call__(
        self, request: RequestT_contra, context: Context, progress: Callable[[ResultT_co], None]
    ) -> Awaitable[ResultT_co]:
        """Observe once; raises :class:`CannotObserve` where it cannot look at all."""
        ...


def sends_nothing(request: object) -> int:
    """Return 0: the bound of a probe that looks at this machine only."""
    del request
    return 0


def about_the_machine(request: object) -> str:
    """Return the subject of a probe that is about the whole machine."""
    del request
    return ""


class Probe(msgspec.Struct, Generic[RequestT, ResultT], frozen=True):
    """One entry of the table: name, types, work, and how to point it at a target by itself.

    ``deadline_s`` is the longest it may take with its default request; ``request_for`` builds a request from
    a :class:`ProbeTarget` and raises :class:`NotApplicable` where something it needs is missing.
    ``subject`` names what a request is about (an address, a name; empty for the whole machine).
    ``most_packets`` is how many packets it may send for a request at most, counted as ``Context.packets_sent`` is: a
    connection as one and each repetition of its SYN as one more, without acknowledgements and what ends it.
    """

    name: str
    request: type[RequestT]
    result: type[ResultT]
    observe: Observe[RequestT, ResultT]
    request_for: Callable[[ProbeTarget], RequestT]
    deadline_s: float
    most_packets: Callable[[RequestT], int]
    subject: Callable[[RequestT], str] = about_the_machine


def address_probe(
    name: str,
    request: type[OfAddressT],
    result: type[ResultT],
    observe: Observe[OfAddressT, ResultT],
    *,
    deadline_s: float,
    most_packets: Callable[[OfAddressT], int],
    request_for: Callable[[ProbeTarget], OfAddressT] | None = None,
) -> Probe[OfAddressT, ResultT]:
    """Return a probe that is about an address, by default with a request of that address and nothing else."""
    make: Any = request
    return Probe(
        name=name,
        request=request,
        result=result,
        observe=observe,
        request_for=request_for or (lambda target: make(target.needed_address(name))),
        deadline_s=deadline_s,
        most_packets=most_packets,
        subject=lambda asked: asked.address,
    )


def endpoint_probe(
    name: str,
    request: type[OfEndpointT],
    result: type[ResultT],
    observe: Observe[OfEndpointT, ResultT],
    *,
    deadline_s: float,
    most_packets: Callable[[OfEndpointT], int],
    request_for: Callable[[ProbeTarget], OfEndpointT] | None = None,
) -> Probe[OfEndpointT, ResultT]:
    """Return a probe that is about an address and a port, by default with a request of those and nothing else."""
    make: Any = request
    probe = address_probe(
        name,
        request,
        result,
        observe,
        deadline_s=deadline_s,
        most_packets=most_packets,
        request_for=request_for or (lambda target: make(*target.endpoint(name))),
    )
    return replace(probe, subject=lambda asked: f"{asked.address} {asked.port}")


class Observation(msgspec.Struct, Generic[ResultT], frozen=True, kw_only=True):
    """The record of one run of one probe.

    ``vantage`` names the machine whose network was looked at: ``here`` for live probes of this process.
    ``started`` is seconds since the epoch (UTC). ``result`` is present for ``observed`` and, as far as it
    got, for ``cut-short``. ``reason`` says why there is none. ``error`` carries the text of our own bug.
    """

    probe: str
    subject: str
    status: Status
    started: float
    duration_ms: float
    vantage: str = "here"
    result: ResultT | None = None
    reason: Note | None = None
    error: str | None = None


def load(name: str) -> Probe[Any, Any]:
    """Return the probe called ``name``; raises ``KeyError`` for an unknown one."""
    probe: Probe[Any, Any] = importlib.import_module(TABLE[name]).PROBE
    return probe
