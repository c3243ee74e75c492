"""Carry out one reproduction in this process and print its trace: ``CODE CLAIM SECONDS PARENT`` on the command line.

Started by :mod:`troubleshoot.reproduce` and by nobody else: it gives up namespaces, limits and privileges for good.
"""

from __future__ import annotations

import sys

import msgspec

from probes.system import platform_name
from troubleshoot.reproduce import isolation
from troubleshoot.reproduce.records import Trace
from troubleshoot.reproduce.stage import Stage, carried_out
from troubleshoot.reproduce.table import TABLE, Needs


def perform(code: str, claim: str, seconds: int, parent: int) -> Trace:
    """Isolate this process, run the reproducer and return what it called; ``parent`` is whose end is ours, too."""
    if platform_name() == "windows":
        from troubleshoot.reproduce import windows  # noqa: PLC0415

        return windows.perform(code, claim)
    reproducer = TABLE[code, claim]
    isolation.limit(seconds, parent)
    obstacle = isolation.isolate(mounts=reproducer.needs is Needs.MOUNTS)
    if obstacle and reproducer.needs in (Needs.NETWORK, Needs.MOUNTS):
        return Trace((), f"it needs a network of its own, which cannot be had here ({obstacle})", isolated=False)
    stage = Stage()
    try:
        reason = carried_out(reproducer.run, stage)
    except OSError as error:  # what a reproducer needs beside its calls: a file of /proc, a thread, memory
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        reason = f"this machine does not let it go on ({what})"
    return Trace(tuple(stage.calls), reason, obstacle is None)


def main(arguments: list[str]) -> int:
    """Run the reproduction named by ``arguments``; the trace goes to stdout as JSON."""
    code, claim, seconds, parent = arguments
    trace = perform(code, claim, int(seconds), int(parent))
    sys.stdout.write(msgspec.json.encode(trace).decode())
    sys.stdout.flush()
    return 0
