"""Ask for a name's addresses: the system resolver, and each configured name server by itself.

The system resolver (getaddrinfo(3)) gives the answer that programs get, hosts file and all, and may take half a
minute over it. The name servers are asked beside it, each for itself, in the way in which glibc would ask them:
the same candidate names in the same order (resolv.conf(5)), yet with waits of our own and with every detail of
the answer kept. Sockets are connected, so that a closed port shows in a millisecond and an unreachable network at
once. Sources: RFC 1035, RFC 6891 (EDNS), RFC 7766 (TCP), RFC 8914 (extended errors), resolv.conf(5).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from probes.base import Context, NotApplicable, Probe, ProbeTarget
from probes.system.blocking import in_thread
from probes.system.dns import CONTROL_NAME, SILENT, Answer, ResolverConfiguration, ServerAnswer
from probes.system.late import importing

if TYPE_CHECKING:
    from probes.system.dns.survey import Survey

__all__ = [
    "SILENT",
    "Answer",
    "ResolveRequest",
    "ResolveResult",
    "ResolverConfiguration",
    "ServerAnswer",
    "SystemAnswer",
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
    failed, ``None`` with no addresses where our own ``system_wait_s`` ended first.
    """

    addresses: tuple[str, ...]
    eai: str | None
    duration_ms: float
    finished: bool = True


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


async def observe(
    request: ResolveRequest, context: Context, progress: Callable[[ResolveResult], None]
) -> ResolveResult:
    """Ask for the name's addresses; see the module's text.

    Ends at the latest after ``system_wait_s`` or twice ``wait_s``, whichever is longer. Raises
    :class:`NotApplicable` for a name that cannot be asked for (``reason.name-…``).
    """
    with importing():
        from probes.system.dns import names, resolv_conf  # noqa: PLC0415 - the plan needs the types alone
        from probes.system.dns.survey import Survey  # noqa: PLC0415

    literal = names.literal(request.name)
    if literal is not None:
        fits = request.family in (None, 6 if ":" in literal else 4)
        return ResolveResult(request.name, request.name, True, (literal,) if fits else (), None, (), None)
    ascii_name = names.to_ascii(request.name)
    configuration = resolv_conf.read_configuration(context)
    candidates = names.candidates(ascii_name, configuration)
    types = {None: ("A", "AAAA"), 4: ("A",), 6: ("AAAA",)}[request.family]
    system: SystemAnswer | None = None

    def tell() -> None:
        progress(_result(request, ascii_name, configuration, system, survey))

    async def ask_system() -> None:
        nonlocal system
        system = await _ask_system(ascii_name, request)
        tell()

    survey = Survey(
        context, tell, servers=configuration.servers, candidates=candidates, types=types, wait_s=request.wait_s
    )
    async with asyncio.TaskGroup() as group:
        if context.root == Path("/"):
            group.create_task(ask_system())
        if candidates:
            group.create_task(survey.run())
    return _result(request, ascii_name, configuration, system, survey)


def _result(
    request: ResolveRequest,
    ascii_name: str,
    configuration: ResolverConfiguration,
    system: SystemAnswer | None,
    survey: Survey,
) -> ResolveResult:
    """Return what is known by now."""
    answers, first = survey.answers, survey.first
    addresses: tuple[str, ...] = ()
    if system is not None and system.finished:
        addresses = system.addresses
    elif first is not None:
        said = (a.addresses for a in answers if (a.server, a.name) == first)
        addresses = tuple(dict.fromkeys(address for group in said for address in group))
    return ResolveResult(
        name=request.name,
        ascii_name=ascii_name,
        literal=False,
        addresses=addresses,
        system=system,
        answers=answers,
        configuration=configuration,
        candidates=survey.candidates,
        other_name=CONTROL_NAME if survey.candidates else None,
        search_matched=first[1] if first else None,
        own_errors=tuple(survey.own_errors),
        awaited=tuple(survey.silent),
    )


async def _ask_system(ascii_name: str, request: ResolveRequest) -> SystemAnswer:
    """Ask getaddrinfo(3), in a thread that nobody waits for after ``system_wait_s``."""
    family = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}[request.family]
    # As bytes: Python would put a text through its own IDNA codec, which refuses names that glibc takes.
    name = ascii_name.encode("ascii")
    loop = asyncio.get_running_loop()
    started = loop.time()
    addresses: tuple[str, ...] = ()
    eai: str | None = None
    finished = True
    try:
        async with asyncio.timeout(request.system_wait_s):
            # SOCK_STREAM: one entry an address. No AI_ADDRCONFIG: it would hide what the name has.
            found = await in_thread(
                lambda: socket.getaddrinfo(name, None, family, socket.SOCK_STREAM), "system resolver"
            )
        addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    except TimeoutError:
        finished = False
    except socket.gaierror as problem:
        eai = _eai_name(problem.errno)
    except OSError:
        eai = "EAI_SYSTEM"
    return SystemAnswer(addresses, eai, (loop.time() - started) * 1000, finished)


def _eai_name(number: int | None) -> str:
    """Return the symbolic name of an error of getaddrinfo(3)."""
    for name in reversed(dir(socket)):  # where NONAME and NODATA are one (Windows, FreeBSD), it is the former
        if name.startswith("EAI_") and getattr(socket, name) == number:
            return name
    return f"EAI_{number}"


def _request_for(target: ProbeTarget) -> ResolveRequest:
    if target.host is None:
        raise NotApplicable("reason.no-host-given")
    return ResolveRequest(target.host, target.family)


PROBE = Probe(
    name="resolve",
    request=ResolveRequest,
    result=ResolveResult,
    observe=observe,
    request_for=_request_for,
    subject=lambda request: request.name,
    deadline_s=7.0,
    most_packets=lambda _request: _MOST_PACKETS,
)
