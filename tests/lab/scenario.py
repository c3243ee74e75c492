"""A network situation is one data file: read it, build its lab, run the program in it, grade the verdict.

Keys of a scenario (tests/scenarios/NAME.toml); every text may hold ``{server}``, ``{port}``, … (see plan.values):

- ``title``, ``code``, ``target``, ``options`` (more arguments), ``who`` (``root``, ``nobody``; default both), ``truth``
  (what was put in, where nothing visible tells it from what is expected)
- ``[topology]``: ``seed`` (default: from the file's name), ``routers``,
  ``icmp``, ``datagram_ping``, ``client_ipv6``, ``shapes.client``/``shapes.linkN``
- ``[records]``: name to addresses, instead of the usual zone
- ``[[fault]]``: ``kind`` and its fields (see faults.py), injected in this order
- ``[expect]``: ``outcome``, ``cause``, ``scope``, ``hop`` (``router2``, ``server``, ``none``), ``place`` (the machine
  that a named address must belong to; none need be named, and its hop may be miscounted), ``failed_step``,
  ``reproduction``, ``alternatives`` (each must be named), ``warns`` (steps with status warning), ``family`` (of the
  located address), ``confidence`` (``certain``, ``likely`` or ``possible``; a list where runs differ for a reason that
  the file gives), ``confidence_nobody`` (the same for runs without privilege, where it is another). A weaker verdict
  is *unsure*, a firmer one *wrong*
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

import compileall
import functools
import itertools
import json
import string
import subprocess
import sys
import time
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tests.lab.local_faults
import tests.lab.path_faults  # noqa: F401 - both enter their faults into the registry
from tests.lab.faults import Fault, filled, make
from tests.lab.plan import DEFAULT_ROUTERS, draw
from tests.lab.topology import ROOT, Lab, Settings, Shape

FOLDER = ROOT / "tests" / "scenarios"
CONFIDENCE = ("possible", "likely", "certain")
GRADES = ("right", "accepted", "unsure", "wrong", "inconclusive", "false-accusation", "crashed")
LONGEST_RUN_S = 45.0
#: What the checks of the faults took from a router's one ICMP error a second is given back before the program runs.
STRICT_PAUSE_S = 1.1


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
    file: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    #: What was put in, where no verdict could name it: a row of its own in the confusion matrix.
    truth: str = ""
    #: Check each fault before the next is made: for faults that hide one another.
    stepwise: bool = False

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


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one run of one scenario went. ``trouble`` says what did not fit; ``verdict_ms`` is the report's own time."""

    scenario: str
    who: str
    grade: str
    said: str
    trouble: str
    verdict_ms: float
    wall_ms: float
    up_ms: float
    report: Mapping[str, Any] | None = None


@functools.cache
def compiled() -> None:
    """Compile the program, as its installation does: with ``-B`` every run would do so again, for itself."""
    for package in ("probes", "troubleshoot"):
        compileall.compile_dir(ROOT / package, quiet=2)


