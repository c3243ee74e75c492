"""What the reports of several diagnoses have in common: pure functions over reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from troubleshoot.knowledge.catalogue import catalogue as installed
from troubleshoot.report import Confidence, Location, Report

#: The scopes of a cause that lie on this machine's side: where one of them is at fault nothing is known of a target.
_OWN: Final = ("this-machine",)


def said(report: Report) -> tuple[object, ...]:
    """Return what makes two verdicts the same."""
    verdict, place = report.verdict, report.verdict.location
    where = (place.scope, *_device(place)) if place else None
    return verdict.cause, where, None if verdict.cause else report.target.input


def agreed(reports: Sequence[Report]) -> Report | None:
    """Return the report that speaks for all, ``None`` where they differ.

    One that could not tell the place of the fault, or whose it is, agrees with one that could.
    """
    if reports[0].verdict.cause is None or len({report.verdict.cause for report in reports}) > 1:
        return None
    told = [(at.scope, *_device(at)) if (at := each.verdict.location) else (None,) * 3 for each in reports]
    if any(len({each[part] for each in told} - {None}) > 1 for part in range(3)):
        return None
    return max(reports, key=lambda report: sum(part is not None for part in told[reports.index(report)]))


def least(*levels: Confidence) -> Confidence:
    """Return the lowest confidence."""
    order: tuple[Confidence, ...] = ("possible", "likely", "certain")
    return min(levels, key=order.index)


def of_own_environment(report: Report) -> bool:
    """Whether the cause lies with this machine, so that nothing is known of the target."""
    place = report.verdict.location
    cause = report.verdict.cause
    known = cause is not None and cause in installed().cause_names
    return (place is not None and place.scope in _OWN) or (known and installed().cause(cause or "").environment)


def _device(place: Location) -> tuple[int | None, str | None]:
    """Return hop and address of a device on the way, which is one place for all that lies behind it.

    A host is its own.
    """
    return (None, None) if place.scope in ("remote-host", "name-service") else (place.hop, place.address)
