"""A port on which TLS is expected and that sends noise is never called healthy for certain."""

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


@pytest.mark.parametrize(
    ("code", "words"),
    [("10054", at_once), ("10061", after_the_hello), ("10060", a_record_of_noise), ("10054", half_a_hello)],
)
def test_noise_is_no_health(code: str, words: Words) -> None:
    with serving(words) as port:
        command = [sys.executable, "-m", "troubleshoot", "--json", code, f"https://127.0.0.1:{port}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    verdict = json.loads(done.stdout)["verdict"]
    assert (verdict["outcome"], verdict["confidence"]) != ("healthy", "certain"), verdict["summary"]
