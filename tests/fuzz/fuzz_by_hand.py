"""Fuzz by hand, for as long as one likes: ``python tests/fuzz/fuzz_by_hand.py [--seconds 60] [--seed 1] [TARGET ...]``.

Each input of a target has five seconds of the processor. What is found is written to the corpus, where the tests play
it from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).parent)]

import fuzz_inputs as inputs  # noqa: E402
from fuzz_targets import TARGETS  # noqa: E402

#: No input of any reader takes as long.
HANG_S = 5.0


class Hang(BaseException):
    """An input took too long."""


def _alarm(_signal: int, _frame: FrameType | None) -> None:
    raise Hang


def play(name: str, data: bytes) -> str | None:
    """Give one input to a target; return the traceback where that went wrong."""
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        TARGETS[name](data)
    except (Exception, Hang):  # noqa: BLE001 - this is what is looked for
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


def fuzz(name: str, seconds: float, chance: random.Random) -> tuple[int, dict[str, bytes]]:
    """Return how many inputs were played, and one input for each place that went wrong."""
    found: dict[str, bytes] = {}
    known, played, ends = inputs.bases(name), 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        data = inputs.make(name, chance, known)
        played += 1
        wrong = play(name, data)
        if wrong is not None:
            where = "\n".join([line.strip() for line in wrong.splitlines() if line.startswith("  File")][-1:])
            shorter = found.get(where)
            if shorter is None or len(data) < len(shorter):
                found[where] = data
                if shorter is None:
                    sys.stderr.write(f"{name}: {wrong}\n")
    return played, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    signal.signal(signal.SIGPROF, _alarm)
    wanted, finds, total = options.targets or list(TARGETS), 0, 0
    for name in wanted:
        played, found = fuzz(name, options.seconds / len(wanted), random.Random(f"{options.seed} {name}"))
        total, finds = total + played, finds + len(found)
        sys.stdout.write(f"{name:28} {played:8} inputs, {len(found)} places that went wrong\n")
        sys.stdout.flush()
        for data in found.values():
            folder = inputs.CORPUS / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    sys.stdout.write(f"{total} inputs, {finds} finds, seed {options.seed}\n")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
