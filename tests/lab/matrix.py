"""The confusion matrix of a run of the lab: which cause was put in, which one came out; and how steady refusals are.

Pure functions over scenarios and outcomes; `python tests/lab/run.py --matrix` plays and prints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.lab.scenario import Outcome, Scenario, sample

#: Verdicts by which somebody is said to have refused.
REFUSALS = ("no-listener", "firewall-reset", "firewall-reject")
ABSTAINED = "abstained"


def refusers(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Return a sample of the variants in which somebody refuses: every place, size, family and limit comes once."""
    return [scenario for scenario in sample(scenarios) if scenario.values and scenario.expect.cause in REFUSALS]


def verdict(outcome: Outcome) -> str:
    """The cause that a run came to, ``healthy``, ``abstained`` or what kept it from a verdict.

    A cause that is called no more than possible is no verdict, and neither is "inconclusive".
    """
    if outcome.report is None:
        return outcome.grade
    said = outcome.report["verdict"]
    if said["outcome"] == "fault" and said["confidence"] != "possible":
        return str(said["cause"])
    return "healthy" if said["outcome"] == "healthy" else ABSTAINED


def fold(outcome: Outcome) -> str:
    """Fold the grades of a scenario: ``right``, ``abstained``, or what it is otherwise."""
    if outcome.grade == "right":
        return "right"
    if outcome.report is not None and verdict(outcome) == ABSTAINED:
        return ABSTAINED
    return "right" if outcome.grade == "accepted" else outcome.grade


def confusion(scenarios: Sequence[Scenario], outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table: a row for each cause that was put in, with what came out and how often."""
    rows: dict[str, Counter[str]] = {}
    grades: dict[str, Counter[str]] = {}
    for scenario, outcome in zip(scenarios, outcomes, strict=True):
        truth = scenario.expect.cause or "healthy"
        rows.setdefault(truth, Counter())[verdict(outcome)] += 1
        grades.setdefault(truth, Counter())[fold(outcome)] += 1
    lines = [
        "| put in | runs | came out as itself | abstained | came out as another |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for truth, row in sorted(rows.items()):
        others = {name: count for name, count in row.items() if name not in (truth, ABSTAINED)}
        words = ", ".join(f"{name} {count}" for name, count in sorted(others.items(), key=lambda item: -item[1]))
        lines.append(f"| {truth} | {row.total()} | {row[truth]} | {row[ABSTAINED]} | {words} |")
    total = sum(grades.values(), Counter())
    counted = ", ".join(f"{count} {name}" for name, count in sorted(total.items(), key=lambda item: -item[1]))
    return "\n".join([f"{len(outcomes)} runs: {counted}.", "", *lines])


def steadiness(outcomes: Sequence[Outcome], repetitions: int) -> str:
    """Return a Markdown table of the runs that were repeated: every different verdict and how often it came."""
    runs: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        runs.setdefault((outcome.scenario, outcome.who), []).append(outcome)
    repeated = {key: found for key, found in runs.items() if len(found) == repetitions}
    steady, rows = 0, []
    for (name, who), found in sorted(repeated.items()):
        said = Counter(outcome.said for outcome in found)
        wrong = [outcome for outcome in found if fold(outcome) not in ("right", ABSTAINED)]
        if len(said) == 1 and not wrong:
            steady += 1
            continue
        words = ", ".join(f"{count} x {text}" for text, count in said.most_common())
        rows.append(f"| {name} ({who}) | {words} | {len(wrong)} |")
    head = (
        f"Refusals, each played {repetitions} times in a lab of its own: {steady} of {len(repeated)} gave the same "
        f"verdict every time{', none of them wrong' if steady else ''}"
    )
    if not rows:
        return head + "."
    return "\n".join([head + "; the others:", "", "| scenario | verdicts | wrong |", "| --- | --- | ---: |", *rows])


def matrix(scenarios: Sequence[Scenario], outcomes: Sequence[Outcome], repetitions: int) -> str:
    """Both tables."""
    return f"{confusion(scenarios, outcomes)}\n\n{steadiness(outcomes, repetitions)}"
