"""Reports as they are given: files, folders of them, and lines of ``.jsonl``. What is no report costs one line."""

from __future__ import annotations

import os
from collections import deque

import msgspec

from troubleshoot.cli.commands.replay import bytes_of
from troubleshoot.errors import UserError
from troubleshoot.knowledge.text import Refusal
from troubleshoot.report import from_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from troubleshoot.cli.session import Session
    from troubleshoot.report import Report

_LINES = (".jsonl", ".ndjson")
_ENDINGS = (".json", *_LINES)


def files_of(given: list[str]) -> Iterator[tuple[str, str]]:
    """Yield every file with the folder that it lies in; a folder gives those that may be reports, by their names."""
    for place in given:
        if not os.path.isdir(place):
            yield place, os.path.dirname(place)
            continue
        for folder, inner, names in os.walk(place):
            inner.sort()
            for name in sorted(names):
                if os.path.splitext(name)[1].lower() in _ENDINGS and os.path.isfile(os.path.join(folder, name)):
                    yield os.path.join(folder, name), folder


def contents(given: list[str]) -> deque[tuple[str, str, bytes | Refusal]]:
    """Return every file with its folder and what it holds; a :class:`Refusal` stands for what cannot be read.

    All is read at once: before privileges are given up, with which some files may be read only.
    """
    found: deque[tuple[str, str, bytes | Refusal]] = deque()
    for file, folder in files_of(given):
        try:
            found.append((file, folder, bytes_of(file)))
        except Refusal as refusal:
            found.append((file, folder, refusal))
    return found


def reports_in(file: str, data: bytes, session: Session) -> Iterator[tuple[str, Report | Refusal]]:
    """Yield the reports of a file with their place; a :class:`Refusal` stands for what is none."""
    if not _is_lines(file, data):
        yield file, _read(data, file, session)
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            place = f"{file}:{number}"
            yield place, _read(_inner(line), place, session)


def _is_lines(file: str, data: bytes) -> bool:
    """Whether each line is a document: by the name, on standard input by a first line that ends where it began."""
    if file != "-":
        return os.path.splitext(file)[1].lower() in _LINES
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
