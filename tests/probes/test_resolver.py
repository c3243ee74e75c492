"""The system's resolver in a child: it may die, be cut short or not be started at all, and nobody is harmed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from children import need_namespace, need_root

from probes.base import Budget, Context
from probes.bodies.resolve import observe
from probes.resolve import ResolveRequest
from probes.system import resolver

ROOT = Path(__file__).resolve().parents[2]
#: glibc aborts the process that reads a search domain of more than 255 letters (seen with 2.36 and 2.41).
DEADLY = f"search {'a' * 300}\nnameserver 127.0.0.1\n"


def ask(name: str, context: Context | None = None, family: int = socket.AF_UNSPEC) -> tuple[str, ...]:
    return asyncio.run(resolver.addresses_of(name, family, context or Context()))


def in_a_machine(tmp_path: Path, resolv: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a network and an ``/etc/resolv.conf`` of its own."""
    need_root()
    need_namespace()
    file = tmp_path / "resolv.conf"
    file.write_text(resolv, encoding="ascii")
    setup = f'mount --bind {file} /etc/resolv.conf && ip link set lo up && exec "$@"'
    return subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", setup, "sh", *command],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def children() -> list[int]:
    """Return the child processes of this one that are there, dead ones that nobody waited for included."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(word) for word in found.split()]


def test_it_says_what_getaddrinfo_says() -> None:
    before = children()
    said = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    assert ask("localhost") == tuple(dict.fromkeys(entry[4][0] for entry in said))
    assert ask("localhost", family=socket.AF_INET) == ("127.0.0.1",)
    assert children() == before


@pytest.mark.parametrize("name", ["-c", "a b.invalid", "..", "a" * 64])
def test_a_name_that_cannot_be_is_an_error_of_the_resolver(name: str) -> None:
    with pytest.raises((socket.gaierror, OSError)):
        ask(name)


def test_without_a_child_a_thread_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python3")
    assert "127.0.0.1" in ask("localhost")


def test_a_thread_that_nobody_waits_for_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answer.wait(20) and [])

    async def main() -> None:
        context = Context(budget=Budget(sockets=1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await resolver.addresses_of("slow.test", 0, context)
        second = asyncio.create_task(resolver.addresses_of("other.test", 0, context))
        await asyncio.sleep(0.1)
        assert threading.active_count() <= before + 1  # the second waits for the first one's place
        answer.set()
        async with asyncio.timeout(20):
            assert await second == ()

    before = threading.active_count()
    asyncio.run(main())


def test_a_literal_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **_: started.append(words))
    for name in ("192.0.2.1", "2001:db8::1", "fe80::1%lo"):
        found = asyncio.run(observe(ResolveRequest(name), Context(), lambda _: None))
        assert found.addresses == (name,)
    assert started == []


@pytest.mark.lab
def test_a_resolver_that_aborts_is_an_observation(tmp_path: Path) -> None:
    code = """
        import asyncio, json
        import msgspec
        from probes.base import Context
        from probes.bodies.resolve import observe
        from probes.resolve import ResolveRequest
        found = asyncio.run(observe(ResolveRequest("name.test", wait_s=0.3), Context(), lambda _: None))
        print(json.dumps([found.system.crashed, found.system.eai, found.system.finished, found.addresses]))
    """
    done = in_a_machine(tmp_path, DEADLY, sys.executable, "-c", textwrap.dedent(code))
    assert (done.returncode, done.stderr) == (0, "")
    crashed, *rest = json.loads(done.stdout)
    if crashed is None:
        pytest.skip("this C library survives a long search domain")
    assert (crashed, *rest) == ("SIGABRT", None, True, [])


@pytest.mark.lab
@pytest.mark.parametrize(("language", "told"), [("en", "crashes on name.test"), ("ko", "비정상 종료됨(SIGABRT)")])
def test_the_verdict_says_that_it_crashed(tmp_path: Path, language: str, told: str) -> None:
    """The name servers are healthy; what nobody can do is ask them by way of the C library."""
    if shutil.which("dnsmasq") is None:
        pytest.skip("dnsmasq is not installed")
    server = "dnsmasq --port=53 --no-resolv --no-hosts --listen-address=127.0.0.1 --bind-interfaces --pid-file="
    server += f" --user=root --address=/name.test/127.0.0.1 --keep-in-foreground --log-facility={tmp_path}/log"
    script = f'{server} & sleep 0.5; "$@"; status=$?; kill $!; exit $status'
    program = [sys.executable, "-m", "troubleshoot", "10061", "name.test:1", "-v", "--lang", language]
    done = in_a_machine(tmp_path, DEADLY, "env", "COLUMNS=200", "LC_ALL=C.UTF-8", "sh", "-c", script, "sh", *program)
    if done.returncode == 1:
        pytest.skip("this C library survives a long search domain")
    assert (done.returncode, done.stderr) == (3, "")
    assert told in done.stdout


SILENT = """
    import asyncio, os, socket, sys, threading, time
    from pathlib import Path
    from probes.base import Budget, Context
    from probes.bodies.resolve import observe
    from probes.resolve import ResolveRequest
    from probes.system import resolver

    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 53))

    def children():
        return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())

    most = [0, 0]

    async def watch():
        while True:
            most[:] = max(most[0], children()), max(most[1], threading.active_count())
            await asyncio.sleep(0.01)

    async def main():
        watching = asyncio.create_task(watch())
        context = Context(budget=Budget(sockets=4))
        asked = [resolver.addresses_of(f"n{i}.test", 0, context) for i in range(24)]
        began = time.monotonic()
        async with asyncio.timeout(3):
            await asyncio.gather(*asked)

    try:
        asyncio.run(main())
    except TimeoutError:
        pass
    print(most, children())
"""


@pytest.mark.lab
def test_no_more_ask_at_once_than_the_budget_allows_and_none_is_left(tmp_path: Path) -> None:
    done = in_a_machine(tmp_path, "nameserver 127.0.0.1\n", sys.executable, "-c", textwrap.dedent(SILENT))
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "[4, 1] 0\n")


@pytest.mark.lab
def test_nobody_waits_for_a_resolver_that_waits(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "troubleshoot", "11001", "name.test", "--timeout", "1", "--json"]
    server = "import socket, subprocess, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
    server += "s.bind(('127.0.0.1', 53)); sys.exit(subprocess.call(sys.argv[1:]))"
    done = in_a_machine(tmp_path, "nameserver 127.0.0.1\n", sys.executable, "-c", server, *program)
    assert done.returncode in (1, 3), done.stderr
    report = json.loads(done.stdout)
    assert report["duration_ms"] < 2000
    (record,) = [one for one in report["probes"] if one["probe"] == "resolve"]
    system = (record["result"] or {}).get("system")  # cut short, it may have nothing to tell at all
    assert system is None or system["crashed"] is None


def test_a_slot_is_given_back_however_it_ends() -> None:
    async def main() -> None:
        context = Context(budget=Budget(sockets=1))
        for name in ("localhost", "-", "localhost"):
            try:
                async with asyncio.timeout(20):
                    await resolver.addresses_of(name, socket.AF_UNSPEC, context)
            except OSError:
                pass
        waiting = asyncio.create_task(resolver.addresses_of("localhost", socket.AF_UNSPEC, context))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        async with asyncio.timeout(20):
            assert await resolver.addresses_of("localhost", socket.AF_INET, context) == ("127.0.0.1",)

    asyncio.run(main())
    assert children() == []
