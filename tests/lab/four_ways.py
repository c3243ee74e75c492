"""Play each cause that a service or a proxy brings in four ways: as root and without privilege, over IPv4 and IPv6.

    python tests/lab/four_ways.py [--only CAUSE]... [--jobs N]

Of each cause one scenario is played as both users over both families; those that need a data base or another real
service come last, as they take longest. Prints a Markdown table with what each run came to. Exit status 1 where one of
them was wrong. About four minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.lab.play import Outcome  # noqa: E402
from tests.lab.run import attempt  # noqa: E402
from tests.lab.scenario import Scenario, load_all  # noqa: E402

#: What a service or a proxy says, or does with a connection.
CAUSES = (
    "service-refuses", "service-error", "service-closes", "service-resets", "service-silent", "protocol-mismatch",
    "certificate-invalid", "clock-wrong", "tls-failed", "client-certificate-required", "content-filtered",
    "ftp-data-unreachable", "proxy-unreachable", "proxy-refuses",
)  # fmt: skip
USERS, FAMILIES = ("root", "nobody"), (4, 6)


def ways(scenarios: Sequence[Scenario], cause: str) -> dict[tuple[str, int], Scenario]:
    """Return a scenario of a cause for each user and family, as far as there are."""
    found = [one for one in scenarios if one.expect.cause == cause and not one.lacks()]
    found.sort(key=lambda one: (any(fault["kind"] == "daemon" for fault in one.faults), one.name))
    chosen = {}
    for who in USERS:
        for family in FAMILIES:
            fit = [one for one in found if who in one.who and one.values.get("family") == family]
            if fit:
                chosen[who, family] = fit[0]
    return chosen


def row(cause: str, outcomes: dict[tuple[str, int], Outcome]) -> str:
    """Return a line of the table."""
    cells = []
    for who in USERS:
        for family in FAMILIES:
            one = outcomes.get((who, family))
            cells.append("-" if one is None else f"{one.grade}: {one.said}")
    return f"| {' | '.join((cause, *cells))} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=CAUSES)
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    scenarios, worst = load_all(), 0
    print(f"| cause | {' | '.join(f'{who}, IPv{family}' for who in USERS for family in FAMILIES)} |")
    print("| --- | --- | --- | --- | --- |")
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for cause in chosen.only or CAUSES:
            picked = ways(scenarios, cause)
            running = {way: pool.submit(attempt, one, way[0], None) for way, one in picked.items()}
            played = {way: future.result() for way, future in running.items()}
            print(row(cause, played), flush=True)
            worst |= any(one.grade not in ("right", "accepted") for one in played.values()) or len(played) < 4
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
