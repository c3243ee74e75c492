"""Import at the moment of use what is too heavy for those who only need a probe's types."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from probes.base import Context, NotPermitted, Observe
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


def body_of(probe: str) -> Observe[Any, Any]:
    """Return the work of the probe in the module ``probe`` (``probes.NAME``), which lies in ``probes.bodies.NAME``.

    That module is imported when the probe first runs.
    """

    async def observe(request: Any, context: Context, progress: Callable[[Any], None]) -> Any:
        with importing():
            body = importlib.import_module(probe.replace("probes.", "probes.bodies.", 1))
        return await body.observe(request, context, progress)

    return observe
