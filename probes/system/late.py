"""Import at the moment of use what is too heavy for those who only need a probe's types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from probes.base import NotPermitted
from probes.failure import OUT_OF_DESCRIPTORS, errno_name


@contextmanager
def importing() -> Iterator[None]:
    """Surround late imports: a process that may open no more files has met a limit of its own, not a bug of ours.

    Raises :class:`NotPermitted` (``reason.own-limit-reached``) for it.
    """
    try:
        yield
    except OSError as problem:
        name = errno_name(problem.errno or 0)
        if name not in OUT_OF_DESCRIPTORS:
            raise
        raise NotPermitted("reason.own-limit-reached", error=name) from problem
