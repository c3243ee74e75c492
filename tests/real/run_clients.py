"""``wsadiag run -- CLIENT``: nine real clients, each failing in six ways behind a router, and the verdict that follows.

    python tests/real/run_clients.py [CLIENT…] [--way WAY] [--verbose]

Needs root, for network namespaces, and the clients: curl, psql, redis-cli, ssh, mysql, Python, Node, Java, Go. One that
is not installed is left out and told. Prints a line for each cell, and ends with 1 where one is not right.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.routed import Routed
from tests.real import client_words
from troubleshoot.knowledge.catalogue import catalogue

PROGRAM = str(Path(sys.executable).with_name("wsadiag"))
CLIENTS: Final = ("curl", "psql", "redis-cli", "ssh", "mysql", "python", "node", "java", "go")
#: How a client fails → the causes of which one is right.
WAYS: Final = {
    "refused": ("no-listener",),
    "dropped": ("firewall-drop",),
    "reset": ("service-resets", "service-closes"),
    "name": ("name-does-not-exist",),
    "certificate": ("certificate-invalid",),
    "refuses": ("service-refuses",),
}
#: Cells where no cause can be told, and why: there the run must end without a wrong one.
LIMITS: Final = {
    ("ssh", "certificate"): "a host key has no certificate: whether it is the right one only its owner knows",
    ("psql", "certificate"): "the certificate comes after a STARTTLS of PostgreSQL's own, which is not tried",
    ("mysql", "certificate"): "the certificate comes after a STARTTLS of MySQL's own, which is not tried",
}
_RESOLVING = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


class Cell(NamedTuple):
    """What a client's run came to: ``causes`` are those that were told (``healthy`` for none), ``text`` is it all."""

    right: bool
    causes: tuple[str, ...]
    status: int
    text: str


class Net:
    """The namespaces, the servers in them, and the files that clients need."""

    def __init__(self, routed: Routed, folder: Path) -> None:
        self.routed = routed
        self.folder = folder
        self._titles = {name: catalogue().cause(name).text("en").title for name in catalogue().cause_names}

    def cell(self, client: str, way: str) -> Cell:
        """Let ``client`` fail in that ``way`` and judge what is said."""
        words = client_words.words(client, way, self.folder)
        inside = ["unshare", "--mount", "sh", "-c", _RESOLVING, str(self.folder / "resolv.conf")]
        ended = subprocess.run(
            self.routed.command("c", *inside, PROGRAM, "run", "--", *words),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "WSADIAG_LANG": "en"},
        )
        heads = [line for line in ended.stderr.splitlines() if line.startswith(("FAULT", "INCONCLUSIVE", "HEALTHY"))]
        causes = tuple(self._cause(head) for head in heads)
        fits = [cause for cause in causes if cause in WAYS[way]]
        right = len(causes) <= 1 if (client, way) in LIMITS else len(causes) == 1 and bool(fits)
        if (client, way) in LIMITS:
            right = right and not [cause for cause in causes if cause not in (*WAYS[way], "healthy", "inconclusive")]
        return Cell(right and ended.returncode not in (0, 70), causes, ended.returncode, ended.stdout + ended.stderr)

    def _cause(self, head: str) -> str:
        if not head.startswith("FAULT"):
            return head.split(maxsplit=1)[0].rstrip(":").lower()
        title = head.partition(": ")[2].strip()
        return next((name for name, known in self._titles.items() if known == title), title)


@contextmanager
def network() -> Iterator[Net]:
    """Build it all; raises ``CalledProcessError`` where this process may not."""
    with tempfile.TemporaryDirectory(prefix="run-clients") as name, Routed("cl", client_words.RULES) as routed:
        folder = Path(name)
        client_words.prepare(folder)
        servers = [
            subprocess.Popen(routed.command(role, sys.executable, str(client_words.SERVERS), role, name), stdout=-1)
            for role in ("s", "c")
        ]
        # redis-cli waits as long as the system does: with one repetition for 3 s.
        subprocess.run(routed.command("c", "sysctl", "-qw", "net.ipv4.tcp_syn_retries=1"), check=True)
        try:
            for each in servers:
                assert each.stdout is not None
                each.stdout.readline()
            yield Net(routed, folder)
        finally:
            for each in servers:
                each.terminate()
                each.communicate()


def missing(client: str) -> bool:
    """Whether a client is not installed."""
    return shutil.which({"python": sys.executable}.get(client, client)) is None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clients", nargs="*", metavar="CLIENT", default=list(CLIENTS))
    parser.add_argument("--way", choices=WAYS, action="append")
    parser.add_argument("--verbose", action="store_true", help="show what was said")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was built is taken down
    right = wrong = 0
    with network() as net:
        for client in options.clients:
            if missing(client):
                print(f"      {client}: not installed")
                continue
            for way in options.way or WAYS:
                cell = net.cell(client, way)
                right, wrong = right + cell.right, wrong + (not cell.right)
                limit = LIMITS.get((client, way))
                said = ", ".join(cell.causes) or "nothing"
                print(f"{'right' if cell.right else 'WRONG'} {client} {way}: {said}" + (f" ({limit})" if limit else ""))
                if options.verbose or not cell.right:
                    print("".join(f"      | {line}\n" for line in cell.text.splitlines()[:12]), end="")
    print(f"{right} of {right + wrong} right")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
