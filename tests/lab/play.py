"""Run the program in a scenario's lab and grade what it says."""

from __future__ import annotations

import compileall
import functools
import ipaddress
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.lab.contradictions import contradictions
from tests.lab.daemons import complaints
from tests.lab.faults import require, try_tcp
from tests.lab.scenario import CONFIDENCE, Expected, Scenario
from tests.lab.topology import ROOT, Lab
from tests.windows import wine

#: Who plays where Windows' Python does, beside ``root`` and ``nobody``.
WINDOWS = "windows"
GRADES = ("right", "accepted", "unsure", "wrong", "inconclusive", "false-accusation", "crashed")
LONGEST_RUN_S = 45.0
#: Causes by which no connection to an address is made at all: that must be what the faults together come to.
BLOCKING = frozenset({
    "address-family-unavailable", "ephemeral-ports-exhausted", "firewall-drop", "firewall-reject", "firewall-reset",
    "host-down", "interface-down", "local-firewall", "network-unreachable", "no-default-route", "no-listener",
    "no-route", "path-broken", "router-down", "routing-loop", "wrong-subnet-mask",
})  # fmt: skip
#: Faults that some connections get round.
PARTIAL = frozenset({"flow-filter", "shared-address", "rule-for-a-user"})
#: What the checks of the faults took from a router's one ICMP error a second is given back before the program runs.
STRICT_PAUSE_S = 1.1


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

    @property
    def wrong_and_certain(self) -> bool:
        """Whether the verdict is another one than it should be, and leaves no doubt: worse than any open question."""
        wrong = self.grade in ("wrong", "false-accusation")
        return wrong and self.report is not None and self.report["verdict"]["confidence"] == "certain"


@functools.cache
def compiled() -> None:
    """Compile the program, as its installation does: with ``-B`` every run would do so again, for itself."""
    for package in ("probes", "troubleshoot"):
        compileall.compile_dir(ROOT / package, quiet=2)


def diagnose(lab: Lab, scenario: Scenario, who: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run ``wsadiag --json`` on the client; the finished process and its wall time in milliseconds."""
    compiled()
    words = [lab.fill(word) for word in (*scenario.options, scenario.code, scenario.target)]
    if who == WINDOWS:
        return in_wine(lab, scenario, words)
    argv = [sys.executable, "-B", "-m", "troubleshoot", "--json", *words]
    command = lab.command("client", argv, unprivileged=who == "nobody")
    started = time.perf_counter()
    own = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_S,
        check=False,
        stdin=subprocess.DEVNULL,
        env=own | {name: lab.fill(text) for name, text in scenario.environment.items()},
    )
    return done, (time.perf_counter() - started) * 1000


def in_wine(lab: Lab, scenario: Scenario, words: Sequence[str]) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run ``wsadiag --json`` on the client as Windows' own Python does, under wine; as ``diagnose``.

    Wine asks the client's own hosts file for names, and the program reads that of Windows: they are made the same.
    """
    with wine.windows(lab.ns("client")) as windows:
        folder = windows.prefix / "drive_c/windows/system32/drivers/etc"
        for name in ("hosts", "services"):
            (folder / name).unlink(missing_ok=True)  # a link to every prefix's file
            (folder / name).write_bytes(lab.folder("client").joinpath(name).read_bytes())
        started = time.perf_counter()
        own = {name: lab.fill(text) for name, text in scenario.environment.items()}
        done = windows.run("-m", "troubleshoot", "--json", *words, more=own, timeout_s=LONGEST_RUN_S)
        wall_ms = (time.perf_counter() - started) * 1000
    out, err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err), wall_ms


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


def symptom(scenario: Scenario, lab: Lab) -> None:
    """Try a plain connect() from the client; raises ``NotReal`` where it succeeds and the faults should prevent that.

    To be asked after the program: the answers that routers may give the client, and what its kernel learns of
    neighbours and paths, belong to what is tested.
    """
    host, _, port = lab.fill(scenario.target).rpartition(":")
    partial = any(data["kind"] in PARTIAL for data in scenario.faults)
    if scenario.expect.cause not in BLOCKING or partial or not port.isdigit():
        return
    with suppress(ValueError):  # a name or a scheme: no plain address to connect to
        address = ipaddress.ip_address(host.strip("[]"))
        require(try_tcp(lab, "client", str(address), int(port), 0.4) != 0, "the client connects all the same")


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
        symptom(scenario, lab)
        grade, trouble = judge(scenario, who, report, lab)
        for complaint in troubled(scenario, lab):
            grade, trouble = "wrong", f"{trouble}; a service's log: {complaint}".lstrip("; ")
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


#: States in which a service does what it was told to: a proxy that refuses is as well as one that passes.
_IN_ORDER = frozenset({"well", "denies", "login"})


def troubled(scenario: Scenario, lab: Lab) -> list[str]:
    """Return what real services that are well complain of in their logs, once the program has looked at them."""
    daemons = [fault for fault in scenario.faults if fault["kind"] == "daemon"]
    real = [fault["daemon"] for fault in daemons if fault.get("state", "well") in _IN_ORDER]
    return [line for daemon in real for line in complaints(lab, daemon)]


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
    trouble += contradictions(report)
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
        fits = fits and (who == WINDOWS or who in other.who) and other.scope in (None, location.get("scope"))
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
    if expect.says:
        words = [verdict["summary"], *verdict["actions"], *(item["fact"] for item in verdict["evidence"])]
        if not re.search(lab.fill(expect.says), "\n".join(words)):
            found.append(f"does not say {expect.says}")
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
