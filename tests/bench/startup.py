"""How long the light commands take, as a ratio to an interpreter that does nothing.

    python tests/bench/startup.py [--runs N] [--write]

Each command runs in turn with an empty interpreter right before it, so that a busy machine slows both; the median
of the ratios counts. ``--write`` puts the table into README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.table import machine, quartiles, table, write

EMPTY = (sys.executable, "-c", "pass")
PROGRAM = str(Path(sys.executable).with_name("wsadiag"))
COMMANDS = {
    "wsadiag --version": (PROGRAM, "--version"),
    "wsadiag explain 10061": (PROGRAM, "explain", "10061"),
    "wsadiag explain 10061 --json": (PROGRAM, "explain", "10061", "--json"),
    "wsadiag codes": (PROGRAM, "codes"),
    "wsadiag --help": (PROGRAM, "--help"),
}


def seconds(command: tuple[str, ...]) -> float:
    """Run a command and return how long it took."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    for command in (EMPTY, *COMMANDS.values()):
        seconds(command)  # bytecode and the disk's cache
    rows, empties = [], []
    for label, command in COMMANDS.items():
        ratios = []
        for _ in range(options.runs):
            empty = seconds(EMPTY)
            empties.append(empty)
            ratios.append(seconds(command) / empty)
        low, middle, high = quartiles(ratios)
        rows.append((f"`{label}`", f"{middle:.1f}", f"{low:.1f} to {high:.1f}"))
    text = (
        table(("command", "times an empty interpreter", "middle half"), rows)
        + f"\n{options.runs} pairs each; the empty interpreter took {statistics.median(empties) * 1000:.0f} ms. "
        + f"{machine()}.\n"
    )
    sys.stdout.write(text)
    if options.write:
        write("startup", text)


if __name__ == "__main__":
    main()
