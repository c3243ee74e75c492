"""Ask for a name's addresses: the system resolver, and each configured name server by itself.

The system resolver (getaddrinfo(3)) gives the answer that programs get, hosts file and all, and may take half a
minute over it. The name servers are asked beside it, each for itself, in the way in which glibc would ask them:
the same candidate names in the same order (resolv.conf(5)), yet with waits of our own and with every detail of
the answer kept. Sockets are connected, so that a closed port shows in a millisecond and an unreachable network at
once. Sources: RFC 1035, RFC 6891 (EDNS), RFC 7766 (TCP), RFC 8914 (extended errors), resolv.conf(5).
"""

from __future__ import annotations

import msgspec

from probes.base import Probe
from probes.system.dns import ABSENT_NAME, KNOWN_NAME, SILENT, Answer, ResolverConfiguration, ServerAnswer, Unfit
from probes.system.late import body_of

__all__ = [
    "ABSENT_NAME",
    "KNOWN_NAME",
    "SILENT",
    "Answer",
    "ResolveRequest",
    "ResolveResult",
    "ResolverConfiguration",
    "ServerAnswer",
    "SystemAnswer",
    "Unfit",
]

#: Three servers, each asked for two kinds of addresses of up to seven names of a search list, with few repetitions.
_MOST_PACKETS = 64


class ResolveRequest(msgspec.Struct, frozen=True):
    """``name`` without brackets or port; ``family`` 4 or 6 to ask for one kind of address only.

    ``wait_s`` bounds one name server's answer over UDP (one retry inside it) and again over TCP;
    ``system_wait_s`` bounds the system resolver, whose own time-outs run to half a minute.
    """

    name: str
    family: int | None = None
    wait_s: float = 1.5
    system_wait_s: float = 3.6


class SystemAnswer(msgspec.Struct, frozen=True):
    """What ``getaddrinfo`` says, in the order in which it says it.

    ``eai`` is the symbolic name (``EAI_NONAME``, ``EAI_AGAIN``, ``EAI_FAIL``, ``EAI_NODATA``, …) where it
    failed, ``None`` with no addresses where our own ``system_wait_s`` ended first, or where the C library ended the
    process that asked it: ``crashed`` is then the symbolic name of the signal (``SIGABRT``).
    """

    addresses: tuple[str, ...]
    eai: str | None
    duration_ms: float
    finished: bool = True
    crashed: str | None = None


class ResolveResult(msgspec.Struct, frozen=True):
    """Everything that was asked and answered about ``name``.

    ``literal`` is true where the name is an address already (nothing was asked). ``addresses`` are what the
    system resolver returned, or where it did not finish, what the first answering name server said.
    ``candidates`` are the full names that are tried, in order (search list, ndots), until one has addresses.
    ``other_name`` is the control name asked of each server to see whether it works at all; ``search_matched`` the
    candidate that the first answering server has addresses for. ``own_errors`` are symbolic errors of this
    process's own limits (``EMFILE``) that kept questions from being asked: they say nothing of a server.

    ``awaited`` are, while the probe runs, the servers that have been asked for 0.4 s and of which nothing was heard
    since: no word yet on whether they answer, but reason enough to look at the way to them.

    ``beyond`` are the answers of name servers that stand in the configuration and that the system passes over (the
    fourth and later ``nameserver`` lines), asked only where the others know no address. ``own`` tells that the name is
    this machine's own.

    ``system`` is ``None`` while it is awaited, and always where the context's root is not ``/``, because the C
    library cannot be pointed elsewhere. Name servers are not asked for ``localhost`` (RFC 6761, section 6.3).
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
    search_matched: str | None = None
    own_errors: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    beyond: tuple[ServerAnswer, ...] = ()
    own: bool = False


PROBE = Probe(
    name="resolve",
    request=ResolveRequest,
    result=ResolveResult,
    observe=body_of(__name__),
    request_for=lambda target: ResolveRequest(target.needed_host(), target.family),
    subject=lambda request: request.name,
    deadline_s=7.0,
    most_packets=lambda _request: _MOST_PACKETS,
)
