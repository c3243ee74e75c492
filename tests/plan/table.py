"""What the plan asks for, as a table: for saved reports after each answer, and with the same answers for each code.

    python tests/plan/table.py --write

writes the table into tests/data/plan, deliberately: read the difference before it is committed. ``test_plan.py`` holds
the plan to it. A job stands in it as its probe and what that is about.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from msgspec.structs import replace  # noqa: E402

from probes.base import Observation, Status  # noqa: E402
from troubleshoot.facts import Facts  # noqa: E402
from troubleshoot.knowledge.catalogue import Catalogue  # noqa: E402
from troubleshoot.report import Report, from_json  # noqa: E402
from troubleshoot.run.plan import wanted  # noqa: E402
from troubleshoot.run.saved import load_observations, request_from  # noqa: E402

REPORTS = ROOT / "tests" / "data" / "reports"
GOLDEN = ROOT / "tests" / "data" / "plan"
#: Whose answers every code is tried with: a name elsewhere, an address of this machine, no port left to connect from.
FOR_CODES = ("healthy-name.nobody", "accept-queue-full-local.nobody", "ephemeral-ports-exhausted-in-use.nobody")
#: Of whose answers one kind is taken away: a port that meets silence, and one that connects.
BLIND = ("firewall-drop-path.nobody", "healthy-beside-a-local-host.nobody")


@functools.cache
def catalogue() -> Catalogue:
    return Catalogue()


@functools.cache
def saved(name: str) -> Report:
    return from_json((REPORTS / f"{name}.json").read_bytes())


def named(facts: Facts) -> list[str]:
    """Return what the plan names, in its order."""
    return [f"{job.probe} {job.subject}".rstrip() for job in wanted(facts)]


def moments(report: Report) -> Iterator[tuple[str, Facts]]:
    """What was known at first, and after each probe that ended, in the order in which they did.

    What a running probe had told so far is not in a report: it is known as running, without a result.
    """

    def end(one: Observation[Any]) -> float:
        return one.started + one.duration_ms / 1000

    request, thresholds = request_from(report, catalogue()), catalogue().judgement.thresholds
    ended = sorted(load_observations(report).items(), key=lambda item: end(item[1]))
    yield "", Facts(request, thresholds, {})
    for number, (key, last) in enumerate(ended, start=1):
        running = [other for other, one in ended[number:] if one.started <= end(last)]
        yield " ".join(key).rstrip(), Facts(request, thresholds, dict(ended[:number]), running)


def told(report: Report) -> dict[str, list[str]]:
    """Which jobs are named for the first time at the start (key ``""``) and after which probe."""
    table: dict[str, list[str]] = {}
    before: set[str] = set()
    for last, facts in moments(report):
        new = [job for job in named(facts) if job not in before]
        before.update(new)
        if new:
            table[last] = new
    return table


def by_code(report: Report) -> dict[str, dict[str, list[str]]]:
    """Return what each code asks for at first, and with every answer of the report there."""
    table = {}
    for code in sorted(catalogue().numbers):
        first, *_, last = moments(replace(report, error=replace(report.error, name=code)))
        table[code] = {"at first": named(first[1]), "at last": named(last[1])}
    return table


def without(report: Report) -> dict[str, list[str]]:
    """Return what is asked for in the end where one probe cannot be run on this system, for each that was run."""
    table = {}
    for probe in sorted({record["probe"] for record in report.probes}):
        nothing = {"status": Status.NOT_APPLICABLE.value, "result": None}
        records = tuple(record | nothing if record["probe"] == probe else record for record in report.probes)
        *_, (_, last) = moments(replace(report, probes=records))
        table[probe] = named(last)
    return table


def golden() -> dict[str, Any]:
    """Return every table by the name of its file."""
    tables: dict[str, Any] = {path.stem: told(saved(path.stem)) for path in sorted(REPORTS.glob("*.json"))}
    tables |= {f"codes.{name}": by_code(saved(name)) for name in FOR_CODES}
    return tables | {f"without.{name}": without(saved(name)) for name in BLIND}


def text_of(table: Any) -> str:
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", required=True)
    parser.parse_args()
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.glob("*.json"):
        path.unlink()
    for name, table in golden().items():
        (GOLDEN / f"{name}.json").write_text(text_of(table), encoding="utf-8")


if __name__ == "__main__":
    main()
