"""Play every scenario in a lab of its own and print what the program made of it.

    python tests/lab/run.py [--only GLOB] [--who root|nobody|both] [--jobs N] [--repeat N] [--seed S] [--sample]
                            [--table] [--matrix] [--save DIR] [--windows]

A scenario of its own file runs as root and without privilege, a variant as one of the two by turns (``--who both``: as
both). ``--sample`` plays as few variants as hold each value once, as the tests do. ``--table`` also rewrites the table
in tests/lab/README.md; ``--matrix`` plays a sample of those in which somebody refuses 20 times, prints the confusion
matrix of everything that was played and rewrites it there (without ``--table``, one user plays each scenario). With
``--only`` nothing is rewritten. ``--windows`` plays each with Windows' Python under wine (tests/windows/install), in a
prefix and with a server of its own in the client's namespace; then only a verdict that is wrong and certain, an accused
healthy network, a crash and a fault that could not be made are status 1. Otherwise, exit status 1 where a verdict was
wrong or less sure than it can be, a healthy network was accused, a run crashed or a fault could not be made. Runs as
root, or in a user namespace of its own where the kernel allows that; otherwise says why not and exits with 77, the
customary status of a skipped test.
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

from tests.lab.matrix import matrix, refusers  # noqa: E402
from tests.lab.play import GRADES, WINDOWS, Outcome, percentile, play  # noqa: E402
from tests.lab.scenario import Scenario, in_turns, load_all, sample  # noqa: E402
from tests.lab.topology import rootless, unavailable  # noqa: E402
from tests.windows import wine  # noqa: E402

README = Path(__file__).resolve().parent / "README.md"
SKIPPED = 77
REPETITIONS = 20
EVERYTHING = "*"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=EVERYTHING, metavar="GLOB")
    parser.add_argument("--who", choices=("root", "nobody", "both"))
    parser.add_argument("--windows", action="store_true", help="with Windows' Python under wine instead")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--seed", type=int, help="addresses from this seed instead of each file's")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--matrix", action="store_true")
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
    """Return the Markdown table scenario x who; the variants of a file share a row."""
    rows = [
        summary(outcomes) + ".",
        "",
        "| scenario | as root | ms | without privilege | ms |",
        "| --- | --- | ---: | --- | ---: |",
    ]
    by_name: dict[str, dict[str, list[Outcome]]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.scenario.split(".")[0], {}).setdefault(outcome.who, []).append(outcome)
    for name, pair in sorted(by_name.items()):
        variants = {outcome.scenario for found in pair.values() for outcome in found}
        cells = [name if len(variants) == 1 else f"{name} ({len(variants)} variants)"]
        for who in ("root", "nobody"):
            cells += _cells(pair.get(who, []))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _cells(found: Sequence[Outcome]) -> list[str]:
    """What several runs came to, and their median time."""
    if not found:
        return ["-", ""]
    time_ms = f"{percentile([outcome.verdict_ms for outcome in found], 0.5):.0f}"
    if len(found) == 1:
        return [f"{found[0].grade}: {found[0].said}", time_ms]
    counts = Counter(outcome.grade for outcome in found)
    return [", ".join(f"{counts[grade]} {grade}" for grade in (*GRADES, "unverified") if counts[grade]), time_ms]


def rewrite(name: str, text: str) -> None:
    """Put ``text`` between the markers of that name in the README."""
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    before, found, rest = README.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{README} has no markers {begin} and {end}")
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def enter() -> str | None:
    """Why no lab can be built; an ordinary user is first taken into a user namespace, where that is possible."""
    why = unavailable()
    if why and os.getuid() != 0 and "WSADIAG_LAB_ROOTLESS" not in os.environ:
        os.environ["WSADIAG_LAB_ROOTLESS"] = "1"
        command = rootless([sys.executable, *sys.argv])
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    return why


def chosen(options: argparse.Namespace) -> list[tuple[Scenario, str]]:
    """Every run that the options ask for: which scenario, as whom."""
    scenarios = [s for s in load_all() if fnmatch.fnmatch(s.name, options.only)]
    for lacking in sorted({f"{s.file}: {why}" for s in scenarios if (why := s.lacks())}):
        print(f"skipped: {lacking}", file=sys.stderr)
    scenarios = [s for s in scenarios if not s.lacks()]
    if options.windows:  # what is loaded into a program of Linux says nothing to one of Windows
        scenarios = [s for s in scenarios if "LD_PRELOAD" not in s.environment]
    if options.sample:
        scenarios = sample(scenarios)
    often = {s.name for s in refusers(scenarios)} if options.matrix else set()
    runs = []
    for scenario, one_of_them in in_turns(scenarios):
        who = scenario.who
        if options.windows:
            who = (WINDOWS,)
        elif options.who in ("root", "nobody"):
            who = tuple(one for one in who if one == options.who)
        elif options.who is None and (scenario.values or (options.matrix and not options.table)):
            who = (one_of_them,)
        for number, one in enumerate(who):
            repeated = scenario.name in often and number == 0  # one of the two is enough
            runs += [(scenario, one)] * (REPETITIONS if repeated else options.repeat)
    return runs


def main() -> int:
    options = arguments()
    why = enter() or (wine.obstacle() if options.windows else None)
    if why:
        print(f"skipped: {why}", file=sys.stderr)
        return SKIPPED
    runs = chosen(options)
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        try:
            for outcome in pool.map(lambda run: attempt(run[0], run[1], options.seed), runs):
                outcomes.append(outcome)
                print(line(outcome), flush=True)
                if options.save and outcome.report:
                    options.save.mkdir(parents=True, exist_ok=True)
                    before = sum((o.scenario, o.who) == (outcome.scenario, outcome.who) for o in outcomes[:-1])
                    number = f".{before}" if before else ""
                    name = outcome.scenario.replace("/", "_")  # a variant's value may be an address with a scheme
                    path = options.save / f"{name}.{outcome.who}{number}.json"
                    path.write_text(json.dumps(outcome.report, indent=1), encoding="utf-8")
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    print(summary(outcomes))
    tables = {"scenarios": table(outcomes)} if options.table else {}
    if options.matrix:
        tables["matrix"] = matrix([scenario for scenario, _ in runs], outcomes, REPETITIONS)
        print(tables["matrix"])
    if options.only == EVERYTHING:
        for name, text in tables.items():
            rewrite(name, text)
    if options.windows:
        lies = [outcome.scenario for outcome in outcomes if outcome.wrong_and_certain]
        print(f"wrong and certain: {len(lies)}", *lies)
        return 1 if lies or any(o.grade in ("false-accusation", "crashed", "unverified") for o in outcomes) else 0
    bad = {"unsure", "wrong", "false-accusation", "crashed", "unverified"}
    return 1 if any(outcome.grade in bad for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
