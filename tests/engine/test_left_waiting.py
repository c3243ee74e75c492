"""The kernel accepts and the program does not: a listener that is stopped or hung, made for real."""

from __future__ import annotations

import pytest

from tests.engine.test_local_faults import cause, facts, situation

_PROGRAM = """
def program(doing, port):
    code = "import os, signal, socket, time; "
    code += f"l = socket.create_server(('127.0.0.1', {port})); print(flush=True); {doing}"
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    started.stdout.readline()
    return started

def asked(doing, *codes, port=8080, nobody=False):
    with program(doing, port) as started:
        found = [wsadiag(code, f"127.0.0.1:{port}", nobody=nobody) for code in codes]
        started.kill()
    return found
"""


@pytest.mark.parametrize("nobody", [False, True], ids=["root", "nobody"])
def test_a_stopped_program_accepts_nothing(nobody: bool) -> None:
    reports = situation(
        _PROGRAM + f'result = asked("os.kill(os.getpid(), signal.SIGSTOP)", 10060, 10061, nobody={nobody})'
    )
    for report in reports:
        assert cause(report) == "service-silent"
        assert report["verdict"]["confidence"] == ("likely" if nobody else "certain")
        assert "have waited for" in facts(report)
        assert ("stopped" in report["verdict"]["summary"]) is not nobody


def test_a_program_that_hangs_is_likely_to() -> None:
    (report,) = situation(_PROGRAM + 'result = asked("time.sleep(100)", 10061)')
    assert (cause(report), report["verdict"]["confidence"]) == ("service-silent", "likely")


def test_who_accepts_and_says_nothing_is_healthy_and_not_for_certain() -> None:
    doing = "exec('kept = []\\\\nwhile True: kept.append(l.accept())')"
    (report,) = situation(_PROGRAM + f'result = asked("{doing}", 10061)')
    assert (report["verdict"]["outcome"], report["verdict"]["confidence"]) == ("healthy", "likely")
    assert any("no data was exchanged" in line for line in report["verdict"]["not_checked"])


def test_a_port_that_is_passed_on_is_not_looked_for_here() -> None:
    reports = situation(
        """
run = lambda *words: subprocess.run(words, check=True)
run("ip", "netns", "add", f"passed{os.getpid()}")
there = f"passed{os.getpid()}"
try:
    run("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1", "netns", there)
    for words in ("address add 172.31.9.1/24 dev d0", "link set d0 up", "address add 10.45.9.1/32 dev d0"):
        run("ip", *words.split())
    for words in ("address add 172.31.9.2/24 dev d1", "link set d1 up", "route add default via 172.31.9.1"):
        run("ip", "-n", there, *words.split())
    run("nft", "table ip t { chain o { type nat hook output priority -100; "
        "ip daddr 10.45.9.1 tcp dport 5000 dnat to 172.31.9.2:5000; }; }")
    result = [wsadiag(10061, f"10.45.9.1:{port}") for port in (5000, 5001)]
finally:
    run("ip", "netns", "del", there)
"""
    )
    passed, plain = reports
    assert (cause(passed), cause(plain)) == ("no-listener", "no-listener")
    assert "passes port 5000 on" in passed["verdict"]["summary"]
    assert "do not pass over loopback" in facts(passed)
    assert "Nothing listens on port 5001 of this machine" in plain["verdict"]["summary"]
