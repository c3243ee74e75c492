"""Saved reports read back: the request they were about, and the observations they hold."""

from __future__ import annotations

from typing import Any

import msgspec

from probes.base import Observation, load
from probes.table import TABLE
from troubleshoot.errors import UserError
from troubleshoot.facts import Key
from troubleshoot.intake.request import Request, request_of
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import Options
from troubleshoot.report import Report
from troubleshoot.run.sound import check

#: The options that a report holds, by which it can be judged again.
SAVED = ("family", "pid", "local_host", "router", "remote_neighbour")


def request_from(report: Report, catalogue: Catalogue) -> Request:
    """Rebuild the request of a saved report; raises :class:`UserError` where it does not fit this catalogue."""
    if report.error.name not in catalogue.numbers:
        raise UserError(f"a report about {report.error.name}, which this version does not know")
    try:
        options = msgspec.convert({k: report.request.get(k) for k in SAVED}, Options)
    except msgspec.ValidationError as error:
        raise UserError(f"request: {error}") from None
    target = parse_target(report.target.input, catalogue)
    return request_of(report.error.name, target, options, catalogue, privileged=report.vantage.privileged)


def load_observations(report: Report) -> dict[Key, Observation[Any]]:
    """Read the probes' records of a saved report back into their types; raises :class:`UserError`."""
    found: dict[Key, Observation[Any]] = {}
    for position, record in enumerate(report.probes):
        name = record.get("probe")
        if not isinstance(name, str) or name not in TABLE:
            raise UserError(f"probes[{position}]: no probe is called {name!r}")
        try:
            observation = msgspec.convert({**record, "result": None}, Observation[Any])
            result = record.get("result")
            typed = msgspec.convert(result, load(name).result) if result is not None else None
        except msgspec.ValidationError as error:
            raise UserError(f"probes[{position}] ({name}): {error}") from None
        whole = Observation(
            probe=observation.probe,
            subject=observation.subject,
            status=observation.status,
            started=observation.started,
            duration_ms=observation.duration_ms,
            vantage=observation.vantage,
            result=typed,
            reason=observation.reason,
            error=observation.error,
        )
        try:
            check(whole)
        except UserError as error:
            raise UserError(f"probes[{position}] ({name}): {error}") from None
        found[whole.probe, whole.subject] = whole
    return found
