from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from probes.base import Context, NotApplicable, ProbeTarget
from probes.services_file import PROBE, ServicesFileRequest, ServicesFileResult, observe

FILE = """# ftp 99/tcp
ftp-data\t20/tcp
ftp 21/tcp # the usual
fsp 21/udp fspd
broken
ftp x/tcp
ftp 99999/tcp
ftp ²/tcp
ftp 70/
http 80/tcp www WWW
http 81/udp
ftp 2121/tcp
"""


def look(root: Path, **request: object) -> ServicesFileResult:
    asked = ServicesFileRequest(**{"transport": "tcp", **request})  # type: ignore[arg-type]
    return asyncio.run(observe(asked, Context(root=root), lambda _: None))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/services").write_text(FILE)
    return tmp_path


def test_a_name(root: Path) -> None:
    result = look(root, service="ftp")
    assert [(entry.line, entry.port, entry.transport) for entry in result.entries] == [
        (3, 21, "tcp"),
        (9, 70, ""),
        (12, 2121, "tcp"),
    ]
    assert (result.resolved_port, result.resolved_name) == (21, "ftp")


def test_an_alias_keeps_its_case(root: Path) -> None:
    assert look(root, service="www").resolved_port == 80
    assert look(root, service="www").resolved_name == "http"
    assert look(root, service="Www").entries == ()


def test_a_name_known_for_another_transport_only(root: Path) -> None:
    result = look(root, service="fspd")
    assert [entry.transport for entry in result.entries] == ["udp"]
    assert result.resolved_port is None


def test_a_port(root: Path) -> None:
    result = look(root, port=21)
    assert [entry.name for entry in result.entries] == ["ftp", "fsp"]
    assert (result.resolved_port, result.resolved_name) == (None, "ftp")


def test_a_missing_file_is_a_result(tmp_path: Path) -> None:
    result = look(tmp_path, service="ftp")
    assert not result.readable
    assert result.entries == ()
    assert result.resolved_port is None


def test_this_machine_answers_as_the_c_library_does() -> None:
    try:
        expected = socket.getservbyname("ftp", "tcp")
    except OSError:
        pytest.skip("this machine's services file does not know ftp")
    result = look(Path("/"), service="ftp")
    assert result.resolved_port == expected
    assert expected in [entry.port for entry in result.entries]
    assert look(Path("/"), port=expected).resolved_name == "ftp"


@pytest.mark.parametrize("service", ["no-such-service", "", "a\0b", "f\ud800"])
def test_this_machine_and_a_name_that_nobody_knows(service: str) -> None:
    result = look(Path("/"), service=service)
    assert result.entries == ()
    assert (result.resolved_port, result.resolved_name) == (None, None)


def test_a_port_out_of_range() -> None:
    assert look(Path("/"), port=70000).resolved_name is None


def test_what_it_needs() -> None:
    assert PROBE.request_for(ProbeTarget(service="ftp", port=21)) == ServicesFileRequest("tcp", "ftp")
    assert PROBE.subject(ServicesFileRequest("udp", port=53)) == "53/udp"
    with pytest.raises(NotApplicable) as caught:
        PROBE.request_for(ProbeTarget(host="a"))
    assert caught.value.reason.key == "reason.no-service-or-port-given"
