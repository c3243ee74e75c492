"""What each step of the checklist came to, by itself. The verdict weighs them all; a step only states its fact.

Each function here reads :class:`troubleshoot.facts.Facts` and returns a :class:`StepView`. A fact that is still on
its way raises :class:`troubleshoot.facts.NotYet`: the step is running.
"""

from __future__ import annotations

from probes.base import note
from troubleshoot.errors import bug_text
from troubleshoot.facts import Facts, NotYet
from troubleshoot.steps import here, machine, names, path
from troubleshoot.steps.model import ASKS, STEPS, StepView

__all__ = ["ASKS", "STEPS", "StepView", "view_of"]

#: Importing them fills the table.
MODULES = (here, machine, names, path)


def view_of(facts: Facts, identifier: str) -> StepView:
    """Return what a step came to; raises :class:`NotYet` while it runs. A bug of ours in one step harms no other."""
    try:
        return STEPS[identifier](facts)
    except NotYet:
        raise
    except Exception as bug:  # noqa: BLE001 - told in the step's own line
        reason = note("reason.broken-step", error=bug_text(bug))
        return StepView("unavailable", reason, reason)
