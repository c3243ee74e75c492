"""Read what the hosts file says of a name (hosts(5))."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import msgspec

from probes.base import MAX_FILE_BYTES, Context, Probe, sends_nothing
from probes.system import file_of_names, text_file


class HostsFileRequest(msgspec.Struct, frozen=True):
    """``name`` is compared without case and without a trailing dot."""

    name: str


class HostsEntry(msgspec.Struct, frozen=True):
    """One line that names the host: its number (from 1), the address, and all names on it."""

    line: int
    address: str
    names: tuple[str, ...]


class HostsFileResult(msgspec.Struct, frozen=True):
    """The lines of ``path`` that hold the name; ``used`` is false where nsswitch.conf leaves ``files`` out.

    ``malformed_lines`` are those that the system passes over: no address that inet_pton(3) reads, or no name.
    ``cut`` is true where the file is longer than what is read of it.
    """

    path: str
    readable: bool
    entries: tuple[HostsEntry, ...]
    malformed_lines: tuple[int, ...] = ()
    used: bool = True
    cut: bool = False


_PATH = file_of_names("hosts")
_MAX_LISTED = 64
_MAX_NAMES = 64


async def observe(
    request: HostsFileRequest,
    context: Context,
    progress: Callable[[HostsFileResult], None],  # noqa: ARG001 - one file: there is nothing in between
) -> HostsFileResult:
    """Read the file once; an unreadable or missing one is a result (``readable`` false)."""
    used = _used(context)
    cut = False
    text = text_file.read(context, _PATH)
    if text is None:
        return HostsFileResult(_PATH, False, (), (), used)
    with contextlib.suppress(OSError):
        cut = (context.root / _PATH.lstrip("/")).stat().st_size > MAX_FILE_BYTES
    wanted = _forms(request.name)
    entries: list[HostsEntry] = []
    malformed: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        address, *names = line.partition("#")[0].split() or [""]
        if not address:
            continue
        if not names or not _is_address(address):
            malformed.append(number)
        elif not wanted.isdisjoint(name.lower().removesuffix(".") for name in names):
            entries.append(HostsEntry(number, address, tuple(names[:_MAX_NAMES])))
    return HostsFileResult(_PATH, True, tuple(entries[:_MAX_LISTED]), tuple(malformed[:_MAX_LISTED]), used, cut)


def _forms(name: str) -> set[str]:
    """Return the spellings under which a hosts file may hold the name: as given, and as A-labels."""
    bare = name.lower().removesuffix(".")
    forms = {bare}
    if not bare.isascii():
        with contextlib.suppress(UnicodeError):
            forms.add(bare.encode("idna").decode("ascii"))
    return forms - {""}


def _is_address(word: str) -> bool:
    """Tell whether glibc accepts the word: inet_pton(3)'s forms alone, so no zone and no short form."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, word)
        except (OSError, ValueError):
            continue
        return True
    return False


def _used(context: Context) -> bool:
    """Tell whether the system reads the file at all; without a ``hosts`` line glibc does (nsswitch.conf(5))."""
    used = True
    for line in (text_file.read(context, "/etc/nsswitch.conf") or "").split("\n"):
        database, colon, sources = line.partition("#")[0].partition(":")
        if colon and database.strip() == "hosts":
            used = "files" in sources.split()
    return used


PROBE = Probe(
    name="hosts-file",
    request=HostsFileRequest,
    result=HostsFileResult,
    observe=observe,
    request_for=lambda target: HostsFileRequest(target.needed_host()),
    subject=lambda request: request.name,
    deadline_s=2.0,
    most_packets=sends_nothing,
)
