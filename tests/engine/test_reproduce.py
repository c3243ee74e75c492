"""Every reproducer is run, and the catalogue's claims are held to what the kernel returned."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests.engine.reproduced import page
from troubleshoot.errors import UserError
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.render.reproduce import render
from troubleshoot.reproduce.claims import SUCCESS, Claim, claims, codes, impossible, winsock_twin
from troubleshoot.reproduce.records import Reproduction
from troubleshoot.reproduce.run import MAX_CHILDREN, reproduce
from troubleshoot.reproduce.stage import Failed, Stage, name_of
from troubleshoot.reproduce.table import TABLE

ROOT = Path(__file__).resolve().parents[2]
#: Reasons that lie with the machine under the test; any other one is a failure.
WORDS_OF_A_MACHINE_THAT_FORBIDS_IT = (
    "a network of its own",
    "cannot destroy a socket",
    "CAP_DAC_READ_SEARCH",
    "every user may bind",
    "larger than a key can be",
    "is not known here",
)
CLAIMS = [claim for code in codes() for claim in claims(code)]


@functools.cache
def everything() -> dict[tuple[str, str], Reproduction]:
    """Carry out all claims once, a few at a time, for all tests below."""

    async def run() -> list[tuple[Reproduction, ...]]:
        places = asyncio.Semaphore(MAX_CHILDREN)
        return await asyncio.gather(*(reproduce(code, places) for code in codes()))

    return {(one.code, one.claim.id): one for group in asyncio.run(run()) for one in group}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.code}-{claim.id}")
def test_the_kernel_does_what_the_catalogue_claims(claim: Claim) -> None:
    one = everything()[claim.code, claim.id]
    if one.observed is None and any(word in one.remark for word in WORDS_OF_A_MACHINE_THAT_FORBIDS_IT):
        pytest.skip(one.remark)
    assert one.observed == one.claim.errno, render([one])
    assert one.matches
    assert one.calls[-1].function == one.claim.function


def test_every_claim_has_a_reproducer_and_every_reproducer_a_claim() -> None:
    assert set(TABLE) == {(claim.code, claim.id) for claim in CLAIMS}


def test_every_described_code_is_reproduced_or_says_why_not() -> None:
    described = {entry.name for entry in Catalogue().codes() if entry.described and entry.alias_of is None}
    assert described == set(codes())
    assert not {code for code in codes() if claims(code) and impossible(code)}


def test_at_least_thirty_codes_are_shown_by_their_own_twin() -> None:
    shown = {one.code for one in everything().values() if one.shows_code}
    if not any(one.isolated for one in everything().values()):
        pytest.skip("no network namespace can be had here, so that much cannot be shown")
    assert len(shown) >= 40
    only_otherwise = {code for code in codes() if claims(code)} - shown
    assert only_otherwise == {"WSAEPFNOSUPPORT", "WSAENETRESET", "WSAESHUTDOWN", "WSAEDISCON"}


def test_what_differs_from_winsock_is_recorded_with_its_source() -> None:
    for claim in CLAIMS:
        if claim.winsock is not None and winsock_twin(claim.errno) != claim.winsock:
            assert claim.note or "Microsoft" in claim.source, claim
        if claim.note:
            assert claim.source, claim


def test_names_are_names() -> None:
    known = Catalogue()
    for claim in CLAIMS:
        assert claim.winsock is None or claim.winsock in known.numbers, claim
        assert claim.errno == SUCCESS or winsock_twin(claim.errno) or claim.errno in {"EPERM", "EPIPE", "EPROTO"}, claim


def test_the_page_is_up_to_date() -> None:
    stored = (ROOT / "tests/engine/REPRODUCED.md").read_text(encoding="utf-8")
    assert stored == page(), "run: python tests/engine/reproduced.py > tests/engine/REPRODUCED.md"


def test_the_text_tells_the_calls_and_the_difference() -> None:
    text = render([everything()["WSAESHUTDOWN", "send-after-shutdown"]])
    assert "shutdown(" in text
    assert "= -1 EPIPE" in text
    assert "Winsock has WSAESHUTDOWN" in text
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("    "))


def test_an_unknown_code_is_the_users_trouble() -> None:
    with pytest.raises(UserError):
        asyncio.run(reproduce("WSAENOSUCH"))


def test_a_code_that_cannot_happen_has_no_reproductions() -> None:
    assert asyncio.run(reproduce("WSAVERNOTSUPPORTED")) == ()
    assert impossible("WSAVERNOTSUPPORTED")


def test_the_callers_process_is_as_before() -> None:
    def state() -> tuple[object, ...]:
        return (
            Path("/proc/self/ns/net").readlink(),
            Path("/proc/self/ns/mnt").readlink(),
            os.getuid(),
            Path("/proc/self/limits").read_text(),
            Path("/etc/resolv.conf").read_bytes() if Path("/etc/resolv.conf").exists() else None,
            Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(),
            sorted(Path("/proc/net/route").read_text().splitlines()),
        )

    before = state()
    for code in ("WSAEMFILE", "WSAEACCES", "WSAENETDOWN", "WSAEADDRINUSE", "WSANO_DATA", "WSAETOOMANYREFS"):
        assert asyncio.run(reproduce(code))
    assert state() == before


def test_a_cancelled_reproduction_leaves_no_child() -> None:
    async def cancel() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await reproduce("WSAENETRESET")  # its keep-alives take two seconds

    asyncio.run(cancel())
    time.sleep(0.1)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "troubleshoot", "reproduce", *arguments]


def test_the_command_line() -> None:
    done = subprocess.run(_command("wsaenotsock", "--json"), cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0
    records = json.loads(done.stdout)["reproductions"]
    assert [record["observed"] for record in records] == ["ENOTSOCK", "ENOTSOCK", "EBADF"]
    unknown = subprocess.run(_command("WSAENOSUCH"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert unknown.returncode == 2
    assert len(unknown.stderr.splitlines()) == 1


@pytest.mark.lab
def test_without_namespaces_loopback_still_serves_and_the_rest_says_why() -> None:
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    if subprocess.run(["unshare", "--user", "--map-root-user", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespace can be made")
    forbid = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
    found = {}
    for code in ("WSAECONNREFUSED", "WSAENETUNREACH"):
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", *_command(code, "--json")],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert done.returncode == (0 if code == "WSAECONNREFUSED" else 3), done.stderr
        found[code] = json.loads(done.stdout)["reproductions"]
    assert [record["observed"] for record in found["WSAECONNREFUSED"]] == ["ECONNREFUSED"] * 3
    assert not any(record["isolated"] for record in found["WSAECONNREFUSED"])
    for record in found["WSAENETUNREACH"]:
        assert record["observed"] is None
        assert "network of its own" in record["remark"]
        assert record["calls"] == []


def test_a_child_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    # one second is less than the kernel needs to give up a connection that nobody answers
    monkeypatch.setattr("troubleshoot.reproduce.run.TIMEOUT_S", 1)
    found = {one.claim.id: one for one in asyncio.run(reproduce("WSAENETRESET"))}
    hanging = found["recv-after-unanswered-keepalives"]
    assert hanging.observed is None
    assert not hanging.matches
    assert "did not end within 1 s" in hanging.remark


def test_the_trace_is_what_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stage = Stage()
    fd = stage.udp()
    stage.close(fd)
    with pytest.raises(Failed):
        stage.close(fd)
    assert [(one.function, one.returned, one.errno) for one in stage.calls] == [
        ("socket", str(fd), None),
        ("close", "0", None),
        ("close", "-1", "EBADF"),
    ]
    stage.record("x", "", "0", None)
    stage.record("x", "", "0", None)
    assert stage.calls[-1].times == 2
    assert name_of(95) == "EOPNOTSUPP"


def test_one_code_read_by_itself_is_as_in_the_whole_file() -> None:
    whole = tomllib.loads((ROOT / "catalogue/reproduce.toml").read_text(encoding="utf-8"))
    for code in codes():
        assert [claim.id for claim in claims(code)] == list(whole["claims"].get(code, {}))
        assert impossible(code) == whole["impossible"].get(code)
    assert claims("WSAENOSUCH") == ()
