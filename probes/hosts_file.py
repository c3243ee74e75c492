"""Read what the hosts file says of a name (hosts(5))."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostsFileRequest:
    """``name`` is compared without case and without a trailing dot."""

    name: str


@dataclass(frozen=True, slots=True)
class HostsEntry:
    """One line that names the host: its number (from 1), the address, and all names on it."""

    line: int
    address: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostsFileResult:
    """The lines of ``path`` that hold the name; ``used`` is false where nsswitch.conf leaves ``files`` out."""

    path: str
    readable: bool
    entries: tuple[HostsEntry, ...]
    malformed_lines: tuple[int, ...] = ()
    used: bool = True
