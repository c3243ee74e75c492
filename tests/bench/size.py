"""The engine at size: many diagnoses in one process, and what they leave behind.

    python tests/bench/size.py [--diagnoses N] [--targets N] [--dead N] [--resetting N] [--burn N] [--nobody]
                               [--only memory|mixed]

``memory``: N diagnoses (1000) of closed and open ports on loopback, fifty at a time, in one process: seconds of CPU for
each, threads, descriptors and tasks before and after, and how much the memory grew beyond the reports that are kept.
``mixed``: N targets (100), a third each open, refused and dropped, behind a router in a network of namespaces (needs
root), all at once under the README's own Budget(sockets=64, packets_per_s=200) and timeout_s=5: how many verdicts were
right, and the longest run. With ``--dead`` so many hosts that do not exist are asked for besides, with ``--resetting``
so many services that reset whoever connects; ``--burn`` lets so many processes turn beside it that do nothing but that,
``--nobody`` looks without any privilege, ``--save`` keeps the reports that were not right in a folder.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, os.environ.get("WSADIAG_TREE") or str(Path(__file__).resolve().parents[2]))

from probes.base import Budget
from tests.bench.routed import Routed
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import Options
from troubleshoot.report import Report, to_json
from troubleshoot.run.engine import diagnose

#: The bound and the pace of README's example.
_SOCKETS, _PACKETS_PER_S, _TIMEOUT_S = 64, 200.0, 5.0
_ROUND = 50


def resident_kib() -> int:
    """Return the memory of this process, KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise SystemExit("/proc/self/status has no VmRSS")


def threads() -> int:
    """Return how many threads this process has."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def descriptors() -> int:
    """Return how many files this process has open, without the folder that is being read."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1


def closed_ports(count: int) -> list[int]:
    """Return ports of loopback on which nobody listens."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]


_SERVES = """
import socket, threading
def hold(taken):
    with taken:
        try:
            while taken.recv(4096):
                pass
        except OSError:
            pass
with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=hold, args=(server.accept()[0],), daemon=True).start()
"""


@contextmanager
def service() -> Iterator[int]:
    """Yield a port of loopback whose service, a process of its own, takes every connection."""
    with subprocess.Popen([sys.executable, "-c", _SERVES], stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        try:
            yield int(serving.stdout.readline())
        finally:
            serving.kill()


async def many(diagnoses: int) -> None:
    """Diagnose loopback targets in rounds and print what that took and left."""
    catalogue = Catalogue()
    with service() as good:
        ports = [good if n % 2 else port for n, port in enumerate(closed_ports(_ROUND))]

        async def one_round(size: int, budget: Budget) -> list[Report]:
            options = Options(timeout_s=30.0)
            return await asyncio.gather(
                *(
                    diagnose("10061", f"127.0.0.1:{p}", options=options, budget=budget, catalogue=catalogue)
                    for p in ports[:size]
                )
            )

        kept = bytearray()  # in one piece: between many, the allocator leaves holes that would count as growth
        right = 0
        budget = Budget()
        await one_round(_ROUND, budget)  # what is loaded and kept once
        gc.collect()
        before = (threads(), descriptors(), len(asyncio.all_tasks()), resident_kib())
        cpu_s, began = time.process_time(), time.perf_counter()
        for _ in range(diagnoses // _ROUND):
            for report in await one_round(_ROUND, budget):
                wanted = None if report.target.port == good else "no-listener"
                right += report.verdict.cause == wanted and report.verdict.outcome != "inconclusive"
                kept += to_json(report).encode()
        cpu_s, took = time.process_time() - cpu_s, time.perf_counter() - began
        gc.collect()
        await asyncio.sleep(0.1)
        after = (threads(), descriptors(), len(asyncio.all_tasks()), resident_kib())
    reports_mib, done = len(kept) / (1 << 20), diagnoses // _ROUND * _ROUND
    print(f"{done} diagnoses, {right} right, {took:.1f} s, {1000 * cpu_s / done:.0f} ms of CPU each")
    print(f"threads, descriptors, tasks: {before[:3]} before, {after[:3]} after")
    print(f"memory: {(after[3] - before[3]) / 1024 - reports_mib:+.1f} MiB beyond {reports_mib:.1f} MiB of reports")


# -- behind a router ---------------------------------------------------------------------------------------------


class Net(Routed):
    """A client, a router that drops ports from 4000 on, and a server that hears 2000 to 2999."""

    def __init__(self) -> None:
        super().__init__("size", "ip daddr 10.81.2.2 tcp dport >= 4000 drop;")


_LISTENS = """
import selectors, socket, struct
watched, kept = selectors.DefaultSelector(), []
for port in (*range(2000, 2100), *range(2500, 2600)):
    watched.register(socket.create_server(("10.81.2.2", port), backlog=64), selectors.EVENT_READ, port >= 2500)
