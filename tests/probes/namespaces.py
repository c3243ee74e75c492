"""What the labs of the probes' tests share: hosts in network namespaces, programs and packet filters on them."""

from __future__ import annotations

import functools
import itertools
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

_serial = itertools.count()
_PRELUDE = f"""
import asyncio, os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from probes.base import Budget, CannotObserve, Context, load

async def look(name, **request):
    probe = load(name)
    partials.clear()
    begun, before = time.monotonic(), context.packets_sent
    try:
        found = await probe.observe(probe.request(**request), context, partials.append)
    except CannotObserve as error:
        found = error
    global took_s, packets
    took_s, packets = time.monotonic() - begun, context.packets_sent - before
    return found

def observe(name, **request):
    return asyncio.run(look(name, **request))

context = Context()
partials = []
result = took_s = packets = None
"""
_POSTLUDE = """
import pickle
with os.fdopen(int(sys.argv[1]), 'wb') as file: pickle.dump((result, took_s, partials), file)
"""


@functools.cache
def missing() -> str | None:
    """Say why the lab cannot stand here; ``None`` where it can."""
    if os.geteuid() != 0:
        return "named network namespaces need root"
    for tool in ("ip", "nft", "nc", "setpriv"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    name = f"wl{os.getpid()}try"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return None if done.returncode == 0 else f"no network namespace can be made: {done.stderr.strip()}"


class Namespaces:
    """Hosts, each a network namespace of its own; a context manager that takes them down again.

    A subclass names them in ``HOSTS``, the one that the probes run on first, and connects them in :meth:`_connect`.
    After a run ``took_s`` and ``partials`` tell of the last probe how long it took and what it reported meanwhile.
    """

    HOSTS: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        self.prefix = f"wl{os.getpid()}x{next(_serial)}"
        self._started: list[subprocess.Popen[bytes]] = []
        self.took_s = 0.0
        self.partials: list[Any] = []

    def __enter__(self) -> Self:
        reason = missing()
        if reason:
            pytest.skip(reason)
        try:
            for host in self.HOSTS:
                subprocess.run(["ip", "netns", "add", self.name(host)], check=True)
                # without these an address is tentative for a second
                self.sh(host, "for n in default all; do echo 0 >/proc/sys/net/ipv6/conf/$n/accept_dad; done")
                self.sh(host, "ip link set lo up")
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        for host in self.HOSTS:
            subprocess.run(["ip", "netns", "del", self.name(host)], capture_output=True, check=False)

    def _connect(self) -> None:
        raise NotImplementedError

    def name(self, host: str) -> str:
        """Return the namespace of a host."""
        return f"{self.prefix}-{host}"

    def sh(self, host: str, script: str) -> str:
        """Run a shell script on a host."""
        command = ["ip", "netns", "exec", self.name(host), "sh", "-ec", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, f"{script}: {done.stderr}"
        return done.stdout

    def filter(self, host: str, hook: str, *rules: str) -> None:
        """Add a packet filter's rules on a host."""
        body = "\n  ".join((f"type filter hook {hook} priority 0; policy accept;", *rules))
        self.sh(host, f"nft -f - <<'X'\ntable inet {hook}x {{\n chain c {{\n  {body}\n }}\n}}\nX")

    def start(self, host: str, code: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a Python program on a host and wait until it prints that it is ready."""
        command = ["ip", "netns", "exec", self.name(host), sys.executable, "-c", code, *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._started.append(process)
        assert process.stdout is not None
        with process.stdout as ready:
            assert ready.readline() == b"ready\n"
        return process

    @contextmanager
    def program(self, host: str, code: str) -> Iterator[None]:
        """Have a Python program, which prints ``ready``, run on a host meanwhile."""
        process = self.start(host, code)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def run(self, code: str, *, host: str | None = None, uid: int = 0) -> Any:
        """Run Python on a host and return what it left in ``result``; ``observe(name, **request)`` runs a probe."""
        with tempfile.TemporaryFile() as file:  # a pipe would fill up while nobody reads
            source = _PRELUDE + textwrap.dedent(code) + _POSTLUDE
            command = [sys.executable, "-W", "error", "-c", source, str(file.fileno())]
            if uid:
                own = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--bounding-set", "-all"]
                command = ["setpriv", *own, *command]
            command = ["ip", "netns", "exec", self.name(host or self.HOSTS[0]), *command]
            done = subprocess.run(
                command, pass_fds=[file.fileno()], capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stderr
            assert not done.stderr, done.stderr
            file.seek(0)
            result, self.took_s, self.partials = pickle.load(file)  # noqa: S301 - our own child
            return result

    def observe(self, probe: str, *, host: str | None = None, uid: int = 0, **request: object) -> Any:
        """Run one probe on a host; a reason why it cannot observe is returned as its exception."""
        return self.run(f"result = observe({probe!r}, **{request!r})", host=host, uid=uid)
