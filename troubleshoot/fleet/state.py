"""The reports of one target as questions: what fails, what works, and how surely a pattern is no chance."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import comb
from typing import get_args

from troubleshoot.fleet.model import View
from troubleshoot.report import Confidence


class Fleet:
    """The reports of one target. Machines count once, however many reports they gave."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views = tuple(views)
        self.failing = tuple(view for view in views if view.fails)
        self.working = tuple(view for view in views if view.outcome == "healthy")
        self.decided = tuple(view for view in views if view.decided)

    @functools.cached_property
    def machines(self) -> dict[str, list[View]]:
        """Machine → its reports that came to a verdict, oldest first."""
        held: dict[str, list[View]] = defaultdict(list)
        for view in sorted(self.decided, key=lambda view: view.moment):
            held[view.machine].append(view)
        return dict(held)

    @property
    def failed(self) -> set[str]:
        """The machines from which it fails, at least once."""
        return {view.machine for view in self.failing}

    @property
    def worked(self) -> set[str]:
        """The machines from which it works, at least once."""
        return {view.machine for view in self.working}

    @property
    def mixed(self) -> set[str]:
        """The machines from which it fails and works."""
        return self.failed & self.worked

    @property
    def failed_sites(self) -> list[str]:
        """The sites from which it fails, at least once."""
        return sorted({view.site for view in self.failing})

    @property
    def worked_sites(self) -> list[str]:
        """The sites from which it works, at least once."""
        return sorted({view.site for view in self.working})

    @property
    def sites(self) -> dict[str, set[str]]:
        """Site → its machines with a verdict."""
        held: dict[str, set[str]] = defaultdict(set)
        for view in self.decided:
            held[view.site].add(view.machine)
        return dict(held)

    @property
    def all_told(self) -> bool:
        """Whether every report came to a verdict under the true names: else nothing is certain."""
        return len(self.decided) == len(self.views) and not any(view.redacted for view in self.views)

    @property
    def dated(self) -> bool:
        """Whether the moment of every report that came to a verdict is known."""
        return all(view.moment > 0 for view in self.decided)

    def without(self, left_out: Iterable[View]) -> Fleet:
        """Return the fleet without some reports."""
        gone = {id(view) for view in left_out}
        return Fleet([view for view in self.views if id(view) not in gone])


def split(fleet: Fleet, key: Callable[[View], str]) -> tuple[list[str], list[str]] | None:
    """Return the keys that fail and those that work, ``None`` unless each does one of both and both are there."""
    failed, worked = {key(view) for view in fleet.failing}, {key(view) for view in fleet.working}
    if not failed or not worked or failed & worked or "" in failed | worked:
        return None
    return sorted(failed), sorted(worked)


def surest(views: Iterable[View]) -> Confidence:
    """Return the confidence of the report that is surest of itself."""
    return min((view.confidence for view in views), key=get_args(Confidence).index)


def chance(sizes: Sequence[int], failed: int) -> float:
    """Return how probable it is that ``failed`` machines, drawn at random, are just some of these groups as a whole.

    1 where there is nothing to draw. ``sizes`` are how many machines each group has.
    """
    ways = [1] + [0] * failed
    for size in sizes:
        for total in range(failed, size - 1, -1):
            ways[total] += ways[total - size]
    return ways[failed] / comb(sum(sizes), failed) if 0 < failed <= sum(sizes) else 1.0
