"""The one verdict of many reports: the first pattern that fits, strongest comparison first."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from probes.base import Note, note
from troubleshoot.fleet.between import by_itself, by_names, by_site, in_part
from troubleshoot.fleet.hops import last_of_all
from troubleshoot.fleet.model import Finding, Kind, View
from troubleshoot.fleet.paired import by_cell, by_time
from troubleshoot.fleet.state import Fleet, surest
from troubleshoot.report import Confidence


def verdict(fleet: Fleet) -> Finding:
    """Return what the reports bear together."""
    if not fleet.decided:
        return Finding(kind="undecided", outcome="inconclusive", settle=(note("ui.merge-settle-undecided"),))
    if not fleet.failing:
        sure = fleet.all_told and len(fleet.machines) > 1
        return Finding(kind="works", outcome="healthy", confidence=_at_most(fleet.working, sure=sure))
    if len(fleet.decided) == 1:
        only = fleet.failing[0]
        first = only.title or only.cause or "?"
        return _advised(Finding(kind="alone", confidence=_at_most([only], sure=fleet.all_told), keys=(first,)), fleet)
    return _advised(_pattern(fleet), fleet)


def _pattern(fleet: Fleet) -> Finding:
    found = by_cell(fleet) or by_time(fleet) or by_itself(fleet)
    if found is not None:
        return found
    own = [view for view in fleet.failing if view.at_home]
    rest = fleet.without(own)
    if not own or not rest.failing:
        return _among(fleet)
    beside = tuple(sorted({view.machine for view in own}))
    found = _among(rest)
    return replace(found, beside=beside)


def _among(fleet: Fleet) -> Finding:
    """Return what those that fail have in common, their own faults left out."""
    if not fleet.working:
        return _all_fail(fleet)
    return by_names(fleet) or by_site(fleet) or in_part(fleet) or _scattered(fleet)


def _scattered(fleet: Fleet) -> Finding:
    evidence = note("ui.merge-fact-scattered", failed=len(fleet.failed), total=len(fleet.machines))
    return Finding(
        kind="scattered",
        keys=tuple(fleet.failed_sites),
        works=tuple(fleet.worked_sites),
        evidence=(evidence,),
        rivals=("comes-and-goes",),
    )


def _all_fail(fleet: Fleet) -> Finding:
    """Return whose fault it is that it works from nowhere."""
    failing = fleet.failing
    count = note("ui.merge-fact-all", machines=len(fleet.machines), sites=len(fleet.sites))
    own = all(view.at_home or view.scope == "local-network" for view in failing)
    # What machines of one network share is no fault that each of them has by itself.
    if own and (len(fleet.sites) > 1 or all(view.at_home for view in failing)):
        return Finding(kind="each-its-own", confidence="likely", keys=tuple(sorted(fleet.failed)), evidence=(count,))
    servers = {server for view in failing for server in view.servers}
    if all(view.scope == "name-service" for view in failing):
        common = set.intersection(*(set(view.servers) for view in failing))
        shared: tuple[Kind, ...] = ("resolver",) if common else ()
        return Finding(
            kind="name-everywhere", confidence="likely", keys=tuple(sorted(servers)), rivals=shared, evidence=(count,)
        )
    router = last_of_all(failing)
    answered = all(view.arrives and view.routers for view in failing)
    several = len(fleet.sites) > 1
    facts = (count, note("ui.merge-fact-behind", router=router)) if router is not None else (count,)
    if not several:
        return Finding(
            kind="one-network",
            confidence="likely" if answered or router is not None else "possible",
            keys=tuple(fleet.sites),
            router=router,
            evidence=facts,
            rivals=("site",),
        )
    causes = {view.cause for view in failing}
    same = len(causes) == 1 and None not in causes
    return Finding(
        kind="everywhere",
        confidence=_at_most(failing, sure=answered and same and fleet.all_told),
        keys=tuple(sorted(fleet.sites)),
        router=router,
        evidence=facts,
    )


def _at_most(views: Sequence[View], *, sure: bool) -> Confidence:
    """Return how sure it is what all these reports say: no surer than the surest of them, and certain if ``sure``."""
    best = surest(views)
    return "likely" if best == "certain" and not sure else best


def _advised(found: Finding, fleet: Fleet) -> Finding:
    """Return a finding with what would make it surer, where it is not certain."""
    if found.confidence == "certain" and found.kind != "alone":
        return found
    settle: list[Note] = [note(f"ui.merge-settle-{rival}") for rival in found.rivals]
    if any(view.redacted for view in fleet.views):
        settle.append(note("ui.merge-settle-redacted"))
    if open_ := len(fleet.views) - len(fleet.decided):
        settle.append(note("ui.merge-settle-open", count=open_))
    if not settle and len(fleet.machines) < 4:
        settle.append(note("ui.merge-settle-more"))
    return replace(found, settle=tuple(settle))
