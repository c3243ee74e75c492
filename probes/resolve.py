"""Ask for a name's addresses: the system resolver, and each configured name server by itself."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Answer(enum.StrEnum):
    """What one question to one name server came to."""

    ADDRESSES = "addresses"
    NO_DATA = "no-data"
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    FORMERR = "formerr"
    NOTIMP = "notimp"
    OTHER_RCODE = "other-rcode"
    NO_ANSWER = "no-answer"
    PORT_CLOSED = "port-closed"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class ResolveRequest:
    """``name`` without brackets or port; ``family`` 4 or 6 to ask for one kind of address only.

    ``wait_s`` bounds one name server's answer over UDP (one retry inside it) and again over TCP;
    ``system_wait_s`` bounds the system resolver, whose own time-outs run to half a minute.
    """

    name: str
    family: int | None = None
    wait_s: float = 1.5
    system_wait_s: float = 6.0


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """One question (``name``, ``record_type`` A or AAAA) to one name server and what came back.

    ``transport`` is ``udp``, or ``tcp`` after truncation or UDP silence. ``ttl_s`` is the least TTL of the
    answer's addresses. ``extended_error`` is RFC 8914 as ``code text``. ``icmp_sender`` names who sent the
    ICMP error behind ``port-closed`` and ``unreachable``. ``other_name`` marks the control question that only
    checks that the server works (see ``ResolveResult.other_name``).
    """

    server: str
    port: int
    name: str
    record_type: str
    transport: str
    answer: Answer
    rcode: str | None = None
    extended_error: str | None = None
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    ttl_s: int | None = None
    rtt_ms: float | None = None
    authoritative: bool = False
    other_name: bool = False


@dataclass(frozen=True, slots=True)
class SystemAnswer:
    """What ``getaddrinfo`` says, in the order in which it says it.

    ``eai`` is the symbolic name (``EAI_NONAME``, ``EAI_AGAIN``, ``EAI_FAIL``, ``EAI_NODATA``, …) where it
    failed, ``None`` with no addresses where our own ``system_wait_s`` ended first.
    """

    addresses: tuple[str, ...]
    eai: str | None
    duration_ms: float
    finished: bool = True


@dataclass(frozen=True, slots=True)
class ResolverConfiguration:
    """``/etc/resolv.conf`` and the ``hosts`` line of ``/etc/nsswitch.conf`` as they stand.

    ``servers`` are those the system would use (at most three, resolv.conf(5)); ``configured`` is ``False``
    where no ``nameserver`` line exists, ``readable`` where the file itself could be read. ``ignored`` holds
    nameserver lines beyond the third.
    """

    readable: bool
    configured: bool
    servers: tuple[str, ...]
    ignored: tuple[str, ...]
    search: tuple[str, ...]
    ndots: int
    options: tuple[str, ...]
    nsswitch_hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResolveResult:
    """Everything that was asked and answered about ``name``.

    ``literal`` is true where the name is an address already (nothing was asked). ``addresses`` are what the
    system resolver returned, or where it did not finish, what the first answering name server said.
    ``candidates`` are the full names tried, in order (search list, ndots). ``other_name`` is the control name
    asked of each server to see whether it works at all; ``search_matched`` the candidate that answered.
    """

    name: str
    ascii_name: str
    literal: bool
    addresses: tuple[str, ...]
    system: SystemAnswer | None
    answers: tuple[ServerAnswer, ...]
    configuration: ResolverConfiguration | None
    candidates: tuple[str, ...] = ()
    other_name: str | None = None
