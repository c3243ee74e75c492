"""Two reports side by side: what differs between two runs, two machines or two ends, and what follows.

Only what both looked at is compared, and only what the two verdicts bear is concluded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from probes.base import Note, note
from troubleshoot.facts import is_loopback
from troubleshoot.report import Report, Step, Way

#: Statuses of a step that tell of what was looked at.
_SEEN = ("passed", "failed", "warning")


class Difference(msgspec.Struct, frozen=True):
    """What differs: ``what`` is a field of the report (``target``) or the title of a step; ``None``: not there."""

    what: str
    a: str | None
    b: str | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The differences, and what follows as notes of the catalogue's ``ui.compare-…``, the weightiest first."""

    a: str
    b: str
    same_target: bool
    same_machine: bool
    differences: tuple[Difference, ...]
    follows: tuple[Note, ...]


def compare(a: Report, b: Report) -> Comparison:
    """Compare two reports; each is called by its machine, and by its moment where that is the same one."""
    hosts = a.vantage.hostname, b.vantage.hostname
    same_machine = hosts[0] == hosts[1] and _one_machine(a, b)
    names = (a.started, b.started) if same_machine else hosts
    if names[0] == names[1]:
        names = f"{names[0]} (A)", f"{names[1]} (B)"
    return Comparison(
        a=names[0],
        b=names[1],
        same_target=_alike(a, b),
        same_machine=same_machine,
        differences=(*_fields(a, b), *_steps(a, b)),
        follows=tuple(_follows(a, b, names, same_machine=same_machine)),
    )


def _alike(a: Report, b: Report) -> bool:
    """Whether both asked for the same: one host by name or by an address of it, and one port."""
    one, two = a.target, b.target
    if (one.port, one.transport) != (two.port, two.transport):
        return False
    hosts = {(one.host or "").casefold(), *one.addresses}, {(two.host or "").casefold(), *two.addresses}
    return bool(hosts[0] & hosts[1])


def own_addresses(report: Report) -> set[str]:
    """Return the addresses of the machine that a report was made on, without those that every machine has.

    Bridges for containers and virtual machines have the same address on many machines: an interface that has made up
    its hardware address counts only where a route leads through it, unless none is known.
    """
    led = {name for result in _results(report, "route") for name in _interfaces_of(result)}
    found: set[str] = set()
    for result in _results(report, "interfaces"):
        interfaces = [one for one in result["interfaces"] if not one["loopback"]]
        through = [one for one in interfaces if one["name"] in led]
        for interface in interfaces:
            if not through or interface in through or not _is_made_up(interface["mac"]):
                found |= {one["address"].partition("%")[0] for one in interface["addresses"]}
    return {address for address in found if not is_loopback(address) and not address.startswith("fe80:")}


def _results(report: Report, probe: str) -> Iterator[Mapping[str, Any]]:
    for record in report.probes:
        result = record.get("result")
        if record.get("probe") == probe and isinstance(result, Mapping):
            yield result


def _interfaces_of(route: Mapping[str, Any]) -> Iterator[str]:
    """Yield the interfaces that a route, and the default routes beside it, lead through."""
    for one in (route, *(route.get("defaults") or ())):
        if one["interface"]:
            yield one["interface"]


def _is_made_up(mac: str | None) -> bool:
    """Whether a hardware address is locally administered (IEEE 802): no maker has given it to the device."""
    return mac is not None and mac[1:2].lower() in set("2367abef")


def _one_machine(a: Report, b: Report) -> bool:
    """Whether two machines of one name may be one: they have an address in common, or it is not known."""
    one, two = own_addresses(a), own_addresses(b)
    return not one or not two or bool(one & two)


def _two_ends(a: Report, b: Report) -> bool:
    """Whether each report is about the machine of the other."""
    return bool(own_addresses(b) & set(a.target.addresses) and own_addresses(a) & set(b.target.addresses))


def _fields(a: Report, b: Report) -> list[Difference]:
    """Return the differences of what was asked, from where, and what came of it."""
    pairs: list[tuple[str, str | None, str | None]] = [
        ("code", a.error.name, b.error.name),
        ("target", a.target.input, b.target.input),
        ("addresses", ", ".join(sorted(a.target.addresses)), ", ".join(sorted(b.target.addresses))),
        ("machine", a.vantage.hostname, b.vantage.hostname),
        ("outcome", a.verdict.outcome, b.verdict.outcome),
        ("cause", a.verdict.cause, b.verdict.cause),
        ("confidence", a.verdict.confidence, b.verdict.confidence),
        ("scope", _scope(a), _scope(b)),
        ("hop", _hop(a), _hop(b)),
        ("path", _shown(a), _shown(b)),
    ]
    return [Difference(what, one or None, two or None) for what, one, two in pairs if (one or None) != (two or None)]


