"""Patterns that show within single reports or machines: by family, by address, by time.

They are the strongest, because everything else is the same on both sides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from math import comb

from probes.base import note
from troubleshoot.fleet.hops import meeting
from troubleshoot.fleet.model import Cell, Finding, Kind, View
from troubleshoot.fleet.state import Fleet
from troubleshoot.report import Confidence

#: Rarer than this, a pattern is no chance.
RARE = 0.01


def by_cell(fleet: Fleet) -> Finding | None:
    """Return what fails by family, else by address of the target: each one fails from everywhere or from nowhere."""
    if not fleet.failing or not all(any(not c.works for c in v.cells) for v in fleet.failing):
        return None
    if any(not cell.works for view in fleet.working for cell in view.cells):
        return None
    paired = [view for view in fleet.failing if any(cell.works for cell in view.cells)]
    if not paired:
        return None
    return _by(fleet, paired, "family", lambda cell: cell.family) or _by(
        fleet, paired, "address", lambda cell: cell.address
    )


def _by(fleet: Fleet, paired: list[View], kind: Kind, key: Callable[[Cell], str]) -> Finding | None:
    came: dict[str, set[bool]] = defaultdict(set)
    for view in fleet.decided:
        for cell in view.cells:
            came[key(cell)].add(cell.works)
    if any(len(both) > 1 for both in came.values()):
        return None
    failed = sorted(one for one, both in came.items() if both == {False})
    worked = sorted(one for one, both in came.items() if both == {True})
    machines = {view.machine for view in paired}
    sites = {view.site for view in paired}
    rivals: tuple[Kind, ...] = ()
    if kind == "family" and len({c.address for v in paired for c in v.cells if not c.works}) == 1:
        rivals = ("address",)
    if len(sites) == 1:
        rivals = (*rivals, "site" if len(fleet.sites) > 1 else "one-network")
    # Where one of two fails at a time, whichever it is, they all meet the same one so often by chance.
    rare = 2 ** (1 - len(machines)) < RARE
    sure = rare and not rivals and fleet.all_told
    evidence = note("ui.merge-fact-paired", count=len(machines), failed=", ".join(failed), worked=", ".join(worked))
    return Finding(
        kind=kind,
        confidence="certain" if sure else "likely",
        keys=tuple(failed),
        works=tuple(worked),
        rivals=rivals,
        evidence=(evidence,),
    )


def by_time(fleet: Fleet) -> Finding | None:
    """Return since or until when it fails, where machines saw both; without order in time it comes and goes."""
    mixed = fleet.mixed
    if not mixed:
        return None
    failing = [view for view in fleet.failing if not view.at_home]
    if not failing:
        return None
    turn = turning_point(fleet)
    sites = {view.site for view in failing}
    elsewhere = set(fleet.sites) - sites
    if turn is None and elsewhere and len(sites) == 1:
        return _at_one_site(fleet, failing, sites.pop())
    if turn is None:
        return Finding(
            kind="comes-and-goes",
            confidence="likely" if len(mixed) > 1 else "possible",
            keys=tuple(sorted(mixed)),
            evidence=(note("ui.merge-fact-mixed", count=len(mixed)),),
        )
    before, after = turn
    key = "ui.merge-fact-since" if after.fails else "ui.merge-fact-until"
    # Of all ways in which so many of the reports could fail, two are one turn in time.
    rare = 2 / comb(len(fleet.decided), len(fleet.failing)) < RARE
    sure = len(mixed) > 1 and rare and len(sites) > 1 and fleet.all_told and mixed == fleet.failed
    return Finding(
        kind="time",
        confidence="certain" if sure else "likely",
        keys=(before.started, after.started),
        rivals=() if len(sites) > 1 else ("site",) if elsewhere else ("one-network",),
        evidence=(note(key, before=before.started, after=after.started, machines=len(mixed)),),
    )


def turning_point(fleet: Fleet) -> tuple[View, View] | None:
    """Return the last report before and the first one after it turned, ``None`` unless it turned once for all.

    A report whose moment cannot be read may lie on either side.
    """
    if not fleet.dated:
        return None
    ordered = sorted(fleet.decided, key=lambda view: view.moment)
    turns = [n for n in range(1, len(ordered)) if ordered[n].outcome != ordered[n - 1].outcome]
    if len(turns) != 1:
        return None
    before, after = ordered[turns[0] - 1], ordered[turns[0]]
    return (before, after) if before.moment < after.moment else None


def _at_one_site(fleet: Fleet, failing: list[View], site: str) -> Finding:
    """Return what fails at one site at times, while it works elsewhere."""
    inside = Fleet([view for view in fleet.views if view.site == site])
    turn = turning_point(inside)
    when = (note("ui.merge-fact-turned", before=turn[0].started, after=turn[1].started),) if turn else ()
    confidence: Confidence = "likely" if len(inside.failed) > 1 or turn else "possible"
    return Finding(
        kind="site",
        confidence=confidence,
        keys=(site,),
        works=tuple(sorted(set(fleet.sites) - {site})),
        router=meeting(failing, [view for view in fleet.working if view.site != site]),
        rivals=("time",),
        evidence=(note("ui.merge-fact-mixed", count=len(inside.mixed)), *when),
    )
