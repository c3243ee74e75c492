from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from probes.base import MAX_FILE_BYTES, Context, NotApplicable, NotPermitted, ProbeTarget
from probes.hosts_file import PROBE, HostsFileRequest, HostsFileResult, observe
from probes.system import text_file


def look(root: Path, name: str, hosts: str | None = None, nsswitch: str | None = None) -> HostsFileResult:
    (root / "etc").mkdir(exist_ok=True)
    if hosts is not None:
        (root / "etc/hosts").write_text(hosts)
    if nsswitch is not None:
        (root / "etc/nsswitch.conf").write_text(nsswitch)
    return asyncio.run(observe(HostsFileRequest(name), Context(root=root), lambda _: None))


def test_every_line_that_names_the_host(tmp_path: Path) -> None:
    result = look(
        tmp_path,
        "WWW.Example.test.",
        "# www.example.test\n10.0.0.1 www.example.test a # www.example.test\n\n"
        "\t2001:db8::1\tother\tWWW.EXAMPLE.TEST. \n10.0.0.2 not-www.example.test\n10.0.0.3 x # www.example.test\n",
    )
    assert [(entry.line, entry.address, entry.names) for entry in result.entries] == [
        (2, "10.0.0.1", ("www.example.test", "a")),
        (4, "2001:db8::1", ("other", "WWW.EXAMPLE.TEST.")),
    ]
    assert result.readable
    assert result.malformed_lines == ()
    assert not result.cut


def test_lines_that_the_c_library_passes_over(tmp_path: Path) -> None:
    result = look(tmp_path, "a", "10.1 a\n010.1.1.1 a\nfe80::1%lo a\n10.0.0.1\nwww 10.0.0.1\n10.0.0.1 a\n\x1b[31m a\n")
    assert result.malformed_lines == (1, 2, 3, 4, 5, 7)
    assert [entry.line for entry in result.entries] == [6]


def test_an_internationalised_name_is_found_in_its_ascii_form(tmp_path: Path) -> None:
    result = look(tmp_path, "Bücher.test", "10.0.0.1 xn--bcher-kva.test\n10.0.0.2 bücher.test\n")
    assert [entry.line for entry in result.entries] == [1, 2]


@pytest.mark.parametrize(
    ("nsswitch", "used"),
    [
        (None, True),
        ("passwd: compat\n", True),
        ("hosts: files dns\n", True),
        ("hosts: dns [NOTFOUND=return] files\n", True),
        ("hosts: dns # files\n", False),
        ("  hosts :\tdns\n", False),
    ],
)
def test_whether_the_system_reads_it(tmp_path: Path, nsswitch: str | None, used: bool) -> None:
    assert look(tmp_path, "a", "10.0.0.1 a\n", nsswitch).used is used


def test_a_missing_file_is_a_result(tmp_path: Path) -> None:
    result = look(tmp_path, "a")
    assert not result.readable
    assert result.entries == ()


def test_a_huge_file_is_cut(tmp_path: Path) -> None:
    result = look(tmp_path, "a", "10.0.0.1 a\n" * (MAX_FILE_BYTES // 10))
    assert result.cut
    assert len(result.entries) == 64


def test_what_it_needs() -> None:
    assert PROBE.request_for(ProbeTarget(host="a")) == HostsFileRequest("a")
    with pytest.raises(NotApplicable) as caught:
        PROBE.request_for(ProbeTarget())
    assert caught.value.reason.key == "reason.no-host-given"


@pytest.mark.parametrize(
    ("data", "line", "kind"),
    [
        ("\ufeff10.0.0.1 db.test\n127.0.0.1 localhost\n".encode(), 1, "mark"),
        ("\ufeff127.0.0.1 localhost\n10.0.0.1 db.test\n".encode("utf-16-le"), 2, "utf-16"),
        ("\ufeff127.0.0.1 localhost\n10.0.0.1 db.test\n".encode("utf-16-be"), 2, "utf-16"),
        ("10.0.0.1\u00a0db.test\n".encode(), 1, "blank"),
        (b"10.0.0.1 db.test\n".replace(b" ", b"\xa0"), 1, "blank"),
        (b"10.0.0.1 db.test10.0.0.2 mail.test\n", 1, "glued"),
        (b"10.0.0.1 db.test2001:db8::2 mail.test\n", 1, "glued"),
    ],
)
def test_a_line_that_means_the_name_and_is_not_read(tmp_path: Path, data: bytes, line: int, kind: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_bytes(data)
    result = look(tmp_path, "db.test")
    assert result.entries == ()
    assert [(d.line, d.kind, d.address) for d in result.defects] == [(line, kind, "10.0.0.1")]


def test_defects_are_of_this_name_and_where_no_line_holds_it(tmp_path: Path) -> None:
    assert look(tmp_path, "other.test", "10.0.0.1\u00a0db.test\n10.0.0.1 db.test.example\n").defects == ()
    assert look(tmp_path, "db.test", "10.0.0.1\u00a0db.test\n10.0.0.2 db.test\n").defects == ()


def test_a_file_that_cannot_be_opened_is_not_one_that_is_missing(tmp_path: Path) -> None:
    """Missing is only what the file system says is: of what else goes wrong, nothing about the file follows."""
    place = tmp_path / "f"
    context = Context(root=tmp_path)
    assert text_file.read(context, "/f") is None
    place.mkdir()
    assert text_file.read(context, "/f") is None
    place.rmdir()
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(place))  # open(2) answers ENXIO
        with pytest.raises(NotPermitted, match="system-refuses"):
            text_file.read(context, "/f")
