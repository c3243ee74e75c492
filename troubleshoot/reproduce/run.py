"""Carry out the catalogue's claims about a code, each in a child process that can harm nobody.

Each claim of ``catalogue/reproduce.toml`` runs in a child process with limits, a time limit and, where the kernel
gives it one, a network namespace of its own. Nothing leaves loopback and nothing of the caller's is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

import msgspec

from probes.system import platform_name
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
    if not windows and not os.path.exists("/proc/self/ns/net"):  # noqa: PTH110, ASYNC240 - /proc never blocks
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
    twin = None if observed is None else winsock_twin(observed)
    return Reproduction(
        code=claim.code,
        claim=claim,
        calls=trace.calls,
        observed=observed,
        expected_winsock=claim.winsock,
        matches=observed == claim.errno,
        shows_code=twin == claim.code,
        same_as_winsock=twin is not None and twin == claim.winsock,
        remark=trace.reason or claim.note,
        isolated=trace.isolated,
    )


def on_windows(claim: Claim, trace: Trace) -> Reproduction:
    """Hold what Windows did to what the claim says of Winsock."""
    from troubleshoot.reproduce.windows import outcome_of  # noqa: PLC0415

    observed = _outcome(outcome_of(claim.function), trace)
    return Reproduction(
        code=claim.code,
        claim=claim,
        calls=trace.calls,
        observed=observed,
        expected_winsock=claim.winsock,
        matches=observed == (claim.winsock or SUCCESS),
        shows_code=observed == claim.code,
        same_as_winsock=observed is not None and observed == claim.winsock,
        remark=trace.reason or "",
        isolated=False,
        system="windows",
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
    arguments = ["-P", "-S", "-c", _START, claim.code, claim.id, str(TIMEOUT_S)]
    with tempfile.TemporaryDirectory(prefix="wsadiag-") as folder:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=environment,
        )
        try:
            output, complaint = await asyncio.wait_for(child.communicate(), TIMEOUT_S + 5)
        except TimeoutError:
            return Trace((), f"it did not end within {TIMEOUT_S} s", isolated=False)
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
    if child.returncode == 0 and len(output) <= _MAX_TRACE_BYTES:
        return msgspec.json.decode(output, type=Trace)
    if hasattr(signal, "SIGALRM") and child.returncode == -signal.SIGALRM:
        return Trace((), f"it did not end within {TIMEOUT_S} s", isolated=False)
    last = complaint.decode(errors="replace").strip().splitlines()
    return Trace((), f"the child process failed: {last[-1] if last else child.returncode}", isolated=False)
