"""The time to a verdict, against the reference's checklist done by hand with the classic tools.

    python tests/bench/verdict.py [--runs N] [--only CASE] [--write]

Needs root: each case gets a network of namespaces of its own (tests/lab) with its fault in it. There the manual
checklist runs in order, without a pause between the commands, as the reference has it and as somebody in a hurry types
it (``ping -i 0.2``); where packets are lost at random, several times. ``wsadiag --json`` runs N times, from the start
of the process to its end. Medians count. All as root and as an ordinary user. The runs of wsadiag are made one at a
time; checklists, which mostly wait, go on beside them. A verdict that is not the expected one fails the run: a quick
wrong answer is worth nothing. ``--write`` puts the table into README.md beside this file.

``--ladder`` measures instead what the ladder after connect adds: the same target as an address with a port, to which
nothing is said, and as a URL, over a link that is slow enough (``--round-trip``) to tell round trips from the noise of
the machine. A verdict that needs no service may take one round trip longer, a healthy one what the service takes.
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
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.table import machine, table, write
from tests.lab.play import afflict, diagnose, judge
from tests.lab.scenario import Expected, Scenario
from tests.lab.topology import NOBODY, Lab

#: Nobody waits longer than this for one command of the checklist; none of the cases comes near it.
LONGEST_S = 180
#: A person in a hurry does not wait a second between two pings; ping(8) lets every user go down to 0.2 s.
USUAL, QUICK = (), ("-i", "0.2")
#: Random losses decide how long one checklist takes (10 s or 35 s): the median of several is told.
CHECKLISTS_WITH_LOSS = 5


def _slow(delay_ms: float) -> dict[str, Any]:
    """Return a network with a slow link. Hosts do not limit their errors there: one run would disturb the next."""
    return {"icmp": "off", "shapes": {"link1": {"delay_ms": delay_ms}}}


@dataclass(frozen=True)
class Case:
    """One situation.

    ``silent`` says whether something in it does not answer, ``greets`` whether the service should speak first;
    ``checklists`` is how often the checklist is done by hand; ``delay_ms`` is what a link adds each way.
    """

    label: str
    code: str
    target: str
    cause: str | None
    silent: bool
    faults: tuple[Mapping[str, Any], ...] = field(default=())
    greets: bool = False
    checklists: int = 1
    delay_ms: float = 0.0

    def scenario(self) -> Scenario:
        outcome = "healthy" if self.cause is None else "fault"
        return Scenario(
            name=f"bench {self.label}",
            title=self.label,
            code=self.code,
            target=self.target,
            expect=Expected(outcome=outcome, cause=self.cause),
            topology=_slow(self.delay_ms) if self.delay_ms else {},
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
        checklists=CHECKLISTS_WITH_LOSS,
    ),
    Case("healthy", "10060", "{name}:{port}", None, silent=False),
    Case("no such name", "11001", "{missing_name}:{port}", "name-does-not-exist", silent=False),
)

#: With and without a ladder, by the scheme that brings it: what it must not slow down, and what it takes where a
#: service answers. The code is one that says nothing of an established connection.
LADDERS = (
    ("http", Case("refused", "10061", "{server}:{closed_port}", "no-listener", silent=False)),
    ("https", Case("refused", "10061", "{server}:{closed_port}", "no-listener", silent=False)),
    (
        "http",
        Case(
            "port dropped",
            "10060",
            "{server}:{port}",
            "firewall-drop",
            silent=True,
            faults=({"kind": "filter", "node": "router2", "hook": "forward"},),
        ),
    ),
    *(
        (
            scheme,
            Case(
                "healthy",
                "10061",
                "{server}:{closed_port}",
                None,
                silent=False,
                faults=({"kind": "speaker", "words": words, "port": "{closed_port}"},),
            ),
        )
        for scheme, words in (("http", "page-200"), ("redis", "redis"), ("ssh", "ssh"))
    ),
)
LADDER_HEAD = ("case", "scheme", "as", "without", "with it", "ratio", "added", "may be added", "holds", "spoken to")

HEAD = ("case", "as", "by hand", "`ping -i 0.2`", "wsadiag", "times sooner", "than `-i 0.2`", "aim")


def as_user(argv: list[str], who: str) -> list[str]:
    """Drop root for ``nobody``; file capabilities go on working, as ping(8) of Debian needs them."""
    return argv if who == "root" else ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *argv]


def checklist(lab: Lab, case: Case, pace: tuple[str, ...]) -> list[list[str]]:
    """Return the commands that a person types, in the order of the reference's list; ``pace`` goes to every ping.

    Where a service should speak first, the port is tried as with telnet: connected, and waited for the greeting.
    """
    name, _, port = lab.fill(case.target).rpartition(":")
    trying = ["nc", "-w", "10", name, port] if case.greets else ["nc", "-w", "10", "-z", name, port]
    return [
        ["getent", "ahosts", name],
        *(["ping", *pace, "-c", "4", host] for host in (name, lab.values["neighbour"], lab.values["router1"])),
        ["traceroute", name],
        trying,
        ["ss", "-ltn"],
    ]


def by_hand(lab: Lab, case: Case, who: str, pace: tuple[str, ...]) -> list[tuple[str, float]]:
    """Do the checklist; return each command with the seconds that it took."""
    took = []
    for argv in checklist(lab, case, pace):
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


def typed(lab: Lab, case: Case, who: str, pace: tuple[str, ...]) -> float:
    """Do the checklist as often as the case asks for; the median of the seconds that one took."""
    totals = []
    for _ in range(case.checklists):
        took = by_hand(lab, case, who, pace)
        totals.append(sum(seconds for _, seconds in took))
        words = ", ".join(f"{name} {seconds:.1f}" for name, seconds in took)
        print(f"{' '.join([case.label, who, *pace])}: {words}", file=sys.stderr, flush=True)
    return statistics.median(totals)


def measure(case: Case, who: str, runs: int, alone: Lock) -> tuple[str, ...]:
    """Time all three in a lab of their own; return a row of the table."""
    scenario = case.scenario()
    with ExitStack() as stack:
        with alone:
            lab = stack.enter_context(scenario.lab())
            afflict(scenario, lab)
            verdict = statistics.median(ours(lab, scenario, who, runs))
        usual, quick = typed(lab, case, who, USUAL), typed(lab, case, who, QUICK)
    return row(case, who, usual, quick, verdict)


def row(case: Case, who: str, usual: float, quick: float, verdict: float) -> tuple[str, ...]:
    """Return the cells of one line; times in seconds."""
    user = "root" if who == "root" else "ordinary user"
    times = f"{usual / verdict:.1f}", f"{quick / verdict:.1f}"
    return (
        case.label,
        user,
        f"{usual:.1f} s",
        f"{quick:.1f} s",
        f"{verdict:.2f} s",
        *times,
        "10" if case.silent else "5",
    )


def timed(lab: Lab, scenario: Scenario, who: str) -> tuple[float, float, int]:
    """Run wsadiag; return the milliseconds to its verdict, those its connections to the service took, and their number.

    The time is the report's own: the start of the interpreter is the same on both sides, and noisier than a round trip.
    """
    done, _ = diagnose(lab, scenario, who)
    report = json.loads(done.stdout)
    grade, trouble = judge(scenario, who, report, lab)
    if grade not in ("right", "unsure"):
        raise SystemExit(f"{scenario.title} as {who}: {grade}: {trouble}")
    spoken = [probe["duration_ms"] for probe in report["probes"] if probe["probe"] == "service"]
    return report["duration_ms"], sum(spoken), len(spoken)


def ladder(scheme: str, case: Case, who: str, runs: int) -> tuple[str, ...]:
    """Time pairs of runs, without and with a URL's scheme, in a lab of their own; return a row of the table."""
    bare, url = case.scenario(), replace(case, target=f"{scheme}://{case.target}").scenario()
    pairs = []
    with bare.lab() as lab:
        afflict(bare, lab)
        for number in range(runs):
            both = {one.target: timed(lab, one, who) for one in ((bare, url) if number % 2 else (url, bare))}
            pairs.append((both[bare.target], both[url.target]))
    without, spoken = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    added = statistics.median(second[0] - first[0] for first, second in pairs)
    allowed = statistics.median(second[1] for _, second in pairs) if case.cause is None else 2 * case.delay_ms
    return (
        case.label,
        scheme,
        "root" if who == "root" else "ordinary user",
        f"{without:.0f} ms",
        f"{spoken:.0f} ms",
        f"{spoken / without:.2f}",
        f"{added:+.0f} ms",
        f"{allowed:.0f} ms",
        "yes" if added <= allowed else "NO",
        " to ".join(dict.fromkeys(str(times(second[2] for _, second in pairs)) for times in (min, max))),
    )


