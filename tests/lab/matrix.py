"""The confusion matrix of a run of the lab: which cause was put in, which one came out; and how steady refusals are.

Pure functions over scenarios and outcomes; `python tests/lab/run.py --matrix` plays and prints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.lab.play import Outcome
from tests.lab.scenario import Scenario, sample

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
    """Fold the grades of a scenario: ``right`` (however sure), ``abstained``, or what it is otherwise."""
    if outcome.grade == "right":
        return "right"
    if outcome.report is not None and verdict(outcome) == ABSTAINED:
        return ABSTAINED
    return "right" if outcome.grade in ("accepted", "unsure") else outcome.grade


def put_in(scenario: Scenario) -> str:
    """What the lab was given: the expected cause, where the file says nothing else."""
    return scenario.truth or scenario.expect.cause or "healthy"


def column(truth: str, outcome: Outcome) -> str:
    """Where a run stands in the matrix: ``itself``, ``misplaced``, ``abstained``, ``allowed`` or ``wrong``."""
    said = verdict(outcome)
    if said == ABSTAINED:
        return ABSTAINED
    good = fold(outcome) == "right"
    if said == truth:
        return "itself" if good else "misplaced"
    return "allowed" if good else "wrong"


def confusion(scenarios: Sequence[Scenario], outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table: a row for each cause that was put in, with what came out and how often."""
    rows: dict[str, Counter[str]] = {}
    others: dict[tuple[str, str], Counter[str]] = {}
    for scenario, outcome in zip(scenarios, outcomes, strict=True):
        if outcome.grade == "unverified":
            continue
        truth = put_in(scenario)
        where = column(truth, outcome)
        rows.setdefault(truth, Counter())[where] += 1
        others.setdefault((truth, where), Counter())[verdict(outcome)] += 1
    lines = [
        "| put in | runs | itself | itself, misplaced | abstained | another, allowed by the file | another, wrong |",
        "| --- | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for truth, row in sorted(rows.items()):
        counts = [row.total(), *(row[name] for name in ("itself", "misplaced", ABSTAINED))]
        words = [_words(others.get((truth, where), Counter())) for where in ("allowed", "wrong")]
        lines.append(f"| {' | '.join([truth, *map(str, counts), *words])} |")
    total = sum(rows.values(), Counter())
    counted = (
        f"{total.total()} runs: {total['itself']} came out as what was put in, {total[ABSTAINED]} abstained, "
        f"{total['allowed']} came out as another cause that the scenario allows, {total['misplaced']} at a wrong "
        f"place, {total['wrong']} as something else."
    )
    if total.total() < len(outcomes):
        counted += f" In {len(outcomes) - total.total()} more the fault could not be made; they say nothing."
    return "\n".join([counted, "", *lines])


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _place(outcome: Outcome) -> tuple[str, object]:
    """A verdict without its confidence: the cause and the hop."""
    location = (outcome.report or {"verdict": {}})["verdict"].get("location") or {}
    return verdict(outcome), location.get("hop")


def steadiness(outcomes: Sequence[Outcome], repetitions: int) -> str:
    """Return how many of the repeated runs always gave one verdict; a Markdown table of those that did not."""
    runs: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        runs.setdefault((outcome.scenario, outcome.who), []).append(outcome)
    repeated = {key: found for key, found in runs.items() if len(found) == repetitions}
    if not repeated:
        return "No refusal was repeated."
    steady, rows, abstentions = 0, [], 0
    for (name, who), found in sorted(repeated.items()):
        wrong = [outcome for outcome in found if fold(outcome) not in ("right", ABSTAINED)]
        firm = [outcome for outcome in found if verdict(outcome) != ABSTAINED]
        abstentions += len(found) - len(firm)
        if len({_place(outcome) for outcome in firm}) <= 1 and not wrong:
            steady += 1
        else:
            words = _words(Counter(outcome.said for outcome in found))
            rows.append(f"| {name} ({who}) | {words} | {len(wrong)} |")
    head = (
        f"Refusals, each played {repetitions} times in a lab of its own: {steady} of {len(repeated)} gave the same "
        f"cause at the same hop every time or abstained ({abstentions} of the runs), and none of these was wrong"
    )
    if not rows:
        return head + "."
    return "\n".join([head + "; the others:", "", "| scenario | verdicts | wrong |", "| --- | --- | ---: |", *rows])


def matrix(scenarios: Sequence[Scenario], outcomes: Sequence[Outcome], repetitions: int) -> str:
    """Both tables."""
    return f"{confusion(scenarios, outcomes)}\n\n{steadiness(outcomes, repetitions)}"
