"""How much CPU a start costs, as a multiple of an interpreter that does nothing.

    python tests/bench/startup.py [--runs N] [--write]

User and system time of each command, each run right after an empty interpreter of the same environment, so that a busy
machine slows both; the median of the ratios counts. A diagnosis looks at a closed port of the loopback interface and
at one that listens. ``--write`` puts the table into README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Thread

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.table import machine, quartiles, table, write

EMPTY = (sys.executable, "-c", "pass")
PROGRAM = str(Path(sys.executable).with_name("wsadiag"))
#: Words after ``wsadiag``, and the most that they should cost.
COMMANDS = {
    "--version": 1.5,
    "explain 10061": 3,
    "explain 10061 --json": 3,
    "--help": 5,
    "banana example.com:21": 5,
    "codes": 4,
    "probe": 6,
    "10061 127.0.0.1:closed": 15,
    "10061 127.0.0.1:open": 15,
}


def cpu_s(command: tuple[str, ...], environment: dict[str, str]) -> float:
    """Run a command and return the processor time that it took, seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def serve(listening: socket.socket) -> None:
    """Take every connection and keep it until its other end closes: a service that listens first, and is well."""
    while True:
        try:
            taken, _ = listening.accept()
        except OSError:
            return  # the bench is over
        Thread(target=keep, args=(taken,), daemon=True).start()


def keep(taken: socket.socket) -> None:
    with taken, suppress(OSError):
        while taken.recv(4096):
            taken.sendall(b"?\r\n")


def measured(runs: int, environment: dict[str, str]) -> tuple[list[tuple[str, str, str, str]], float]:
    """Return the table's rows, and the median of the empty interpreter in seconds."""
    with socket.socket() as closed, socket.socket() as listening:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else can take it
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        Thread(target=serve, args=(listening,), daemon=True).start()
        ports = {"closed": closed.getsockname()[1], "open": listening.getsockname()[1]}
        rows, empties = [], []
        for words, aim in COMMANDS.items():
            spelled = words
            for name, port in ports.items():
                spelled = spelled.replace(f":{name}", f":{port}")
            command = (PROGRAM, *spelled.split())
            cpu_s(command, environment)  # bytecode, the compiled catalogue and the disk's cache
            ratios = []
            for _ in range(runs):
                empties.append(cpu_s(EMPTY, environment))
                ratios.append(cpu_s(command, environment) / empties[-1])
            low, middle, high = quartiles(ratios)
            rows.append((f"`wsadiag {words}`", f"{middle:.1f}", f"{low:.1f} to {high:.1f}", f"{aim}"))
    return rows, statistics.median(empties)


def of_pip() -> str:
    """Return whether the console script is one of pip 25 or later, which imports nothing of its own."""
    return "before 25" if "import re" in Path(PROGRAM).read_text(encoding="utf-8") else "25 or later"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "XDG_CACHE_HOME": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode
        rows, empty = measured(options.runs, environment)
        launcher = (sys.executable, "-c", "import re")  # what the launcher of pip before 25 imports by itself
        imports = statistics.median(
            cpu_s(launcher, environment) / cpu_s(EMPTY, environment) for _ in range(options.runs)
        )
    text = (
        table(("command", "times an empty interpreter", "middle half", "aim"), rows)
        + f"\n{options.runs} pairs each; the empty interpreter took {empty * 1000:.0f} ms of CPU. The console script\n"
        + f"was made by pip {of_pip()}; that of pip before 25 imports `re`, with which alone an interpreter takes\n"
        + f"{imports:.1f}. {machine()}.\n"
    )
    sys.stdout.write(text)
    if options.write:
        write("startup", text)


if __name__ == "__main__":
    main()
