"""The rules for ports that accept connections: real services on loopback, and real reports judged again.

The reports in tests/data/connected are those of runs in the lab, with only the probes that the rules read. Each is also
judged with one observation changed to what a healthy network, or a misleading one, would have shown.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from troubleshoot.facts.chance import interval
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.options import Options
from troubleshoot.report import Report, from_json
from troubleshoot.run.engine import replay, run

REPORTS = Path(__file__).parents[1] / "data" / "connected"
QUICK = Options(timeout_s=8.0)
ALERT = bytes([21, 3, 3, 0, 2, 2, 40])  # handshake_failure, RFC 8446 section 6.2


# -- services on loopback --------------------------------------------------------------------------------------


@contextmanager
def service(treat: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve every connection with ``treat``; connections are kept open until it is over."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    kept.append(connection)
                    with suppress(OSError):
                        treat(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5.0)
            for connection in kept:
                connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def alert(connection: socket.socket) -> None:
    connection.settimeout(2.0)
    connection.recv(4096)
    connection.sendall(ALERT)
    connection.close()


def manners(monkeypatch: pytest.MonkeyPatch, port: int, name: str) -> None:
    """Have the catalogue's service ``name`` live on ``port``: those of the registry need privileges, or are in use."""
    entry = Catalogue().services[name]
    monkeypatch.setattr(Catalogue, "service_on", lambda *_: entry)
    assert entry.port != port


def verdict(code: str, port: int) -> tuple[str, str | None, str]:
    report = run(code, f"127.0.0.1:{port}", QUICK)
    return report.verdict.outcome, report.verdict.cause, report.verdict.confidence


def test_a_service_that_resets_is_at_fault_for_codes_of_connections() -> None:
    with service(reset) as port:
        report = run("10054", f"127.0.0.1:{port}", QUICK)
    assert (report.verdict.outcome, report.verdict.cause) == ("fault", "service-resets")
    assert report.verdict.location is not None
    assert report.verdict.location.hop == 0 or report.verdict.location.hop is None
    assert report.reproduction.outcome == "same"


def test_a_service_that_closes_is_at_fault_for_codes_of_connections() -> None:
    with service(socket.socket.close) as port:
        assert verdict("10053", port) == ("fault", "service-closes", "likely")


def test_a_service_that_closes_may_do_so_where_nobody_complains_of_it() -> None:
    with service(socket.socket.close) as port:
        assert verdict("10060", port)[0] == "healthy"


def test_a_service_that_waits_for_its_client_is_healthy() -> None:
    with service(lambda _: None) as port:
        assert verdict("10054", port)[0] == "healthy"


def test_a_service_that_greets_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(lambda connection: connection.sendall(b"220 ready\r\n")) as port:
        manners(monkeypatch, port, "ftp")
        report = run("10061", f"127.0.0.1:{port}", QUICK)
    assert report.verdict.outcome == "healthy"
    assert report.duration_ms < 3000


def test_a_service_that_ought_to_greet_and_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(lambda _: None) as port:
        manners(monkeypatch, port, "ftp")
        report = run("10061", f"127.0.0.1:{port}", QUICK)
    assert (report.verdict.outcome, report.verdict.cause) == ("fault", "service-silent")
    assert report.duration_ms >= Catalogue().judgement.thresholds["greeting_ms"]


def test_a_tls_alert_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(alert) as port:
        manners(monkeypatch, port, "https")
        report = run("10054", f"127.0.0.1:{port}", QUICK)
    assert (report.verdict.outcome, report.verdict.cause) == ("fault", "tls-failed")
    assert any("handshake_failure" in evidence.fact for evidence in report.verdict.evidence)


def test_a_tls_alert_does_not_accuse_a_service_of_refusing_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(alert) as port:
        manners(monkeypatch, port, "https")
        report = run("10061", f"127.0.0.1:{port}", QUICK)
    assert report.verdict.outcome == "healthy"
    assert [(a.cause, a.confidence) for a in report.verdict.alternatives] == [("tls-failed", "possible")]


def noise(connection: socket.socket) -> None:
    connection.settimeout(2.0)
    connection.recv(4096)
    connection.sendall(bytes(range(128, 256)))
    connection.close()


def test_a_port_for_tls_that_speaks_nothing_known_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(noise) as port:
        manners(monkeypatch, port, "https")
        report = run("10061", f"127.0.0.1:{port}", QUICK)
    assert (report.verdict.outcome, report.verdict.cause) == ("fault", "tls-failed")


# -- reports of the lab, judged again --------------------------------------------------------------------------


