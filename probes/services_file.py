"""Read which port the services file gives a service name (services(5)), and which name a port."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServicesFileRequest:
    """One of ``service`` and ``port`` is given; ``transport`` is ``tcp`` or ``udp``."""

    transport: str
    service: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class ServicesEntry:
    """One line: its number (from 1), the official name, port, transport and aliases."""

    line: int
    name: str
    port: int
    transport: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServicesFileResult:
    """``entries`` are the lines that match; ``resolved_port`` is what ``getservbyname`` returns."""

    path: str
    readable: bool
    entries: tuple[ServicesEntry, ...]
    resolved_port: int | None = None
    resolved_name: str | None = None
