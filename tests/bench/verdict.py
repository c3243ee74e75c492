"""The time to a verdict, against the reference's checklist done by hand with the classic tools.

    python tests/bench/verdict.py [--runs N] [--only CASE] [--write]

Needs root: each case gets a network of namespaces of its own (tests/lab) with its fault in it. There the manual
checklist runs once, in order, without a pause between the commands, and ``wsadiag --json`` runs N times, from the
start of the process to its end; the median counts. Both as root and as an ordinary user. A verdict that is not the
expected one fails the run: a quick wrong answer is worth nothing. ``--write`` puts the table into README.md beside
this file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.table import machine, table, write
from tests.lab.scenario import Expected, Scenario, diagnose, judge
from tests.lab.topology import NOBODY, Lab

#: Nobody waits longer than this for one command of the checklist; none of the cases comes near it.
LONGEST_S = 180


@dataclass(frozen=True)
class Case:
    """One situation; ``silent`` says whether something in it does not answer."""

    label: str
    code: str
    target: str
    cause: str | None
    silent: bool
    faults: tuple[Mapping[str, Any], ...] = field(default=())

    def scenario(self) -> Scenario:
        outcome = "healthy" if self.cause is None else "fault"
        return Scenario(
            name=f"bench {self.label}",
            title=self.label,
            code=self.code,
            target=self.target,
            expect=Expected(outcome=outcome, cause=self.cause),
            topology={},
            faults=self.faults,
        )


CASES = (
    Case("refused", "10061", "{name}:{closed_port}", "no-listener", silent=False),
    Case(
        "port dropped",
        "10060",
        "{name}:{port}",
        "firewall-drop",
        silent=True,
        faults=({"kind": "filter", "node": "router2", "hook": "forward"},),
    ),
    Case("host dead", "10065", "{name}:{port}", "host-down", silent=True, faults=({"kind": "off", "node": "server"},)),
    Case("healthy", "10060", "{name}:{port}", None, silent=False),
    Case("no such name", "11001", "{missing_name}:{port}", "name-does-not-exist", silent=False),
)


def as_user(argv: list[str], who: str) -> list[str]:
    """Drop root for ``nobody``; file capabilities go on working, as ping(8) of Debian needs them."""
    return argv if who == "root" else ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *argv]


def checklist(lab: Lab, target: str) -> list[list[str]]:
    """Return the commands that a person types, in the order of the reference's list."""
    name, _, port = lab.fill(target).rpartition(":")
    return [
        ["getent", "ahosts", name],
        ["ping", "-c", "4", name],
        ["ping", "-c", "4", lab.values["neighbour"]],
        ["ping", "-c", "4", lab.values["router1"]],
        ["traceroute", name],
        ["nc", "-w", "10", "-z", name, port],
        ["ss", "-ltn"],
    ]


def by_hand(lab: Lab, target: str, who: str) -> list[tuple[str, float]]:
    """Do the checklist; return each command with the seconds that it took."""
    took = []
    for argv in checklist(lab, target):
        started = time.perf_counter()
        done = subprocess.run(
            lab.command("client", as_user(argv, who)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        took.append((argv[0], time.perf_counter() - started))
        if argv[:1] == ["ping"] and "not permitted" in done.stderr:
            raise SystemExit(f"ping may not ping as {who}, so that the checklist would be shorter than it is")
    return took


def ours(lab: Lab, scenario: Scenario, who: str, runs: int) -> list[float]:
    """Run wsadiag; return the seconds that each run took."""
    took = []
    for _ in range(runs):
        done, wall_ms = diagnose(lab, scenario, who)
        report = json.loads(done.stdout)
        grade, trouble = judge(scenario, who, report, lab)
        if grade != "right":
            raise SystemExit(f"{scenario.title} as {who}: {grade}: {trouble}")
        took.append(wall_ms / 1000)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", metavar="CASE", choices=[case.label for case in CASES])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("root is needed: to build the lab, and to become an ordinary user inside it")
    rows = []
    for case in CASES:
        if options.only not in (None, case.label):
            continue
        scenario = case.scenario()
        for who in ("root", "nobody"):
            with scenario.lab() as lab:
                faults = scenario.made()
                for fault in faults:
                    fault.inject(lab)
                for fault in faults:
                    fault.verify(lab)
                verdicts = ours(lab, scenario, who, options.runs)
                hand = by_hand(lab, case.target, who)
            total, verdict = sum(s for _, s in hand), statistics.median(verdicts)
            print(f"{case.label}, {who}: {', '.join(f'{n} {s:.1f}' for n, s in hand)}", file=sys.stderr, flush=True)
            rows.append(
                (
                    case.label,
                    "root" if who == "root" else "ordinary user",
                    f"{total:.1f} s",
                    f"{verdict:.2f} s",
                    f"{total / verdict:.1f}",
                    "10" if case.silent else "5",
                )
            )
    head = ("case", "as", "by hand", "wsadiag", "times sooner", "aim")
    text = table(head, rows) + f"\nMedian of {options.runs} runs of wsadiag, one of the checklist. {machine()}.\n"
    sys.stdout.write(text)
    if options.write:
        write("verdict", text)


if __name__ == "__main__":
    main()
