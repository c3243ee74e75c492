"""``wsadiag check`` at size: a thousand targets behind a router, against what a good engineer would otherwise use.

    python tests/bench/targets.py [--targets N] [--burners N] [--curve] [--causes] [--readings]

Builds a network of namespaces (needs root): a client, a router, and a network of servers. A third of the targets is
open, a third refused, a third silent; with ``--causes`` the failures have five causes (no listener, a port that the
router drops, one that it rejects, one that it resets, hosts that are off), with ``--readings`` the connections alone
are tried. Measured in the same run, as far as they are installed: nmap's connect scan with its fast timing (-T4) and
one retry, ``check_tcp`` and ``nc`` under ``xargs -P50``; seconds, CPU, memory.
``--curve`` measures wsadiag alone with 10 to 10,000 targets, and writes the figure and the table of docs/check.md
and of README.
``--burners`` keeps so many processes busy meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.routed import Routed

HOSTS = [f"10.81.2.{n}" for n in range(2, 12)]
DEAD = [f"10.81.2.{n}" for n in range(100, 200)]
OPEN, CLOSED, DROPPED, REJECTED, RESET = 20_000, 30_000, 40_000, 50_000, 55_000
WANTED = {"closed": "no-listener", "dropped": "firewall-drop", "rejected": "firewall-reject", "reset": "firewall-reset",
          "dead": "host-down"}  # fmt: skip
CHECK_TCP = "/usr/lib/nagios/plugins/check_tcp"

_LISTENS = """
import resource, selectors, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
watched = selectors.DefaultSelector()
for host in sys.argv[2].split(","):
    for port in range(20_000, 20_000 + int(sys.argv[1])):
        watched.register(socket.create_server((host, port), backlog=64), selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in watched.select():
        key.fileobj.accept()[0].close()
"""


class Net(Routed):
    """Ten servers; the router drops, rejects and resets by the number of the port."""

    def __init__(self) -> None:
        rules = (
            f"ip daddr != 10.81.2.0/24 accept; tcp dport {DROPPED}-{REJECTED - 1} drop;"
            f"tcp dport {REJECTED}-{RESET - 1} reject with icmp admin-prohibited;"
            f"tcp dport {RESET}-65535 reject with tcp reset;"
        )
        super().__init__("targets", rules, more=HOSTS[1:])


def targets(count: int, *, causes: bool) -> list[tuple[str, int, str]]:
    """Return host, port and kind of each target, a third of them open."""
    kinds = ["open", "closed", "dropped"]
    found: list[tuple[str, int, str]] = []
    for n in range(count):
        host, place = HOSTS[n % len(HOSTS)], n // len(HOSTS)
        kind = kinds[n % 3]
        if causes and kind != "open":
            kind = list(WANTED)[(n // 3) % len(WANTED)]
        base = {"open": OPEN, "closed": CLOSED, "dropped": DROPPED, "rejected": REJECTED, "reset": RESET, "dead": OPEN}
        host = DEAD[n % len(DEAD)] if kind == "dead" else host
        found.append((host, base[kind] + place, kind))
    return found


class Measured(msgspec.Struct, frozen=True):
    """What a command took: seconds, seconds of CPU, and the memory of its largest process, MiB."""

    wall_s: float
    cpu_s: float
    mib: float
    output: str


def measured(words: list[str], given: str = "") -> Measured:
    """Run a command under time(1)'s accounting and return what it took with its standard output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as into:
        into.write(given.encode())
        into.seek(0)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        child = subprocess.Popen(words, stdin=into, stdout=out, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        del before
        child.returncode = 0
        out.seek(0)
        return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read().decode())


def wsadiag(net: Net, aims: list[tuple[str, int, str]], *options: str) -> Measured:
    given = "".join(f"{host}:{port}\n" for host, port, _ in aims)
    program = str(Path(sys.executable).parent / "wsadiag")
    return measured(net.command("c", program, "check", "--format", "json", *options, "-"), given)


def nmap(net: Net, aims: list[tuple[str, int, str]]) -> Measured:
    hosts, ports = sorted({a[0] for a in aims}), sorted({a[1] for a in aims})
    words = ["nmap", "-sT", "-Pn", "-n", "-T4", "--max-retries", "1", "-p", ",".join(map(str, ports)), *hosts]
    return measured(net.command("c", *words))


def one_by_one(net: Net, aims: list[tuple[str, int, str]], *words: str) -> Measured:
    given = "".join(f"{host} {port}\n" for host, port, _ in aims)
    return measured(net.command("c", "xargs", "-P50", "-L1", *words), given)


@contextmanager
def busy(burners: int) -> Iterator[None]:
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(burners)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def right(report: dict[str, object], aims: list[tuple[str, int, str]], *, readings: bool) -> tuple[int, Counter[str]]:
    """Return how many targets are as they are, and what was said of the others."""
    reading = {"open": "open", "closed": "refused", "dropped": "silent", "rejected": "rejected", "reset": "refused",
               "dead": "silent"}  # fmt: skip
    good, wrong = 0, Counter[str]()
    entries = report["targets"]
    assert isinstance(entries, list)
    for entry, (_, _, kind) in zip(entries, aims, strict=True):
        said = entry["reading"] if readings else entry["cause"]
        if said == (reading[kind] if readings else WANTED.get(kind)):
            good += 1
        else:
            wrong[f"{kind}: {said} ({entry['confidence']}, {entry['status']})"] += 1
    return good, wrong


def table(net: Net, count: int) -> None:
    aims = targets(count, causes=False)
    quick = wsadiag(net, aims, "--no-diagnosis")
    good, _ = right(json.loads(quick.output), aims, readings=True)
    rows = [(f"wsadiag check --no-diagnosis ({good} of {count} right)", quick)]
    whole = wsadiag(net, aims)
    good, wrong = right(json.loads(whole.output), aims, readings=False)
    rows.append((f"wsadiag check ({good} of {count} causes right)", whole))
    if shutil.which("nmap"):
        rows.append(("nmap -sT -Pn -n -T4 --max-retries 1", nmap(net, aims)))
    if Path(CHECK_TCP).exists():
        rows.append(
            ("check_tcp -t 2, xargs -P50", one_by_one(net, aims, "sh", "-c", f'{CHECK_TCP} -t 2 -H "$0" -p "$1"'))
        )
    if shutil.which("nc"):
        rows.append(("nc -z -w 2, xargs -P50", one_by_one(net, aims, "nc", "-z", "-w", "2")))
    for name, took in rows:
        print(f"{count:6} {name:56} {took.wall_s:6.2f} s  {took.cpu_s:6.2f} s CPU  {took.mib:6.1f} MiB")
    for what, times in wrong.items():
        print(f"       wrong: {times} {what}")


COUNTS = (10, 30, 100, 300, 1000, 3000, 10_000)
PAGE = Path(__file__).parents[2] / "docs/check.md"
README = PAGE.parents[1] / "README.md"
_COMPARED = 1000
FIGURE = PAGE.with_name("targets.svg")
MARKS = ("<!-- curve -->\n", "<!-- /curve -->\n")


def curve(net: Net) -> None:
    """Measure each number of targets, the connections alone and with the causes, and write it down."""
    import figure
    import table as tables

    rows = []
    for count in COUNTS:
        aims = targets(count, causes=False)
        quick, whole = wsadiag(net, aims, "--no-diagnosis"), wsadiag(net, aims)
        good, _ = right(json.loads(whole.output), aims, readings=False)
        rows.append((count, quick, whole, good))
        print(
            f"{count:6} {quick.wall_s:6.2f} s {quick.mib:6.1f} MiB; {whole.wall_s:6.2f} s {whole.mib:6.1f} MiB, {good}"
        )
    head = ("targets", "connections", "CPU", "memory", "with causes", "CPU", "memory", "right")
    cells = [
        (f"{n:,}", *(text for took in (quick, whole) for text in _cells(took)), f"{good:,}")
        for n, quick, whole, good in rows
    ]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    fits = [
        f"- Time of {what}: {fitted([(n, took[which].wall_s) for n, *took, _ in rows], 's')}."
        for which, what in enumerate(("connections", "the whole check"))
    ]
    fits.append(f"- Memory: {fitted([(n, whole.mib) for n, _, whole, _ in rows], 'MiB')}.")
    print("\n".join(fits))
    lines = ("Straight lines through these points, by least squares:", "", *fits, "")
    said = "\n".join(
        (tables.table(head, cells), *lines, f"{tables.machine()}; `python tests/bench/targets.py --curve`.\n")
    )
    PAGE.write_text(f"{before}{MARKS[0]}{said}{MARKS[1]}{after}", encoding="utf-8")
    _first_page(net, rows)
    drawn = {
        "seconds, connections": [(n, quick.wall_s) for n, quick, _, _ in rows],
        "seconds, with causes": [(n, whole.wall_s) for n, _, whole, _ in rows],
        "MiB": [(n, float(whole.mib)) for n, _, whole, _ in rows],
    }
    FIGURE.write_text(figure.drawn(drawn, x_title="targets"), encoding="utf-8")


def _first_page(net: Net, rows: Sequence[tuple[int, Measured, Measured, int]]) -> None:
    """Write the short table of README: time and memory of the whole check, and of nmap where that is comparable."""
    import table as tables

    cells = []
    for n, _, whole, good in rows:
        other = nmap(net, targets(n, causes=False)) if n == _COMPARED and shutil.which("nmap") else None
        beside = f"{other.wall_s:.1f} s, {other.mib:.0f} MiB" if other else ""
        cells.append((f"{n:,}", f"{whole.wall_s:.1f} s", f"{whole.mib:.0f} MiB", f"{good:,}", beside))
    head = ("targets", "time", "memory", "causes right", "`nmap -sT -T4 --max-retries 1`")
    before, _, rest = README.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    README.write_text(f"{before}{MARKS[0]}{tables.table(head, cells)}{MARKS[1]}{after}", encoding="utf-8")


def fitted(points: Sequence[tuple[int, float]], unit: str) -> str:
    """Say how well ``(targets, figure)`` lie on a straight line, by least squares, and how steep it is."""
    xs, ys = [float(n) for n, _ in points], [figure for _, figure in points]
    slope, start = statistics.linear_regression(xs, ys)
    farthest = max(abs(start + slope * x - y) for x, y in zip(xs, ys, strict=True))
    r2 = statistics.correlation(xs, ys) ** 2
    return (
        f"{start:.1f} {unit} and {1000 * slope:.2f} {unit} for every 1,000 targets, r² = {r2:.3f},"
        f" at most {farthest:.1f} {unit} from that line"
    )


def _cells(took: Measured) -> tuple[str, str, str]:
    return f"{took.wall_s:.1f} s", f"{took.cpu_s:.1f} s", f"{took.mib:.0f} MiB"


def causes(net: Net, count: int) -> int:
    aims = targets(count, causes=True)
    took = wsadiag(net, aims)
    report = json.loads(took.output)
    good, wrong = right(report, aims, readings=False)
    slowest = max((group["report"]["duration_ms"] for group in report["groups"]), default=0.0) / 1000
    print(
        f"{good} of {count} causes right in {took.wall_s:.2f} s, {len(report['groups'])} groups,"
        f" {took.cpu_s:.2f} s CPU, {took.mib:.1f} MiB; slowest diagnosis {slowest:.2f} s"
    )
    for what, times in wrong.items():
        print(f"  wrong: {times} {what}")
    return count - good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--burners", type=int, default=0)
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--causes", action="store_true")
    parser.add_argument("--readings", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("root is needed to build the network of namespaces")
    counts = COUNTS if options.curve else [options.targets]
    with Net() as net, busy(options.burners):
        words = net.command("s", sys.executable, "-c", _LISTENS, str(max(counts) // len(HOSTS) + 1), ",".join(HOSTS))
        listener = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert listener.stdout is not None
            listener.stdout.readline()
            wrong = 0
            if options.curve:
                curve(net)
                counts = []
            for count in counts:
                if options.readings:
                    aims = targets(count, causes=True)
                    took = wsadiag(net, aims, "--no-diagnosis")
                    good, said = right(json.loads(took.output), aims, readings=True)
                    print(f"{good} of {count} readings right in {took.wall_s:.2f} s; {dict(said)}")
                elif options.causes:
                    wrong += causes(net, count)
                else:
                    table(net, count)
            raise SystemExit(1 if wrong else 0)
        finally:
            listener.kill()
            listener.wait()


if __name__ == "__main__":
    main()
