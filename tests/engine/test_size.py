"""Many diagnoses in one event loop: each gets its share, none is misled by the others, nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.base import Budget, Context, Observation, Probe, Status
from probes.budget import Ledger
from troubleshoot import Options, diagnose
from troubleshoot.asks.model import Job
from troubleshoot.report import Report
from troubleshoot.run.moment import Moment, find, key_of
from troubleshoot.run.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
HOST = "192.0.2.9"


def closed_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


def threads() -> int:
    """Return how many threads there are, without those that the loop itself keeps for calls that block."""
    return sum(1 for thread in threading.enumerate() if not thread.name.startswith("asyncio_"))


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def probe(observe: Callable[[None, Context, Callable[[str], None]], object], deadline_s: float) -> Probe[None, str]:
    return Probe("patient", type(None), str, observe, lambda _: None, deadline_s, lambda _: 5)  # type: ignore[arg-type]


# -- turns -----------------------------------------------------------------------------------------------------


def test_diagnoses_begin_in_their_order_and_not_more_of_them_than_have_their_share() -> None:
    budget, begun, most = Budget(sockets=24), list[int](), 0

    async def one(number: int) -> None:
        nonlocal most
        async with budget.turn():
            begun.append(number)
            most = max(most, budget.active)
            await asyncio.sleep(0.02)

    async def main() -> None:
        await asyncio.gather(*(one(n) for n in range(6)))

    asyncio.run(main())
    assert begun == sorted(begun)
    assert most == 2
    assert budget.active == 0


def test_one_alone_never_waits() -> None:
    async def main() -> float:
        budget = Budget(sockets=1, packets_per_s=0.1, burst=1)
        await budget.packets()  # nothing is left for a while
        before = time.perf_counter()
        async with budget.turn():
            return time.perf_counter() - before

    assert asyncio.run(main()) < 0.1


def test_nobody_begins_while_the_loop_is_behind() -> None:
    async def main() -> float:
        budget = Budget()
        async with budget.turn():
            await asyncio.sleep(0.05)
            time.sleep(0.4)  # noqa: ASYNC251 - this is the fault
            await asyncio.sleep(0.03)
            before = time.perf_counter()
            async with budget.turn():
                return time.perf_counter() - before

    assert 0.1 < asyncio.run(main()) < 2


def test_time_counts_from_the_turn_and_not_from_the_call() -> None:
    async def main() -> list[Report]:
        budget, options = Budget(sockets=1), Options(timeout_s=3)
        targets = [f"127.0.0.1:{port}" for port in closed_ports(12)]
        return await asyncio.gather(*(diagnose("10061", t, options=options, budget=budget) for t in targets))

    reports = asyncio.run(main())
    assert {(r.verdict.cause, r.verdict.confidence) for r in reports} == {("no-listener", "certain")}
    ends = sorted((r.started, r.duration_ms) for r in reports)
    assert len({started for started, _ in ends}) == 12
    assert max(duration_ms for _, duration_ms in ends) < 3000


# -- what is no answer of the network --------------------------------------------------------------------------


def test_a_wait_for_the_budget_stops_the_probes_clock() -> None:
    async def observe(_request: None, context: Context, _progress: Callable[[str], None]) -> str:
        async with context.budget.slot():
            await context.sending()
            await asyncio.sleep(0.1)
        return "seen"

    async def main() -> Observation[str]:
        budget = Budget(sockets=1, packets_per_s=1000)
        worker = Worker(Job("patient", "", None), probe(observe, 0.3), Context(budget=budget), lambda _: None)
        async with budget.slot():
            running = asyncio.create_task(worker.run(5))
            await asyncio.sleep(0.6)
        return await running

    record = asyncio.run(main())
    assert (record.status, record.result) == (Status.OBSERVED, "seen")
    assert 90 < record.duration_ms < 400


@pytest.mark.parametrize("blocked_s", [0.0, 0.7])
def test_a_deadline_that_passed_while_nobody_polled_is_no_silence(blocked_s: float) -> None:
    async def observe(_request: None, _context: Context, progress: Callable[[str], None]) -> str:
        progress("silence so far")
        await asyncio.sleep(30)
        return "never"

    async def main() -> Observation[str]:
        budget = Budget()
        worker = Worker(Job("patient", "", None), probe(observe, 0.4), Context(budget=budget), lambda _: None)
        async with budget.turn():
            running = asyncio.create_task(worker.run(5))
            await asyncio.sleep(0.1)
            time.sleep(blocked_s)  # noqa: ASYNC251 - this is the fault
            return await running

    record = asyncio.run(main())
    assert record.status is Status.CUT_SHORT
    assert record.reason is not None
    if blocked_s:
        assert (record.result, record.reason.key) == (None, "reason.starved")
    else:
        assert (record.result, record.reason.key) == ("silence so far", "reason.deadline")


def test_a_router_says_six_things_in_a_row_and_then_one_a_second() -> None:
    ledger = Ledger()
    assert all(ledger.ask(HOST, 1, 0.0) for _ in range(20))  # nobody knows yet who stands there
    for _ in range(6):
        ledger.answered(HOST, 1, "192.0.2.1", 0.0, limited=True)
    assert not ledger.ask(HOST, 1, 0.5)
    assert not ledger.ask("198.51.100.9", 1, 0.5)  # another target behind the same router
    assert ledger.ask(HOST, 1, 0.5, anyway=True)
    assert ledger.ask(HOST, 2, 0.5)  # the next router has said nothing
    assert ledger.ask(HOST, 1, 2.6)
    ledger.answered(HOST, 1, "192.0.2.1", 2.6, limited=True)
    assert ledger.ask(HOST, 1, 2.6)
    assert not ledger.ask(HOST, 1, 2.6)  # one is on its way


def test_questions_without_answer_use_up_nothing() -> None:
    ledger = Ledger()
    ledger.answered(HOST, 1, "192.0.2.1", 0.0, limited=True)
    assert [ledger.ask(HOST, 1, 10.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not ledger.ask(HOST, 1, 10.1)
    assert ledger.ask(HOST, 1, 11.2)


def test_the_end_of_the_way_is_known_and_what_is_not_limited_costs_nothing() -> None:
    ledger = Ledger()
    for _ in range(20):
        ledger.answered(HOST, 3, HOST, 0.0, limited=False)
    assert ledger.at_end(HOST, 3)
    assert not ledger.at_end(HOST, 2)
    assert ledger.ask(HOST, 3, 0.0)
    assert not ledger.at_end("198.51.100.9", 3)


def test_a_silence_tells_nothing_where_the_router_has_others_to_report() -> None:
    ledger = Ledger()
    for host, router in ((HOST, "192.0.2.1"), ("198.51.100.9", "192.0.2.1"), ("203.0.113.9", "203.0.113.1")):
        ledger.answered(host, 2, router, 0.0, limited=True)
        ledger.unanswered(host, 0.0)
    assert not ledger.crowded("203.0.113.9", 1.0)  # nobody else stands behind its router
    assert ledger.crowded(HOST, 1.0)
    assert not ledger.crowded(HOST, 9.0)  # what was to be said has been said
    ledger.unanswered(HOST, 9.0)
    assert not ledger.crowded(HOST, 9.0)  # it is alone in that


@pytest.mark.parametrize("beside", [False, True])
def test_only_other_diagnoses_can_take_the_word_from_a_router(beside: bool) -> None:
    async def main() -> bool:
        budget = Budget()
        context = Context(budget=budget)
        context.reported(HOST, 1, "192.0.2.1")
        context.unanswered("192.0.2.7")  # a guess of the diagnosis itself, or another one's target
        async with budget.turn():
            if not beside:
                return context.crowded(HOST)
            async with budget.turn():
                return context.crowded(HOST)

    assert asyncio.run(main()) is beside


# -- what is looked at once ------------------------------------------------------------------------------------


def test_side_by_side_the_same_is_looked_at_once_and_what_is_evidence_by_each() -> None:
    async def main() -> list[Report]:
        budget = Budget()
        targets = [f"127.0.0.1:{port}" for port in closed_ports(2)]
        return await asyncio.gather(*(diagnose("10061", t, budget=budget) for t in targets))

    first, second = asyncio.run(main())
    looked = [{(p["probe"], p["subject"]): p["started"] for p in report.probes} for report in (first, second)]
    same = {key[0] for key in looked[0].keys() & looked[1].keys() if looked[0][key] == looked[1][key]}
    assert {"interfaces", "address", "route", "ping"} <= same
    assert not {"connect", "statistics", "sockets"} & same
    assert first.verdict.cause == second.verdict.cause == "no-listener"


def test_another_view_of_the_system_is_another_world() -> None:
    class Elsewhere(Context):
        pass

    job = Job("interfaces", "", None)
    assert key_of(job, Context()) is not None
    assert key_of(job, Context()) != key_of(job, Context(root=Path("/recorded")))
    assert key_of(job, Context()) != key_of(job, Context(show_secrets=True))
    assert key_of(job, Elsewhere()) is None
    assert key_of(Job("connect", "", None), Context()) is None


def test_who_goes_first_takes_nothing_from_those_who_stay() -> None:
    async def observe(_request: None, _context: Context, progress: Callable[[str], None]) -> str:
        progress("a part")
        await asyncio.sleep(0.3)
        return "all"

    async def main() -> tuple[Observation[str], Observation[str], int]:
        moment = Moment(Worker(Job("patient", "", None), probe(observe, 5), Context(), lambda _: None))
        moment.worker.on_progress = moment.tell
        moment.begin(5)
        heard: list[Observation[str]] = []
        goes, stays = (asyncio.create_task(moment.follow(heard.append)) for _ in range(2))
        await asyncio.sleep(0.1)
        goes.cancel()
        gone, stayed = await asyncio.gather(goes, stays)
        assert find({"key": moment}, "key") is moment
        return gone, stayed, len(heard)

    gone, stayed, heard = asyncio.run(main())
    assert (gone.status, gone.result) == (Status.CUT_SHORT, "a part")
    assert (stayed.status, stayed.result) == (Status.OBSERVED, "all")
    assert heard == 2


def test_when_the_last_goes_the_probe_ends() -> None:
    async def observe(_request: None, _context: Context, _progress: Callable[[str], None]) -> str:
        await asyncio.sleep(30)
        return "never"

    async def main() -> tuple[Observation[str], int]:
        moment = Moment(Worker(Job("patient", "", None), probe(observe, 60), Context(), lambda _: None))
        moment.begin(60)
        follower = asyncio.create_task(moment.follow(lambda _: None))
        await asyncio.sleep(0.05)
        follower.cancel()
        record = await follower
        assert find({"key": moment}, "key") is None
        return record, len(asyncio.all_tasks())

    record, tasks = asyncio.run(main())
    assert record.status is Status.CUT_SHORT
    assert tasks == 1


# -- and all of it -----------------------------------------------------------------------------------------------


#: A process of its own: its connections are no descriptors of the test's.
_GREETS = """
import socket
server, kept = socket.create_server(("127.0.0.1", 0), backlog=1024), []
print(server.getsockname()[1], flush=True)
while True:
    kept.append(server.accept()[0])
    kept[-1].send(b"220 hello\\r\\n")
