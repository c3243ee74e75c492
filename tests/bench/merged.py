"""How long fleets of 3, 30 and 300 reports take to merge, as whole processes, and how that grows.

    python tests/bench/merged.py [--runs N]

Aims: 1, 2 and 5 s. Busy machines are slower: status 1 only where a report costs more than three times what judging a
saved report again costs, which is the same work.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fleet.fleets import Place, moved  # noqa: E402
from troubleshoot.report import to_json  # noqa: E402
from troubleshoot.run.engine import replay  # noqa: E402

AIMS_S = {3: 1.0, 30: 2.0, 300: 5.0}
_MOST_TIMES = 3.0


def fleet(folder: Path, count: int) -> None:
    """Write so many reports, ten machines a site; one site fails."""
    for n in range(count):
        place = Place(site=1 + n // 10, machine=n % 10, provider=1, resolver=1)
        report = moved("drop" if place.site == 1 else "healthy", place, n / 1000)
        (folder / f"{n}.json").write_text(to_json(report), encoding="utf-8")


def merged_s(folder: Path) -> float:
    """Return how long the whole process takes."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", "merge", str(folder)], capture_output=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1, done.stderr.decode()
    return time.perf_counter() - began


def judged_s() -> float:
    """Return how long judging one report again takes here and now, without a process around it."""
    reports = [moved(name, Place(1, 1, 1, 1), 0) for name in ("drop", "healthy")]
    replay(reports[0], "en")
    began = time.perf_counter()
    for _ in range(10):
        for report in reports:
            replay(report, "en")
    return (time.perf_counter() - began) / 20


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    each = {}
    for count, aim in AIMS_S.items():
        with tempfile.TemporaryDirectory(prefix="wsadiag-merge-") as name:
            fleet(Path(name), count)
            each[count] = statistics.median(merged_s(Path(name)) for _ in range(runs))
        print(f"{count:4} reports: {each[count]:.2f} s (aim {aim:.0f} s)")
    cost, judged = (each[300] - each[3]) / 297, judged_s()
    print(
        f"a further report: {cost * 1000:.1f} ms, {cost / judged:.1f} times judging it again ({judged * 1000:.1f} ms)"
    )
    return 0 if cost <= _MOST_TIMES * judged else 1


if __name__ == "__main__":
    raise SystemExit(main())