def saved(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def judged(data: dict[str, Any]) -> Report:
    return replay(from_json(json.dumps(data)), "en")


def results(data: dict[str, Any], probe: str, subject: str = "") -> Iterator[dict[str, Any]]:
    found = [p["result"] for p in data["probes"] if p["probe"] == probe and subject in p["subject"] and p["result"]]
    assert found
    yield from found


@pytest.mark.parametrize("cause", sorted(path.stem for path in REPORTS.glob("*.json")))
def test_a_real_report_is_judged_as_it_was(cause: str) -> None:
    data = saved(cause)
    again = judged(data)
    assert (again.verdict.outcome, again.verdict.cause) == ("fault", cause)
    location = data["verdict"]["location"]
    assert again.verdict.location is not None
    assert (again.verdict.location.scope, again.verdict.location.hop) == (location["scope"], location["hop"])


def changed(name: str, probe: str, subject: str = "", **fields: Any) -> Report:
    data = saved(name)
    for result in results(data, probe, subject):
        result.update(fields)
    return judged(data)


@pytest.mark.parametrize(
    ("answered", "cut_again", "expected"),
    [(True, True, "content-filtered"), (True, False, "service-resets"), (False, True, "service-resets")],
)
def test_a_filter_may_be_late_for_the_handshake(answered: bool, cut_again: bool, expected: str) -> None:
    """Its reset comes behind the service's hello: then it counts what the other name and the same hello again meet."""
    data = saved("content-filtered")
    (other,) = results(data, "service", "tls other-name")
    page = b"HTTP/1.1 404 Not Found\r\n\r\n".hex() if answered else ""
    cut = {"outcome": "tls-ok", "first_hex": "", "first_byte_ms": None, "ended_by_reset": True, "ended_ms": 40.0}
    for probe in data["probes"]:
        name = probe["subject"].partition(" ")[2].partition(" ")[2] if probe["probe"] == "service" else ""
        if name == "tls":
            probe["result"].update(cut, tls=other["tls"])
        elif name == "watched" and not cut_again:
            probe["result"].update(other, rung="watched")
    other.update(first_hex=page, ended_ms=40.0, ended_by_reset=not answered)
    assert judged(data).verdict.cause == expected


def test_an_early_answer_of_changing_ttl_is_no_interception() -> None:
    assert changed("connection-intercepted", "answer-ttl", varies=True).verdict.outcome == "healthy"
    assert changed("connection-intercepted", "answer-ttl", follows=True).verdict.outcome == "healthy"
    assert changed("connection-intercepted", "answer-ttl", confirmed=False).verdict.outcome == "healthy"


def test_an_early_answer_with_the_hosts_own_ttl_came_by_another_way() -> None:
    data = saved("connection-intercepted")
    address = data["target"]["addresses"][0]
    reply = next(e["reply_ttl"] for r in results(data, "ping", address) for e in r["echoes"])
    for result in results(data, "answer-ttl"):
        result["ttl"] = reply
    assert judged(data).verdict.outcome == "healthy"


def test_one_slow_ping_does_not_prolong_the_wait_for_a_greeting() -> None:
    data = saved("service-silent")
    slowest = max(found["rtt_max_ms"] for found in results(data, "ping", data["target"]["addresses"][0]))
    (found,) = results(data, "service")
    assert found["waited_ms"] < Catalogue().judgement.thresholds["greeting_ms"] + 4 * slowest
    report = changed("service-silent", "service", waited_ms=2000.0)
    assert report.verdict.outcome == "inconclusive", "nothing was heard of the service yet"
    assert [(a.cause, a.confidence) for a in report.verdict.alternatives] == [("service-silent", "possible")]


def test_lost_echoes_alone_are_a_limit_of_the_host() -> None:
    data = saved("packet-loss")
    for result in results(data, "connect"):
        made = next(a for a in result["attempts"] if a["outcome"] == "connected")
        result["attempts"] = [{**made, "started_ms": 1.0, "duration_ms": 3.0, "syns": 1}]
    for result in results(data, "tcp-loss"):
        result["answered"] = [True] * 12
    report = judged(data)
    assert report.verdict.outcome == "healthy"
    assert [(a.cause, a.confidence) for a in report.verdict.alternatives] == [("packet-loss", "possible")]
    assert any("limit" in a.why or "lost" in a.why for a in report.verdict.alternatives)
    for result in results(data, "tcp-loss"):
        result["answered"] = [True] * 6 + [False] * 6  # a limit on connections has set in
    assert judged(data).verdict.outcome == "healthy"


def test_a_family_whose_host_answers_pings_is_not_broken_on_the_way() -> None:
    data = saved("address-family-path-broken")
    dead = next(a for a in data["target"]["addresses"] if "." in a)
    for result in results(data, "ping", dead):
        result.update(received=1, rtt_min_ms=2.0, rtt_mean_ms=2.0, rtt_max_ms=2.0)
        result["echoes"][0].update(rtt_ms=2.0, reply_ttl=61)
    assert judged(data).verdict.cause == "some-addresses-dead"


def test_silence_without_a_reset_of_the_stray_segment_is_a_filter() -> None:
    report = changed("accept-queue-full", "stray-ack", reset=False)
    assert report.verdict.cause == "firewall-drop"


# -- numbers and the plan --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lost", "sent", "low", "high"),
    [(0, 10, 0.0, 0.3085), (1, 40, 0.0006, 0.1316), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1.0)],
)
def test_the_interval_is_the_exact_one(lost: int, sent: int, low: float, high: float) -> None:
    found = interval(lost, sent)
    assert list(found) == pytest.approx([low, high], abs=0.0001)


def test_nothing_sent_tells_nothing() -> None:
    assert interval(0, 0) == (0.0, 1.0)
