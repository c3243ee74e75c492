"""Services that say something, in lab namespaces: what they say, and how they hang up, is given to them.

Reads JSON on standard input's first line, a list of ``{namespace, port, hosts, kind, …}``; prints ``READY``; ends when
standard input does. Kinds:

- ``says``: sends ``text`` at once; every ``every``-th connection gets ``other`` instead. Hangs up after ``other``, and
  after ``text`` where ``leaves`` is true
- ``answers``: waits for the client, sends ``text`` and hangs up
- ``announced``: answers so behind a PROXY line, and resets whoever sends none
- ``tls``: shakes hands with the certificate in ``paper`` and then does as ``answers``; ``version`` is the only one that
  it takes, ``lax`` lets it show a certificate of whatever strength, ``client`` a file of authorities of which a client
  must have a certificate, ``named`` resets a hello that does not hold that name

``%DATE%`` in a text is the time ``ahead`` days from now, as HTTP writes it. Nothing but the standard library.
"""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import struct
import sys
import threading
import time
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from services import listener, namespace

DAY_S = 86_400


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def wording(entry: dict[str, Any], key: str = "text") -> bytes:
    date = formatdate(time.time() + DAY_S * entry.get("ahead", 0), usegmt=True)
    return str(entry.get(key, "")).replace("%DATE%", date).encode("latin-1")


def settings(entry: dict[str, Any]) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if entry.get("version"):
        made.set_ciphers("ALL:@SECLEVEL=0")
        made.minimum_version = made.maximum_version = ssl.TLSVersion[entry["version"]]
    if entry.get("lax"):
        made.set_ciphers("DEFAULT:@SECLEVEL=0")
    made.load_cert_chain(entry["paper"])
    if entry.get("client"):
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(entry["client"])
    return made


def says(connection: socket.socket, entry: dict[str, Any], number: int) -> None:
    other = bool(entry.get("every")) and number % entry["every"] == 0
    connection.sendall(wording(entry, "other" if other else "text"))
    if not other and not entry.get("leaves"):
        connection.recv(4096)
        time.sleep(0.2)


def answers(connection: socket.socket, entry: dict[str, Any], _number: int) -> None:
    if connection.recv(4096):
        connection.sendall(wording(entry))


def announced(connection: socket.socket, entry: dict[str, Any], number: int) -> None:
    if connection.recv(4096, socket.MSG_PEEK).startswith(b"PROXY "):
        answers(connection, entry, number)
    else:
        reset(connection)


def tls(connection: socket.socket, entry: dict[str, Any], number: int) -> None:
    name = entry.get("named", "").encode()
    if name and name not in connection.recv(4096, socket.MSG_PEEK):
        connection.recv(4096)
        reset(connection)
        return
    with settings(entry).wrap_socket(connection, server_side=True) as inside:
        answers(inside, entry, number)


KINDS = {"says": says, "answers": answers, "announced": announced, "tls": tls}


def serve(opened: socket.socket, entry: dict[str, Any]) -> None:
    opened.setblocking(True)

    def treat(connection: socket.socket, number: int) -> None:
        with suppress(OSError, ssl.SSLError), connection:
            KINDS[entry["kind"]](connection, entry, number)

    for number in itertools.count(1):
        connection, _ = opened.accept()
        threading.Thread(target=treat, args=(connection, number), daemon=True).start()


def main() -> None:
    for entry in json.loads(sys.stdin.readline()):
        with namespace(entry["namespace"]):
            for host in entry["hosts"]:
                opened = listener(host, entry["port"], "tcp", 64)
                threading.Thread(target=serve, args=(opened, entry), daemon=True).start()
    print("READY", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
