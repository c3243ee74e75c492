"""What each step of the checklist came to, by itself. The verdict weighs them all; a step only states its fact.

Each function here reads :class:`troubleshoot.facts.Facts` and returns a :class:`StepView`. A fact that is still on
its way raises :class:`troubleshoot.facts.NotYet`: the step is running.
"""

from __future__ import annotations

from troubleshoot.steps import here, machine, names, path
from troubleshoot.steps.model import ASKS, STEPS, StepView

__all__ = ["ASKS", "STEPS", "StepView"]

#: Importing them fills the table.
MODULES = (here, machine, names, path)