print("ready", flush=True)
while True:
    for key, _ in watched.select():
        taken = key.fileobj.accept()[0]
        if key.data:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            taken.close()
        else:
            kept.append(taken)
"""
_BURNS = "while True: pass"
_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")


async def mixed(options: argparse.Namespace) -> int:
    """Diagnose targets of three kinds at once, and others beside them; return how many verdicts were wrong.

    What a router says of a dead host is limited to one report a second, so that most of those stay open: wrong is a
    verdict that takes the router's silence for an answer.
    """
    count, dead, timeout_s = options.targets, options.dead, options.timeout
    catalogue = Catalogue()
    wanted = {2: None, 3: "no-listener", 4: "firewall-drop"}
    budget = Budget(sockets=options.sockets, packets_per_s=options.packets_per_s)
    targets = [("10.81.2.2", (2 + n % 3) * 1000 + n // 3) for n in range(count)]
    targets += [(f"10.81.2.{10 + n}", 2000) for n in range(dead)]
    targets += [("10.81.2.2", 2500 + n % 100) for n in range(options.resetting)]
    began, cpu_s = time.perf_counter(), time.process_time()
    reports = await asyncio.gather(
        *(
            diagnose(
                "10054" if 2500 <= port < 3000 else "10060",
                f"{address}:{port}",
                options=Options(timeout_s=timeout_s),
                budget=budget,
                catalogue=catalogue,
            )
            for address, port in targets
        )
    )
    took, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
    said: Counter[tuple[str, str]] = Counter()
    wrong = before = 0
    for (address, port), report in zip(targets, reports, strict=True):
        verdict = report.verdict
        kind = {2: "open", 3: "refused", 4: "dropped"}[port // 1000] if address == "10.81.2.2" else "dead"
        kind = "resets" if 2500 <= port < 3000 else kind
        said[kind, f"{verdict.cause or verdict.outcome} ({verdict.confidence})"] += 1
        if kind == "resets":
            wrong += verdict.outcome != "inconclusive" and verdict.cause != "service-resets"
        elif kind == "dead":
            wrong += verdict.outcome != "inconclusive" and verdict.cause != "host-down"
        else:
            wrong += verdict.outcome == "inconclusive" or verdict.cause != wanted[port // 1000]
        if options.save and wrong > before:
            (Path(options.save) / f"{kind}-{address}-{port}.json").write_bytes(to_json(report).encode())
        before = wrong
    longest = max(report.duration_ms for report in reports) / 1000
    packets = sum(report.packets for report in reports)
    for (kind, what), times in sorted(said.items()):
        print(f"  {kind:8} {times:4} {what}")
    silent = sum("silent" in s.summary or "keep" in s.summary for r in reports for s in r.steps if s.id == "traceroute")
    total = len(targets)
    print(f"{total - wrong} of {total} right in {took:.1f} s ({1000 * cpu_s / total:.0f} ms of CPU each),")
    print(f"longest run {longest:.2f} s of {timeout_s:.0f} s, {packets} packets ({packets / took:.0f} a second)")
    print(f"{silent} traceroutes with silent hops")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--diagnoses", type=int, default=1000)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--dead", type=int, default=0, help="so many dead hosts (200 at most) beside the targets")
    parser.add_argument("--resetting", type=int, default=0, help="so many services that reset, beside the targets")
    parser.add_argument("--burn", type=int, default=0, help="so many processes that take what processor there is")
    parser.add_argument("--save", metavar="FOLDER")
    parser.add_argument("--nobody", action="store_true", help="without any privilege")
    parser.add_argument("--sockets", type=int, default=_SOCKETS)
    parser.add_argument("--packets-per-s", type=float, default=_PACKETS_PER_S)
    parser.add_argument("--timeout", type=float, default=_TIMEOUT_S)
    parser.add_argument("--only", choices=["memory", "mixed", "inside"])
    options = parser.parse_args()
    if options.only in (None, "memory"):
        asyncio.run(many(options.diagnoses))
    if options.only == "inside":
        raise SystemExit(1 if asyncio.run(mixed(options)) else 0)
    if options.only in (None, "mixed"):
        if os.geteuid() != 0:
            raise SystemExit("root is needed to build the network of namespaces")
        with Net() as net:
            listener = subprocess.Popen(
                net.command("s", sys.executable, "-c", _LISTENS), stdout=subprocess.PIPE, text=True
            )
            burning = [subprocess.Popen([sys.executable, "-c", _BURNS]) for _ in range(options.burn)]
            try:
                assert listener.stdout is not None
                listener.stdout.readline()
                words = [*(_NOBODY if options.nobody else ()), sys.executable, __file__, *sys.argv[1:]]
                done = subprocess.run(net.command("c", *words, "--only", "inside"), check=False)
                raise SystemExit(done.returncode)
            finally:
                for each in (listener, *burning):
                    each.kill()
                    each.wait()


if __name__ == "__main__":
    main()
