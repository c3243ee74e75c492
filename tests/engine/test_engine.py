"""The engine on real loopback sockets: side by side, bounded, interruptible, and judged again from its own report."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import force_setattr, replace

import probes.ping
import troubleshoot
from probes.base import Budget, Context, Probe, Status, note
from troubleshoot import diagnose
from troubleshoot.asks.model import Job
from troubleshoot.errors import UserError
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import Options
from troubleshoot.report import from_json, to_json
from troubleshoot.run import plan
from troubleshoot.run.engine import replay, run
from troubleshoot.run.events import StepEvent
from troubleshoot.run.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
QUICK = Options(timeout_s=5.0)


@contextmanager
def listening(address: str = "127.0.0.1", backlog: int = 64) -> Iterator[int]:
    """Listen on a port of the system's choice, and take whoever comes."""
    with socket.create_server((address, 0), backlog=backlog) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for each in taken:
                each.close()


def closed_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


def test_a_closed_port_of_this_machine() -> None:
    port = closed_port()
    report = run("10061", f"127.0.0.1:{port}", QUICK)
    assert (report.verdict.outcome, report.verdict.cause) == ("fault", "no-listener")
    assert report.verdict.confidence == "certain"
    assert report.reproduction.outcome == "same"
    assert report.exit_status == 1
    assert report.verdict.actions


def test_an_open_port_is_healthy() -> None:
    with listening() as port:
        report = run("10061", f"127.0.0.1:{port}", QUICK)
    assert (report.verdict.outcome, report.verdict.cause) == ("healthy", None)
    assert report.reproduction.outcome == "not-reproduced"
    assert report.exit_status == 0


def test_a_listener_on_another_address() -> None:
    with listening("127.0.0.2") as port:
        report = run("10061", f"127.0.0.1:{port}", QUICK)
    assert report.verdict.cause == "listener-on-other-address"
    assert f"127.0.0.2:{port}" in report.verdict.summary


def test_a_full_accept_queue() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        report = run("10060", f"127.0.0.1:{port}", Options(timeout_s=8.0))
        for each in waiting:
            each.close()
    assert report.verdict.cause == "accept-queue-full"
    assert report.verdict.confidence == "certain"


def test_many_diagnoses_share_one_loop_and_one_budget() -> None:
    """Thirty at once under a bound of eight sockets: none waits for ever, none mixes up another's answers."""

    async def main() -> list[tuple[int, str | None]]:
        budget = Budget(sockets=8, packets_per_s=2000)
        with listening() as good:
            bad = [closed_port() for _ in range(15)]
            ports = [*bad, *[good] * 15]
            reports = await asyncio.gather(
                *(diagnose("10061", f"127.0.0.1:{p}", options=Options(timeout_s=20.0), budget=budget) for p in ports)
            )
        return [(r.target.port or 0, r.verdict.cause if r.verdict.outcome != "healthy" else "healthy") for r in reports]

    found = asyncio.run(main())
    assert [cause for _, cause in found] == ["no-listener"] * 15 + ["healthy"] * 15
    assert len({port for port, _ in found[:15]}) == len(set(found[:15]))


@pytest.mark.parametrize("family", ["127.0.0.1", "::1"])
def test_the_report_is_judged_again_without_a_network(family: str) -> None:
    host = f"[{family}]" if ":" in family else family
    report = run("10061", f"{host}:{closed_port()}", QUICK)
    again = replay(from_json(to_json(report)), "en")
    assert again.verdict == report.verdict
    assert again.reproduction == report.reproduction
    assert [(s.id, s.status, s.summary) for s in again.steps] == [(s.id, s.status, s.summary) for s in report.steps]
    assert again.started == report.started


def test_a_report_is_judged_again_in_korean() -> None:
    report = run("10061", f"127.0.0.1:{closed_port()}", QUICK)
    korean = replay(from_json(to_json(report)), "ko")
    assert korean.verdict.cause == report.verdict.cause
    assert korean.verdict.summary != report.verdict.summary
    assert any("가" <= letter <= "힣" for letter in korean.verdict.summary)


