"""``wsadiag check`` against real services on loopback, as a pipeline would run it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

PROGRAM = str(Path(sys.executable).with_name("wsadiag"))
Serve = Callable[[socket.socket], None]


def checked(*words: str, given: str | None = None, **environment: str) -> tuple[int, dict[str, Any]]:
    """Run a check and return its status and its document."""
    ended = subprocess.run(
        [PROGRAM, "check", "--format", "json", *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, **environment},
    )
    assert ended.stderr == ""
    return ended.returncode, json.loads(ended.stdout)


@contextlib.contextmanager
def service(serve: Serve, port: int = 0) -> Iterator[int]:
    """Accept connections one after another and hand each to ``serve``."""
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:

        def accept() -> None:
            while True:
                try:
                    taken, _ = listener.accept()
                except OSError:
                    return
                with taken, contextlib.suppress(OSError):
                    serve(taken)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def toml(folder: Path, *entries: str) -> str:
    file = folder / "checks.toml"
    file.write_text("".join(f"[[check]]\n{entry}\n" for entry in entries))
    return str(file)


def silent(_: socket.socket) -> None:
    time.sleep(0.01)


def test_open_refused_and_an_expected_refusal(tmp_path: Path) -> None:
    closed = free_port()
    with service(silent) as port:
        status, found = checked(f"127.0.0.1:{port}", f"127.0.0.1:{closed}")
        assert status == 1
        assert [(t["status"], t["reading"], t["cause"]) for t in found["targets"]] == [
            ("passed", "open", None),
            ("failed", "refused", "no-listener"),
        ]
        assert found["groups"][0]["report"]["verdict"]["cause"] == "no-listener"
        file = toml(tmp_path, f'target = "127.0.0.1:{closed}"\nexpect = "refused"')
        assert checked(file)[0] == 0
        status, found = checked("--expect", "refused", f"127.0.0.1:{port}")
        assert (status, found["targets"][0]["found"]) == (1, "the connection opens")


def test_targets_from_standard_input_keep_their_order() -> None:
    with service(silent) as port:
        names = [f"127.0.0.1:{port}", "127.0.0.2:1", f"localhost:{port}"]
        _, found = checked("--no-diagnosis", "-", given="# list\n" + "\n".join(names) + "\n")
    assert [t["target"] for t in found["targets"]] == names


def test_a_passing_target_costs_one_connection() -> None:
    seen: list[bytes] = []
    with service(lambda taken: seen.append(taken.recv(10))) as port:
        assert checked(f"127.0.0.1:{port}")[0] == 0
        time.sleep(0.3)
    assert seen == [b""]


@pytest.mark.parametrize(
    ("option", "status", "told"), [("retries = 3\nbackoff = 0.2", 4, "flaky"), ("wait = 60", 0, "passed")]
)
def test_what_passes_late(tmp_path: Path, option: str, status: int, told: str) -> None:
    """After a retry it is flaky; what was waited for is as good as any."""
    seen: list[int] = []

    def serve(taken: socket.socket) -> None:
        seen.append(1)
        taken.sendall(b"421 busy\r\n" if len(seen) < 3 else b"220 ready\r\n")

    with service(serve) as port:
        file = toml(tmp_path, f'target = "127.0.0.1:{port}"\ngreeting = "220"\n{option}')
        ended, found = checked(file)
    assert (ended, found["targets"][0]["status"], len(seen)) == (status, told, 3)


def test_waiting_for_a_port_to_open() -> None:
    port = free_port()

    def later() -> None:
        time.sleep(5)
        with service(silent, port):
            time.sleep(30)

    threading.Thread(target=later, daemon=True).start()
    assert checked("--wait", "60s", f"127.0.0.1:{port}")[0] == 0


def test_greeting_and_http(tmp_path: Path) -> None:
    def http(taken: socket.socket) -> None:
        asked = taken.recv(2000)
        taken.sendall(b"HTTP/1.1 503 Busy\r\n\r\n" if b"GET /down " in asked else b"HTTP/1.1 204 No Content\r\n\r\n")

    with service(lambda taken: taken.sendall(b"220 mail ready\r\n")) as mail, service(http) as web:
        good = toml(
            tmp_path,
            f'target = "127.0.0.1:{mail}"\ngreeting = "220"',
            f'target = "127.0.0.1:{web}"\nhttp = 204',
            f'target = "127.0.0.1:{web}"\nhttp = {{ path = "/down", status = [503] }}',
        )
        assert checked(good)[0] == 0
        bad = toml(
            tmp_path,
            f'target = "127.0.0.1:{mail}"\ngreeting = "221"',
            f'target = "127.0.0.1:{web}"\nhttp = {{ path = "/down" }}',
            f'target = "127.0.0.1:{mail}"\nhttp = 200',
        )
        status, found = checked(bad)
    assert status == 1
    assert [target["found"] for target in found["targets"]] == [
        "the service says: 220 mail ready",
        "HTTP status 503 Busy",
        "not an HTTP answer: 220 mail ready",
    ]
    assert [target["cause"] for target in found["targets"]] == [None] * 3


def test_certificates(tmp_path: Path) -> None:
    authority = trustme.CA()
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime.now(UTC) + timedelta(days=30, hours=1)
    authority.issue_cert("localhost", not_after=ends).configure_cert(context)

    def tls(taken: socket.socket) -> None:
        taken.settimeout(5)
        with context.wrap_socket(taken, server_side=True) as shaken:
            shaken.recv(10)

    with service(tls) as port, service(lambda taken: taken.sendall(b"220 plain\r\n")) as plain:
        file = toml(
            tmp_path,
            f'target = "localhost:{port}"\ntls = true',
            f'target = "localhost:{port}"\ntls = {{ days = 60 }}',
            f'target = "localhost:{port}"\ntls = {{ name = "other.example" }}',
            f'target = "localhost:{plain}"\ntls = true',
        )
        _, found = checked(file, "-4", SSL_CERT_FILE=str(trusted))
        said = [target["found"] for target in found["targets"]]
        assert said[0] is None
        assert "30 more days" in said[1]
        assert "certificate is not accepted" in said[2]
        assert said[3].startswith("no TLS")
        _, found = checked(file, "-4", SSL_CERT_FILE="/dev/null")
        assert "certificate is not accepted" in found["targets"][0]["found"]


def test_addresses_of_a_name(tmp_path: Path) -> None:
    with service(silent) as port:
        file = toml(
            tmp_path,
            f'target = "127.0.0.1:{port}"\nresolves-to = ["127.0.0.1"]',
            f'target = "127.0.0.1:{port}"\nresolves-to = ["127.0.0.9"]',
        )
        _, found = checked(file)
    assert [target["status"] for target in found["targets"]] == ["passed", "failed"]


def test_tags_choose(tmp_path: Path) -> None:
    file = toml(tmp_path, 'target = "127.0.0.1:1"\ntags = ["a"]', 'target = "127.0.0.2:1"\ntags = ["b", "c"]')
    _, found = checked("--no-diagnosis", "--tag", "c", file)
    assert [target["target"] for target in found["targets"]] == ["127.0.0.2:1"]


def test_several_formats_at_once(tmp_path: Path) -> None:
    junit, marks = tmp_path / "junit.xml", tmp_path / "check.md"
    words = ["--format", f"junit={junit}", "--format", "tap", "--format", f"markdown={marks}", "127.0.0.1:1"]
    ended = subprocess.run([PROGRAM, "check", *words], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.startswith("TAP version 14\n1..1\nnot ok 1 - 127.0.0.1:1\n")
    assert ET.parse(junit).getroot().get("failures") == "1"
    assert marks.read_text().startswith("**1 targets: ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "missing"),
        (["--format", "sarif", "a.example:1"], "sarif"),
        (["--format", "tap", "--format", "json", "a.example:1"], "standard output"),
        (["10.0.0.0/24"], "does not scan"),
        (["--retries", "x", "a.example:1"], "--retries x"),
        (["--wait", "long", "a.example:1"], "--wait long"),
        (["--expect", "closed", "a.example:1"], "closed"),
        (["missing.toml"], "missing.toml"),
    ],
)
def test_bad_usage_is_one_line_and_2(words: list[str], complaint: str) -> None:
    ended = subprocess.run([PROGRAM, "check", *words], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert complaint in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_file_that_cannot_be_written_is_told_and_the_others_are_written(tmp_path: Path) -> None:
    words = ["--format", f"json={tmp_path}/no/folder.json", "--format", "tap", "127.0.0.1:1", "--no-diagnosis"]
    ended = subprocess.run([PROGRAM, "check", *words], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stdout.startswith("TAP version 14")
    assert "folder.json" in ended.stderr


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_interrupted_run_writes_what_is_known(number: str, status: int, tmp_path: Path) -> None:
    """Whole and readable in every format, also to standard output."""
    formats = ("json", "jsonl", "junit", "tap", "github", "openmetrics", "markdown")
    places = [word for name in formats for word in ("--format", f"{name}={tmp_path}/{name}")]
    tried = threading.Event()
    with service(lambda _: tried.set()) as port:
        words = ["--wait", "60", *places, "--format", "text", f"127.0.0.1:{port}", "127.0.0.1:1"]
        running = subprocess.Popen([PROGRAM, "check", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert tried.wait(60)
        time.sleep(0.5)
        running.send_signal(getattr(signal, number))
        said, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (status, b"")
    assert said.splitlines()[-1].startswith(b"2 targets: 1 passed, ")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(formats)
    text = {name: (tmp_path / name).read_text() for name in formats}
    whole = json.loads(text["json"])
    assert (whole["interrupted"], [each["status"] for each in whole["targets"]]) == (True, ["passed", "undecided"])
    assert [json.loads(line)["kind"] for line in text["jsonl"].splitlines()] == ["target", "target", "summary"]
    cases = ET.fromstring(text["junit"]).findall(".//testcase")
    assert [case.find("skipped") is not None for case in cases] == [False, True]
    assert text["tap"].splitlines()[-1].startswith("Bail out!")
    assert text["openmetrics"].endswith("# EOF\n")
    assert text["github"].startswith("::warning ")
    assert text["markdown"].count("\n| ") == 3


def test_a_signal_before_the_first_target_still_writes(tmp_path: Path) -> None:
    """Whenever it comes: either nothing was begun, or every file is there and whole."""
    for delay_s in (0.15, 0.3, 0.45):
        file = tmp_path / f"{delay_s}.json"
        words = ["--wait", "60", "--format", f"json={file}", "127.0.0.1:1"]
        running = subprocess.Popen([PROGRAM, "check", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(delay_s)
        running.terminate()
        _, errors = running.communicate(timeout=30)
        assert errors == b""
        assert running.returncode == (143 if file.exists() else -signal.SIGTERM)
        assert not file.exists() or json.loads(file.read_text())["interrupted"]
    assert all(path.suffix == ".json" for path in tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals of this kind")
def test_the_line_on_the_terminal_moves_and_goes() -> None:
    main, terminal = os.openpty()
    words = [PROGRAM, "check", "--wait", "2", "127.0.0.1:1"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=terminal, env={**os.environ, "TERM": "xterm"}):
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux tells that nobody writes any more
            while data := os.read(main, 4096):
                shown += data
    os.close(main)
    lines = shown.decode().split("\r\x1b[K")
    assert lines[0] == lines[-1] == ""
    assert len(set(lines)) >= 3
    left = [int(found[1]) for line in lines if (found := re.fullmatch(r".* targets tried, about (\d+) s left", line))]
    assert left
    assert left == sorted(left, reverse=True)
    assert left[0] <= 2


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="network namespaces need root")
def test_a_machine_without_a_way_out_is_told_once() -> None:
    targets = ["192.0.2.1:80", "192.0.2.2:80", "198.51.100.1:443"]
    script = 'ip link set lo up && exec "$@"'
    words = ["unshare", "--net", "sh", "-c", script, "sh", PROGRAM, "check", "--format", "json", *targets]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=90, check=False)
    found = json.loads(ended.stdout)
    assert ended.returncode == 5
    assert [target["status"] for target in found["targets"]] == ["environment"] * 3
    assert len(found["groups"]) == 1


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="a mount needs root")
def test_a_file_that_is_a_mount_is_written_in_place(tmp_path: Path) -> None:
    """As a CI system hands its summary to a job that runs in a container."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.touch()
    inside.touch()
    script = f"mount --bind {outside} {inside} && {PROGRAM} check --no-diagnosis --format tap={inside} 127.0.0.1:1"
    ended = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert outside.read_text().startswith("TAP version 14")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "outside"]


