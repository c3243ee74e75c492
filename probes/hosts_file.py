"""Read what the hosts file says of a name (hosts(5))."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterator

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


class HostsDefect(msgspec.Struct, frozen=True):
    """A line that holds the name for whoever looks at it, and not for the system; ``kind`` is why.

    ``utf-16``: the file is written in two bytes a letter; ``mark``: a byte order mark stands before the address;
    ``blank``: words are separated by a blank that is none for the C library (U+00A0 and others); ``glued``: the next
    line's address is joined to the name, because a line end is missing.
    """

    line: int
    kind: str
    address: str


class HostsFileResult(msgspec.Struct, frozen=True):
    """The lines of ``path`` that hold the name; ``used`` is false where nsswitch.conf leaves ``files`` out.

    ``malformed_lines`` are those that the system passes over: no address that inet_pton(3) reads, or no name.
    ``cut`` is true where the file is longer than what is read of it, ``forbidden`` where it is there and this user may
    not read it. ``defects`` are looked for where no line holds the name.
    """

    path: str
    readable: bool
    entries: tuple[HostsEntry, ...]
    malformed_lines: tuple[int, ...] = ()
    used: bool = True
    cut: bool = False
    forbidden: bool = False
    defects: tuple[HostsDefect, ...] = ()


_PATH = file_of_names("hosts")
_MAX_LISTED = 64
_MAX_NAMES = 64
#: What stands where bytes are no UTF-8, and blanks that the C library takes for letters.
_UNREADABLE = "\ufffd\u200b\u2060"


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
        return HostsFileResult(_PATH, False, (), (), used, forbidden=_forbidden(context))
    with contextlib.suppress(OSError):
        cut = context.path(_PATH).stat().st_size > MAX_FILE_BYTES
    wanted = _forms(request.name)
    entries: list[HostsEntry] = []
    malformed: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        address, *names = _words(line) or [""]
        if not address:
            continue
        if not names or not _is_address(address):
            malformed.append(number)
        elif not wanted.isdisjoint(name.lower().removesuffix(".") for name in names):
            entries.append(HostsEntry(number, address, tuple(names[:_MAX_NAMES])))
    return HostsFileResult(
        _PATH,
        True,
        tuple(entries[:_MAX_LISTED]),
        tuple(malformed[:_MAX_LISTED]),
        used,
        cut,
        defects=() if entries else tuple(_defects(text, wanted))[:_MAX_LISTED],
    )


def _words(line: str) -> list[str]:
    """Return the words of a line as the C library sees them: ASCII blanks alone separate."""
    return re.findall(r"[^ \t\n\v\f\r]+", line.partition("#")[0])


def _defects(text: str, wanted: set[str]) -> Iterator[HostsDefect]:
    """Find the lines that would hold the name, were the file written as hosts(5) asks."""
    wide = "\0" in text
    if wide:
        text = text.replace("\0", "").lstrip(_UNREADABLE)
    for number, line in enumerate(text.split("\n"), start=1):
        marked = line.startswith("\ufeff")
        repaired = re.sub(rf"[\s{_UNREADABLE}]+", " ", line.lstrip("\ufeff").partition("#")[0])
        address, *names = repaired.split() or [""]
        if not _is_address(address):
            continue
        if not wanted.isdisjoint(name.lower().removesuffix(".") for name in names):
            yield HostsDefect(number, "utf-16" if wide else "mark" if marked else "blank", address)
        elif any(_joined(name.lower(), wanted) for name in names):
            yield HostsDefect(number, "glued", address)


def _joined(word: str, wanted: set[str]) -> bool:
    """Tell whether an address follows the name without a blank."""
    return any(word.startswith(name) and _is_address(word.removeprefix(name)) for name in wanted)


def _forbidden(context: Context) -> bool:
    try:
        with context.path(_PATH).open("rb"):
            return False
    except PermissionError:
        return True
    except OSError:
        return False


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