def ladders(runs: int, round_trip_ms: float) -> str:
    """Measure what the ladder adds to each case, one after the other."""
    slow = [(scheme, replace(case, delay_ms=round_trip_ms / 2)) for scheme, case in LADDERS]
    rows = []
    for scheme, case in slow:
        for who in ("root", "nobody"):
            rows.append(ladder(scheme, case, who, runs))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    how = f"Medians of {runs} pairs of runs, a round trip of {round_trip_ms:.0f} ms"
    return f"{table(LADDER_HEAD, rows)}\n{how}. {machine()}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", metavar="CASE", choices=[case.label for case in CASES])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--ladder", action="store_true", help="measure what is said to services instead")
    parser.add_argument("--round-trip", type=float, default=80.0, metavar="MS", help="of the link for --ladder")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("root is needed: to build the lab, and to become an ordinary user inside it")
    if options.ladder:
        text = ladders(options.runs, options.round_trip)
        sys.stdout.write(text)
        if options.write:
            write("ladder", text)
        return
    chosen = [(case, who) for case in CASES if options.only in (None, case.label) for who in ("root", "nobody")]
    alone = Lock()
    with ThreadPoolExecutor(len(chosen)) as pool:
        rows = list(pool.map(lambda pair: measure(*pair, options.runs, alone), chosen))
    counted = (
        f"Medians of {options.runs} runs of wsadiag and, with losses, of {CHECKLISTS_WITH_LOSS} checklists each way"
    )
    text = f"{table(HEAD, rows)}\n{counted}; else one. {machine()}.\n"
    sys.stdout.write(text)
    if options.write:
        write("verdict", text)


if __name__ == "__main__":
    main()