"""


def test_many_diagnoses_leave_nothing_behind() -> None:
    async def main(good: int) -> None:
        budget, options = Budget(), Options(timeout_s=20)
        ports = [good if n % 2 else port for n, port in enumerate(closed_ports(30))]

        async def all_of_them() -> list[Report]:
            return await asyncio.gather(
                *(diagnose("10061", f"127.0.0.1:{p}", options=options, budget=budget) for p in ports)
            )

        await all_of_them()  # what is loaded once
        gc.collect()
        before = (threads(), descriptors(), len(asyncio.all_tasks()))
        reports = await all_of_them()
        gc.collect()
        await asyncio.sleep(0.05)
        assert (threads(), descriptors(), len(asyncio.all_tasks())) == before
        for port, report in zip(ports, reports, strict=True):
            wanted = ("healthy", None) if port == good else ("fault", "no-listener")
            assert (report.verdict.outcome, report.verdict.cause) == wanted
        assert not budget.moments
        assert not budget.active

    with subprocess.Popen([sys.executable, "-c", _GREETS], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            asyncio.run(main(int(server.stdout.readline())))
        finally:
            server.kill()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="builds a network: needs root and nft")
def test_open_refused_and_dropped_ports_behind_one_router_under_a_small_budget() -> None:
    command = [sys.executable, "tests/bench/size.py", "--only", "mixed", "--targets", "21"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert "21 of 21 right" in done.stdout, done.stdout + done.stderr
    assert "\n0 traceroutes with silent hops" in done.stdout, done.stdout
    assert done.returncode == 0, done.stdout
