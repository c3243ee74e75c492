"""A run of a probe, and an ask: the one place that says when such a run makes sense, and with which request."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import msgspec


class Job(msgspec.Struct, frozen=True):
    """One run of a probe: its name, what it is about, and its request."""

    probe: str
    subject: str
    request: object

    @property
    def key(self) -> tuple[str, str]:
        """How observations of this run are filed."""
        return (self.probe, self.subject)


class Ask(msgspec.Struct, frozen=True):
    """What is asked where: ``jobs`` is pure and names the runs that the facts call for, of these ``probes`` only.

    It is called with the facts, and where the plan goes through addresses, with each of them.
    """

    name: str
    probes: tuple[str, ...]
    jobs: Callable[..., Iterator[Job]]


def ask(*probes: str) -> Callable[[Callable[..., Iterator[Job]]], Ask]:
    """Make a function from facts to jobs an ask that steps and rules can name."""

    def made(function: Callable[..., Iterator[Job]]) -> Ask:
        return Ask(f"{function.__module__.rpartition('.')[2]}.{function.__name__}", probes, function)

    return made


@functools.cache
def whole_machine(probe: str, request: object) -> Ask:
    """Return the ask of a probe that looks at this machine in one way, whatever the target is: the same for all."""

    def jobs(_facts: object) -> Iterator[Job]:
        yield Job(probe, "", request)

    return Ask(f"whole_machine.{probe}", (probe,), jobs)
