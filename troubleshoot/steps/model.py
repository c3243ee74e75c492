"""What a step comes to, the table of steps, and what several of them say in the same way."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes.base import Note, note
from troubleshoot.asks.model import Ask
from troubleshoot.facts import Facts, NotYet
from troubleshoot.knowledge.registry import enter
from troubleshoot.report import StepStatus


class StepView(msgspec.Struct, frozen=True):
    """The step's status, its one line of fact, why it was run or not, and the probes behind it."""

    status: StepStatus
    summary: Note
    why: Note | None = None
    probes: tuple[tuple[str, str], ...] = ()


StepFunction = Callable[[Facts], StepView]


#: Step id → its function. Every step id of the contract has one.
STEPS: dict[str, StepFunction] = {}
#: Step id → the asks that its function rests on beside the common ones.
ASKS: dict[str, tuple[Ask, ...]] = {}


def step(identifier: str, *, asks: tuple[Ask, ...] = ()) -> Callable[[StepFunction], StepFunction]:
    """Put a function into the table of steps, under a name that no other has."""

    def register(function: StepFunction) -> StepFunction:
        entered = enter(STEPS, identifier, function)
        ASKS[identifier] = asks
        return entered

    return register


def unavailable(facts: Facts, key: str, *probes: tuple[str, str]) -> StepView:
    """The step could not be carried out: say why, by the probe's own reason where it gave one."""
    for probe in probes:
        observation = facts.observation(*probe)
        if observation is not None and observation.reason is not None:
            return StepView("unavailable", observation.reason, observation.reason, probes)
        if observation is not None and observation.error is not None:
            broken = note("reason.broken", probe=probe[0], error=observation.error)
            return StepView("unavailable", broken, broken, probes)
    return StepView("unavailable", note(key), note(key), probes)


def skipped(key: str, **values: object) -> StepView:
    """Return the view of a step that has nothing to look at, with the reason."""
    return StepView("skipped", note(key, **values), note(key, **values))


def no_name(facts: Facts) -> StepView | None:
    """Return the view of a step about a name where the target has none; else ``None``."""
    host = facts.request.target.host
    if host is None:
        return skipped("reason.no-host")
    return skipped("reason.literal", address=host) if facts.names.is_literal else None


def address_in_question(facts: Facts) -> str | None:
    """The address that the target's steps talk about: the first that fails, else the first."""
    focus = facts.attempts.focus
    return focus.address if focus is not None else next(iter(facts.targets), None)


def no_address(facts: Facts) -> StepView:
    """Return the view of a step that needs an address and has none; :class:`NotYet` while the name is looked up."""
    if facts.names.resolving:
        raise NotYet("resolve")
    return skipped("reason.no-host" if facts.request.target.host is None else "reason.no-address")
