"""The observations of one diagnosis as they stand, and what it means that an answer is still on its way.

Nothing here touches a network, a file or a clock. A question whose answer is still on its way raises
:class:`NotYet`; that is how the engine knows which running probes could still change a verdict. ``peek`` never raises
it and takes what is known so far, ``get`` waits for the end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

from probes.base import Observation
from troubleshoot.intake.request import Request

Key = tuple[str, str]
T = TypeVar("T")
P = ParamSpec("P")
ThemeT = TypeVar("ThemeT", bound="Theme")


class NotYet(Exception):  # noqa: N818 - not an error: the answer is still on its way
    """A running probe will answer this question."""


class View:
    """The ``observations`` made for ``request`` so far; ``running`` are the probes that have not ended yet."""

    def __init__(
        self,
        request: Request,
        thresholds: Mapping[str, float],
        observations: Mapping[Key, Observation[object]],
        running: Iterable[Key] = (),
    ) -> None:
        self.request = request
        self.thresholds = thresholds
        self.observations = observations
        self.running = frozenset(running)

    def peek(self, probe: str, kind: type[T], subject: str = "") -> T | None:
        """Return the result as far as it is known now, partial ones included."""
        observation = self.observations.get((probe, subject))
        result = observation.result if observation is not None else None
        return result if isinstance(result, kind) else None

    def get(self, probe: str, kind: type[T], subject: str = "") -> T | None:
        """Return the final result, ``None`` where there is none; raises :class:`NotYet` while it runs."""
        self.wait_for(probe, subject)
        return self.peek(probe, kind, subject)

    def wait_for(self, probe: str, subject: str = "") -> None:
        """Raise :class:`NotYet` while the probe runs: what follows rests on all that it will have seen."""
        if (probe, subject) in self.running:
            raise NotYet(f"{probe} {subject}".strip())

    def observation(self, probe: str, subject: str = "") -> Observation[object] | None:
        """Return the record of a probe's run."""
        return self.observations.get((probe, subject))

    def of(self, probe: str) -> tuple[Observation[object], ...]:
        """Return every record of one probe, in the order in which they were started."""
        return tuple(o for (name, _), o in self.observations.items() if name == probe)

    def threshold(self, name: str) -> float:
        """Return a threshold of the catalogue."""
        return self.thresholds[name]

    def unseen(self, probe: str, subject: str = "") -> bool:
        """Whether a probe has run and could not look at all."""
        observation = self.observation(probe, subject)
        return observation is not None and observation.result is None and (probe, subject) not in self.running


class Theme:
    """The questions about one thing. What was answered once is not worked out again: a view never changes."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._known: dict[tuple[object, ...], Any] = {}


def once(question: Callable[Concatenate[ThemeT, P], T]) -> Callable[Concatenate[ThemeT, P], T]:
    """Keep a method's answer for each of its (positional) arguments; :class:`NotYet` is no answer."""
    name = question.__name__

    def asked(self: ThemeT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (name, *args, *kwargs.values())
        known = self._known
        if key not in known:
            known[key] = question(self, *args, **kwargs)
        found: T = known[key]
        return found

    functools.update_wrapper(asked, question)
    return asked
