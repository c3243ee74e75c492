"""Saved reports read back: the request they were about, and the observations they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from probes.base import Observation, load
from probes.table import TABLE
from troubleshoot.errors import UserError
from troubleshoot.facts import Key
from troubleshoot.intake.request import Request, request_of
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import Options
from troubleshoot.report import Report
from troubleshoot.run.sound import check, check_head

#: The options that a report holds, by which it can be judged again.
SAVED = ("family", "pid", "local_host", "router", "remote_neighbour", "advice_for")


def request_from(report: Report, catalogue: Catalogue) -> Request:
    """Rebuild the request of a saved report; raises :class:`UserError` where it does not fit this catalogue."""
    check_head(report)
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
            whole = observation_of(record)
        except msgspec.ValidationError as error:
            raise UserError(f"probes[{position}] ({name}): {error}") from None
        try:
            check(whole)
        except UserError as error:
            raise UserError(f"probes[{position}] ({name}): {error}") from None
        found[whole.probe, whole.subject] = whole
    return found


def observation_of(record: Mapping[str, Any]) -> Observation[Any]:
    """Read one record back into its types; raises ``msgspec.ValidationError``."""
    observation = msgspec.convert({**record, "result": None}, Observation[Any])
    result = record.get("result")
    return replace(
        observation, result=msgspec.convert(result, load(observation.probe).result) if result is not None else None
    )
