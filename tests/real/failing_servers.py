"""Servers that fail on purpose, for ``run_clients``: ``python failing_servers.py s|c FOLDER``.

In the server's namespace (``s``) those that clients connect to, in the client's (``c``) a name server that knows no
name. Prints ``ready`` and serves until it is killed.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

Serve = Callable[[socket.socket], None]

#: PostgreSQL's ErrorResponse, MySQL's ERR_Packet and greeting; what each sends when it is full.
_POSTGRES = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0Fproc.c\0L400\0RInitProcess\0\0"
_MYSQL_ERROR = b"\xff\x10\x04#08004Too many connections"
_MYSQL_GREETING = (
    b"\x0a10.11.6-MariaDB\0" + struct.pack("<I", 7) + b"abcdefgh\0" + struct.pack("<HBHH", 0xFFFF, 45, 2, 0x81FF)
    + b"\x15" + bytes(10) + b"ijklmnopqrst\0mysql_native_password\0"
)  # fmt: skip


def _packet(body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + b"\0" + body


def _line(opened: socket.socket, wait_s: float) -> bytes:
    opened.settimeout(wait_s)
    with contextlib.suppress(OSError):
        return opened.recv(4096)
    return b""


def _resets(opened: socket.socket) -> None:
    _line(opened, 0.3)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _http(opened: socket.socket) -> None:
    _line(opened, 5)
    opened.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def _postgres(opened: socket.socket) -> None:
    if _line(opened, 5)[4:8] == b"\x04\xd2\x16\x2f":  # may I speak TLS?
        opened.sendall(b"N")
        _line(opened, 5)
    opened.sendall(b"E" + struct.pack(">I", len(_POSTGRES) + 4) + _POSTGRES)
    _line(opened, 0.3)


def _mysql(opened: socket.socket) -> None:
    opened.sendall(_packet(_MYSQL_ERROR))
    _line(opened, 0.3)


def _redis(opened: socket.socket) -> None:
    opened.sendall(b"-ERR max number of clients reached\r\n")
    _line(opened, 0.3)


def _ssh(opened: socket.socket) -> None:
    opened.sendall(b"Exceeded MaxStartups\r\n")
    _line(opened, 0.3)


def _tls(settings: ssl.SSLContext, opening: bytes = b"", answer: bytes = b"", asked: int = 0) -> Serve:
    def serve(opened: socket.socket) -> None:
        opened.settimeout(5)
        opened.sendall(opening)
        if asked:
            opened.recv(asked)
        opened.sendall(answer)
        with settings.wrap_socket(opened, server_side=True) as inside:
            inside.recv(100)

    return serve


def _accept(port: int, serve: Serve) -> None:
    listener = socket.create_server(("", port), backlog=64)

    def one(opened: socket.socket) -> None:
        with opened, contextlib.suppress(OSError):
            serve(opened)

    def run() -> None:
        while True:
            taken, _ = listener.accept()
            threading.Thread(target=one, args=(taken,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()


def _servers(folder: Path) -> None:
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(folder / "served.pem")
    served: dict[int, Serve] = {
        7001: _resets, 8080: _http, 5432: _postgres, 3306: _mysql, 6379: _redis, 22: _ssh, 8443: _tls(settings),
        5433: _tls(settings, answer=b"S", asked=8), 3307: _tls(settings, opening=_packet(_MYSQL_GREETING), asked=36),
    }  # fmt: skip
    for port, serve in served.items():
        _accept(port, serve)
    daemon = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if daemon is not None:
        words = f'mount -t tmpfs none /run && mkdir /run/sshd && exec {daemon} -D -p 2222 -h "$0" -o PidFile=none'
        child = subprocess.Popen(["unshare", "--mount", "sh", "-c", words, str(folder / "key")])
        signal.signal(signal.SIGTERM, lambda *_: (child.kill(), sys.exit(0)))


def _no_names() -> None:
    asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asked.bind(("127.0.0.1", 53))

    def run() -> None:
        while True:
            query, sender = asked.recvfrom(2000)
            end = query.index(b"\0", 12) + 5
            authority = b"\0" + struct.pack(">HHIH", 6, 1, 60, 22) + bytes(2) + struct.pack(">5I", 1, 1, 1, 1, 60)
            header = query[:2] + struct.pack(">5H", 0x8583, 1, 0, 1, 0)
            asked.sendto(header + query[12:end] + authority, sender)

    threading.Thread(target=run, daemon=True).start()


if __name__ == "__main__":
    if sys.argv[1] == "s":
        _servers(Path(sys.argv[2]))
    else:
        _no_names()
    print("ready", flush=True)
    while True:
        time.sleep(3600)
