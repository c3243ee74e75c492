"""Play every scenario in a lab of its own and print what the program made of it.

    python tests/lab/run.py [--only GLOB] [--who root|nobody] [--jobs N] [--repeat N] [--seed S] [--table] [--save DIR]

``--table`` also rewrites the table in tests/lab/README.md. Exit status 1 where a verdict was wrong, a healthy network
was accused, a run crashed or a fault could not be made. Runs as root, or in a user namespace of its own where the
kernel allows that; otherwise says why not and exits with 77, the customary status of a skipped test.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.lab.scenario import GRADES, Outcome, Scenario, load_all, percentile, play  # noqa: E402
from tests.lab.topology import rootless, unavailable  # noqa: E402

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- scenarios begin -->", "<!-- scenarios end -->"
SKIPPED = 77


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="GLOB")
    parser.add_argument("--who", choices=("root", "nobody"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--seed", type=int, help="addresses from this seed instead of each file's")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--save", type=Path, help="write each report into this folder")
    return parser.parse_args()


def attempt(scenario: Scenario, who: str, seed: int | None) -> Outcome:
    """Play one scenario; whatever keeps the lab from standing is an outcome of its own, ``unverified``."""
    try:
        return play(scenario, who, seed)
    except Exception as error:  # noqa: BLE001 - one broken lab must not hide the other results
        trouble = f"{type(error).__name__}: {error}"
        if not isinstance(error, AssertionError):
            trouble += " " + traceback.format_exc(limit=-2).replace("\n", " | ")
        return Outcome(
            scenario=scenario.name,
            who=who,
            grade="unverified",
            said="-",
            trouble=trouble[:600],
            verdict_ms=0.0,
            wall_ms=0.0,
            up_ms=0.0,
        )


def line(outcome: Outcome) -> str:
    first = f"{outcome.scenario:38} {outcome.who:6} {outcome.grade:16} {outcome.verdict_ms:7.0f} ms  {outcome.said}"
    return f"{first}\n{'':40}{outcome.trouble}" if outcome.trouble else first


def summary(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome.grade for outcome in outcomes)
    words = ", ".join(f"{counts[grade]} {grade}" for grade in (*GRADES, "unverified"))
    times = [outcome.verdict_ms for outcome in outcomes if outcome.verdict_ms]
    if not times:
        return f"{len(outcomes)} runs: {words}"
    median, tail = percentile(times, 0.5), percentile(times, 0.95)
    return f"{len(outcomes)} runs: {words}. Time to verdict: median {median:.0f} ms, 95 % within {tail:.0f} ms"


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the Markdown table scenario x who."""
    rows = [
        summary(outcomes) + ".",
        "",
        "| scenario | as root | ms | without privilege | ms |",
        "| --- | --- | ---: | --- | ---: |",
    ]
    by_name: dict[str, dict[str, Outcome]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.scenario, {})[outcome.who] = outcome
    for name, pair in sorted(by_name.items()):
        cells = [name]
        for who in ("root", "nobody"):
            found = pair.get(who)
            cells += [f"{found.grade}: {found.said}", f"{found.verdict_ms:.0f}"] if found else ["-", ""]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def rewrite(text: str) -> None:
    """Put the table between the markers of the README."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> int:
    options = arguments()
    why = unavailable()
    if why and os.getuid() != 0 and "WSADIAG_LAB_ROOTLESS" not in os.environ:
        os.environ["WSADIAG_LAB_ROOTLESS"] = "1"
        command = rootless([sys.executable, *sys.argv])
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    if why:
        print(f"skipped: {why}", file=sys.stderr)
        return SKIPPED
    scenarios = [s for s in load_all() if fnmatch.fnmatch(s.name, options.only)]
    runs = [
        (scenario, who)
        for scenario in scenarios
        for who in scenario.who
        if options.who in (None, who)
        for _ in range(options.repeat)
    ]
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        try:
            for outcome in pool.map(lambda run: attempt(run[0], run[1], options.seed), runs):
                outcomes.append(outcome)
                print(line(outcome), flush=True)
                if options.save and outcome.report:
                    options.save.mkdir(parents=True, exist_ok=True)
                    path = options.save / f"{outcome.scenario}.{outcome.who}.json"
                    path.write_text(json.dumps(outcome.report, indent=1), encoding="utf-8")
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    print(summary(outcomes))
    if options.table:
        rewrite(table(outcomes))
    bad = {"wrong", "false-accusation", "crashed", "unverified"}
    return 1 if any(outcome.grade in bad for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
