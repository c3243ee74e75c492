"""Random pairs of a fault and a topology, drawn from a seed; the injector's truth against the program's verdict.

    python tests/lab/mutate.py [--seed S] [--count N] [--jobs N] [--case I] [--save DIR]

A case is drawn from the seed and its own number alone: what fails is repeated by the command that is printed with it.
Every verdict counts as *right*, *abstained* (inconclusive, or a cause that is called no more than possible), *wrong*,
*false accusation* (a healthy network called faulty, and more than possibly so), *crashed* or *unverified* (the fault
did not show, which says nothing of the program). Exit status 1 where anything but the first two occurred; 77, skipped,
where no lab can be built.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.lab.matrix import fold
from tests.lab.mutations import DRAWN, ROUTED, Network
from tests.lab.play import Outcome
from tests.lab.run import SKIPPED, attempt, enter, line
from tests.lab.scenario import Scenario

CODES = ("10060", "10061", "10065", "10054", "10053", "10051")
GRADES = ("right", "abstained", "wrong", "false-accusation", "crashed", "unverified")
MAX_ROUTERS = 7
#: Faults that the lab checks by pings, so that no peculiarity may swallow these.
PINGED = ("host-down", "router-down", "packet-loss", "path-mtu-blackhole")


def draw_case(seed: int, number: int) -> tuple[Scenario, str]:
    """Return case ``number`` of ``seed`` and who runs it; the same arguments give the same case."""
    rng = random.Random(f"mutation {seed} {number}")
    make, _, least = rng.choices(DRAWN, [weight for _, weight, _ in DRAWN])[0]
    routers = rng.randint(least, MAX_ROUTERS)
    shapes: dict[str, dict[str, float]] = {}
    if rng.random() < 0.4:
        delay = rng.choice((2.0, 10.0, 40.0))
        shapes["client"] = {"delay_ms": delay, "jitter_ms": delay / 4 if rng.random() < 0.5 else 0.0}
    quirks: list[Mapping[str, Any]] = []
    if rng.random() < 0.15:
        node = f"router{rng.randint(1, routers)}"
        quirks.append({"kind": "filter", "node": node, "hook": "output", "what": "icmp-errors"})
    if rng.random() < 0.15:
        quirks.append({"kind": "filter", "node": "server", "hook": "input", "what": "echo"})
    if make not in ROUTED and rng.random() < 0.2:
        quirks.append({"kind": "spare-default", "family": rng.choice((4, 6))})
    network = Network(
        rng=rng,
        routers=routers,
        family=rng.choice((4, 6)),
        icmp=rng.choice(("default", "default", "default", "strict")),
        quirks=tuple(quirks),
        shapes=shapes,
    )
    truth = make(network)
    if truth.expect.cause in PINGED:
        network = replace(network, quirks=tuple(q for q in quirks if q["kind"] != "filter"))
    # a router that sends no ICMP errors refuses nothing with one
    refusing = {fault.get("node") for fault in truth.faults}
    quirks = [q for q in network.quirks if q.get("what") != "icmp-errors" or q["node"] not in refusing]
    scenario = Scenario(
        name=f"case-{seed}-{number}",
        title=f"{make.__name__}, {routers} routers, IPv{network.family}, ICMP {network.icmp}, {shapes or 'no delays'}",
        code=truth.code or rng.choice(CODES),
        target=truth.target,
        topology={"seed": rng.randrange(10_000), "routers": routers, "icmp": network.icmp, "shapes": shapes},
        records=truth.records,
        # the check of a peculiarity wants an answer that the fault may take away
        stepwise=True,
        faults=(*quirks, *truth.faults),
        expect=truth.expect,
        accept=truth.accept,
    )
    return scenario, rng.choice(("root", "nobody"))


def play_case(seed: int, number: int) -> tuple[str, Scenario, Outcome]:
    """Draw and run one case; its grade, what it was and how it went."""
    scenario, who = draw_case(seed, number)
    outcome = attempt(scenario, who, None)
    return fold(outcome), scenario, outcome


def told(found: str, scenario: Scenario, outcome: Outcome, seed: int, number: int) -> str:
    """What is printed of a case; the command that repeats it where it failed."""
    wanted = scenario.expect.cause or scenario.expect.outcome
    text = f"{found:16} {wanted:26} {line(outcome)}"
    if found in ("right", "abstained"):
        return text
    words = [json.dumps(dict(fault)) for fault in scenario.faults]
    again = f"python tests/lab/mutate.py --seed {seed} --case {number}"
    return "\n    ".join(
        [text, scenario.title, f"wsadiag {scenario.code} {scenario.target}", *words, f"again: {again}"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--case", type=int, action="append", help="only this case; may be repeated")
    parser.add_argument("--save", type=Path, help="write each report into this folder")
    options = parser.parse_args()
    why = enter()
    if why:
        print(f"skipped: {why}", file=sys.stderr)
        return SKIPPED
    numbers: Sequence[int] = options.case or range(options.count)
    started = time.monotonic()
    counts: Counter[str] = Counter()
    by_cause: dict[str, Counter[str]] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        played = pool.map(lambda number: play_case(options.seed, number), numbers)
        for number, (found, scenario, outcome) in zip(numbers, played, strict=True):
            counts[found] += 1
            by_cause.setdefault(scenario.expect.cause or "healthy", Counter())[found] += 1
            if found != "right" or options.case:
                print(told(found, scenario, outcome, options.seed, number), flush=True)
            if options.save and outcome.report:
                options.save.mkdir(parents=True, exist_ok=True)
                path = options.save / f"{scenario.name}.{outcome.who}.json"
                path.write_text(json.dumps(outcome.report, indent=1), encoding="utf-8")
    for cause, row in sorted(by_cause.items()):
        print(f"{cause:28} " + ", ".join(f"{row[found]} {found}" for found in GRADES if row[found]))
    words = ", ".join(f"{counts[found]} {found}" for found in GRADES)
    print(f"seed {options.seed}: {len(numbers)} cases in {time.monotonic() - started:.0f} s: {words}")
    return 0 if counts["right"] + counts["abstained"] == len(numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
