"""The compiled catalogue of a checkout, kept beside the user's other caches.

``$XDG_CACHE_HOME``, else ``%LOCALAPPDATA%`` or ``~/.cache``, then ``wsadiag/``; one file for each checkout. Nothing
that another user can have written is read: the folder and the file belong to this user alone, no link is followed.
Whatever is wrong with it, the TOML files are read instead, and a folder that cannot be written is nobody's business.
"""

from __future__ import annotations

import binascii
import os
import stat

from troubleshoot.errors import CatalogueError
from troubleshoot.knowledge.parts import Parts, written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from troubleshoot.knowledge.files import Folder

    class Source(Protocol):
        """Where parts of the catalogue come from."""

        def part(self, name: str) -> Any:
            """Return one part."""
            ...


_MOST_BYTES = 16 << 20
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def of_folder(folder: str) -> Source:
    """Return the catalogue in ``folder``: from the cache while it holds the same files, else from the files."""
    kept, stamp = _place(folder), _stamp(folder)
    if kept is None or not stamp:
        return _files(folder)
    try:
        found = Parts(_read(kept))
        if found.part("stamp") == stamp:
            return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # none yet, damaged, of another version, or not ours
    files = _files(folder)
    return _kept(kept, files, stamp) or files


def _files(folder: str) -> Folder:
    # What reads and checks TOML costs more than all that a light command does beside it.
    from troubleshoot.knowledge.files import Folder  # noqa: PLC0415

    return Folder(folder)


def _place(folder: str) -> str | None:
    """Return the file that belongs to ``folder``, ``None`` where no place for caches is known (an absolute path)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the XDG Base Directory Specification has such a value ignored
        base = os.environ.get("LOCALAPPDATA", "") or os.path.join(os.path.expanduser("~"), ".cache")
    name = f"catalogue-{binascii.crc32(os.fsencode(folder)):08x}"
    return os.path.join(base, "wsadiag", name) if os.path.isabs(base) else None


def _stamp(folder: str) -> list[str]:
    """Return what changes whenever a file of ``folder`` does: names, sizes, times; nothing where it cannot be read."""
    lines = [folder]
    try:
        for place in (folder, os.path.join(folder, "codes"), os.path.join(folder, "causes")):
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.endswith(".toml"):
                        status = entry.stat()
                        lines.append(f"{os.path.basename(place)}/{entry.name} {status.st_size} {status.st_mtime_ns}")
    except OSError:
        return []
    return sorted(lines)


def _read(path: str) -> bytes:
    """Return the file's content; raises ``ValueError`` where somebody else may have written it."""
    _must_be_ours(os.lstat(os.path.dirname(path)), stat.S_ISDIR)
    # Neither a link is followed nor a pipe waited for.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as opened:
        status = os.fstat(opened.fileno())
        _must_be_ours(status, stat.S_ISREG)
        if status.st_size > _MOST_BYTES:
            raise ValueError("too large")
        return opened.read(_MOST_BYTES)


def _must_be_ours(status: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    user = getattr(os, "geteuid", None)  # Windows keeps a user's folders to the user by itself
    ours = user is None or (status.st_uid == user() and not status.st_mode & _OTHERS)
    if not ours or not is_kind(status.st_mode):
        raise ValueError("somebody else's")


def _kept(path: str, files: Folder, stamp: list[str]) -> Parts | None:
    """Put the whole catalogue into the cache, in one step, and return it; one with a broken file is not kept."""
    from contextlib import suppress  # noqa: PLC0415 - no reader needs it

    draft = f"{path}.{os.getpid()}"
    try:
        _make_folder(os.path.dirname(path))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        opened = os.open(draft, flags, 0o600)
    except (OSError, ValueError):
        return None
    try:
        with open(opened, "wb") as file:
            data = written({"stamp": stamp, **{name: files.part(name) for name in files.names()}})
            file.write(data)
        os.replace(draft, path)
    except (OSError, CatalogueError):
        return None
    finally:
        with suppress(OSError):  # it has become the kept file
            os.unlink(draft)
    return Parts(data)


def _make_folder(path: str) -> None:
    """Make our folder for caches; raises ``ValueError`` in another user's home, where root may find itself."""
    base = os.path.dirname(path)
    user = getattr(os, "geteuid", None)
    if user is not None and os.stat(base if os.path.isdir(base) else os.path.dirname(base)).st_uid != user():
        raise ValueError("somebody else's")
    os.makedirs(path, mode=0o700, exist_ok=True)
    _must_be_ours(os.lstat(path), stat.S_ISDIR)
