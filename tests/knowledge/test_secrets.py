"""Secrets are masked by the catalogue's patterns, quickly whatever the text, and stay out of all that is written."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.knowledge.secrets import LONGEST, masked
from troubleshoot.report import from_json
from troubleshoot.run.hiding import without_secrets

ROOT = Path(__file__).parents[2]
KINDS = catalogue().secrets
#: Letters that an expression takes for S, K and I where it ignores case.
ALIKE = {ord("S"): "\u017f", ord("K"): "\u212a", ord("I"): "\u0131"}
EXAMPLES = [(name, *pair) for name, kind in KINDS.items() for pair in kind.examples]


@pytest.mark.parametrize(("kind", "text", "shown"), EXAMPLES)
def test_an_example_is_shown_as_it_says(kind: str, text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize("name", KINDS)
def test_a_pattern_masks_something_and_leaves_something(name: str) -> None:
    """No pattern is there for nothing: without it its first example would show its secret."""
    text, shown = KINDS[name].examples[0]
    assert text != shown
    others = [kind.pattern for other, kind in KINDS.items() if other != name]
    assert KINDS[name].pattern not in others


@pytest.mark.parametrize("name", KINDS)
def test_whatever_a_pattern_finds_holds_one_of_its_signs(name: str) -> None:
    """Texts of pieces that the patterns look for, in letters of every case: signs never hide a secret."""
    chance = random.Random(name)
    kind = KINDS[name]
    own = [text for text, _ in kind.examples]
    pieces = [piece for _, text, _ in EXAMPLES for piece in re.split(r"(?<=[ =])", text)]
    found = 0
    for _ in range(2000):
        words = [chance.choice(own), *chance.choices(pieces, k=chance.randint(0, 4))]
        text = "".join(chance.sample(words, len(words)))
        if chance.random() < 0.5:
            text = text.upper().translate(chance.choice([{}, ALIKE]))
        if re.search(kind.pattern, text):
            found += 1
            assert any(sign in text.casefold() for sign in kind.signs), text
    assert found


@pytest.mark.parametrize(
    "text",
    [
        "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
        "nginx: master process /usr/sbin/nginx -g daemon on; master_process on;",
        "/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql -c config_file=/etc/postgresql/x.conf",
        "docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80",
        "java -Xmx2g -cp /opt/a.jar:/opt/b.jar org.test.Main --server.port=8080",
        "python3 -m http.server 8080 --bind ::1",
        "dnsmasq --pid-file=/run/d.pid --listen-address=10.0.0.1",
        "http://proxy.test:3128/path/a:b",
        "127.0.0.1:21",
        "[2001:db8::1]:443",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert masked(text) == text


def test_hostile_words_take_no_time() -> None:
    """Pieces of what the patterns look for, repeated and shuffled: the worst of them is far from a second."""
    chance = random.Random(7)
    pieces = [
        *("-", "--", "a", "password", "token", "=", ":", " ", "/", "@", "://", "http://", "?", '"', "'", "{", "eyJ"),
        *("mysql ", "redis-cli ", " -u", " -p", "authorization:", "ghp_", "x-", "key", ".", "_", "\t", "\n", "é"),
    ]
    texts = [piece * LONGEST for piece in pieces]
    texts += ["".join(chance.choices(chance.sample(pieces, 3), k=LONGEST)) for _ in range(300)]
    masked("warm up")
    slowest = 0.0
    for text in texts:
        began = time.process_time()
        assert len(masked(text)) <= 2 * LONGEST
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 0.25


def test_a_secret_at_the_cut_is_not_halved() -> None:
    for length in range(LONGEST - 30, LONGEST + 5):
        assert "geheim" not in masked("x " * (length // 2) + "https://me:geheim" + "m" * 40 + "@host.test/")


# -- the program ---------------------------------------------------------------------------------------------------


PROGRAM = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    server.accept()
"""


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[int]:
    """Run a program with secrets in its command line that listens on a port of its own choice."""
    (tmp_path / "s").write_text(PROGRAM, encoding="utf-8")
    words = ["-H", "Authorization: Token is=geheim", "--key-token", "my own 'geheim", '--hash-secret=my "geheim words']
    words += ["--db-password", "geheim", "--n=plain", "--u=https://me:geheim@x.test/?key=geheim", "TOKEN=geheim"]
    with subprocess.Popen([sys.executable, "s", *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        yield int(program.stdout.readline())
        program.kill()


def wsadiag(*words: str) -> subprocess.CompletedProcess[str]:
    proxy = {"https_proxy": "http://me:geheim@proxy.test:3128/?t=geheim", "LC_ALL": "C.UTF-8", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "troubleshoot", *words],
        cwd=ROOT,
        env={**os.environ, **proxy},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("how", [(), ("--json",), ("-v",), ("--lang", "ko")])
def test_no_output_holds_the_secrets_of_another_program(listener: int, how: tuple[str, ...]) -> None:
    done = wsadiag("10048", f"127.0.0.1:{listener}", *how)
    assert done.returncode == 1, done.stderr
    # The short screen cuts long facts; the command line stands in the others.
    assert ("--n=plain" in done.stdout) == (how in (("--json",), ("-v",)))
    assert "geheim" not in done.stdout + done.stderr


def test_a_report_judged_again_has_none_either(listener: int, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(wsadiag("10048", f"127.0.0.1:{listener}", "--json").stdout, encoding="utf-8")
    done = wsadiag("replay", str(report), "-v")
    assert "--n=plain" in done.stdout
    assert "geheim" not in done.stdout


def test_they_are_shown_to_whoever_asks(listener: int) -> None:
    done = wsadiag("10048", f"127.0.0.1:{listener}", "--json", "--show-secrets")
    assert "--db-password geheim --n=plain --u=https://me:geheim@x.test/?key=geheim TOKEN=geheim" in done.stdout
    done = wsadiag("probe", "sockets", f":{listener}", "--show-secrets")
    assert "--db-password geheim" in done.stdout


def test_a_probe_by_itself_masks_too(listener: int) -> None:
    done = wsadiag("probe", "sockets", f":{listener}")
    assert "--n=plain" in done.stdout
    assert "geheim" not in done.stdout
    done = wsadiag("probe", "proxy", "--json")
    assert json.loads(done.stdout)["result"]["settings"][0]["value"] == "http://me:***@proxy.test:3128/?***"
    done = wsadiag("probe", "proxy", "--json", "--show-secrets")
    assert "http://me:geheim@proxy.test:3128/?t=geheim" in done.stdout


@pytest.mark.parametrize("how", [(), ("--json",), ("-q",), ("-v",)])
def test_what_the_user_wrote_is_masked(how: tuple[str, ...]) -> None:
    done = wsadiag("10061", "http://me:geheim@127.0.0.1:1/?token=geheim", *how)
    assert done.returncode == 1, done.stderr
    assert "geheim" not in done.stdout + done.stderr
    assert "?***" in done.stdout or how == ("-q",)


@pytest.mark.parametrize(
    "words",
    [
        ["10061", "http://me:geheim@host.test:x/?token=geheim"],
        ["10061", "user:geheim@ho st:1"],
        ["10061", "h:1", "--timeout", "--token=geheim"],
        ["10061", "h:1", "--router", "http://me:geheim@h"],
        ["10061", "h:1", "http://h/?token=geheim"],
        ["replay", "/nowhere/https://me:geheim@x.test"],
        ["parse", "nothing is known of password=geheim"],
    ],
)
def test_standard_error_holds_no_secret(words: list[str]) -> None:
    done = wsadiag(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("wsadiag: ")
    assert "geheim" not in done.stderr


def test_no_format_of_a_check_holds_a_secret(tmp_path: Path) -> None:
    target = "https://me:geheim@127.0.0.1:1/x?token=geheim"
    (tmp_path / "c.toml").write_text(f'[[check]]\ntarget = "{target}"\nname = "with token=geheim"\n', encoding="utf-8")
    others = ("json", "jsonl", "junit", "tap", "github", "openmetrics", "markdown")
    places = [f"--format={name}={tmp_path}/{name}" for name in others]
    done = wsadiag("check", "--format=text", *places, str(tmp_path / "c.toml"), target)
    assert done.returncode == 5, done.stderr  # the proxy that is configured here has no address
    for said in (done.stdout, done.stderr, *((tmp_path / name).read_text(encoding="utf-8") for name in others)):
        assert "geheim" not in said
        assert "x?" in said or said == done.stderr == ""


def test_each_command_shows_what_is_asked_for(tmp_path: Path) -> None:
    target = "http://me:geheim@127.0.0.1:1/x?token=geheim"
    (tmp_path / "c.toml").write_text(f'[[check]]\ntarget = "{target}"\nname = "with token=geheim"\n', encoding="utf-8")
    report = tmp_path / "report.json"
    report.write_text(wsadiag("10061", target, "--json", "--show-secrets").stdout, encoding="utf-8")
    for words in (
        ["check", str(tmp_path / "c.toml"), target],
        ["watch", "10061", target, "--until", "fault"],
        ["replay", str(report), "--json"],
        ["report", str(report), "--to", str(tmp_path / "report.md")],
        ["compare", str(report), str(report), "--to", str(tmp_path / "report.md")],
    ):
        for option in ((), ("--show-secrets",)):
            done = wsadiag(*words, *option)
            assert done.returncode in (0, 1, 5), done.stderr
            written = tmp_path / "report.md"
            said = done.stdout + done.stderr + (written.read_text(encoding="utf-8") if written.exists() else "")
            written.unlink(missing_ok=True)
            assert ("geheim" in said) == (bool(option) and words[0] != "compare"), words


def test_a_report_of_more_text_than_any_run_makes_is_hidden_quickly() -> None:
    """What stands beyond a bound is hidden as a whole; what the report is judged by stays."""
    saved = from_json((ROOT / "tests/data/reports/accept-queue-full-local.nobody.json").read_bytes())
    texts = [f"{number} http://me:geheim@host.test/?x " + "plain words " * 300 for number in range(400)]
    began = time.process_time()
    hidden = without_secrets(replace(saved, request={**saved.request, "x": texts}), catalogue())
    assert time.process_time() - began < 20
    assert hidden.verdict == saved.verdict
    assert hidden.request["x"][-1] == "***"
    assert "geheim" not in str(hidden.request["x"])


ANSWERS = """
import socket
answer = b"HTTP/1.1 302 Found\\r\\nLocation: https://login.test/?token=geheim\\r\\nSet-Cookie: sid=geheim\\r\\n\\r\\n"
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        taken = server.accept()[0]
        taken.recv(4096)
        taken.sendall(answer)
        taken.close()
"""


def test_what_a_service_answers_holds_no_secret(tmp_path: Path) -> None:
    (tmp_path / "s").write_text(ANSWERS, encoding="utf-8")
    with subprocess.Popen([sys.executable, "s"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        address = f"http://127.0.0.1:{int(program.stdout.readline())}"
        done = wsadiag("10054", address, "--json")
        shown = wsadiag("10054", address, "--json", "--show-secrets")
        program.kill()
    assert "302 Found" in done.stdout
    for said, there in ((done.stdout, False), (shown.stdout, True)):
        assert ("geheim" in said) == there
        assert (b"geheim".hex() in said) == there


def test_no_line_about_words_that_mean_nothing_holds_a_secret() -> None:
    done = wsadiag("codes", "password=geheim")
    assert done.stderr == "wsadiag: no code matches password=***\n"


def test_standard_error_shows_what_was_asked_for() -> None:
    assert "me:geheim@h" in wsadiag("10061", "h:1", "--router", "http://me:geheim@h", "--show-secrets").stderr


def test_the_live_view_holds_no_secret(listener: int) -> None:
    seen = bytearray()
    main, other = pty.openpty()
    words = ["10048", f"http://me:geheim@127.0.0.1:{listener}/?token=geheim"]
    with subprocess.Popen(
        [sys.executable, "-m", "troubleshoot", *words], cwd=ROOT, stdout=other, stdin=subprocess.DEVNULL
    ):
        os.close(other)
        try:
            while data := os.read(main, 65536):
                seen += data
        except OSError:  # EIO: the other end is closed
            pass
    os.close(main)
    assert b"/?***" in seen
    assert b"geheim" not in seen
