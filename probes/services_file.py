"""Read which port the services file gives a service name (services(5)), and which name a port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from probes.base import Context, NotApplicable, Probe, ProbeTarget, sends_nothing
from probes.system import file_of_names, text_file
from probes.system.blocking import in_thread

_SYSTEM_WAIT_S = 2.0


class ServicesFileRequest(msgspec.Struct, frozen=True):
    """One of ``service`` and ``port`` is given; ``transport`` is ``tcp`` or ``udp``."""

    transport: str
    service: str | None = None
    port: int | None = None


class ServicesEntry(msgspec.Struct, frozen=True):
    """One line: its number (from 1), the official name, port, transport and aliases."""

    line: int
    name: str
    port: int
    transport: str
    aliases: tuple[str, ...]


class ServicesFileResult(msgspec.Struct, frozen=True):
    """``entries`` are the lines that match, of either transport, names compared with case (services(5)).

    ``resolved_port`` is what ``getservbyname`` returns for a service, ``resolved_name`` the official name that
    the system gives the port; both are ``None`` where it knows none. ``missing`` tells that the file is not there.
    """

    path: str
    readable: bool
    entries: tuple[ServicesEntry, ...]
    resolved_port: int | None = None
    resolved_name: str | None = None
    missing: bool = False


_PATH = file_of_names("services")
_MAX_LISTED = 64
_MAX_ALIASES = 32


async def observe(
    request: ServicesFileRequest,
    context: Context,
    progress: Callable[[ServicesFileResult], None],  # noqa: ARG001 - one file: there is nothing in between
) -> ServicesFileResult:
    """Read the file once and ask the C library; an unreadable or missing file is a result (``readable`` false)."""
    text = text_file.read(context, _PATH)
    entries = tuple(entry for entry in _parse(text or "") if _matches(entry, request))[:_MAX_LISTED]
    if context.root == Path("/") and context.files is None:
        port, name = await _ask_system(request)
    else:
        # the C library reads this machine's file, not the one below another root
        first = next((entry for entry in entries if entry.transport == request.transport), None)
        port = first.port if first and request.service is not None else None
        name = first.name if first else None
    missing = text is None and not context.path(_PATH).exists()
    return ServicesFileResult(_PATH, text is not None, entries, port, name, missing=missing)


def _parse(text: str) -> Iterator[ServicesEntry]:
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.partition("#")[0].split()
        if len(words) < 2:
            continue
        port, slash, transport = words[1].partition("/")
        if slash and port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535:
            yield ServicesEntry(number, words[0], int(port), transport, tuple(words[2 : 2 + _MAX_ALIASES]))


def _matches(entry: ServicesEntry, request: ServicesFileRequest) -> bool:
    """Tell whether the line concerns the request, of any transport: ``ftp`` in UDP alone is worth knowing."""
    if request.service is not None:
        return request.service == entry.name or request.service in entry.aliases
    return request.port == entry.port


async def _ask_system(request: ServicesFileRequest) -> tuple[int | None, str | None]:
    """Ask getservbyname(3) or getservbyport(3), which may go to a directory service: not for long."""
    try:
        async with asyncio.timeout(_SYSTEM_WAIT_S):
            return await in_thread(lambda: _system(request), "services")
    except TimeoutError:
        return None, None


def _system(request: ServicesFileRequest) -> tuple[int | None, str | None]:
    port = request.port
    try:
        if request.service is not None:
            port = socket.getservbyname(request.service, request.transport)
        name = socket.getservbyport(port, request.transport) if port is not None else None
    except (OSError, OverflowError, ValueError):  # unknown; a port beyond 65535; a null character
        return (port, None) if request.service is not None and port is not None else (None, None)
    return (port if request.service is not None else None), name


def _request_for(target: ProbeTarget) -> ServicesFileRequest:
    if target.service is None and target.port is None:
        raise NotApplicable("reason.no-service-or-port-given")
    return ServicesFileRequest(target.transport, target.service, None if target.service else target.port)


def _subject(request: ServicesFileRequest) -> str:
    return f"{request.port if request.service is None else request.service}/{request.transport}"


PROBE = Probe(
    name="services-file",
    request=ServicesFileRequest,
    result=ServicesFileResult,
    observe=observe,
    request_for=_request_for,
    subject=_subject,
    deadline_s=3.0,
    most_packets=sends_nothing,
)
