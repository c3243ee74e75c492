"""The lab's faults through the tools that people use: which tool's output names the cause.

    python tests/lab/tools.py [--jobs N] [--only GLOB] [--table] [--show]

In each scenario's lab wsadiag runs first (without privilege), then, as root, the tools of ``COMMANDS``. What a tool's
output names is decided by ``SAYS`` alone: patterns on the text, the same for every scenario. They are generous: words
that fit several causes count for each of them. ``--table`` rewrites the table in tests/lab/README.md, ``--show`` prints
what each tool said. Missing tools are installed by apt-get where that is possible; otherwise the run says what is
missing and exits with 77.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.lab.play import afflict, diagnose
from tests.lab.run import SKIPPED, enter, rewrite
from tests.lab.scenario import Scenario, load_all
from tests.lab.topology import Lab, which

PACKAGES = {"nmap": "nmap", "mtr": "mtr-tiny", "curl": "curl", "traceroute": "traceroute"}
#: Bounds (-w, -m, -c, --max-time) keep a silent path from taking minutes; names are not looked up (-n).
COMMANDS: Mapping[str, str] = {
    "nmap": "nmap -sT --reason -Pn -n -p {port} {host}",
    "mtr": "mtr --tcp --report -n -c 5 -m 12 -P {port} {host}",
    "curl": "curl -v --max-time 8 {scheme}://{host}:{port}/",
    "traceroute": "traceroute -T -n -w 2 -m 12 -p {port} {host}",
}
LONGEST_S = 90
#: One scenario for each cause that can lie between a client and a service, and more where the place matters.
PLAYED = (
    "healthy-plain",
    "healthy-strict-icmp",
    "no-listener",
    "firewall-reset-hops.4-2-4-default",
    "firewall-reset-hops.4-4-4-default",
    "firewall-reset-own-input.4-4-default",
    "firewall-reject-hops.admin-prohibited-4-2-4-default",
    "firewall-reject-hops.port-unreachable-4-2-4-default",
    "firewall-reject-hops.host-unreachable-4-4-4-default",
    "firewall-drop-hops.4-2-4-default",
    "firewall-drop-own-input.4-4-default",
    "connection-intercepted.4-2-4-default",
    "connection-intercepted-dead-host.4-2-4-default",
    "path-mtu-blackhole.4-3-4-default",
    "healthy-small-link.4-3-4-default",
    "packet-loss.4-2-20-4-default",
    "packet-loss.4-4-30-4-default",
    "address-family-path-broken.4-2-6-default",
    "accept-queue-full-remote.4-4-default",
    "service-resets.4-4-default",
    "service-closes.4-4-default",
    "service-silent.4-25-4-default",
    "tls-failed-alert.4-4-default",
    "host-down",
    "path-broken-drop",
    "network-unreachable-no-route",
    "routing-loop",
)
ADDRESS = r"\d+\.\d+\.\d+\.\d+"
#: The last hop that answered, and nothing but silence behind it.
STOPS = {
    "traceroute": rf"(?m)^ *\d+ .*{ADDRESS}.*\n(?: *\d+  \* \* \*\n?)+\Z",
    "mtr": rf"(?m)^ *\d+\.\|-- {ADDRESS} .*\n(?: *\d+\.\|-- \?\?\? .*\n?)+\Z",
}
#: Cause, tool, and what the tool's output must hold to count as naming the cause.
SAYS: Mapping[str, Mapping[str, str]] = {
    "healthy": {"nmap": r"/tcp +open ", "curl": r"(?m)^< |Received HTTP/0\.9"},
    "no-listener": {"nmap": r"/tcp +closed .*(conn-refused|reset)", "curl": r"Connection refused"},
    "firewall-reset": {
        "nmap": rf"reset.* from {ADDRESS}",
        "traceroute": rf"{ADDRESS}.*(closed|reset|refused)",
        "mtr": r"closed|reset|refused",
        "curl": rf"reset by {ADDRESS}",
    },
    "firewall-reject": {
        "nmap": r"/tcp +filtered .*(prohibited|unreach)",
        "traceroute": r" !(X|P|A|C|S|Z|\d+)\b",
        "mtr": r"prohibited",
        "curl": r"prohibited",
    },
    "firewall-drop": {"nmap": r"/tcp +filtered .*no-response", **STOPS},
    "path-broken": STOPS,
    "connection-intercepted": dict.fromkeys(COMMANDS, r"(?i)intercepted|redirected|transparent proxy"),
    "path-mtu-blackhole": dict.fromkeys(COMMANDS, r"(?i)\bmtu\b|fragmentation"),
    "packet-loss": {
        # the share of the last line, which is the target's, is neither nothing nor everything
        "mtr": rf"\|-- {ADDRESS} +(?!0\.0%|100\.0)\d+\.\d%[^\n]*\n?\Z",
        "traceroute": rf"(?s)\Atraceroute to (?P<to>{ADDRESS}) .*"
        r"\n *\d+ (?=[^\n]*\*)[^\n]*(?P=to) [^\n]* ms[^\n]*\n?\Z",
    },
    "address-family-path-broken": {"curl": r"(?is)(connect to [^\n]* failed|unreachable|timed out).*Connected to"},
    "accept-queue-full": dict.fromkeys(COMMANDS, r"(?i)backlog|queue"),
    "service-resets": {"curl": r"(?s)Connected to.*reset by peer"},
    "service-closes": {"curl": r"Empty reply from server|(?s:Connected to.*alert)|SSL_ERROR_SYSCALL"},
    "service-silent": {"curl": r"(?s)Connected to.*timed out after \d+ milliseconds with 0 bytes"},
    "host-down": {"nmap": r"host-unreach", "traceroute": r" !H\b", "curl": r"No route to host"},
    "network-unreachable": {"nmap": r"net-unreach", "traceroute": r" !N\b", "curl": r"Network is unreachable"},
    # a router, another one, and the first again
    "routing-loop": {
        "traceroute": rf"(?sm)^ *\d+  (?P<one>{ADDRESS}) [^\n]*\n *\d+  (?!(?P=one) ){ADDRESS} .*^ *\d+  (?P=one) ",
        "mtr": rf"(?sm)\|-- (?P<one>{ADDRESS}) [^\n]*\n *\d+\.\|-- (?!(?P=one) ){ADDRESS} .*\|-- (?P=one) ",
    },
}


@dataclass(frozen=True)
class Said:
    """What one tool printed, how long it took, and which causes that names."""

    tool: str
    text: str
    took_s: float
    named: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One scenario: the truth and what each tool, wsadiag among them, made of it."""

    scenario: str
    truth: str
    said: Mapping[str, Said]

    def cell(self, tool: str) -> str:
        """Whether the tool names the cause; else what it names instead, or nothing."""
        named = self.said[tool].named
        if self.truth in named:
            return "**yes**"
        return "says " + " or ".join(named) if named else "no"


