"""A port on which TLS is expected and that sends noise is at fault for just that."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

Words = Callable[[socket.socket], None]


def at_once(taken: socket.socket) -> None:
    taken.sendall(os.urandom(300))
    taken.recv(1)


def after_the_hello(taken: socket.socket) -> None:
    taken.recv(4096)
    taken.sendall(os.urandom(300))
    taken.recv(1)


def a_record_of_noise(taken: socket.socket) -> None:
    taken.recv(4096)
    taken.sendall(b"\x16\x03\x03\x00\x7a" + os.urandom(0x7A))
    taken.recv(1)


def half_a_hello(taken: socket.socket) -> None:
    taken.recv(4096)
    taken.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76" + os.urandom(10))


@contextmanager
def serving(words: Words) -> Iterator[int]:
    def talk(taken: socket.socket) -> None:
        with taken, suppress(OSError):
            words(taken)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def for_ever(taken: socket.socket) -> None:
    while True:
        taken.sendall(os.urandom(4096))


def words(taken: socket.socket) -> None:
    taken.recv(4096)
    taken.sendall(b"hello there\r\n")
    taken.recv(1)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("10054", at_once), ("10061", after_the_hello), ("10060", a_record_of_noise), ("10054", half_a_hello),
        ("10053", for_ever), ("10060", words),
    ],
)  # fmt: skip
def test_noise_is_no_health_and_no_alert(code: str, said: Words) -> None:
    """What came was no handshake: that is the verdict, and nobody is said to have refused one."""
    with serving(said) as port:
        command = [sys.executable, "-m", "troubleshoot", "--json", code, f"https://127.0.0.1:{port}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    report = json.loads(done.stdout)
    verdict = report["verdict"]
    assert (verdict["outcome"], verdict["cause"]) == ("fault", "tls-failed"), verdict["summary"]
    services = [one["result"] for one in report["probes"] if one["probe"] == "service" and one["result"]]
    assert all(found["outcome"] != "tls-alert" for found in services)
    assert "alert" not in verdict["summary"]
