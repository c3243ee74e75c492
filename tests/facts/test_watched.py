"""Whether what was watched from the first SYN on was watched for long enough, by what the way takes."""

from __future__ import annotations

import pytest

from probes.base import Observation, Status
from probes.connect import ConnectAttempt, ConnectOutcome, ConnectResult
from probes.ping import Echo, PingMethod, PingResult
from probes.stray_ack import StrayAckResult
from probes.wire import WireResult
from troubleshoot.asks import failed
from troubleshoot.facts import Facts, NotYet, watched
from troubleshoot.intake.request import request_of
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import Options

CATALOGUE = Catalogue()
HOST, PORT = "192.0.2.9", 8080
SILENT = WireResult(HOST, PORT, "e0", syns_out=2, answer_in=None, answer_ttl=None, socket_heard=False)


def pinged(rtt_ms: float | None) -> PingResult:
    echoes = (Echo(1, rtt_ms),)
    return PingResult(
        HOST, PingMethod.ICMP_RAW, 1, int(rtt_ms is not None), echoes, 500.0, rtt_min_ms=rtt_ms, rtt_max_ms=rtt_ms
    )


def seen(probe: str, subject: str, duration_ms: float, result: object) -> Observation[object]:
    return Observation(
        probe=probe, subject=subject, status=Status.OBSERVED, started=0.0, duration_ms=duration_ms, result=result
    )


def facts(
    wire: WireResult, after_ms: float, rtt_ms: float | None, *, runs: bool, again: WireResult | None = None
) -> Facts:
    """Return what is known ``after_ms`` of watching, with a host whose pings take ``rtt_ms`` (``None``: are lost)."""
    target = parse_target(f"{HOST}:{PORT}", CATALOGUE)
    request = request_of("WSAETIMEDOUT", target, Options(), CATALOGUE, privileged=True)
    subject = f"{HOST} {PORT}"
    made = [
        seen("ping", HOST, 50.0, pinged(rtt_ms)),
        seen("wire", subject, after_ms, wire),
    ]
    if again is not None:
        made.append(seen("wire", f"{HOST} again {PORT}", 1100.0, again))
    observations: dict[tuple[str, str], Observation[object]] = {(one.probe, one.subject): one for one in made}
    return Facts(request, CATALOGUE.judgement.thresholds, observations, [("wire", subject)] if runs else [])


@pytest.mark.parametrize(("after_ms", "rtt_ms", "enough"), [(1070, 2, True), (1070, 10, False), (1160, 20, True)])
def test_silence_counts_before_the_watch_is_over_where_the_way_is_short(
    after_ms: float, rtt_ms: float, enough: bool
) -> None:
    known = facts(SILENT, after_ms, rtt_ms, runs=True)
    if enough:
        assert watched.wire(known, HOST) == SILENT
    else:
        with pytest.raises(NotYet):
            watched.wire(known, HOST)


def test_nothing_counts_early_where_nobody_knows_how_long_the_way_is() -> None:
    with pytest.raises(NotYet):
        watched.wire(facts(SILENT, 1160, None, runs=True), HOST)


@pytest.mark.parametrize(("rtt_ms", "short"), [(None, False), (2, False), (250, False), (320, True)])
def test_what_was_watched_too_shortly_is_watched_again(rtt_ms: float | None, short: bool) -> None:
    assert watched.wire_too_short(facts(SILENT, 1200, rtt_ms, runs=False), HOST) is short
    assert not watched.wire_too_short(facts(SILENT, 1200, rtt_ms, runs=True), HOST)


@pytest.mark.parametrize("rtt_ms", [320, 400])
def test_the_second_watch_is_long_enough(rtt_ms: float) -> None:
    known = facts(SILENT, 1200, rtt_ms, runs=False)
    key = ("connect", f"{HOST} {PORT}")
    sent = ConnectResult(
        HOST, PORT, ConnectOutcome.NO_ANSWER, (ConnectAttempt(ConnectOutcome.NO_ANSWER, 5000.0, 0.1),), complete=False
    )
    waited = seen(*key, 5000.0, sent)
    told = Facts(known.request, known.thresholds, {**known.observations, key: waited}, [key])
    longest = max(job.request.wait_s for job in failed.wire.jobs(told, HOST))
    assert longest >= 1 + 4 * rtt_ms / 1000


def test_the_second_watch_counts() -> None:
    taken = WireResult(HOST, PORT, "e0", syns_out=1, answer_in="syn-ack", answer_ttl=60, socket_heard=False)
    assert watched.wire(facts(SILENT, 1200, 900, runs=False, again=taken), HOST) == taken


@pytest.mark.parametrize(("sent", "reset", "short"), [(3, False, True), (3, True, False), (0, False, False)])
def test_a_reset_that_may_have_been_on_its_way_is_waited_for_again(sent: int, reset: bool, short: bool) -> None:
    known = facts(SILENT, 1200, 300, runs=False)
    subject = f"{HOST} {PORT}"
    result = StrayAckResult(HOST, PORT, reset, sent)
    stray = seen("stray-ack", subject, 1000.0, result)
    told = Facts(known.request, known.thresholds, {**known.observations, ("stray-ack", subject): stray})
    assert watched.stray_too_short(told, HOST) is short
    assert watched.reached(told, HOST) is reset


@pytest.mark.parametrize(("code", "begins"), [("WSAETIMEDOUT", True), ("WSAECONNREFUSED", False)])
def test_it_begins_with_the_first_syn_where_the_code_is_about_silence(code: str, begins: bool) -> None:
    request = request_of(code, parse_target(f"{HOST}:{PORT}", CATALOGUE), Options(), CATALOGUE, privileged=True)
    key = ("connect", f"{HOST} {PORT}")
    before = Facts(request, CATALOGUE.judgement.thresholds, {}, [key])
    sent = ConnectResult(
        HOST, PORT, ConnectOutcome.NO_ANSWER, (ConnectAttempt(ConnectOutcome.NO_ANSWER, 0.0, 0.1),), complete=False
    )
    after = Facts(request, CATALOGUE.judgement.thresholds, {key: seen(*key, 0.2, sent)}, [key])
    for one in (failed.wire, failed.stray_ack):
        assert not list(one.jobs(before, HOST)), "the attempt goes first"
        assert bool(list(one.jobs(after, HOST))) is begins
