"""Reports that no probe can have left, are too large or are written by another system's shell."""

from __future__ import annotations

import codecs
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from troubleshoot.errors import UserError
from troubleshoot.report import Report, encode, from_json, to_json, written
from troubleshoot.run.engine import replay

ROOT = Path(__file__).resolve().parents[2]
PLAIN = (ROOT / "tests/data/reports/healthy-plain.nobody.json").read_bytes()


def judged(document: Any) -> Report:
    return replay(from_json(json.dumps(document)), "en")


def record(document: Any, probe: str) -> tuple[int, Any]:
    return next((n, one) for n, one in enumerate(document["probes"]) if one["probe"] == probe)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["target"].update(port=70000), "target.port: 70000 does not lie between 0 and 65535"),
        (lambda r: r["target"].update(transport="sctp"), "target.transport: 'sctp' is not tcp or udp"),
        (lambda r: r["target"].update(addresses=["x"]), "target.addresses[0]: 'x' is not an address"),
        (lambda r: r.update(duration_ms=-1), "duration_ms: -1 is less than 0"),
        (lambda r: r.update(language="xx"), "language: 'xx' is not en or ko"),
        (lambda r: r.update(started="yesterday"), "started: 'yesterday' is not an instant"),
    ],
)
def test_what_stands_about_a_run_is_that_of_one(change: Callable[[Any], Any], said: str) -> None:
    document = json.loads(PLAIN)
    change(document)
    with pytest.raises(UserError) as refused:
        judged(document)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("probe", "change", "said"),
    [
        ("connect", lambda r: r["result"].update(attempts=[]), "result.attempts: nothing stands"),
        (
            "connect",
            lambda r: r["result"]["attempts"][0].update(outcome="no-answer"),
            "result.outcome: connected, and no",
        ),
        ("connect", lambda r: r["result"].update(port=65536), "result.port: 65536 does not lie between 0 and 65535"),
        ("route", lambda r: r["result"].update(family=5), "result.family: 5 is none of 4, 6"),
        ("interfaces", lambda r: r["result"]["interfaces"][0].update(mtu=-1), "interfaces[0].mtu: -1 does not lie"),
        ("connect", lambda r: r["result"].update(address="nowhere"), "result.address: 'nowhere' is not an address"),
        ("connect", lambda r: r["result"]["attempts"][0].update(duration_ms=-1), "result.attempts[0].duration_ms: -1"),
        ("connect", lambda r: r.update(duration_ms=-1), "duration_ms: -1 is less than 0"),
        ("traceroute", lambda r: r["result"]["hops"][0].update(ttl=256), "result.hops[0].ttl: 256"),
        ("traceroute", lambda r: r["result"]["hops"][0].update(ttl="1"), "$.hops[0].ttl"),
        ("traceroute", lambda r: r.update(probe=[]), "no probe is called []"),
        ("traceroute", lambda r: r.update(probe={}), "no probe is called {}"),
        ("traceroute", lambda r: r.update(status="fine"), "$.status"),
    ],
)
def test_what_no_probe_can_have_seen_is_refused_with_its_place(
    probe: str, change: Callable[[Any], Any], said: str
) -> None:
    document = json.loads(PLAIN)
    position, one = record(document, probe)
    change(one)
    with pytest.raises(UserError) as refused:
        judged(document)
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"probes[{position}]")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_a_shell_of_windows_writes_is_read(encoding: str) -> None:
    text = PLAIN.decode().replace("\n", "\r\n")
    assert from_json(text.encode(encoding)) == from_json(PLAIN)
    assert from_json(codecs.BOM_UTF16_BE + text.encode("utf-16-be")) == from_json(PLAIN)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"\xff\xfe{", b"{\x00", b"\xef\xbb\xbf", b"\xff", b"[" * 100_000])
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(UserError):
        from_json(data)


@pytest.mark.parametrize("small", ["{}", "[]", "null", '{"":0}', "0"])
def test_a_small_file_does_not_become_a_large_heap(small: str, tmp_path: Path) -> None:
    document = json.loads(PLAIN)
    document["probes"] = "@"
    file = tmp_path / "many.json"
    file.write_text(json.dumps(document).replace('"@"', f"[{','.join([small] * (20_000_000 // (len(small) + 1)))}]"))

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))

    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", "replay", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, preexec_fn=bound,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "values" in done.stderr
    assert len(done.stderr.splitlines()) == 1


HOSTILE = "a\x9bb\u202ec\ue000d\U000e0041e\x7ff\u2028g\u3164h"


def test_json_of_a_report_steers_nothing_and_means_the_same() -> None:
    document = json.loads(PLAIN)
    document["error"]["input"] = HOSTILE
    again = to_json(judged(document))
    assert all(c == "\n" or c.isprintable() for c in again)
    assert json.loads(again)["error"]["input"] == HOSTILE


@pytest.mark.parametrize("text", [HOSTILE, "\ud800", "plain", "한국어", "\x1b[31m", "\U0001f600"])
def test_every_json_document_is_escaped(text: str) -> None:
    shown = written({"a": text})
    assert all(c == "\n" or c.isprintable() for c in shown)
    assert json.loads(shown)["a"] in {text, text.encode("utf-8", "backslashreplace").decode()}
    assert json.loads(encode(text)) == json.loads(shown)["a"]


@pytest.mark.parametrize(
    "words",
    [
        ("x" * 5000, ":80"),
        ("10061", "x" * 5000),
        ("10061", "a:" + "9" * 5000),
        ("--" + "x" * 5000,),
        ("10061", "localhost", "x" * 5000),
        ("replay", "/" + "x" * 5000),
        ("probe", "x" * 5000),
        ("reproduce", "x" * 5000),
        ("10061", ":80", "--pid", "x" * 5000),
        ("10061", ":80", "--router", "x" * 5000),
        ("explain", "x" * 5000, "--lang", "ko"),
    ],
)
def test_a_refusal_repeats_little_of_anybodys_word(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "x" * 201 not in done.stderr
    assert len(done.stderr) < 700