def test_the_document_has_the_contracts_fields_in_its_order() -> None:
    document = json.loads(to_json(run("10061", f"127.0.0.1:{closed_port()}", QUICK)))
    keys = [
        "schema",
        "tool",
        "started",
        "duration_ms",
        "vantage",
        "error",
        "target",
        "reproduction",
        "verdict",
        "steps",
    ]
    assert list(document)[: len(keys)] == keys
    assert set(document["verdict"]) >= {
        "outcome", "cause", "failed_step", "location", "confidence", "summary", "actions", "evidence", "alternatives",
    }  # fmt: skip
    for step in document["steps"]:
        assert step["status"] in {"passed", "failed", "warning", "skipped", "unavailable"}
        assert step["summary"]
        assert step["why"]
        assert isinstance(step["observations"], dict)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda d: d.pop("verdict"), "verdict"),
        (lambda d: d.update(schema="wsadiag/report/9"), "wsadiag/report/9"),
        (lambda d: d["probes"][0].update(probe="nonsense"), "nonsense"),
        (lambda d: d["probes"][0].update(probe="statistics", result={"counters": 7}), "statistics"),
        (lambda d: d["error"].update(name="WSAENOSUCH"), "WSAENOSUCH"),
    ],
)
def test_a_spoilt_report_is_refused_in_one_line(spoil: Callable[[dict[str, object]], object], says: str) -> None:
    document = json.loads(to_json(run("10061", f"127.0.0.1:{closed_port()}", QUICK)))
    spoil(document)
    with pytest.raises(UserError) as caught:
        replay(from_json(json.dumps(document)), "en")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_interruption_reports_what_is_known() -> None:
    async def main() -> None:
        interrupted = asyncio.Event()
        task = asyncio.create_task(
            diagnose("10060", "127.0.0.1:9", options=Options(timeout_s=30.0), interrupted=interrupted)
        )
        interrupted.set()
        report = await asyncio.wait_for(task, 5)
        assert report.interrupted
        assert report.exit_status == 130
        assert {s.id for s in report.steps} >= {"connect", "ping-remote"}

    asyncio.run(main())


def test_the_time_limit_still_brings_a_report() -> None:
    report = run("10061", f"127.0.0.1:{closed_port()}", Options(timeout_s=0.1))
    assert report.verdict.outcome in {"fault", "inconclusive"}
    assert report.steps


def test_a_bug_in_one_probe_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError("of our own making")

    monkeypatch.setattr(probes.ping, "PROBE", replace(probes.ping.PROBE, observe=broken))
    report = run("10061", f"127.0.0.1:{closed_port()}", QUICK)
    assert report.verdict.cause == "no-listener"
    ping = next(s for s in report.steps if s.id == "ping-remote")
    assert ping.status == "unavailable"
    assert "of our own making" in ping.summary
    assert [p["status"] for p in report.probes if p["probe"] == "ping"] == ["broken"]


def test_a_bug_in_one_ask_harms_no_other() -> None:
    def broken(*_: object) -> Iterator[Job]:
        raise ZeroDivisionError("of our own making")

    (pings,) = {one for group in plan.ORDER for one in group.asks if one.name == "path.echoes"}
    whole = pings.jobs
    force_setattr(pings, "jobs", broken)
    try:
        report = run("10061", f"127.0.0.1:{closed_port()}", QUICK)
        again = replay(from_json(to_json(report)), "en")
    finally:
        force_setattr(pings, "jobs", whole)
    for judged in (report, again):
        assert judged.verdict.cause == "no-listener"
    (told,) = [p for p in report.probes if p["probe"] == "ping"]
    assert (told["status"], told["error"]) == ("broken", "ZeroDivisionError: of our own making")


def test_no_probe_runs_twice_and_packets_are_counted() -> None:
    report = run("10061", f"127.0.0.1:{closed_port()}", QUICK)
    keys = [(p["probe"], p["subject"]) for p in report.probes]
    assert len(keys) == len(set(keys))
    assert 0 < report.packets < 60


def test_events_tell_every_step_from_running_to_its_end() -> None:
    events: list[StepEvent] = []
    report = run("10061", f"127.0.0.1:{closed_port()}", QUICK, on_event=events.append)
    for step in report.steps:
        mine = [e for e in events if e.step == step.id]
        assert mine[-1].status == step.status
        assert all(e.limit_ms == 5000 for e in mine)
    assert [e.elapsed_ms for e in events] == sorted(e.elapsed_ms for e in events)


