"""The observations of one diagnosis, seen the way that plan, steps and judge ask about them.

Nothing here touches a network, a file or a clock. :class:`Facts` holds the questions by what they are about, each theme
in a module of its own; a theme asks only those above it in that list, and a question asked often is worked out once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from probes.base import Observation
from troubleshoot.facts.address import (
    AFTER,
    BEFORE,
    bind_subject,
    early_look,
    endpoint_subject,
    family_of,
    gateway_of,
    is_loopback,
    plain,
    scoped,
    second_look,
    service_subject,
)
from troubleshoot.facts.attempts import Attempts, Reach, Reading
from troubleshoot.facts.hops import Hops
from troubleshoot.facts.link import Link, neighbour_alive, neighbour_dead
from troubleshoot.facts.machine import Machine
from troubleshoot.facts.names import DENIALS, SILENCE, Names
from troubleshoot.facts.path import UNREACHABLE, Path
from troubleshoot.facts.program import Program
from troubleshoot.facts.service import Service
from troubleshoot.facts.view import Key, NotYet, View
from troubleshoot.intake.request import Request

__all__ = [
    "AFTER", "BEFORE", "DENIALS", "SILENCE", "UNREACHABLE", "Facts", "Key", "NotYet",
    "Reach", "Reading", "bind_subject", "early_look",
    "endpoint_subject", "family_of", "gateway_of", "is_loopback", "neighbour_alive", "neighbour_dead", "plain",
    "scoped", "second_look", "service_subject",
]  # fmt: skip


class Facts(View):
    """A view of ``observations`` for ``request``; ``running`` are the probes that have not ended yet."""

    def __init__(
        self,
        request: Request,
        thresholds: Mapping[str, float],
        observations: Mapping[Key, Observation[object]],
        running: Iterable[Key] = (),
    ) -> None:
        super().__init__(request, thresholds, observations, running)
        self.names = Names(self)
        self.machine = Machine(self)
        self.program = Program(self)
        self.link = Link(self, self.names)
        self.path = Path(self, self.names, self.machine)
        self.hops = Hops(self, self.names, self.machine, self.link, self.path)
        self.attempts = Attempts(self, self.names, self.machine, link=self.link, path=self.path, hops=self.hops)
        self.service = Service(self, self.names, self.machine, link=self.link, path=self.path, attempts=self.attempts)

    def awaiting(self, keys: Iterable[Key]) -> Facts:
        """Return the same facts as though the probes of ``keys`` were still to answer."""
        return Facts(self.request, self.thresholds, self.observations, self.running.union(keys))

    @property
    def port(self) -> int | None:
        """The port that a program would use."""
        return self.names.port

    @property
    def targets(self) -> tuple[str, ...]:
        """The addresses that a program would try, in its order."""
        return self.names.targets

    def endpoint(self, address: str) -> str:
        """Return the subject of a probe of the target's port at ``address``."""
        return self.names.endpoint(address)