def test_a_greeting_that_this_machine_was_too_busy_to_hear(tmp_path: Path) -> None:
    """The whole process stands still while the service is waited for: that is neither its silence nor its health."""
    file = toml(tmp_path, 'target = "127.0.0.1:PORT"\ngreeting = "220"')
    stopped: list[int] = []

    def serve(taken: socket.socket) -> None:
        time.sleep(0.3)
        os.kill(child.pid, signal.SIGSTOP)
        stopped.append(child.pid)
        time.sleep(5.5)
        os.kill(child.pid, signal.SIGCONT)
        time.sleep(0.5)
        taken.sendall(b"220 ready\r\n")

    with service(serve) as port:
        Path(file).write_text(Path(file).read_text().replace("PORT", str(port)))
        command = [PROGRAM, "check", "--format", "json", file]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            said, _ = child.communicate(timeout=60)
    told = json.loads(said)["targets"][0]
    assert (child.returncode, told["status"], told["cause"], len(stopped)) == (3, "undecided", None, 2)
    assert "too busy to look" in told["found"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-"], "holds no target"),
        (["--tag", "nowhere", "localhost:1"], "no target has the tag nowhere"),
        (["--format", "junit=x.out", "--format", "tap=./x.out", "localhost:1"], "two formats for x.out"),
    ],
)
def test_what_would_check_nothing_or_lose_a_format_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    command = [PROGRAM, "check", *words]
    ended = subprocess.run(
        command, input="# nothing\n\n", capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert (ended.returncode, ended.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert said in ended.stderr