@pytest.mark.parametrize(("code", "cause"), [("10038", "api-misuse"), ("10069", "no-network-meaning")])
def test_codes_of_programs_send_no_packet(code: str, cause: str) -> None:
    context = Context()
    report = asyncio.run(diagnose(code, "127.0.0.1:1", context=context))
    assert report.verdict.cause == cause
    assert report.reproduction.outcome == "not-attempted"
    assert context.packets_sent == 0


def test_nonsense_is_refused_before_any_packet() -> None:
    for code, target in (("nonsense", "127.0.0.1:1"), ("10061", "bad host:1"), ("10061", "127.0.0.1:99999")):
        context = Context()
        with pytest.raises(UserError):
            asyncio.run(diagnose(code, target, context=context))
        assert context.packets_sent == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Options(timeout_s=math.nan), "--timeout nan"),
        (Options(timeout_s=math.inf), "--timeout inf"),
        (Options(timeout_s=0), "--timeout 0 "),
        (Options(timeout_s="5"), "--timeout 5 "),  # type: ignore[arg-type]
        (Options(family=5), "family 5"),
        (Options(family=True), "family True"),
        (Options(pid=-1), "--pid -1"),
        (Options(pid=1 << 31), "--pid 2147483648"),
        (Options(router="x"), "--router x"),
        (Options(router=""), "--router "),
        (Options(local_host=2130706433), "--local-host 2130706433"),  # type: ignore[arg-type]
        (Options(remote_neighbour="10.0.0.1:80"), "--remote-neighbour 10.0.0.1:80"),
        (Options(language="fr"), "--lang fr"),  # type: ignore[arg-type]
        (Options(show_secrets="yes"), "show_secrets yes"),  # type: ignore[arg-type]
        (Options(place=5), "place 5"),  # type: ignore[arg-type]
        (5, "options 5"),
        ({}, "options dict"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_any_packet(wrong: Any, says: str) -> None:
    context = Context()
    with pytest.raises(UserError) as caught:
        asyncio.run(diagnose("10061", "127.0.0.1:1", options=wrong, context=context))
    assert says in str(caught.value)
    assert context.packets_sent == 0


@pytest.mark.parametrize(("code", "target"), [(None, "127.0.0.1:1"), (10061, "127.0.0.1:1"), ("10061", None)])
def test_what_is_no_text_is_refused(code: Any, target: Any) -> None:
    with pytest.raises(UserError, match="does not fit"):
        asyncio.run(diagnose(code, target))


def test_the_door_of_the_library_opens_lazily() -> None:
    assert {name for name in troubleshoot.__all__ if not hasattr(troubleshoot, name)} == set()
    with pytest.raises(AttributeError):
        troubleshoot.nothing  # noqa: B018
    listing = "import sys, troubleshoot; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"asyncio", "msgspec", "probes"} & set(done.stdout.split())


@pytest.mark.parametrize("most", [0, 10, 30])
def test_a_probe_that_might_send_too_much_is_not_started(most: int) -> None:
    catalogue = Catalogue()
    usual = catalogue.judgement
    catalogue.judgement = usual.replaced(thresholds={**usual.thresholds, "packets_most": most})
    context = Context()
    report = asyncio.run(diagnose("10061", "127.0.0.1:1", catalogue=catalogue, context=context))
    assert report.packets == context.packets_sent <= most == report.packet_limit
    told = {s.id: s.summary for s in report.steps if s.status == "unavailable"}
    assert (f"{most} packets" in told.get("connect", "")) == (most < 24)
    if most < 24:
        assert report.verdict.outcome == "inconclusive"
    assert from_json(to_json(report)).packet_limit == most


def test_a_probe_that_would_go_beyond_its_bound_is_ended() -> None:
    async def greedy(request: None, context: Context, progress: Callable[[str], None]) -> str:
        progress("partial")
        while True:
            await context.sending()

    probe = Probe("greedy", type(None), str, greedy, lambda _: None, 5.0, lambda _: 3)
    context = Context()
    worker = Worker(Job("greedy", "", None), probe, context, lambda _: None)
    record = asyncio.run(worker.run(5.0))
    assert context.packets_sent == 3
    assert (record.status, record.result) == (Status.CUT_SHORT, "partial")
    assert record.reason == note("reason.packets-spent", packets=3)