def _scope(report: Report) -> str | None:
    return report.verdict.location.scope if report.verdict.location else None


def _hop(report: Report) -> str | None:
    location = report.verdict.location
    return str(location.hop) if location is not None and location.hop else None


def _shown(report: Report) -> str:
    way = way_to(report)
    return "" if way is None else " ".join(("✗ " if n == way.broken else "") + node for n, node in enumerate(way.nodes))


def _steps(a: Report, b: Report) -> list[Difference]:
    """Return the steps that both looked at and that came to something else."""
    others = {step.id: step for step in b.steps}
    both = [(step, others[step.id]) for step in a.steps if step.id in others]
    return [
        Difference(one.title, _came(one), _came(two))
        for one, two in both
        if one.status != two.status and one.status in _SEEN and two.status in _SEEN
    ]


def _came(step: Step) -> str:
    return f"{step.status}: {step.summary}"


def way_to(report: Report) -> Way | None:
    """Return the way to the target, as far as it was followed."""
    return next((way for way in report.verdict.ways if way.kind == "target"), None)


def _follows(a: Report, b: Report, names: tuple[str, str], *, same_machine: bool) -> list[Note]:
    """Return what the two verdicts bear together."""
    if not same_machine and _two_ends(a, b):
        return [_ends(a, b, names)]
    if not _alike(a, b):
        return [note("ui.compare-other-targets")]
    addresses = set(a.target.addresses), set(b.target.addresses)
    found: list[Note] = []
    if all(addresses) and not addresses[0] & addresses[1]:
        found.append(note("ui.compare-other-addresses"))
    outcomes = a.verdict.outcome, b.verdict.outcome
    if "inconclusive" in outcomes:
        found.append(note("ui.compare-undecided", where=names[outcomes.index("inconclusive")]))
    elif outcomes == ("healthy", "healthy"):
        found.append(note("ui.compare-both-work"))
    elif outcomes == ("fault", "fault"):
        found.append(_both_fail(a, b, same_machine=same_machine))
    else:
        bad = outcomes.index("fault")
        failing, working = (a, b) if bad == 0 else (b, a)
        found.append(_one_works(failing, names[bad], names[1 - bad], same_machine=same_machine))
        found += _parting(failing, working, names[bad])
    return found


def _ends(a: Report, b: Report, names: tuple[str, str]) -> Note:
    """Return what it tells that one end of a connection reaches the other, or that neither does."""
    outcomes = a.verdict.outcome, b.verdict.outcome
    if set(outcomes) == {"fault", "healthy"}:
        bad = outcomes.index("fault")
        return note("ui.compare-one-end", bad=names[bad], good=names[1 - bad])
    if "inconclusive" in outcomes:
        return note("ui.compare-undecided", where=names[outcomes.index("inconclusive")])
    return note("ui.compare-both-ends-work") if a.verdict.outcome == "healthy" else note("ui.compare-both-ends-fail")


def _both_fail(a: Report, b: Report, *, same_machine: bool) -> Note:
    if a.verdict.cause != b.verdict.cause:
        return note("ui.compare-other-cause")
    scope = a.verdict.location.scope if a.verdict.location else ""
    if same_machine:
        return note("ui.compare-still")
    shared = scope in ("remote-host", "path", "name-service")
    return note("ui.compare-both-fail") if shared else note("ui.compare-each-its-own")


def _one_works(failing: Report, bad: str, good: str, *, same_machine: bool) -> Note:
    """Return what it tells that the same target works from the other machine, or at the other time."""
    if same_machine:
        return note("ui.compare-changed", bad=bad, good=good)
    location = failing.verdict.location
    scope = location.scope if location is not None else ""
    if scope == "path" and location is not None and location.address:
        return note("ui.compare-path-from", bad=bad, good=good, address=location.address)
    if scope in ("this-machine", "application", "local-network"):
        return note("ui.compare-near", bad=bad, good=good)
    return note("ui.compare-name-service" if scope == "name-service" else "ui.compare-only-from", bad=bad, good=good)


def _parting(failing: Report, working: Report, bad: str) -> list[Note]:
    """Return the last router that both ways have in common before the one breaks."""
    one, two = way_to(failing), way_to(working)
    if one is None or two is None or one.broken is None or failing.verdict.outcome != "fault":
        return []
    shared = [node for node in one.nodes[: one.broken] if node in two.nodes and node != "?"]
    if not shared or shared[-1] == two.nodes[-1]:
        return []
    return [note("ui.compare-shared", router=shared[-1], bad=bad)]
