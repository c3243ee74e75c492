"""Servers of this test's own that answer as FTP servers do, and the ways that they name."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import closing, suppress

import pytest

from probes.base import Context
from probes.failure import Failure
from probes.ftp_data import PROBE, FtpDataRequest, FtpDataResult

_WELL = b"220-Welcome\r\n here\r\n220 ready\r\n"


class Server:
    """Greets, and answers each word that it knows; ``port`` listens, and so does ``data`` until it is closed.

    With ``stops`` that is at the next word, as real servers do.
    """

    def __init__(self, answers: dict[bytes, str], greeting: bytes = _WELL) -> None:
        self.heard: list[bytes] = []
        self.stops = False
        self.data = socket.create_server(("127.0.0.1", 0))
        number = self.data.getsockname()[1]
        self.values = {"high": number // 256, "low": number % 256, "port": number}
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._serve, args=(answers, greeting), daemon=True).start()

    def _serve(self, answers: dict[bytes, str], greeting: bytes) -> None:
        with suppress(OSError):
            one, _ = self.listening.accept()
            with closing(one):
                one.sendall(greeting)
                while data := one.recv(4096):
                    if self.stops and data.startswith((b"QUIT", b"EPSV")):
                        self.data.close()
                    word = data.strip().upper()
                    self.heard.append(word)
                    one.sendall(answers.get(word, "500 what?\r\n").format(**self.values).encode("ascii"))


def look(server: Server) -> FtpDataResult:
    """Run the probe, and close what is left open of the server."""
    request = FtpDataRequest("127.0.0.1", server.port, wait_s=1.0)
    context = Context()
    with server.data, server.listening:
        result = asyncio.run(PROBE.observe(request, context, lambda _: None))
    assert context.packets_sent <= PROBE.most_packets(request)
    return result


PASV = "227 Entering Passive Mode (127,0,0,1,{high},{low}).\r\n"
EPSV = "229 Entering Extended Passive Mode (|||{port}|)\r\n"


@pytest.mark.parametrize(
    "answers", [{b"PASV": PASV}, {b"EPSV": EPSV}, {b"PASV": PASV.replace("(", "").replace(")", "")}]
)
def test_the_way_is_tried(answers: dict[bytes, str]) -> None:
    server = Server(answers)
    result = look(server)
    assert [(way.address, way.port, way.connected) for way in result.ways] == [
        ("127.0.0.1", server.values["port"], True)
    ]
    assert (result.greeting, result.reply) == (220, 227 if b"PASV" in answers else 229)
    assert not set(server.heard) - {b"PASV", b"EPSV", b"QUIT"}, "nobody logs in"


def test_a_port_that_is_shut_is_told() -> None:
    server = Server({b"PASV": PASV})
    server.data.close()
    (way,) = look(server).ways
    assert (way.connected, way.failure, way.errno) == (False, Failure.REFUSED, "ECONNREFUSED")


def test_another_address_is_told_beside_the_servers_own() -> None:
    result = look(Server({b"PASV": "227 Passive (127,0,0,2,{high},{low})\r\n"}))
    assert result.announced == "127.0.0.2"
    assert [(way.address, way.connected) for way in result.ways] == [("127.0.0.2", False), ("127.0.0.1", True)]


@pytest.mark.parametrize(
    ("answers", "reply"),
    [
        ({b"PASV": "530 Please login with USER and PASS.\r\n"}, 530),
        ({b"PASV": "227 no numbers\r\n"}, 227),
        ({b"PASV": "227 (1,2,3,4,300,1)\r\n"}, 227),
        ({}, 500),
    ],
)
def test_without_a_port_nothing_is_tried(answers: dict[bytes, str], reply: int) -> None:
    result = look(Server(answers))
    assert (result.reply, result.port, result.ways) == (reply, None, ())


def test_both_words_are_tried_while_the_first_connection_stands() -> None:
    server = Server({b"PASV": PASV.replace("{low}", "9"), b"EPSV": EPSV})
    result = look(server)
    assert [(way.word, way.connected) for way in result.ways] == [("PASV", False), ("EPSV", True)]
    assert server.heard == [b"PASV", b"EPSV", b"QUIT"]


def test_a_server_that_listens_as_long_as_its_session_lasts_is_well() -> None:
    server = Server({b"PASV": PASV})
    server.stops = True
    assert [way.connected for way in look(server).ways] == [True]


@pytest.mark.parametrize("greeting", [b"421 Too many users\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_who_does_not_greet_well_is_asked_nothing(greeting: bytes) -> None:
    server = Server({b"PASV": PASV}, greeting)
    assert look(server).ways == ()
    assert server.heard == []