def names(tool: str, text: str) -> tuple[str, ...]:
    """Return the causes that a tool's output names, by ``SAYS``."""
    return tuple(cause for cause, tools in SAYS.items() if tool in tools and re.search(tools[tool], text))


def run_tool(lab: Lab, tool: str, host: str, port: str) -> Said:
    """Run one tool on the client, as root, bounded."""
    words = {"host": host, "port": port, "scheme": "https" if port == "443" else "http"}
    argv = COMMANDS[tool].format_map(words).split()
    started = time.perf_counter()
    try:
        done = subprocess.run(
            lab.command("client", argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LONGEST_S,
            check=False,
        )
        text = done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired:
        text = ""
    return Said(tool, text, time.perf_counter() - started, names(tool, text))


def play(scenario: Scenario) -> Row:
    """Make the scenario's fault, ask wsadiag, then every tool."""
    said: dict[str, Said] = {}
    with scenario.lab() as lab:
        afflict(scenario, lab)
        done, wall_ms = diagnose(lab, scenario, "nobody")
        verdict = json.loads(done.stdout)["verdict"]
        cause = {"healthy": "healthy", "inconclusive": None}.get(verdict["outcome"], verdict["cause"])
        said["wsadiag"] = Said("wsadiag", done.stdout, wall_ms / 1000, (cause,) if cause else ())
        host, _, port = lab.fill(scenario.target).rpartition(":")
        for tool in COMMANDS:
            time.sleep(1.1)  # routers' limits on ICMP errors are not to be felt from one tool to the next
            said[tool] = run_tool(lab, tool, host, port)
    return Row(scenario.name, scenario.expect.cause or "healthy", said)


def table(rows: Sequence[Row]) -> str:
    """Return the commands, the criteria and the Markdown table of all rows."""
    tools = ("wsadiag", *COMMANDS)
    count = {tool: sum(row.truth in row.said[tool].named for row in rows) for tool in tools}
    median = {tool: statistics.median(row.said[tool].took_s for row in rows) for tool in tools}
    lines = [f"    {command}" for command in COMMANDS.values()]
    lines += ["", "| scenario | cause | " + " | ".join(tools) + " |", "| --- | --- |" + " --- |" * len(tools)]
    lines += [f"| {row.scenario} | {row.truth} | {' | '.join(row.cell(tool) for tool in tools)} |" for row in rows]
    lines.append(f"| named | of {len(rows)} | " + " | ".join(str(count[tool]) for tool in tools) + " |")
    lines.append("| median time | | " + " | ".join(f"{median[tool]:.1f} s" for tool in tools) + " |")
    lines += ["", "What counts as naming a cause (Python regular expressions, on the whole output):", ""]
    for cause, patterns in SAYS.items():
        same = len(set(patterns.values())) == 1 and len(patterns) == len(COMMANDS)
        words = {"any tool": next(iter(patterns.values()))} if same else patterns
        lines.append(f"- {cause}: " + "; ".join(f"{tool} `` {pattern} ``" for tool, pattern in words.items()))
    return "\n".join(lines)


def install() -> str | None:
    """Install what is missing, where apt-get may; what is still missing is returned."""
    missing = [tool for tool in PACKAGES if which(tool) is None]
    if missing and which("apt-get"):
        packages = [PACKAGES[tool] for tool in missing]
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *packages], check=False)
        missing = [tool for tool in PACKAGES if which(tool) is None]
    return ", ".join(missing) or None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="*", metavar="GLOB")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    why = install()
    why = f"not installed: {why}" if why else enter()
    if why:
        print(f"skipped: {why}", file=sys.stderr)
        return SKIPPED
    by_name = {scenario.name: scenario for scenario in load_all()}
    chosen = [by_name[name] for name in PLAYED if fnmatch.fnmatch(name, options.only)]
    rows = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for row in pool.map(play, chosen):
            rows.append(row)
            cells = ", ".join(f"{tool}: {row.cell(tool)} ({said.took_s:.1f} s)" for tool, said in row.said.items())
            print(f"{row.scenario} [{row.truth}]: {cells}", flush=True)
            for tool in COMMANDS if options.show else ():
                print(f"--- {tool}\n{row.said[tool].text}", flush=True)
    if options.table:
        rewrite("tools", table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
