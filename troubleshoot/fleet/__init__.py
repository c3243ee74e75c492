"""Many reports of one target: from which places it fails, from which it works, and what these differ in.

Nothing is looked at here but reports. What one report found stands; what several together bear is concluded, and no
more surely than the places that were looked from can tell it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from troubleshoot.fleet.group import Target, by_target
from troubleshoot.fleet.matrix import Table, tables
from troubleshoot.fleet.model import Finding, View
from troubleshoot.fleet.state import Fleet
from troubleshoot.fleet.verdict import verdict


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """One target's verdict: ``views`` are its reports by site, machine and time, ``tables`` what they differ in."""

    target: str
    finding: Finding
    views: tuple[View, ...]
    tables: tuple[Table, ...]
    duplicates: int = 0


def merge(views: Sequence[View], *, one_target: bool = False) -> tuple[Merged, ...]:
    """Return a verdict for each target, the ones with most reports first.

    ``one_target`` takes all reports as about the same, whatever they call it: those with other names in the place of
    the true ones (``--redact``) have nothing in common that could be compared.
    """
    return tuple(_merged(target) for target in by_target(views, one_target=one_target))


def _merged(target: Target) -> Merged:
    fleet = Fleet(target.views)
    return Merged(
        target=target.name,
        finding=verdict(fleet),
        views=target.views,
        tables=tables(fleet),
        duplicates=target.duplicates,
    )
