"""Run a piece of Python, probes included, in a child process: in a network namespace of its own, as another user."""

from __future__ import annotations

import functools
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

_PRELUDE = f"""
import asyncio, os, pickle, socket, sys, time
sys.path.insert(0, {str(ROOT)!r})
from probes.base import CannotObserve, Context, load

def observe(name, **request):
    probe = load(name)
    try:
        return asyncio.run(probe.observe(probe.request(**request), Context(), lambda partial: None))
    except CannotObserve as error:
        return error

result = None
"""
_POSTLUDE = """
sys.stdout.flush()
os.write(int(sys.argv[1]), pickle.dumps(result))
"""


def run(code: str, *, namespace: bool = False, setup: str = "true", uid: int | None = None) -> Any:
    """Run ``code`` in a child and return what it left in ``result``.

    ``observe(name, **request)`` runs a probe there. With ``namespace`` the child has a network namespace of its
    own, and ``setup`` (shell) runs in it first. ``uid`` drops all privilege. Fails the test where the child fails.
    """
    source = _PRELUDE + textwrap.dedent(code) + _POSTLUDE
    reading, writing = os.pipe()
    command = [sys.executable, "-W", "error", "-c", source, str(writing)]
    if uid is not None:
        numbers = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
        command = ["setpriv", *numbers, "--bounding-set", "-all", *command]
    if namespace:
        command = [*_unshare(), "sh", "-c", f'set -e; {setup}; exec "$@"', "sh", *command]
    try:
        done = subprocess.run(command, pass_fds=[writing], capture_output=True, text=True, timeout=60, check=False)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
    except BaseException:
        os.close(reading)
        raise
    assert done.returncode == 0, done.stderr
    return pickle.loads(answer)  # noqa: S301 - our own child


def _unshare() -> list[str]:
    return ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


@functools.cache
def _why_no_namespace() -> str | None:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return "unshare or ip is not installed"
    done = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no network namespace can be made: {done.stderr.strip()}"


def need_namespace() -> None:
    """Skip the test, with the reason, where no network namespace can be made."""
    reason = _why_no_namespace()
    if reason:
        pytest.skip(reason)


def need_root() -> None:
    """Skip the test where it cannot become another user."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    done = subprocess.run(
        ["setpriv", "--reuid", str(NOBODY), "--clear-groups", sys.executable, "-c", f"open({__file__!r})"],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("another user may not read this checkout or its Python")
