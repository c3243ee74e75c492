"""The system resolver and the configured name servers asked side by side, and what is known of a name by then."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from probes.base import Context
from probes.resolve import ResolveRequest, ResolveResult, SystemAnswer
from probes.system import resolver
from probes.system.dns import CONTROL_NAME, ResolverConfiguration, ServerAnswer, names, resolv_conf
from probes.system.dns.survey import Survey

#: More name servers than this are not asked of those that the system passes over.
_MOST_BEYOND = 2


async def observe(
    request: ResolveRequest, context: Context, progress: Callable[[ResolveResult], None]
) -> ResolveResult:
    """Ask for the name's addresses.

    Ends at the latest after ``system_wait_s`` or twice ``wait_s``, whichever is longer. Raises
    :class:`NotApplicable` for a name that cannot be asked for (``reason.name-…``).
    """
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
        system = await _ask_system(ascii_name, request, context)
        tell()

    survey = Survey(
        context,
        tell,
        servers=configuration.servers,
        candidates=candidates,
        typed=ascii_name.removesuffix("."),
        types=types,
        wait_s=request.wait_s,
    )
    async with asyncio.TaskGroup() as group:
        if context.root == Path("/"):
            group.create_task(ask_system())
        if candidates:
            group.create_task(survey.run())
    result = _result(request, ascii_name, configuration, system, survey)
    beyond = await _ask_beyond(result, types, request.wait_s / 2, context)
    return replace(result, beyond=beyond)


async def _ask_beyond(
    result: ResolveResult, types: tuple[str, ...], wait_s: float, context: Context
) -> tuple[ServerAnswer, ...]:
    """Ask the name servers that the system passes over, where those that it asks know no address."""
    named = result.configuration.ignored if result.configuration is not None else ()
    servers = tuple(filter(resolv_conf.is_server, named))[:_MOST_BEYOND]
    if result.addresses or result.search_matched or not servers or not result.candidates:
        return ()
    typed = result.ascii_name.removesuffix(".")
    survey = Survey(
        context, lambda: None, servers=servers, candidates=(typed,), typed=typed, types=types, wait_s=wait_s
    )
    await survey.run()
    return survey.answers


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
    bare, here = ascii_name.removesuffix(".").lower(), socket.gethostname().lower()
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
        own=system is not None and bare != "localhost" and bare in (here, here.partition(".")[0]),
    )


async def _ask_system(ascii_name: str, request: ResolveRequest, context: Context) -> SystemAnswer:
    """Ask getaddrinfo(3); nobody waits for it after ``system_wait_s``."""
    family = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}[request.family]
    loop = asyncio.get_running_loop()
    started = loop.time()
    addresses: tuple[str, ...] = ()
    eai: str | None = None
    crashed: str | None = None
    finished = True
    try:
        async with asyncio.timeout(request.system_wait_s):
            # One entry an address, and no AI_ADDRCONFIG: it would hide what the name has.
            addresses = await resolver.addresses_of(ascii_name, family, context)
    except TimeoutError:
        finished = False
    except socket.gaierror as problem:
        eai = _eai_name(problem.errno)
    except OSError:
        eai = "EAI_SYSTEM"
    except resolver.ResolverCrashedError as death:
        crashed = str(death)
    return SystemAnswer(addresses, eai, (loop.time() - started) * 1000, finished, crashed)


def _eai_name(number: int | None) -> str:
    """Return the symbolic name of an error of getaddrinfo(3)."""
    for name in reversed(dir(socket)):  # where NONAME and NODATA are one (Windows, FreeBSD), it is the former
        if name.startswith("EAI_") and getattr(socket, name) == number:
            return name
    return f"EAI_{number}"
