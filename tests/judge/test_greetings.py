"""How often a service is greeted that may turn away one connection in several, and what is made of a slow one."""

from __future__ import annotations

import itertools
import socket
import threading
import time

import pytest

from tests.judge.test_service_ladder import QUICK, Treat, says, service, told
from troubleshoot.run.engine import run

#: What an AMQP broker answers to any words that are not its protocol's header (AMQP 0-9-1, section 4.2.2).
_HEADER = b"AMQP\x00\x00\x09\x01"
_START = b"\x01\x00\x00\x00\x00\x00\x06\x00\x0a\x00\x0a\x00\x09"


def _greetings(times: list[float], *, no: int = 0) -> Treat:
    """Serve as SSH does, noting when; the connection numbered ``no`` is turned away. The first is not listened to."""
    lock, seen = threading.Lock(), [0]

    def treat(connection: socket.socket) -> None:
        with lock:
            seen[0] += 1
            number = seen[0]
            times.append(time.monotonic())
        says(b"Exceeded MaxStartups\r\n" if number == no else b"SSH-2.0-lab\r\n", leaves=number == no)(connection)

    return treat


@pytest.mark.parametrize("target", ["ssh://{}", "{}"], ids=["scheme", "unknown port"])
def test_codes_that_come_and_go_greet_three_times_a_second_apart(target: str) -> None:
    times: list[float] = []
    with service("127.0.0.1", _greetings(times)) as endpoint:
        report = run("10054", target.format(endpoint), QUICK)
    assert report.verdict.outcome == "healthy"
    listened = [one for one in report.probes if one["probe"] == "service"]
    assert len(listened) == 3
    assert len(times) <= 4  # and the attempt itself
    assert all(later - earlier >= 0.9 for earlier, later in itertools.pairwise(times[1:]))


def test_other_codes_greet_once() -> None:
    times: list[float] = []
    with service("127.0.0.1", _greetings(times)) as endpoint:
        report = run("10061", f"ssh://{endpoint}", QUICK)
    assert len([one for one in report.probes if one["probe"] == "service"]) == 1


@pytest.mark.parametrize("scheme", ["", "http://", "ssh://", "smtps://"])
def test_nothing_is_said_to_a_port_that_refuses(scheme: str) -> None:
    """Whatever is expected there: a refused verdict takes no longer for it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    report = run("10061", f"{scheme}127.0.0.1:{port}", QUICK)
    assert told(report) == ("fault", "no-listener", "certain")
    assert not [one for one in report.probes if one["probe"] in ("service", "transfer")]


@pytest.mark.parametrize("number", [2, 4])
def test_whichever_of_them_is_turned_away_is_told(number: int) -> None:
    with service("127.0.0.1", _greetings([], no=number)) as endpoint:
        report = run("10053", f"ssh://{endpoint}", QUICK)
    assert told(report) == ("fault", "service-refuses", "certain")


def test_a_slow_service_is_not_taken_for_one_that_wants_a_proxy_line() -> None:
    """Its protocol is heard in the answer to a TLS hello, so that no PROXY line is what it waits for."""
    slow = threading.Event()

    def treat(connection: socket.socket) -> None:
        said = connection.recv(4096)
        if said != _HEADER:
            connection.sendall(_HEADER if said else b"")
        elif slow.is_set():
            connection.sendall(_START)
            connection.recv(4096)
        else:
            slow.set()
            time.sleep(4.8)  # longer than it is waited for at first

    with service("127.0.0.1", treat) as endpoint:
        report = run("10054", f"amqp://{endpoint}", QUICK)
    assert told(report) == ("healthy", None, "likely")
