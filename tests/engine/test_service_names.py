"""Service names that lead to no port, with a services file of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.test_local_faults import cause, facts, situation, step

_FILES = """
import pathlib, tempfile

def among(services, *words):
    folder = tempfile.TemporaryDirectory()
    etc = pathlib.Path(folder.name)
    for name in ("passwd", "group", "hosts", "nsswitch.conf", "resolv.conf"):
        text = pathlib.Path("/etc", name).read_text() if pathlib.Path("/etc", name).exists() else ""
        (etc / name).write_text(text)
    (etc / "hosts").write_text("127.0.0.1 localhost\\n")
    if services is not None:
        (etc / "services").write_text(services)
    inside = f'mount --bind {folder.name} /etc && exec "$@"'
    report = wsadiag(*words, wrap=["unshare", "--mount", "sh", "-c", inside, "sh"])
    folder.cleanup()
    return report
"""


def among(services: str | None, *words: object) -> Any:
    return situation(_FILES + f"result = among({services!r}, *{words!r})")


@pytest.mark.parametrize(
    ("services", "name", "said", "sure"),
    [
        ("http 80/tcp\n", "https", "does not list https (registered: port 443)", "certain"),
        ("http 80/tcp\n", "nosuch", "No service is called nosuch", "certain"),
        ("https 443/udp\n", "https", "for udp alone, not for tcp", "certain"),
        (None, "https", "is not there", "certain"),
        (None, "8080", "is not there", "likely"),
    ],
)
def test_a_service_name_without_a_port_is_the_cause(services: str | None, name: str, said: str, sure: str) -> None:
    report = among(services, "EAI_SERVICE", f"127.0.0.1:{name}")
    assert (cause(report), report["verdict"]["failed_step"]) == ("resolver-misconfigured", "services-file")
    assert (report["verdict"]["confidence"], report["target"]["input"]) == (sure, f"127.0.0.1:{name}")
    assert said in report["verdict"]["summary"]
    assert "/etc/services" in report["verdict"]["summary"]
    if sure == "certain":
        assert report["reproduction"] | {"said": None} == {"outcome": "same", "observed": 10109, "said": None}


def test_other_codes_still_refuse_a_name_that_nobody_knows() -> None:
    refused = situation(
        _FILES
        + """
try:
    among("http 80/tcp\\n", 10061, "127.0.0.1:nosuch")
except AssertionError as words:
    result = str(words)
"""
    )
    assert "nosuch" in refused


def test_a_number_is_looked_up_backwards() -> None:
    report = among("ftp 2121/tcp\n", 10061, "127.0.0.1:21")
    assert cause(report) == "no-listener"
    shown = step(report, "services-file")
    assert (shown["status"], shown["summary"]) == ("warning", "/etc/services says port 2121 for ftp; registered: 21")


def test_a_missing_file_is_named() -> None:
    report = among(None, 10061, "127.0.0.1:21")
    assert step(report, "services-file")["summary"] == "/etc/services is not there"
    assert "/etc/services" not in facts(report)
