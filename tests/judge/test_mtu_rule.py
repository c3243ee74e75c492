"""The rule for path MTU black holes: reports of the lab judged again, as they were and with one fact changed.

The reports in tests/data/mtu: ``there``, where a request is lost on a link that is narrow both ways; ``answer``, where
only the client hears of a narrow link; ``datagrams`` and ``echoes``, where the service gave no occasion for a transfer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes.transfer import Dialogue, TransferOutcome, TransferResult, Trial
from troubleshoot.facts.transfers import contrast, suspicious
from troubleshoot.report import Report, from_json
from troubleshoot.run.engine import replay

REPORTS = Path(__file__).parents[1] / "data" / "mtu"
Change = Callable[[dict[str, Any]], None]


def judged(name: str, *without: str, language: str = "en", **changes: Change) -> Report:
    """Judge a saved report; ``changes`` name probes (with ``_`` for ``-``) whose results are changed."""
    data = json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))
    data["probes"] = [record for record in data["probes"] if record["probe"] not in without]
    for probe, change in changes.items():
        found = [r["result"] for r in data["probes"] if r["probe"] == probe.replace("_", "-")]
        assert found
        for result in found:
            change(result)
    return replay(from_json(json.dumps(data)), "ko" if language == "ko" else "en")


def said(report: Report) -> tuple[str, str | None, str, int | None]:
    verdict = report.verdict
    return verdict.outcome, verdict.cause, verdict.confidence, verdict.location.hop if verdict.location else None


def blamed(report: Report) -> bool:
    return report.verdict.cause == "path-mtu-blackhole"


HOLE = "path-mtu-blackhole"


@pytest.mark.parametrize(
    ("name", "confidence", "hop"),
    # Made before several source ports were tried: what was not looked at keeps each from being certain.
    [("there", "likely", 1), ("answer", "likely", 3), ("datagrams", "likely", 2), ("echoes", "likely", 2)],
)
def test_reports_are_judged_as_they_were(name: str, confidence: str, hop: int) -> None:
    for language in ("en", "ko"):
        report = judged(name, language=language)
        assert said(report) == ("fault", HOLE, confidence, hop)
        assert report.verdict.location is not None
        assert report.verdict.location.address is not None
        words = " ".join((report.verdict.summary, *report.verdict.actions, *(e.fact for e in report.verdict.evidence)))
        assert "1400" in report.verdict.summary
        assert report.verdict.location.address in report.verdict.summary
        assert not any(place in words for place in ("<found>", "<router>", "<hop>", "<size>", "<where>"))


# -- by transfers ----------------------------------------------------------------------------------------------


def test_transfers_alone_name_a_size_and_no_hop() -> None:
    report = judged("there", "path-mtu", "mtu-hop")
    assert said(report) == ("fault", HOLE, "likely", None)
    assert "1400" in report.verdict.summary


def test_a_single_pair_may_be_chance() -> None:
    report = judged("there", "path-mtu", "mtu-hop", transfer=lambda r: r.update(trials=r["trials"][:2]))
    assert said(report) == ("fault", HOLE, "likely", None)


def test_a_connection_that_got_there_late_proves_nothing() -> None:
    def late(result: dict[str, Any]) -> None:
        for trial in result["trials"]:
            if not trial["bound"]:
                trial.update(acknowledged=trial["said"], received=result["trials"][1]["received"])

    assert not blamed(judged("there", "path-mtu", "mtu-hop", transfer=late))


def test_what_is_lost_there_is_none_of_a_hole_once_the_kernel_was_told() -> None:
    assert not blamed(judged("there", path_mtu=lambda r: r.update(known_mtu=1400, black_hole=False)))
    assert not blamed(judged("there", mtu_hop=lambda r: r.update(told="192.0.2.1")))


def test_a_dialogue_that_comes_to_its_end_clears_the_path() -> None:
    def whole(result: dict[str, Any]) -> None:
        first = result["trials"][0]
        first.update(outcome="whole", acknowledged=first["said"], received=6185)
        result["trials"] = [first]

    report = judged("there", transfer=whole)
    assert report.verdict.outcome == "healthy"
    assert [(a.cause, a.confidence) for a in report.verdict.alternatives] == [(HOLE, "possible")]


def test_an_answer_that_is_lost_without_a_narrow_link_in_sight() -> None:
    report = judged("answer", path_mtu=lambda r: r.update(mtu=1500, steps=[{"size": 1500, "answer": "reached"}]))
    assert said(report)[3] is None
    assert blamed(report)
    assert "on their way here" in report.verdict.summary


def test_a_short_answer_needs_no_long_packet() -> None:
    def short(result: dict[str, Any]) -> None:
        for trial in result["trials"]:
            trial["received"] = 300 if trial["bound"] else 0

    assert not blamed(judged("answer", transfer=short))


# -- by datagrams ----------------------------------------------------------------------------------------------


def test_one_size_that_vanished_may_be_chance() -> None:
    def once(result: dict[str, Any]) -> None:
        gone = [s for s in result["steps"] if s["answer"] == "silence"]
        result["steps"] = [s for s in result["steps"] if s["answer"] != "silence"] + gone[:1]

    report = judged("datagrams", path_mtu=once)
    assert report.verdict.outcome == "healthy"
    assert (HOLE, "possible") in [(a.cause, a.confidence) for a in report.verdict.alternatives]


def test_a_router_that_reports_the_size_is_no_hole() -> None:
    def told(result: dict[str, Any]) -> None:
        result["steps"].append({"size": 1500, "answer": "too-big", "mtu": 1400, "sender": "192.0.2.1"})

    assert judged("datagrams", path_mtu=told).verdict.outcome == "healthy"


def test_long_pings_alone_may_be_filtered() -> None:
    assert not blamed(judged("echoes", "mtu-hop"))
    assert not blamed(judged("echoes", mtu_hop=lambda r: r.update(reached=True, settled=False)))


def test_a_hop_that_is_not_settled_is_told_as_the_last_one_seen() -> None:
    report = judged("datagrams", mtu_hop=lambda r: r.update(settled=False))
    assert said(report) == ("fault", HOLE, "likely", 2)
    assert any("at least" in evidence.fact for evidence in report.verdict.evidence)


def test_a_link_of_our_own_has_no_hop() -> None:
    report = judged("datagrams", mtu_hop=lambda r: r.update(passed_ttl=0, passed_router=None))
    assert said(report) == ("fault", HOLE, "likely", None)
    assert "before the first router" in report.verdict.summary


# -- contrasts -------------------------------------------------------------------------------------------------

LONG = Trial(TransferOutcome.STALLED, mss=1448, watched_ms=3400.0)
SHORT = Trial(TransferOutcome.WHOLE, 576, mss=524, received=9000, watched_ms=5.0)


def of(*trials: Trial) -> TransferResult:
    return TransferResult("192.0.2.1", 80, Dialogue.LISTEN, trials)


def test_a_contrast_needs_a_connection_that_stands_and_one_that_moves() -> None:
    found = contrast(of(LONG, SHORT))
    assert found is not None
    assert (found.back, found.repeated, found.works) == (True, False, 576)
    assert suspicious(of(LONG, SHORT))
    assert contrast(None) is contrast(of()) is contrast(of(LONG)) is contrast(of(SHORT)) is None
    assert not suspicious(None)
    assert not suspicious(of(LONG))


def test_a_connection_watched_too_shortly_is_no_contrast() -> None:
    hasty = Trial(TransferOutcome.STALLED, mss=1448, watched_ms=300.0)
    assert contrast(of(hasty, SHORT)) is None
    assert suspicious(of(hasty, SHORT))


def test_sizes_that_contradict_one_another_are_chance() -> None:
    fails = Trial(TransferOutcome.STALLED, 1300, mss=1248, watched_ms=1300.0)
    works = Trial(TransferOutcome.WHOLE, 1400, mss=1348, received=9000)
    assert contrast(of(LONG, SHORT, LONG, SHORT, fails, works)) is None


def test_what_was_not_watched_for_long_contradicts_nothing() -> None:
    cut_short = Trial(TransferOutcome.STALLED, 1300, mss=1248, watched_ms=388.0)
    works = Trial(TransferOutcome.WHOLE, 1400, mss=1348, received=9000)
    assert contrast(of(LONG, SHORT, LONG, SHORT, cut_short, works)) is not None


def test_a_connection_that_moved_everything_and_then_hung_contradicts_nothing() -> None:
    moved = Trial(TransferOutcome.STALLED, SHORT.bound, mss=SHORT.mss, received=SHORT.received, watched_ms=1013.0)
    assert contrast(of(LONG, SHORT, moved)) is not None


def test_an_ordinary_connection_that_works_is_no_hole() -> None:
    works = Trial(TransferOutcome.WHOLE, mss=1448, received=9000)
    assert contrast(of(LONG, SHORT, works)) is None


def test_a_connection_with_a_size_that_was_learnt_leaves_the_contrast() -> None:
    learnt = Trial(TransferOutcome.WHOLE, mss=1348, received=9000)
    assert contrast(of(LONG, SHORT, learnt)) is not None
