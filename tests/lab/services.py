"""Real services in lab namespaces: one process serves them all and ends when its standard input does.

Reads JSON on standard input's first line, a list of ``{namespace, kind, port, hosts, transport}``; prints ``READY``.
Kinds over TCP: ``echo``, ``banner`` (speaks first), ``bulk`` (sends 64 KiB at once), ``http``, ``tls-alert`` (answers a
TLS hello with the alert handshake_failure), ``tls`` (a handshake with a certificate), ``page`` (HTTP with 6 KiB),
``silent`` (accepts, says nothing), ``reset`` and ``close`` (at once after accepting), ``slow-accept`` (after half a
second), ``full`` (never accepts, queue kept full), ``ftp:ADDRESS:PORT`` (greets and gives that for PASV and EPSV);
over UDP: ``echo``, ``silent``; over both ``dns:RCODE``, which answers every question with that rcode, and the ways of
``UNFIT``, which send back what is no answer to a question.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def namespace(name: str) -> Iterator[None]:
    """Put this thread into the network namespace ``name`` for a while; sockets opened inside stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def listener(host: str, port: int, transport: str, backlog: int) -> socket.socket:
    """Open one listening socket; an IPv6 one leaves IPv4 alone."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.bind((host, port))
    if transport == "tcp":
        opened.listen(backlog)
    opened.setblocking(False)
    return opened


def dns_reply(query: bytes, rcode: int) -> bytes:
    """The question sent back with ``rcode`` and no answer (RFC 1035, section 4.1)."""
    end = 12
    while end < len(query) and query[end]:
        end += query[end] + 1
    return query[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, 0, 0, 0) + query[12 : end + 5]


def ftp_reply(data: bytes, address: str, port: str) -> bytes:
    """What passive mode is answered with (RFC 959, section 4.2; RFC 2428, section 3)."""
    high, low = divmod(int(port), 256)
    known = {
        b"PASV": f"227 Entering Passive Mode ({address.replace('.', ',')},{high},{low}).\r\n",
        b"EPSV": f"229 Entering Extended Passive Mode (|||{port}|)\r\n",
        b"QUIT": "221 bye\r\n",
    }
    return known.get(data[:4].upper(), "530 Please login\r\n").encode("ascii")


#: What a broken or hostile name server sends back for a question: no answer to it.
UNFIT: dict[str, Callable[[bytes], bytes]] = {
    "wrong-id": lambda query: bytes([query[0] ^ 0x55]) + dns_reply(query, 0)[1:],
    "wrong-question": lambda query: dns_reply(query[:12] + b"\x05other\x04test\0\0\1\0\1", 0),
    "sent-back": bytes,
    "noise": lambda query: query[:2] + b"\x81\x80" + b"\xff" * 40,
}


class Server:
    """All the services of one lab, on one selector."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.kept: list[socket.socket] = []
        self.settings: ssl.SSLContext | None = None

    def watch(self, opened: socket.socket, ready: Callable[[socket.socket], None]) -> None:
        self.selector.register(opened, selectors.EVENT_READ, ready)

    def drop(self, opened: socket.socket) -> None:
        self.selector.unregister(opened)
        opened.close()

    def add(self, kind: str, host: str, port: int, transport: str) -> None:
        opened = listener(host, port, transport, 0 if kind == "full" else 64)
        if transport == "udp":
            self.watch(opened, lambda s: self.datagram(s, kind))
        elif kind == "full":
            self.kept.append(opened)
            for _ in range(3):  # a backlog of 0 holds one connection; the others see to it that it stays full
                filler = socket.socket(opened.family, socket.SOCK_STREAM)
                filler.setblocking(False)
                local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
                filler.connect_ex((local, port))
                self.kept.append(filler)
        else:
            if kind == "tls":
                self.paper()
            self.watch(opened, lambda s: self.accept(s, kind))

    def paper(self) -> None:
        """Make a certificate, once."""
        if self.settings is None:
            with tempfile.NamedTemporaryFile(suffix=".pem") as file:
                words = "req -x509 -newkey rsa:4096 -nodes -days 2 -subj /CN=server.test -keyout - -out -"
                done = subprocess.run(["openssl", *words.split()], capture_output=True, check=True)
                file.write(done.stdout)
                file.flush()
                self.settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self.settings.load_cert_chain(file.name)

    def shake(self, connection: socket.socket) -> None:
        """Shake hands, and wait for the client to go away."""
        assert self.settings is not None
        with suppress(OSError), self.settings.wrap_socket(connection, server_side=True) as inside:
            inside.recv(4096)

    def datagram(self, opened: socket.socket, kind: str) -> None:
        data, sender = opened.recvfrom(4096)
        if kind.startswith("dns:"):
            data = dns_reply(data, int(kind[4:]))
        data = UNFIT[kind](data) if kind in UNFIT else data
        if kind != "silent":
            opened.sendto(data, sender)

    def accept(self, opened: socket.socket, kind: str) -> None:
        if kind == "slow-accept":
            time.sleep(0.5)
        connection, _ = opened.accept()
        if kind == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if kind in ("reset", "close"):
            connection.close()
            return
        if kind.startswith("ftp:"):
            connection.sendall(b"220 lab FTP ready\r\n")
        if kind == "banner":
            secure = connection.getsockname()[1] == 22
            connection.sendall(b"SSH-2.0-lab\r\n" if secure else b"220 lab service ready\r\n")
        if kind == "bulk":
            connection.sendall(b"220 " + b"x" * 65_530 + b"\r\n")
        if kind == "tls":
            threading.Thread(target=self.shake, args=(connection,), daemon=True).start()
            return
        connection.setblocking(False)
        self.watch(connection, lambda s: self.talk(s, kind))

    def talk(self, connection: socket.socket, kind: str) -> None:
        try:
            data = connection.recv(4096)
        except OSError:
            data = b""
        if not data:
            self.drop(connection)
        elif kind == "http":
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
            self.drop(connection)
        elif kind == "page":
            if data.endswith(b"\r\n\r\n"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6144\r\n\r\n" + b"x" * 6144)
        elif kind == "tls-alert":
            connection.sendall(bytes([21, 3, 3, 0, 2, 2, 40]))  # RFC 8446, sections 5.1 and 6.2
            self.drop(connection)
        elif kind in UNFIT:
            reply = UNFIT[kind](data[2:])
            connection.sendall(struct.pack("!H", len(reply)) + reply)
        elif kind.startswith("dns:"):
            reply = dns_reply(data[2:], int(kind[4:]))
            connection.sendall(struct.pack("!H", len(reply)) + reply)
        elif kind.startswith("ftp:"):
            connection.sendall(ftp_reply(data, *kind[4:].split(":")))
        elif kind in ("echo", "banner"):
            connection.sendall(data)

    def serve(self) -> None:
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is sys.stdin:
                    return
                assert isinstance(key.fileobj, socket.socket)
                with suppress(OSError):  # the peer is gone
                    key.data(key.fileobj)


def main() -> None:
    server = Server()
    for entry in json.loads(sys.stdin.readline()):
        with namespace(entry["namespace"]):
            for host in entry["hosts"]:
                server.add(entry["kind"], host, entry["port"], entry["transport"])
    print("READY", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
