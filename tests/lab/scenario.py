"""A network situation is one data file: how it is read, and the lab that it describes (played and graded: play.py).

Keys of a scenario (tests/scenarios/NAME.toml); every text may hold ``{server}``, ``{port}``, … (see plan.values):

- ``title``, ``code``, ``target``, ``options`` (more arguments), ``who`` (``root``, ``nobody``; default both), ``truth``
  (what was put in, where nothing visible tells it from what is expected)
- ``environment``: variables that the program is given, beside this process's own without any proxy
- ``[topology]``: ``seed`` (default: from the file's name), ``routers``,
  ``icmp``, ``datagram_ping``, ``client_ipv6``, ``shapes.client``/``shapes.linkN``
- ``[records]``: name to addresses, instead of the usual zone
- ``[[fault]]``: ``kind`` and its fields (see faults.py), injected in this order
- ``[expect]``: ``outcome``, ``cause``, ``scope``, ``hop`` (``router2``, ``server``, ``none``), ``place`` (the machine
  that a named address must belong to; none need be named, and its hop may be miscounted), ``failed_step``,
  ``reproduction``, ``alternatives`` (each must be named), ``warns`` (steps with status warning), ``family`` (of the
  located address), ``says`` (a regular expression that summary, actions or evidence match), ``confidence``
  (``certain``, ``likely`` or ``possible``; a list where runs differ for a reason that the file gives),
  ``confidence_nobody`` (the same for runs without privilege, where it is another). A weaker verdict is *unsure*, a
  firmer one *wrong*
- ``[[accept]]``: ``outcome``, ``cause``, ``scope``, ``who``, ``confidence_at_most``, ``alternatives``, ``hop``
  (``none``), ``only`` (of variants with these values), ``reason``: another verdict that is right too, only where
  nothing that can be seen tells the two apart
- ``[[variant]]``: names and their values; the file then stands for many scenarios, one for each combination of the
  values of each table. ``$name`` in any text of the file is the value (of its own type where it is the whole text);
  ``family`` also gives ``$host`` (the server's address as a target is written), ``$six`` (``6`` or nothing) and
  ``$other`` (that of the other family). A combination is called FILE.VALUE-VALUE-…; ``confidence`` is none of the
  values, but what ``[expect]`` asks of these combinations
"""

from __future__ import annotations

import itertools
import string
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tests.lab.daemon_recipes
import tests.lab.database_recipes
import tests.lab.link_faults
import tests.lab.local_faults
import tests.lab.mail_recipes
import tests.lab.name_faults
import tests.lab.owner_faults
import tests.lab.path_faults
import tests.lab.proxy_recipes
import tests.lab.share_faults
import tests.lab.share_recipes
import tests.lab.speaking_faults
import tests.lab.way_faults  # noqa: F401 - all enter their faults into the registry
from tests.lab.daemons import missing
from tests.lab.faults import Fault, filled, make
from tests.lab.plan import DEFAULT_ROUTERS, draw
from tests.lab.topology import ROOT, Lab, Settings, Shape

