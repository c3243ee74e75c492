"""What ``wsadiag doctor`` found: one item for each thing that a diagnosis is better with. Plain records."""

from __future__ import annotations

from typing import Literal

import msgspec

from probes.base import Note

Group = Literal["privileges", "kernel", "name-servers", "tools", "output"]
GROUPS: tuple[Group, ...] = ("privileges", "kernel", "name-servers", "tools", "output")
State = Literal["there", "missing", "unknown", "not-asked"]
#: What absence means: steps that cannot be carried out, verdicts that are less certain, or neither.
Weight = Literal["essential", "certainty", "none"]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is there or not.

    ``id`` names its sentences: ``doctor.ID`` is the title, with ``-gives``, ``-cost`` and ``-remedy`` behind it.
    ``subject`` tells items of the same id apart (a name server's address). ``found`` is what was seen. ``steps``
    and ``causes`` are the ids of those that its absence makes impossible or less certain.
    """

    id: str
    group: Group
    state: State
    found: Note
    gives: Note
    cost: Note
    remedy: Note
    weight: Weight = "certainty"
    subject: str = ""
    steps: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    @property
    def lacking(self) -> bool:
        """Whether its cost has to be paid, as far as is known."""
        return self.state in ("missing", "unknown")


class Checkup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found. ``started`` is RFC 3339 in UTC, ``reason`` says why this system was not looked at.

    ``user`` is the effective user id, ``held`` names the capabilities in effect that matter here. ``libraries`` and
    ``tools`` pair a name with its version or path, ``None`` where there is none.
    """

    started: str
    duration_ms: float
    packets: int
    hostname: str
    platform: str
    kernel: str | None
    python: str
    user: int | None
    held: tuple[str, ...]
    libraries: tuple[tuple[str, str | None], ...]
    tools: tuple[tuple[str, str | None], ...]
    items: tuple[Item, ...]
    reason: Note | None = None
