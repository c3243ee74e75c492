"""Read one of the system's text files, and tell a file that is not there from a process that can open none."""

from __future__ import annotations

import errno

from probes.base import Context, NotPermitted
from probes.failure import Failure, classify, errno_name

_LIMITS = frozenset({Failure.TOO_MANY_FILES, Failure.NO_BUFFERS})
#: What the file itself, or the way to it, answers, today and tomorrow: every program of this user meets the same.
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES})


def read(context: Context, path: str) -> str | None:
    """Return the file's text, ``None`` where it is missing or its rights do not let it be read.

    Raises :class:`NotPermitted` where this process or machine has no descriptor or memory left
    (``reason.own-limit-reached``), or does not let it be read for another reason, such as a disk that fails
    (``reason.system-refuses``): then nothing is known about the file.
    """
    try:
        return context.read_text(path)
    except OSError as problem:
        if problem.errno in _NOT_THERE:
            return None
        short = classify(problem.errno or 0) in _LIMITS
        reason = "reason.own-limit-reached" if short else "reason.system-refuses"
        raise NotPermitted(reason, error=errno_name(problem.errno or 0)) from problem
