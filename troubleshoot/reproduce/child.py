"""Carry out one reproduction in this process and print its trace: ``CODE CLAIM SECONDS`` on the command line.

Started by :mod:`troubleshoot.reproduce` and by nobody else: it gives up namespaces, limits and privileges for good.
"""

from __future__ import annotations

import sys

import msgspec

from probes.system import platform_name
from troubleshoot.reproduce import isolation
from troubleshoot.reproduce.records import Trace
from troubleshoot.reproduce.stage import CannotRun, Failed, Stage
from troubleshoot.reproduce.table import TABLE, Needs


def perform(code: str, claim: str, seconds: int) -> Trace:
    """Isolate this process, run the reproducer and return what it called."""
    if platform_name() == "windows":
        from troubleshoot.reproduce import windows  # noqa: PLC0415

        return windows.perform(code, claim)
    reproducer = TABLE[code, claim]
    isolation.limit(seconds)
    obstacle = isolation.isolate(mounts=reproducer.needs is Needs.MOUNTS)
    if obstacle and reproducer.needs in (Needs.NETWORK, Needs.MOUNTS):
        return Trace((), f"it needs a network of its own, which cannot be had here ({obstacle})", isolated=False)
    stage = Stage()
    reason = None
    try:
        reproducer.run(stage)
    except Failed:
        pass  # as it should: the last call says how
    except CannotRun as error:
        reason = str(error)
    return Trace(tuple(stage.calls), reason, obstacle is None)


def main(arguments: list[str]) -> int:
    """Run the reproduction named by ``arguments``; the trace goes to stdout as JSON."""
    code, claim, seconds = arguments
    trace = perform(code, claim, int(seconds))
    sys.stdout.write(msgspec.json.encode(trace).decode())
    sys.stdout.flush()
    return 0
