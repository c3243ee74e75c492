"""Windows' Python under wine, in a network namespace of its own with nothing but loopback.

``tests/run`` puts what is needed into ``.venv/windows``: ``python`` (CPython for Windows), ``site`` (the packages of
pyproject.toml for Windows) and ``prefix`` (what wine takes for drive C). Each use gets a copy of the prefix, made of
hard links, with a server of its own: sockets belong to wine's server and not to the program, so that the server has to
be started inside of the namespace.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("WSADIAG_TESTS_WINDOWS", ROOT / ".venv/windows"))
_VERSION = 8
#: Where Debian and Ubuntu keep it; there is none on PATH.
_SERVERS = ("/usr/lib/wine/wineserver64", "/usr/lib/wine/wineserver", "wineserver")
#: The server loses this right as well: then Windows' Python meets WSAEACCES where it binds a low port.
_UNPRIVILEGED = ("setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service")


def obstacle() -> str | None:
    """Return why nothing can be run under wine here, ``None`` where it can."""
    if not shutil.which("wine") or _server() is None:
        return "wine is not installed"
    version = subprocess.run(["wine", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if not version.startswith(f"wine-{_VERSION}."):
        return f"{version or 'wine'} is here, and what the tests expect was measured with wine {_VERSION}"
    for part in ("made", "python/python.exe", "site/msgspec", "prefix/system.reg"):
        if not (HOME / part).exists():
            return f"{HOME / part} is missing: tests/run makes it"
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("setpriv"):
        return "a network namespace for wine's server needs root"
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        return "no network namespace can be made"
    return None


def _server() -> str | None:
    return next((found for one in _SERVERS if (found := shutil.which(one))), None)


@dataclass
class Windows:
    """One prefix with its server, which lives until the context ends."""

    prefix: Path
    namespace: str
    environment: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = _UNPRIVILEGED

    def command(self, *words: str) -> list[str]:
        """Return the command that runs ``words`` of Windows inside of the namespace."""
        return ["ip", "netns", "exec", self.namespace, *self.before, "wine", *words]

    def python(self, *words: str) -> list[str]:
        """Return the command that runs Windows' Python."""
        return self.command(str(HOME / "python/python.exe"), *words)

    def run(
        self, *words: str, more: Mapping[str, str] | None = None, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Run Windows' Python with ``words``; handles must be pipes or NUL, for wine knows no ordinary files there."""
        return subprocess.run(
            self.python(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=timeout_s,
            cwd=self.prefix / "drive_c",
            env={**self.environment, **(more or {})},
        )


@contextlib.contextmanager
def windows(namespace: str | None = None) -> Iterator[Windows]:
    """Start a server of wine and end it: in ``namespace``, or in one of its own with nothing but loopback.

    In the namespace of a lab it may bind every port, as any program of Windows may.
    """
    if namespace is not None:
        with _serving(namespace, ()) as here:
            yield here
        return
    name = f"wsadiag-win-{secrets.token_hex(3)}"
    try:
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"], check=True)
        with _serving(name, _UNPRIVILEGED) as here:
            yield here
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


@contextlib.contextmanager
def _serving(namespace: str, before: tuple[str, ...]) -> Iterator[Windows]:
    prefix = HOME / f"prefix-{secrets.token_hex(3)}"
    server = _server()
    assert server is not None
    subprocess.run(["cp", "-al", str(HOME / "prefix"), str(prefix)], check=True)
    for registry in prefix.glob("*.reg"):  # wine writes them, and must not write through the link
        text = registry.read_bytes()
        registry.unlink()
        registry.write_bytes(text)
    on_z = [f"Z:{path}".replace("/", "\\") for path in (ROOT, HOME / "site")]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(prefix),
        "WINEPREFIX": str(prefix),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
        "PYTHONPATH": ";".join(on_z),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    here = Windows(prefix, namespace, environment, before)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    inside = ["ip", "netns", "exec", namespace]
    try:
        # It stays (-p) until it is told to go: to start it again takes three seconds each time.
        subprocess.run([*inside, *before, server, "-p"], env=environment, check=True, timeout=60, **quiet)
        # What the first program starts beside itself keeps that one's handles: pipes would never be closed.
        subprocess.run(here.command("cmd", "/c", "exit"), env=environment, check=True, timeout=120, **quiet)
        yield here
    finally:
        subprocess.run([*inside, server, "-k"], env=environment, check=False, timeout=60, **quiet)
        shutil.rmtree(prefix, ignore_errors=True)
