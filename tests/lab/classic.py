"""The classic commands, run on the client of a lab and pasted: what a caller's screen would show of a fault.

    python -m tests.lab.classic [SCENARIO…]

plays the scenarios (the ten of :data:`FAULTS`) and prints what the pasted outputs alone come to.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from tests.lab.play import afflict
from tests.lab.scenario import FOLDER, Scenario, load
from tests.lab.topology import Lab
from troubleshoot.intake.request import request_of
from troubleshoot.intake.target import Target, parse_target
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.options import Options
from troubleshoot.readers import read
from troubleshoot.report import Report
from troubleshoot.run.pasted import judge_pasted, of_one_machine

#: Ten faults of other kinds: the port, filters, hosts, routes, names and their servers, the interface.
FAULTS = (
    *("no-listener", "firewall-drop-path", "firewall-reject-admin", "host-down-local", "no-default-route"),
    *("no-route-unreachable", "name-does-not-exist", "nameserver-refuses", "interface-no-carrier", "routing-loop"),
)
_PROMPT = "kim@client:~$ "


def commands(target: Target, address: str, gateway: str | None) -> list[str]:
    """Return what a helpdesk would have typed, for a target and the address that it has or would have."""
    host = target.host or address
    ends = f"[{host}]" if ":" in host else host
    typed = ["ip addr", "ip -s link", "ip route", "ip -6 route", "ss -tan"]
    if gateway:
        typed.append(f"ping -c 2 -i 0.2 -W 1 {gateway}")
    if host != address:
        typed += [f"getent ahosts {host}", f"dig +time=1 +tries=1 {host}"]
    typed += [f"ip route get {address}", f"ping -c 3 -i 0.2 -w 4 {address}", f"traceroute -n -q 1 -w 1 -m 6 {address}"]
    if target.port:
        typed.append(f"curl -v --connect-timeout 8 http://{ends}:{target.port}/")
    return [*typed, "ip neigh"]


def pasted(lab: Lab, target: Target) -> str:
    """Return the text of a session on the client, prompts and all."""
    known = lab.run("client", "getent", "ahosts", target.host or "", check=False).stdout.split()
    address = target.host if target.literal else next(iter(known), None)
    routes = lab.run("client", "ip", "route", check=False).stdout.split()
    gateway = routes[routes.index("via") + 1] if "via" in routes else None
    text = []
    for typed in commands(target, address or lab.fill("{server}"), gateway):
        done = subprocess.run(
            lab.command("client", ["env", "LC_ALL=C.UTF-8", "sh", "-c", f"{typed} 2>&1"]),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        text.append(f"{_PROMPT}{typed}\n{done.stdout.decode('utf-8', 'replace')}")
    return "\n".join(text)


def judged(scenario: Scenario, lab: Lab, text: str) -> Report:
    """Return the verdict from the pasted text alone."""
    known = catalogue()
    target = parse_target(lab.fill(scenario.target), known)
    readings, _ = of_one_machine(read(text, known))
    request = request_of(code_of(scenario), target, Options(), known, privileged=False)
    now = datetime.now(UTC)
    return judge_pasted(
        request,
        readings,
        known,
        started=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        epoch_s=now.timestamp(),
        code_input=scenario.code,
        language="en",
    )


def code_of(scenario: Scenario) -> str:
    """Return the name of a scenario's code."""
    from troubleshoot.intake.codes import parse_code

    return parse_code(scenario.code, catalogue())


def play_by_paste(name: str) -> tuple[Scenario, str, Report]:
    """Make the fault, run the commands, and return the scenario, the pasted text and the verdict."""
    scenario = load(FOLDER / f"{name}.toml")[0]
    with scenario.lab() as lab:
        afflict(scenario, lab)
        text = pasted(lab, parse_target(lab.fill(scenario.target), catalogue()))
        return scenario, text, judged(scenario, lab, text)


if __name__ == "__main__":
    for one in sys.argv[1:] or FAULTS:
        played, _, report = play_by_paste(one)
        verdict = report.verdict
        print(
            f"{one:28} live: {played.expect.cause} ({played.expect.confidence});",
            f"pasted: {verdict.outcome} {verdict.cause} ({verdict.confidence})",
            [other.cause for other in verdict.alternatives][:3],
        )