FOLDER = ROOT / "tests" / "scenarios"
CONFIDENCE = ("possible", "likely", "certain")


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """Another right verdict, and why nothing visible tells it from the expected one."""

    reason: str
    outcome: str = "fault"
    cause: str | None = None
    scope: str | None = None
    who: tuple[str, ...] = ("root", "nobody")
    confidence_at_most: str = "certain"
    alternatives: tuple[str, ...] = ()
    hop: str | None = None
    only: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the report must say; ``None`` and empty tuples are not looked at."""

    outcome: str
    cause: str | None = None
    scope: str | None = None
    hop: str | None = None
    place: str | None = None
    family: int = 4
    says: str = ""
    failed_step: str | None = None
    reproduction: str | None = None
    alternatives: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    confidence: str | tuple[str, ...] = ()
    confidence_nobody: str | tuple[str, ...] = ()

    def firmness(self, who: str) -> tuple[str, ...]:
        """The confidences that are right for ``who``, the weakest first; empty where none is asked for."""
        asked = (self.confidence_nobody if who == "nobody" else ()) or self.confidence
        return tuple(sorted((asked,) if isinstance(asked, str) else asked, key=CONFIDENCE.index))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One data file, or one combination of the values of its variants (``file`` names the file, ``values`` these)."""

    name: str
    title: str
    code: str
    target: str
    expect: Expected
    options: tuple[str, ...] = ()
    who: tuple[str, ...] = ("root", "nobody")
    topology: Mapping[str, Any]
    records: Mapping[str, list[str]] | None = None
    faults: tuple[Mapping[str, Any], ...] = ()
    accept: tuple[Accepted, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    #: What was put in, where no verdict could name it: a row of its own in the confusion matrix.
    truth: str = ""
    #: Check each fault before the next is made: for faults that hide one another.
    stepwise: bool = False

    def lacks(self) -> str | None:
        """Why this cannot be played here: a package that is not installed."""
        found = [missing(fault["daemon"]) for fault in self.faults if fault["kind"] == "daemon"]
        preloaded = self.environment.get("LD_PRELOAD")
        if preloaded and not Path(preloaded).exists():
            found.append(f"no {preloaded}: apt-get install libfaketime")
        return next(filter(None, found), None)

    def lab(self, seed: int | None = None) -> Lab:
        """Build the lab of this scenario, not up yet; ``seed`` overrides the file's."""
        rest = dict(self.topology)
        drawn = rest.pop("seed", zlib.crc32(self.name.encode()) % 10_000)
        drawn, routers = (drawn if seed is None else seed), rest.pop("routers", DEFAULT_ROUTERS)
        narrow = any(fault.get("width") == "narrow" for fault in self.faults)
        plans = (draw(drawn + further, routers) for further in itertools.count())
        plan = next(plan for plan in plans if not narrow or plan.narrow_prefix() is not None)
        shapes = {name: Shape(**values) for name, values in rest.pop("shapes", {}).items()}
        lab = Lab(plan, Settings(shapes=shapes, **rest))
        if self.records is not None:
            lab.settings = Settings(shapes=shapes, records=filled(lab, self.records), **rest)
        return lab

    def made(self) -> list[Fault]:
        """Make the faults, in the file's order."""
        return [make(data) for data in self.faults]


def load(path: Path) -> list[Scenario]:
    """Read one file; raises ``ValueError`` or ``TypeError`` naming what does not fit."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    tables = data.pop("variant", [{}])
    found = []
    for table in tables:
        sure = {"confidence": table.pop("confidence")} if "confidence" in table else {}
        for values in combinations(table):
            name = f"{path.stem}.{'-'.join(map(str, values.values()))}" if values else path.stem
            try:
                own = filled_in({**data, "expect": data["expect"] | sure}, values)
                found.append(_scenario(name, path.stem, values, own))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}: {name}: {error!r}") from error
    return found


def combinations(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of a variant's values; what is no list stands for itself."""
    lists = [value if isinstance(value, list) else [value] for value in table.values()]
    for chosen in itertools.product(*lists):
        yield dict(zip(table, chosen, strict=True))


def filled_in(item: Any, values: Mapping[str, Any]) -> Any:
    """Replace ``$name`` by its value in every text of a scenario's data."""
    if isinstance(item, dict):
        return {filled_in(key, values): filled_in(value, values) for key, value in item.items()}
    if isinstance(item, list):
        return [filled_in(value, values) for value in item]
    if not isinstance(item, str):
        return item
    known = dict(values)
    if "family" in known:
        known["six"], known["other"] = ("6", "") if known["family"] == 6 else ("", "6")
        known["host"] = "[{server6}]" if known["family"] == 6 else "{server}"
    return known[item[1:]] if item.startswith("$") and item[1:] in known else string.Template(item).substitute(known)


def _scenario(name: str, file: str, values: Mapping[str, Any], data: dict[str, Any]) -> Scenario:
    rest = dict(data)
    expect = _tuples(rest.pop("expect"))
    scenario = Scenario(
        name=name,
        file=file,
        values=values,
        expect=Expected(**expect),
        accept=tuple(Accepted(**_tuples(item)) for item in rest.pop("accept", [])),
        faults=tuple(_tuples(item) for item in rest.pop("fault", [])),
        options=tuple(rest.pop("options", ())),
        who=tuple(rest.pop("who", ("root", "nobody"))),
        topology=rest.pop("topology", {}),
        **rest,
    )
    scenario.made()
    for one in scenario.who:
        scenario.expect.firmness(one)
    return scenario


def _tuples(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}


def load_all() -> list[Scenario]:
    """Every scenario, by name."""
    return [scenario for path in sorted(FOLDER.glob("*.toml")) for scenario in load(path)]


def sample(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Return the scenarios of single files and, of each file with variants, enough for each value to come once."""
    chosen = [one for one in scenarios if not one.values]
    for _, group in itertools.groupby(scenarios, key=lambda one: one.file):
        left = {one.name: {(key, str(value)) for key, value in one.values.items()} for one in group}
        while any(left.values()):  # the one that brings the most that is new; among equals a fixed, mixed order
            best = max(left, key=lambda name: (len(left[name]), zlib.crc32(name.encode())))
            new = left[best]
            left = {name: values - new for name, values in left.items()}
            chosen += [one for one in scenarios if one.name == best]
    return sorted(chosen, key=lambda one: one.name)


def in_turns(scenarios: Sequence[Scenario]) -> list[tuple[Scenario, str]]:
    """Return who plays each where one user is enough: by turns, in an order that mixes a file's values."""
    found = {}
    for _, group in itertools.groupby(scenarios, key=lambda one: one.file):
        mixed = sorted(group, key=lambda one: zlib.crc32(one.name.encode()))
        start = zlib.crc32(mixed[0].file.encode())
        found |= {one.name: one.who[(start + number) % len(one.who)] for number, one in enumerate(mixed)}
    return [(one, found[one.name]) for one in scenarios]
