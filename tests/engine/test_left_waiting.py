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
