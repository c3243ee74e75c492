"""Read one of the system's text files, and tell a file that is not there from a process that can open none."""

from __future__ import annotations

import errno

from probes.base import Context, NotPermitted
from probes.failure import Failure, classify, errno_name

_LIMITS = frozenset({Failure.TOO_MANY_FILES, Failure.NO_BUFFERS})


def read(context: Context, path: str) -> str | None:
    """Return the file's text, ``None`` where it is missing or may not be read.

    Raises :class:`NotPermitted` (``reason.own-limit-reached``, ``reason.system-refuses``) where this process or machine
    has no descriptor or memory left, or the disk fails: then nothing is known about the file.
    """
    try:
        return context.read_text(path)
    except OSError as problem:
        if classify(problem.errno or 0) in _LIMITS:
            raise NotPermitted("reason.own-limit-reached", error=errno_name(problem.errno or 0)) from problem
        if problem.errno == errno.EIO:
            raise NotPermitted("reason.system-refuses", error=errno_name(problem.errno)) from problem
        return None
