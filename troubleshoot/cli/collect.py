"""Reports as they are given: files, folders of them, and lines of ``.jsonl``. What is no report costs one line."""

from __future__ import annotations

import io
import os
import stat
from collections import deque

import msgspec

from troubleshoot.cli.commands.replay import MAX_REPORT_MB, bytes_of
from troubleshoot.errors import UserError
from troubleshoot.knowledge.text import Refusal
from troubleshoot.report import from_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from troubleshoot.cli.session import Session
    from troubleshoot.report import Report

    #: What a file holds, a file that is still open, or why neither is there.
    Content = bytes | BinaryIO | Refusal

_LINES = (".jsonl", ".ndjson")
_ENDINGS = (".json", *_LINES)
_LIMIT = MAX_REPORT_MB << 20


def _files_of(given: list[str], refused: Callable[[OSError], None]) -> Iterator[tuple[str, str]]:
    """Yield every file with the folder that it lies in; a folder gives those that may be reports, by their names.

    ``refused`` is told of each folder that cannot be looked into.
    """
    for place in given:
        if not os.path.isdir(place):
            yield place, os.path.dirname(place)
            continue
        for folder, inner, names in os.walk(place, onerror=refused):
            inner.sort()
            for name in sorted(names):
                file = os.path.join(folder, name)
                if _ending(name) in _ENDINGS and _may_be_read(file):
                    yield file, folder


def _may_be_read(file: str) -> bool:
    """Whether it is a file, or nobody may tell: what cannot be reached is not passed over."""
    try:
        return stat.S_ISREG(os.stat(file).st_mode)
    except OSError:
        return True


def contents(given: list[str]) -> deque[tuple[str, str, Content]]:
    """Return every file with its folder and what it holds; a :class:`Refusal` stands for what cannot be read.

    All is read or at least opened at once: before privileges are given up, with which some files may be read only.
    """
    found: deque[tuple[str, str, Content]] = deque()

    def refused(error: OSError) -> None:
        folder = str(error.filename)
        found.append((folder, folder, _unreadable(folder, error)))

    for file, folder in _files_of(given, refused):
        try:
            found.append((file, folder, _content(file)))
        except Refusal as refusal:
            found.append((file, folder, refusal))
    return found


def _content(file: str) -> Content:
    """Return what a file holds; one of many lines that is larger than a report may be stays open."""
    if _ending(file) in _LINES and os.path.isfile(file) and os.path.getsize(file) > _LIMIT:
        try:
            return open(file, "rb")
        except OSError as error:
            raise _unreadable(file, error) from None
    return bytes_of(file)


def _unreadable(file: str, error: OSError) -> Refusal:
    return Refusal("usage.replay-unreadable", file=file, reason=error.strerror or str(error))


def reports_in(file: str, data: bytes | BinaryIO, session: Session) -> Iterator[tuple[str, Report | Refusal]]:
    """Yield the reports of a file with their place; a :class:`Refusal` stands for what is none."""
    if isinstance(data, bytes) and not _is_lines(file, data):
        yield file, _read(data, file, session)
        return
    with io.BytesIO(data) if isinstance(data, bytes) else data as stream:
        for number, line in _lines(stream):
            place = f"{file}:{number}"
            if line is None:
                yield place, Refusal("usage.replay-large", file=place, megabytes=MAX_REPORT_MB)
            else:
                yield place, _read(_inner(line), place, session)


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield every line with its number, without those that hold nothing; ``None`` is one that is too long."""
    number = 0
    while line := stream.readline(_LIMIT + 1):
        number += 1
        if len(line) <= _LIMIT:
            if line.strip():
                yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(_LIMIT)
        yield number, None


def _ending(file: str) -> str:
    return os.path.splitext(file)[1].lower()


def _is_lines(file: str, data: bytes) -> bool:
    """Whether each line is a document: by the name, on standard input by a first line that ends where it began."""
    if file != "-":
        return _ending(file) in _LINES
    first, _, rest = data.strip().partition(b"\n")
    return bool(rest) and first.startswith(b"{") and first.rstrip().endswith(b"}")


def _inner(line: bytes) -> bytes:
    """Return the report that a line of ``watch --log`` holds, else the line itself."""
    try:
        held = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return line
    return bytes(held.get("report", line))


def _read(data: bytes, place: str, session: Session) -> Report | Refusal:
    try:
        return from_json(data)
    except UserError as error:
        return Refusal("usage.replay-bad", file=place, reason=session.translated(str(error)))
