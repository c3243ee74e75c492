"""What a rule says, and the table that holds the rules.

A rule is a pure function over :class:`troubleshoot.facts.Facts`. It returns a :class:`Finding` where the
evidence supports its cause and ``None`` where the evidence speaks against it; a fact that a running probe will
bring raises :class:`troubleshoot.facts.NotYet` from inside. Each cause so ends *supported*, *contradicted* or
*not evaluated*; what was not evaluated is never ruled out.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Literal

import msgspec

from probes.base import Note
from troubleshoot.asks.model import Ask
from troubleshoot.facts import Facts, describe
from troubleshoot.knowledge.registry import enter
from troubleshoot.report import Confidence

#: Pairs of step id and fact.
Evidence = tuple[tuple[str, Note], ...]

#: No more sockets, peers or processes than this are put into the evidence.
NAMED = 4


class Standing(enum.StrEnum):
    """Where a cause stands after its rule was asked."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_EVALUATED = "not-evaluated"
    BROKEN = "broken"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A cause that the evidence supports.

    ``step`` is the checklist step that shows it (:func:`first_step` chooses), ``evidence`` pairs of step id and fact.
    ``values`` fill the catalogue's sentences beside what the report gives to each (target, host, port, service, code,
    and the finding's own ``hop`` and ``address``), ``variant`` picks among them. ``scope`` is told only of a cause that
    the catalogue lets lie in several. A ``warning`` does not stop the target.
    ``unsettles`` keeps a target that works from being called healthy, although the finding is no more than possible.
    ``also`` lists causes that the evidence cannot tell from this one, with what would settle it.
    """

    cause: str
    confidence: Confidence
    step: str
    evidence: Evidence
    scope: str = ""
    values: tuple[tuple[str, str], ...] = ()
    variant: str = "default"
    hop: int | None = None
    address: str | None = None
    warning: bool = False
    unsettles: bool = False
    also: tuple[tuple[str, Note], ...] = ()


Rule = Callable[[Facts], Finding | None]
#: What is not final while a rule is open: ``complete``, the list of further faults beside one that is found;
#: ``healthy``, that a target works. Whatever ranks before a fault that is found is waited for in any case.
HoldsUp = Literal["complete", "healthy"]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of itself.

    ``asks`` are those that it rests on beside the common ones, ``holds_up`` names what has to wait while a probe that
    it reads still runs.
    """

    asks: tuple[Ask, ...] = ()
    holds_up: HoldsUp | None = None


#: Cause id → its rule, and what that declares. Filled by the modules of this package.
RULES: dict[str, Rule] = {}
DECLARED: dict[str, Declared] = {}


def rule(cause: str, *, asks: tuple[Ask, ...] = (), holds_up: HoldsUp | None = None) -> Callable[[Rule], Rule]:
    """Register the rule of ``cause``, which may have one only, with what it declares."""

    def register(function: Rule) -> Rule:
        entered = enter(RULES, cause, function)
        DECLARED[cause] = Declared(asks=asks, holds_up=holds_up)
        return entered

    return register


def values(**given: object) -> tuple[tuple[str, str], ...]:
    """Build a finding's values; those that are ``None`` are left out."""
    return tuple((name, str(value)) for name, value in given.items() if value is not None)


def first_step(facts: Facts, *steps: str) -> str:
    """Return the first of ``steps`` that stands on the checklist, else the last: where a finding is shown."""
    return next((step for step in steps if step in facts.request.steps), steps[-1])


def attempted(facts: Facts) -> Evidence:
    """Return what the attempt at the target came to, where it failed."""
    focus = facts.attempts.focus
    return (("connect", describe.reach(focus, facts.port)),) if focus is not None and focus.failed else ()
