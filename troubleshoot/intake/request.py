"""What a diagnosis was asked, in the form that plan and judge work on."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from troubleshoot.intake.target import Target, is_unspecified, near_service, unmapped
from troubleshoot.knowledge.catalogue import Catalogue, ServiceEntry
from troubleshoot.knowledge.kinds import About, Kind, System
from troubleshoot.knowledge.model import HeldEntry
from troubleshoot.knowledge.text import fill
from troubleshoot.options import Options

#: What is said to a service to see whether long packets pass, bytes: more than the packets of an Ethernet hold.
_SAID = 1800


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The code, the target and the options, with what the catalogue says of them.

    ``about`` says what the code is about (:data:`troubleshoot.knowledge.kinds.About`), ``held`` on which sockets of a
    program a call can raise it.
    ``steps`` is the whole checklist, ``reference_steps`` those of it that the reference itself asks for.
    ``service_port`` is the registered port of the service name in the target, ``service_name`` that name or the one
    that the target's port is registered for, ``service_near`` what an unknown name may have been meant for.
    ``question_hex`` is a datagram that the service on a UDP port would answer. ``privileged`` tells whether raw
    packets can be sent, ``pid`` which process failed, ``advice_for`` for which system advice was asked
    for. ``speaks_first`` and ``tls`` tell how the service that is
    expected on the target's TCP port behaves (:class:`troubleshoot.knowledge.catalogue.ServiceEntry`): that of the
    target's scheme, else the one that is registered on the port. ``say_hex`` is what a client of it says, longer than
    one packet. ``protocol`` is its name, ``manner`` what it says and is told; ``marks`` are the expressions that tell
    protocols apart, ``openings`` what is said first to the service and (``http``) to one that is not known,
    hexadecimal; ``sibling`` is the scheme of the same protocol with TLS, or without. ``posix`` is the code's POSIX
    name, ``needs_port`` tells that only a connection to a port can bring it.
    """

    code: str
    number: int
    kind: Kind
    target: Target
    steps: tuple[str, ...]
    reference_steps: tuple[str, ...]
    posix: str | None = None
    needs_port: bool = False
    about: frozenset[About] = frozenset()
    held: tuple[HeldEntry, ...] = ()
    family: int | None = None
    pid: int | None = None
    local_host: str | None = None
    router: str | None = None
    remote_neighbour: str | None = None
    advice_for: System | None = None
    service_port: int | None = None
    service_name: str | None = None
    service_near: str | None = None
    question_hex: str = ""
    privileged: bool = False
    speaks_first: bool = False
    tls: bool = False
    say_hex: str = ""
    protocol: str | None = None
    manner: ServiceEntry | None = None
    marks: tuple[tuple[str, str], ...] = ()
    openings: tuple[tuple[str, str], ...] = ()
    sibling: str | None = None

    @property
    def to_bind(self) -> bool:
        """Whether the target is an address of this machine to bind, which nothing is to be connected to."""
        host = self.target.host
        return "bind" in self.about and (host is None or is_unspecified(host))

    @property
    def of_this_machine(self) -> bool:
        """Whether the target is a port alone that something on this machine should listen on."""
        return self.target.host is None and self.kind == "network" and not self.to_bind


def request_of(name: str, target: Target, options: Options, catalogue: Catalogue, *, privileged: bool) -> Request:
    """Build the request that plan and judge work on."""
    entry = catalogue.code(name)
    entry = catalogue.code(entry.alias_of) if entry.alias_of else entry
    checklist = catalogue.checklist(entry.name)
    service = catalogue.service(target.service, target.transport) if target.service else None
    question = service
    if target.transport == "udp" and target.port is not None:
        question = catalogue.service_on(target.port, target.transport)
    manners = service if target.port is None else catalogue.service_on(target.port, target.transport)
    if target.scheme is not None:
        manners = catalogue.service_of_scheme(target.scheme)
    manners = manners if manners is not None and manners.transport == "tcp" == target.transport else None
    return Request(
        code=entry.name,
        number=entry.number,
        kind=entry.kind,
        about=frozenset(entry.about),
        held=entry.held,
        target=target,
        steps=tuple(s.id for s in checklist),
        reference_steps=tuple(s.id for s in checklist if not s.added),
        posix=entry.posix,
        needs_port=entry.needs_port,
        family=options.family,
        pid=options.pid,
        local_host=options.local_host and unmapped(options.local_host),
        router=options.router and unmapped(options.router),
        remote_neighbour=options.remote_neighbour and unmapped(options.remote_neighbour),
        advice_for=options.advice_for,
        service_port=service.port if service is not None else None,
        service_name=target.service or _registered(target, catalogue),
        service_near=near_service(target.service, catalogue) if target.service and service is None else None,
        question_hex=question.question_hex if question is not None and target.transport == "udp" else "",
        privileged=privileged,
        speaks_first=manners is not None and manners.speaks_first,
        tls=manners is not None and manners.tls,
        say_hex=_dialogue(manners.dialogue, target) if manners is not None and manners.dialogue else "",
        protocol=_name_of(manners, catalogue),
        manner=catalogue.manner(manners) if manners is not None else None,
        marks=catalogue.marks,
        openings=tuple(_openings(manners, target, catalogue)),
        sibling=_sibling(manners, catalogue),
    )


def _registered(target: Target, catalogue: Catalogue) -> str | None:
    """Return the name of the service that the target's port is registered for."""
    entry = catalogue.service_on(target.port, target.transport) if target.port is not None else None
    if entry is None:
        return None
    return next((name for name, e in catalogue.services.items() if e == entry), None)


def _name_of(entry: ServiceEntry | None, catalogue: Catalogue) -> str | None:
    """Return the name of the protocol that a service speaks, inside TLS where it does so there."""
    if entry is None:
        return None
    return entry.speaks or next((name for name, e in catalogue.services.items() if e == entry), None)


def _sibling(entry: ServiceEntry | None, catalogue: Catalogue) -> str | None:
    """Return the scheme of the same protocol with TLS where this one is without, and the other way round."""
    if entry is None:
        return None
    spoken = _name_of(entry, catalogue)
    for name, other in catalogue.services.items():
        if spoken in (name, other.speaks) and other.tls != entry.tls and other.schemes:
            return other.schemes[0]
    return None


def _openings(entry: ServiceEntry | None, target: Target, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Give what a client says first: to the service that is expected, and to one that is not known."""
    for name, one in (("say", entry), ("get", catalogue.services.get("http"))):
        known = catalogue.manner(one) if one is not None else None
        if known is not None and (known.opening or known.opening_hex):
            host = (target.host or "").partition("%")[0]
            text = fill(known.opening, {"host": f"[{host}]" if ":" in host else host})
            yield name, known.opening_hex or text.encode().hex()


def _dialogue(text: str, target: Target) -> str:
    """Return what a client says, long enough to fill more than one packet, as hexadecimal digits."""
    host = (target.host or "").partition("%")[0]
    values = {"host": f"[{host}]" if ":" in host else host, "padding": ""}
    values["padding"] = "x" * (_SAID - len(fill(text, values).encode()))
    return fill(text, values).encode().hex()
