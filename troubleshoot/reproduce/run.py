"""Carry out the catalogue's claims about a code, each in a child process that can harm nobody.

Each claim of ``catalogue/reproduce.toml`` runs in a child process with limits, a time limit and, where the kernel
gives it one, a network namespace of its own. Nothing leaves loopback and nothing of the caller's is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import msgspec
from msgspec.structs import replace

from probes.system import on_linux, platform_name
from troubleshoot.errors import UserError
from troubleshoot.knowledge.kinds import Language
from troubleshoot.reproduce.claims import SUCCESS, Claim, claims, codes, impossible, windows_claims, winsock_twin
from troubleshoot.reproduce.records import Reproduction, Trace

#: A reproduction takes some milliseconds, a few of them up to 4 s: the kernel's own time-outs.
TIMEOUT_S = 15
#: No more children than this run at once.
MAX_CHILDREN = 8
#: The folder that our packages are in: a child finds them by it, installed or not.
_HOME = str(Path(__file__).resolve().parents[2])
_START = "import sys; from troubleshoot.reproduce.child import main; sys.exit(main(sys.argv[1:]))"
#: No trace is longer than this.
_MAX_TRACE_BYTES = 1 << 20
#: How often it is looked whether a child has ended, seconds.
_LOOK_S = 0.005


async def reproduce(name: str, places: asyncio.Semaphore | None = None) -> tuple[Reproduction, ...]:
    """Carry out every claim of the code ``name`` (``WSAENOTCONN``), several at once.

    ``places`` bounds how many children run; several calls may share it, and by default it is :data:`MAX_CHILDREN`.

    Returns one record for each claim, in the catalogue's order; none where
    :func:`~troubleshoot.reproduce.claims.impossible` gives a reason.
    Raises :class:`~troubleshoot.errors.UserError` for a name of which the catalogue says nothing, and on a system
    other than Linux and Windows.
    """
    if name not in codes():
        raise UserError(f"{name}: the catalogue has no claim about this code that could be reproduced")
    windows = platform_name() == "windows"
    if not windows and not on_linux():
        raise UserError("errors can be reproduced on Linux and Windows only")
    room = places or asyncio.Semaphore(MAX_CHILDREN)

    async def one(claim: Claim) -> Reproduction:
        async with room:
            return await _carry_out(claim)

    wanted = (*claims(name), *(windows_claims(name) if windows else ()))
    return tuple(await asyncio.gather(*(one(claim) for claim in wanted)))


def not_here(name: str, language: Language = "en") -> str | None:
    """Return why nothing on this system returns the code ``name``; ``None`` where something does."""
    shown = platform_name() == "windows" and windows_claims(name)
    return None if shown else impossible(name, language)


async def _carry_out(claim: Claim) -> Reproduction:
    trace = await _run_child(claim)
    if platform_name() == "windows":
        return on_windows(claim, trace)
    observed = _outcome(claim.function, trace)
    if observed is None and trace.reason is None and trace.calls and trace.calls[-1].errno:
        last = trace.calls[-1]
        trace = Trace(trace.calls, f"it came no further than {last.function}: {last.errno}", trace.isolated)
    twin = None if observed is None else winsock_twin(observed)
    return _held_to(claim, trace, observed, twin, matches=observed == claim.errno)


def on_windows(claim: Claim, trace: Trace) -> Reproduction:
    """Hold what Windows did to what the claim says of Winsock."""
    from troubleshoot.reproduce.windows import outcome_of  # noqa: PLC0415

    observed = _outcome(outcome_of(claim.function), trace)
    held = _held_to(claim, trace, observed, observed, matches=observed == (claim.winsock or SUCCESS))
    return replace(held, remark=trace.reason or "", isolated=False, system="windows")


def _held_to(claim: Claim, trace: Trace, observed: str | None, twin: str | None, *, matches: bool) -> Reproduction:
    """Return the record of a trace, with what was ``observed`` and its ``twin`` of Winsock."""
    return Reproduction(
        code=claim.code,
        claim=claim,
        calls=trace.calls,
        observed=observed,
        expected_winsock=claim.winsock,
        matches=matches,
        shows_code=twin == claim.code,
        same_as_winsock=twin is not None and twin == claim.winsock,
        remark=trace.reason or claim.note,
        isolated=trace.isolated,
    )


def _outcome(function: str, trace: Trace) -> str | None:
    """Return how the call that the claim is about ended; ``None`` where the reproduction never came to it."""
    if trace.reason is not None or not trace.calls or trace.calls[-1].function != function:
        return None
    return trace.calls[-1].errno or SUCCESS


async def _run_child(claim: Claim) -> Trace:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join([_HOME, *filter(None, sys.path)]),
        "LC_ALL": "C",
        # Without the first Winsock cannot load its own providers, and the C library of Windows wants the others.
        **{name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if name in os.environ},
    }
    # Without site and runpy, which take half of the start: the child is given its whole path.
    arguments = ["-P", "-S", "-c", _START, claim.code, claim.id, str(TIMEOUT_S), str(os.getpid())]
    try:
        with _sink() as output, _sink() as complaint:
            # By subprocess and not by asyncio, whose watcher wants a thread or a descriptor for each child and waits
            # for ever where there is none. In no folder of its own: whoever is killed could not remove it.
            child = subprocess.Popen(  # noqa: ASYNC220 - it takes some milliseconds
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,  # not /dev/null, which a small root may lack
                stdout=output,
                stderr=complaint,
                cwd=os.path.sep,
                env=environment,
            )
            status = await _end_of(child)
            output.seek(0)
            complaint.seek(0)
            return _trace_of(status, output.read(_MAX_TRACE_BYTES + 1), complaint.read(_MAX_TRACE_BYTES))
    except OSError as error:
        return Trace((), f"no child process can be started here ({error.strerror})", isolated=False)


def _sink() -> IO[bytes]:
    """Return a file without a name, for what a child writes; a pipe would have to be read meanwhile."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("wsadiag"), "w+b")
    return tempfile.TemporaryFile()


async def _end_of(child: subprocess.Popen[bytes]) -> int | None:
    """Wait for the end of ``child`` and return its status; ``None`` where it had to be killed."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(TIMEOUT_S + 5):
            while child.poll() is None:  # noqa: ASYNC110 - no event tells of it that needs neither thread nor descriptor
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        return None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.wait()
    return child.returncode


def _trace_of(status: int | None, output: bytes, complaint: bytes) -> Trace:
    """Return what the child wrote down, or as the reason what became of it."""
    if status is None or (hasattr(signal, "SIGALRM") and status == -signal.SIGALRM):
        return Trace((), f"it did not end within {TIMEOUT_S} s", isolated=False)
    if status == 0 and len(output) <= _MAX_TRACE_BYTES:
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(output, type=Trace)
    last = complaint.decode(errors="replace").strip().splitlines()
    return Trace((), f"the child process failed: {last[-1] if last else status}", isolated=False)
