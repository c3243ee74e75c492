"""The steps of the checklist in words, each with what was observed and the command by hand."""

from __future__ import annotations

from typing import Any

import msgspec

from troubleshoot.report import Step
from troubleshoot.run.compose.advice import NAMES, by_hand
from troubleshoot.run.compose.case import Case


def step(case: Case, identifier: str) -> Step:
    """Return a step as the report has it."""
    view = case.views[identifier]
    entry = case.catalogue.steps[identifier]
    line = next(s for s in case.catalogue.checklist(case.facts.request.code) if s.id == identifier)
    behind = [o for key in view.probes if (o := case.facts.observation(*key)) is not None]
    observations: dict[str, list[Any]] = {}
    for observation in behind:
        if observation.result is not None:
            observations.setdefault(observation.probe, []).append(msgspec.to_builtins(observation.result))
    return Step(
        id=identifier,
        title=entry.title.in_(case.language),
        status=view.status,
        summary=case.say(view.summary),
        why=case.say(view.why) if view.why is not None else entry.purpose.in_(case.language),
        observations=observations,
        duration_ms=max((o.duration_ms for o in behind), default=None),
        origin=line.origin,
        added=line.added,
        by_hand=_by_hand(case, identifier) if view.status == "unavailable" else None,
    )


def _by_hand(case: Case, identifier: str) -> dict[str, str] | None:
    """Return for each system the command that shows the same, where its places can be filled."""
    forms = {system: by_hand(case, identifier, system) for system in NAMES}
    return {system: "; ".join(found) for system, found in forms.items() if found} or None
