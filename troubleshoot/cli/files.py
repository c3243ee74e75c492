"""Files that a run writes: looked at before the work begins, written whole or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from troubleshoot.knowledge.text import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

#: Where nothing can be put in the place of a file, it is written to.
_IN_PLACE = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM)


def forms_of(files: Sequence[str], option: str, known: Collection[str] = ()) -> list[tuple[str, str]]:
    """Return each file with the form that its suffix names, after a look at whether it can be written.

    Raises :class:`Refusal` for the first that does not fit; ``option`` is what the file was given to, ``known`` the
    suffixes that mean something there, where not all do.
    """
    if not files:
        return []
    from troubleshoot.render.reports import FORMS  # noqa: PLC0415 - most runs write no file

    found = []
    for file in files:
        suffix = os.path.splitext(file)[1].lower()
        form = FORMS.get(suffix)
        if form is None or suffix not in (known or FORMS):
            raise Refusal("usage.output-form", option=option, file=file, known=", ".join(known or FORMS))
        try:
            _try(file)
        except OSError as error:
            raise Refusal("usage.check-written", file=file, reason=error.strerror or str(error)) from None
        found.append((file, form))
    return found


def written(documents: Iterable[tuple[str, bytes]]) -> list[tuple[str, OSError]]:
    """Write each document to its file; returns those that could not be, after the others have been."""
    failed = []
    for file, data in documents:
        try:
            replace(file, data)
        except OSError as error:
            failed.append((file, error))
    return failed


def replace(file: str, data: bytes) -> None:
    """Write a file whole or not at all, as far as its place allows that.

    Its mode stays, and is that of the umask for a new one: a report is read by those who read the user's other files.
    A link stays, what it leads to is replaced. A pipe or a device is written to as it is, and so is a file that is a
    mount of its own, or stands in a folder that takes no others: what a CI system hands to its jobs.
    """
    if os.path.exists(file) and not os.path.isfile(file):
        _write_to(file, data)
        return
    file = os.path.realpath(file)
    beside = f"{file}.part{os.getpid()}"
    try:
        with open(os.open(beside, _ANEW, 0o666), "wb") as opened:
            opened.write(data)
        if os.path.exists(file):
            os.chmod(beside, os.stat(file).st_mode & 0o7777)
        os.replace(beside, file)
    except OSError as error:
        with suppress(OSError):
            os.unlink(beside)
        if error.errno not in _IN_PLACE:
            raise
        _write_to(file, data)


#: A file that is not there: nobody's link leads what is written elsewhere.
_ANEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def _write_to(file: str, data: bytes) -> None:
    with open(file, "wb") as opened:
        opened.write(data)


def _try(file: str) -> None:
    """Raise the error that writing the file would end in, as far as that can be told; leaves nothing behind."""
    if os.path.isdir(file):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if os.path.exists(file):
        if not os.access(file, os.W_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return
    beside = f"{os.path.realpath(file)}.part{os.getpid()}"
    os.close(os.open(beside, _ANEW, 0o666))
    os.unlink(beside)
