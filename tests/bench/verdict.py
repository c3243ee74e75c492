"""The time to a verdict, against the reference's checklist done by hand with the classic tools.

    python tests/bench/verdict.py [--runs N] [--only CASE] [--write]

Needs root: each case gets a network of namespaces of its own (tests/lab) with its fault in it. There the manual
checklist runs once, in order, without a pause between the commands, and ``wsadiag --json`` runs N times, from the
start of the process to its end; the median counts. Both as root and as an ordinary user. The runs of wsadiag are made
one at a time; checklists, which mostly wait, go on beside them. A verdict that is not the expected one fails the run:
a quick wrong answer is worth nothing. ``--write`` puts the table into README.md beside this file.
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.table import machine, table, write
from tests.lab.scenario import Expected, Scenario, afflict, diagnose, judge
from tests.lab.topology import NOBODY, Lab

#: Nobody waits longer than this for one command of the checklist; none of the cases comes near it.
LONGEST_S = 180


@dataclass(frozen=True)
class Case:
    """One situation; ``silent`` says whether something in it does not answer, ``greets`` whether the service should."""

    label: str
    code: str
    target: str
    cause: str | None
    silent: bool
    faults: tuple[Mapping[str, Any], ...] = field(default=())
    greets: bool = False

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
    Case(
        "reset on the way",
        "10061",
        "{name}:{port}",
        "firewall-reset",
        silent=False,
        faults=({"kind": "filter", "node": "router2", "hook": "forward", "action": "reset"},),
    ),
    Case(
        "rejected on the way",
        "10065",
        "{name}:{port}",
        "firewall-reject",
        silent=False,
        faults=({"kind": "filter", "node": "router2", "hook": "forward", "action": "admin-prohibited"},),
    ),
    Case(
        "service silent",
        "10060",
        "{name}:25",
        "service-silent",
        silent=True,
        faults=({"kind": "service", "service_kind": "silent", "node": "server", "port": "25"},),
        greets=True,
    ),
    Case(  # an address, so that the questions for its name are not lost as well
        "30 % lost each way",
        "10060",
        "{server}:{port}",
        "packet-loss",
        silent=True,
        faults=({"kind": "loss", "router": 2, "percent": 30},),
    ),
    Case("healthy", "10060", "{name}:{port}", None, silent=False),
    Case("no such name", "11001", "{missing_name}:{port}", "name-does-not-exist", silent=False),
)


def as_user(argv: list[str], who: str) -> list[str]:
    """Drop root for ``nobody``; file capabilities go on working, as ping(8) of Debian needs them."""
    return argv if who == "root" else ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *argv]


def checklist(lab: Lab, case: Case) -> list[list[str]]:
    """Return the commands that a person types, in the order of the reference's list.

    Where a service should speak first, the port is tried as with telnet: connected, and waited for the greeting.
    """
    name, _, port = lab.fill(case.target).rpartition(":")
    trying = ["nc", "-w", "10", name, port] if case.greets else ["nc", "-w", "10", "-z", name, port]
    return [
        ["getent", "ahosts", name],
        ["ping", "-c", "4", name],
        ["ping", "-c", "4", lab.values["neighbour"]],
        ["ping", "-c", "4", lab.values["router1"]],
        ["traceroute", name],
        trying,
        ["ss", "-ltn"],
    ]


def by_hand(lab: Lab, case: Case, who: str) -> list[tuple[str, float]]:
    """Do the checklist; return each command with the seconds that it took."""
    took = []
    for argv in checklist(lab, case):
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
        try:
            report = json.loads(done.stdout)
        except json.JSONDecodeError:
            said = done.stderr.strip()[-600:]
            raise SystemExit(f"{scenario.title} as {who}: status {done.returncode}: {said}") from None
        grade, trouble = judge(scenario, who, report, lab)
        if grade != "right":
            raise SystemExit(f"{scenario.title} as {who}: {grade}: {trouble}")
        took.append(wall_ms / 1000)
    return took


def measure(case: Case, who: str, runs: int, alone: Lock) -> tuple[str, ...]:
    """Time both in a lab of their own; return a row of the table."""
    scenario = case.scenario()
    with ExitStack() as stack:
        with alone:
            lab = stack.enter_context(scenario.lab())
            afflict(scenario, lab)
            verdict = statistics.median(ours(lab, scenario, who, runs))
        hand = by_hand(lab, case, who)
    total = sum(seconds for _, seconds in hand)
    print(f"{case.label}, {who}: {', '.join(f'{n} {s:.1f}' for n, s in hand)}", file=sys.stderr, flush=True)
    user = "root" if who == "root" else "ordinary user"
    aim = "10" if case.silent else "5"
    return case.label, user, f"{total:.1f} s", f"{verdict:.2f} s", f"{total / verdict:.1f}", aim


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", metavar="CASE", choices=[case.label for case in CASES])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("root is needed: to build the lab, and to become an ordinary user inside it")
    chosen = [(case, who) for case in CASES if options.only in (None, case.label) for who in ("root", "nobody")]
    alone = Lock()
    with ThreadPoolExecutor(len(chosen)) as pool:
        rows = list(pool.map(lambda pair: measure(*pair, options.runs, alone), chosen))
    head = ("case", "as", "by hand", "wsadiag", "times sooner", "aim")
    text = table(head, rows) + f"\nMedian of {options.runs} runs of wsadiag, one of the checklist. {machine()}.\n"
    sys.stdout.write(text)
    if options.write:
        write("verdict", text)


if __name__ == "__main__":
    main()
