"""Faults above the handshake: services that say no, speak something else, or show a bad certificate; a filter of names.

Certificates are made by papers.py; the client trusts their authority, in its own /etc/ssl.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass

from tests.lab import papers
from tests.lab.faults import fault, listeners, require, value
from tests.lab.topology import HERE, NETNS_ETC, Lab

#: The least that a link of the lab takes, both ways, several times over.
PATIENCE_S = 3.0
#: What services say, by a name, and whether at once or once they are spoken to.
WORDS = {
    "ssh": ("says", "SSH-2.0-lab\r\n"),
    "ssh-crowded": ("says", "Exceeded MaxStartups\r\n"),
    "ftp": ("says", "220 ready\r\n"),
    "ftp-crowded": ("says", "421 Too many connections (8) from this IP\r\n"),
    "smtp-blocked": ("says", "554 5.7.1 Service unavailable; client host blocked\r\n"),
    # MySQL's error packet: its length, number 0, ff, the error 1129 with its lower byte first, the words
    "mysql-blocked": ("says", "\x43\0\0\0\xff\x69\x04Host 'client' is blocked because of many connection errors"),
    "redis": ("answers", "+PONG\r\n"),
    "redis-blocked": ("answers", "-DENIED Redis is running in protected mode because protected mode is enabled\r\n"),
    **{
        f"page-{status}": (
            "answers",
            f"HTTP/1.1 {status} Lab\r\nDate: %DATE%\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
        for status in (200, 400, 404, 429, 500, 502, 503)
    },
}


@fault("speaker")
@dataclass(frozen=True)
class Speaker:
    """A service on ``node`` that says ``words`` (of WORDS); ``paper`` is the kind of its certificate (papers.py).

    ``says`` is how it does so (a kind of speakers.py) where that is another way; every ``every``-th connection gets
    ``other`` words. ``days`` is how far the days of a bad certificate are off, ``ahead`` how far its clock is.
    """

    words: str = "page-200"
    other: str = ""
    says: str = ""
    every: int = 0
    leaves: bool = False
    paper: str = ""
    version: str = ""
    client: bool = False
    named: str = ""
    ahead: int = 0
    days: int = 10
    port: str = "{port}"
    node: str = "server"

    def inject(self, lab: Lab) -> None:
        says, text = WORDS[self.words]
        entry = asdict(self) | {"kind": self._kind(says), "text": text, "namespace": lab.ns(self.node)}
        entry |= {"hosts": ("0.0.0.0", "::"), "port": int(lab.fill(self.port)), "named": lab.fill(self.named)}
        entry["lax"] = self.paper == "weak"
        entry["other"] = WORDS[self.other][1] if self.other else ""
        if self.paper:
            entry["paper"], authority = self._papers(lab)
            entry["client"] = authority if self.client else ""
        child = lab.spawn(self.node, [sys.executable, "-Es", str(HERE / "speakers.py")], first_line=json.dumps([entry]))
        lab._await_ready(child)

    def _kind(self, usual: str) -> str:
        return self.says or ("tls" if self.paper else usual)

    def _papers(self, lab: Lab) -> tuple[str, str]:
        """Make the certificate, have the client trust its authority, and return the files of both."""
        folder = NETNS_ETC / lab.ns("client") / "ssl" / "certs"
        folder.mkdir(parents=True, exist_ok=True)
        names = [lab.values["name"], lab.values["server"], lab.values["server6"]]
        chain, key, authority = papers.issue(folder, names, self.paper, days=self.days)
        paper, trusted = folder / "paper.pem", folder / "ca-certificates.crt"
        paper.write_bytes(key.read_bytes() + chain.read_bytes())
        authority.rename(trusted)
        return str(paper), str(trusted)

    def verify(self, lab: Lab) -> None:
        require(bool(listeners(lab, self.node, lab.fill(self.port))), f"{self}: ss shows no listener")
        address = value(lab, self.node, 4)
        with lab.inside("neighbour"), socket.create_connection((address, int(lab.fill(self.port))), PATIENCE_S) as met:
            if self._kind(WORDS[self.words][0]) == "says":
                require(bool(met.recv(100)), f"{self}: it does not speak")
            elif self.paper and not self.version and not self.named:
                shown = self._shown(met, lab.values["name"])
                paper = (NETNS_ETC / lab.ns("client") / "ssl" / "certs" / "paper.pem").read_text(encoding="ascii")
                require(
                    bool(shown) and ssl.DER_cert_to_PEM_cert(shown).strip() in paper, f"{self}: another certificate"
                )

    @staticmethod
    def _shown(met: socket.socket, name: str) -> bytes:
        settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        settings.check_hostname, settings.verify_mode = False, ssl.CERT_NONE
        with settings.wrap_socket(met, server_hostname=name) as inside:
            return inside.getpeercert(binary_form=True) or b""


@fault("name-filter")
@dataclass(frozen=True)
class NameFilter:
    """Router ``router`` resets both sides of a connection that says ``word``, as filters of server names do."""

    router: int
    word: str = "{name}"

    def inject(self, lab: Lab) -> None:
        node = f"router{self.router}"
        entry = json.dumps({"interface": "e0", "port": 0, "ttl": None, "word": lab.fill(self.word)})
        child = lab.spawn(node, [sys.executable, "-SEs", str(HERE / "forger.py")], first_line=entry)
        lab._await_ready(child)

    def verify(self, lab: Lab) -> None:
        settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        settings.check_hostname, settings.verify_mode = False, ssl.CERT_NONE
        for name, passes in ((lab.fill(self.word), False), ("other.test", True)):
            through = False
            with (
                suppress(OSError),
                lab.inside("neighbour"),
                socket.create_connection((value(lab, "server", 4), 443), PATIENCE_S) as met,
            ):
                settings.wrap_socket(met, server_hostname=name).close()
                through = True
            require(through is passes, f"{self}: {name} {'passes' if through else 'does not pass'}")