def diagnose(lab: Lab, scenario: Scenario, who: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run ``wsadiag --json`` on the client; the finished process and its wall time in milliseconds."""
    compiled()
    words = [lab.fill(word) for word in (*scenario.options, scenario.code, scenario.target)]
    argv = [sys.executable, "-B", "-m", "troubleshoot", "--json", *words]
    command = lab.command("client", argv, unprivileged=who == "nobody")
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_RUN_S, check=False, stdin=subprocess.DEVNULL
    )
    return done, (time.perf_counter() - started) * 1000


def afflict(scenario: Scenario, lab: Lab) -> None:
    """Make a scenario's faults in its lab and check each. Raises ``NotReal`` where one is not there."""
    faults = scenario.made()
    for fault in faults:
        fault.inject(lab)
        if scenario.stepwise:
            fault.verify(lab)
    for fault in () if scenario.stepwise else faults:
        fault.verify(lab)
    if lab.settings.icmp == "strict":
        time.sleep(STRICT_PAUSE_S)


def play(scenario: Scenario, who: str, seed: int | None = None) -> Outcome:
    """Run a scenario in a fresh lab: inject, verify, diagnose, grade. Raises ``NotReal`` where a fault is not there."""
    with scenario.lab(seed) as lab:
        afflict(scenario, lab)
        try:
            done, wall_ms = diagnose(lab, scenario, who)
        except subprocess.TimeoutExpired:
            return _crashed(scenario, who, f"no end after {LONGEST_RUN_S} s", lab, LONGEST_RUN_S * 1000)
        try:
            report = json.loads(done.stdout)
        except json.JSONDecodeError:
            return _crashed(scenario, who, f"status {done.returncode}: {done.stderr.strip()[-600:]}", lab, wall_ms)
        grade, trouble = judge(scenario, who, report, lab)
        status = {"healthy": 0, "fault": 1, "inconclusive": 3}[report["verdict"]["outcome"]]
        if done.returncode != status:
            grade, trouble = "wrong", f"{trouble}; exit status {done.returncode}".lstrip("; ")
        return Outcome(
            scenario=scenario.name,
            who=who,
            grade=grade,
            said=_said(report["verdict"]),
            trouble=trouble,
            verdict_ms=report["duration_ms"],
            wall_ms=wall_ms,
            up_ms=lab.up_ms,
            report=report,
        )


def _crashed(scenario: Scenario, who: str, trouble: str, lab: Lab, wall_ms: float) -> Outcome:
    return Outcome(
        scenario=scenario.name,
        who=who,
        grade="crashed",
        said="-",
        trouble=trouble,
        verdict_ms=wall_ms,
        wall_ms=wall_ms,
        up_ms=lab.up_ms,
    )


def _said(verdict: Mapping[str, Any]) -> str:
    location = verdict.get("location") or {}
    hop = f"@{location['hop']}" if location.get("hop") is not None else ""
    return f"{verdict['cause'] or verdict['outcome']}{hop} ({verdict['confidence']})"


def judge(scenario: Scenario, who: str, report: Mapping[str, Any], lab: Lab) -> tuple[str, str]:
    """Compare a report with what was expected: the grade and what did not fit."""
    expect, verdict = scenario.expect, report["verdict"]
    trouble = [
        f"probe {probe['probe']} is broken: {probe.get('error')}"
        for probe in report.get("probes", ())
        if probe.get("status") == "broken"
    ]
    trouble += mismatches(expect, report, lab)
    firmness, sure = expect.firmness(who), CONFIDENCE.index(verdict["confidence"])
    if firmness and sure > CONFIDENCE.index(firmness[-1]):
        trouble.append(f"confidence {verdict['confidence']}, at most {firmness[-1]} can be known")
    unsure = ""
    if firmness and sure < CONFIDENCE.index(firmness[0]):
        unsure = f"confidence {verdict['confidence']}, at least {firmness[0]} can be known"
    if not trouble and not unsure:
        return "right", ""
    text = "; ".join([*trouble, unsure]).removesuffix("; ")
    location = verdict.get("location") or {}
    for other in scenario.accept:
        fits = other.outcome == verdict["outcome"] and other.cause == verdict["cause"]
        fits = fits and who in other.who and other.scope in (None, location.get("scope"))
        fits = fits and CONFIDENCE.index(verdict["confidence"]) <= CONFIDENCE.index(other.confidence_at_most)
        fits = fits and other.only.items() <= scenario.values.items()
        fits = fits and not (other.hop == "none" and location.get("hop") is not None)
        if fits and {item["cause"] for item in verdict["alternatives"]}.issuperset(other.alternatives):
            return "accepted", text
    if not trouble:
        return "unsure", text
    if verdict["outcome"] == "inconclusive":
        return "inconclusive", text
    if expect.outcome == "healthy" and verdict["outcome"] == "fault":
        return "false-accusation", text
    return "wrong", text


def mismatches(expect: Expected, report: Mapping[str, Any], lab: Lab) -> list[str]:
    """Name every point, its confidence aside, in which a report differs from what was expected."""
    verdict = report["verdict"]
    location = verdict.get("location") or {}
    found: list[str] = []

    def same(what: str, wanted: object, got: object) -> None:
        if wanted is not None and wanted != got:
            found.append(f"{what} {got} instead of {wanted}")

    same("outcome", expect.outcome, verdict["outcome"])
    if (expect.cause or expect.outcome) and expect.cause != verdict["cause"]:
        found.append(f"cause {verdict['cause']} instead of {expect.cause}")
    same("scope", expect.scope, location.get("scope"))
    if expect.hop == "none":
        if location.get("hop") is not None:
            found.append(f"hop {location.get('hop')} instead of none")
    elif expect.hop is not None:
        same("hop", lab.plan.hop(expect.hop), location.get("hop"))
        same("address", lab.plan[expect.hop].near.address(expect.family), location.get("address"))
    if expect.place is not None and location.get("address") is not None:
        addresses = lab.run(expect.place, "ip", "-o", "addr").stdout.replace("/", " ").split()
        if location["address"] not in addresses:
            found.append(f"address {location['address']}, which is not of {expect.place}")
    same("failed step", expect.failed_step, verdict["failed_step"])
    same("reproduction", expect.reproduction, report["reproduction"]["outcome"])
    others = {item["cause"] for item in verdict["alternatives"]}
    missing = [cause for cause in expect.alternatives if cause not in others]
    found += [f"{cause} not among the alternatives {sorted(others)}" for cause in missing]
    status = {step["id"]: step["status"] for step in report["steps"]}
    calm = [step for step in expect.warns if status.get(step) not in ("warning", "failed")]
    found += [f"{step} {status.get(step)} instead of a warning" for step in calm]
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``values`` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
