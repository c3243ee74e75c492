"""Patterns between machines: what those that fail have in common, and those that work have not."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from math import comb

from probes.base import Note, note
from troubleshoot.fleet.hops import meeting, splits
from troubleshoot.fleet.model import Finding, Kind, View
from troubleshoot.fleet.paired import RARE, turning_point
from troubleshoot.fleet.state import Fleet, chance, split
from troubleshoot.report import Confidence

#: Common enough to be met by chance, but not mostly.
_SELDOM = 0.25
#: Reports that lie closer together, seconds, were made at one time: a fleet is asked within a minute or so.
_ONE_TIME_S = 60.0
#: So many machines that come to the same at each repetition do so not by chance: 1 in 256 if each were a coin.
_REPEATED = 8


def by_itself(fleet: Fleet) -> Finding | None:
    """Return the machines whose fault is their own, where nothing else fails and it works from others."""
    failing = fleet.failing
    if not failing or not fleet.working or not all(view.at_home for view in failing):
        return None
    sites = split(fleet, lambda view: view.site)
    whole = sites is not None and any(len(machines) > 1 for site, machines in fleet.sites.items() if site in sites[0])
    rivals: tuple[Kind, ...] = (*(("site",) if whole else ()), *(("time",) if _turned(fleet) else ()))
    sure = all(view.confidence == "certain" for view in failing) and not rivals and fleet.all_told
    return Finding(
        kind="machine",
        confidence="certain" if sure else "likely",
        keys=tuple(sorted(fleet.failed)),
        works=tuple(sorted(fleet.worked - fleet.failed)),
        rivals=rivals,
        evidence=tuple(_causes(failing)),
    )


def by_names(fleet: Fleet) -> Finding | None:
    """Return which name servers are at fault: those whom only the failing machines ask, or who say another address."""
    if not fleet.failing or not fleet.working:
        return None
    asked = [{server for view in views for server in view.servers} for views in (fleet.failing, fleet.working)]
    if not all(asked):
        return None
    apart = not asked[0] & asked[1]
    whole_sites = split(fleet, lambda view: view.site) is not None
    if all(view.scope == "name-service" for view in fleet.failing):
        if not apart:
            return None
        spoke = all(view.spoke and view.confidence == "certain" for view in fleet.failing)
        known = all(view.resolved for view in fleet.working)
        sure = spoke and known and fleet.all_told and not _turned(fleet)
        return Finding(
            kind="resolver",
            confidence="certain" if sure else "likely",
            keys=tuple(sorted(asked[0])),
            works=tuple(sorted(asked[1])),
            rivals=("site",) if whole_sites and not spoke else (),
            evidence=tuple(_causes(fleet.failing)),
        )
    given = [{address for view in views for address in view.resolved} for views in (fleet.failing, fleet.working)]
    if not all(view.resolved for view in fleet.decided) or given[0] & given[1]:
        return None
    sizes = [len(machines) for machines in _grouped(fleet, lambda view: ",".join(view.resolved)).values()]
    rare = chance(sizes, len(fleet.failed)) < RARE
    rivals: tuple[Kind, ...] = (*(("site",) if whole_sites else ()), *(("time",) if _turned(fleet) else ()))
    evidence = note("ui.merge-fact-answers", failed=", ".join(sorted(given[0])), worked=", ".join(sorted(given[1])))
    return Finding(
        kind="answers",
        confidence="certain" if apart and rare and not rivals and fleet.all_told else "likely",
        keys=tuple(sorted(asked[0])) if apart else tuple(sorted(given[0])),
        works=tuple(sorted(asked[1])) if apart else tuple(sorted(given[1])),
        rivals=rivals,
        evidence=(evidence,),
    )


def by_site(fleet: Fleet) -> Finding | None:
    """Return the one site from which it fails, or the router that the failing ways of several pass."""
    sites = split(fleet, lambda view: view.site)
    router = meeting(fleet.failing, fleet.working)
    if sites is None or len(sites[0]) > 1:
        return _by_router(fleet, router)
    (site,), others = sites
    machines = fleet.sites[site]
    rare = chance([len(held) for held in fleet.sites.values()], len(fleet.failed))
    near = all(view.scope in ("path", "local-network") for view in fleet.failing)
    rivals: list[Kind] = ["time"] if _turned(fleet) else []
    if len(machines) == 1:
        rivals.append("machine")
    if all(view.scope == "name-service" for view in fleet.failing):
        rivals.append("resolver")
    confidence: Confidence = "likely" if near or rare < _SELDOM else "possible"
    if rare < RARE and not rivals and len(fleet.worked) > 1 and fleet.all_told:
        confidence = "certain"
    return Finding(
        kind="site" if len(machines) > 1 or near else "one-point",
        confidence=confidence,
        keys=(site,),
        works=tuple(others),
        router=router,
        rivals=tuple(rivals),
        evidence=(
            note("ui.merge-fact-groups", failed=len(machines), worked=len(fleet.worked), sites=len(others)),
            *_causes(fleet.failing),
        ),
    )


def _by_router(fleet: Fleet, router: str | None) -> Finding | None:
    if router is None or len(fleet.failed) < 2:
        return None
    others = [machines for machines in splits(fleet.decided) if len(machines) == len(fleet.failed)]
    rare = len(others) / comb(len(fleet.machines), len(fleet.failed))
    spread = len(fleet.failed_sites) > 1 and len(fleet.worked_sites) > 1
    sure = rare < RARE and spread and not _turned(fleet) and fleet.all_told and not fleet.mixed
    return Finding(
        kind="hop",
        confidence="certain" if sure else "likely",
        keys=tuple(fleet.failed_sites),
        works=tuple(fleet.worked_sites),
        router=router,
        rivals=("time",) if _turned(fleet) else (),
        evidence=(note("ui.merge-fact-router", router=router, failed=len(fleet.failed), worked=len(fleet.worked)),),
    )


def in_part(fleet: Fleet) -> Finding | None:
    """Return the one site some of whose machines fail, while others there and all elsewhere work."""
    if len(fleet.failed_sites) != 1 or fleet.mixed or not fleet.working:
        return None
    site = fleet.failed_sites[0]
    inside = [view for view in fleet.decided if view.site == site]
    works = {view.machine for view in inside if not view.fails}
    if not works:
        return None
    steady = {machine for machine in fleet.sites[site] if len(fleet.machines[machine]) > 1}
    rule = _covering([view for view in inside if view.fails], [view for view in inside if not view.fails])
    evidence = [note("ui.merge-fact-part", failed=len(fleet.failed), worked=len(works))]
    if rule:
        evidence.append(note("ui.merge-fact-prefix", prefix=rule))
    several = len(fleet.failed) > 1
    again = len(steady) >= _REPEATED and fleet.failed <= steady
    sure = several and again and fleet.all_told and not _turned(fleet)
    return Finding(
        kind="part" if several else "one-point",
        confidence="certain" if sure else "likely" if several else "possible",
        keys=(site,) if several else tuple(sorted(fleet.failed)),
        works=tuple(sorted(works)) if several else tuple(sorted(fleet.worked)),
        rivals=() if sure else ("comes-and-goes",) if several else ("machine",),
        evidence=(*evidence, *_causes(fleet.failing)),
    )


def _covering(failing: list[View], working: list[View]) -> str | None:
    """Return the smallest prefix of all failing addresses, where no working one lies in it."""
    sources = [ipaddress.ip_address(view.source.partition("%")[0]) for view in failing if view.source]
    others = [ipaddress.ip_address(view.source.partition("%")[0]) for view in working if view.source]
    if len(set(sources)) < 2 or len({one.version for one in (*sources, *others)}) != 1:
        return None
    differ = int(min(sources)) ^ int(max(sources))
    prefix = ipaddress.ip_network((min(sources), sources[0].max_prefixlen - differ.bit_length()), strict=False)
    return None if any(one in prefix for one in others) else str(prefix)


def _grouped(fleet: Fleet, key: Callable[[View], str]) -> dict[str, set[str]]:
    held: dict[str, set[str]] = {}
    for view in fleet.decided:
        held.setdefault(key(view), set()).add(view.machine)
    return held


def _turned(fleet: Fleet) -> bool:
    """Whether what fails may lie apart in time as well: nothing shows then that it was not all of it that changed."""
    if not fleet.dated:
        return True
    turn = turning_point(fleet)
    return turn is not None and turn[1].moment - turn[0].moment >= _ONE_TIME_S


def _causes(failing: tuple[View, ...]) -> Iterator[Note]:
    """Yield what the reports found, the most frequent first."""
    titles = [view.title or view.cause or "" for view in failing]
    for title in sorted(set(titles), key=lambda one: (-titles.count(one), one))[:3]:
        if title:
            yield note("ui.merge-fact-cause", cause=title, count=titles.count(title))
