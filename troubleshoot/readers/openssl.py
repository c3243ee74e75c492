"""``openssl s_client``: what a handshake came to, and the certificate.

Source: openssl-s_client(1), recorded outputs.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from probes.service import ServiceOutcome, ServiceResult, TlsFacts
from troubleshoot.readers import errors
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Connection, LookUp, Reading, Served, Walk
from troubleshoot.readers.moments import iso
from troubleshoot.readers.words import address, first_address

COMMANDS = ("openssl",)
_CONNECT = re.compile(r"-connect\s+(?P<where>\S{3,300})")
_CHAIN = re.compile(r"^\s*(?P<depth>\d{1,2}) s:\s?(?P<subject>.{1,400})$")
_ISSUER = re.compile(r"^\s+i:\s?(?P<issuer>.{1,400})$")
_DATES = re.compile(r"^\s+v:NotBefore: (?P<first>.{20,30}); NotAfter: (?P<last>.{20,30})$")
_VERIFY = re.compile(
    r"^(?:\s*Verify return code:|verify error:num=) ?(?P<number>\d{1,4})(?:\s\(|:)(?P<why>[^)]{1,200})\)?$"
)
_NEW = re.compile(r"^New, (?P<version>\S+?),? Cipher is (?P<cipher>\S+)$")
_VERSION = re.compile(r"^\s+Protocol\s*: (?P<version>\S+)$")
_ALERT = re.compile(r"alert (?P<alert>[a-z][a-z ]{2,40})")
_CONNECTED = re.compile(r"^CONNECTED\([0-9A-F]+\)$")


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line."""
    return bool(_CONNECTED.match(line)) or bool(re.match(r"^[0-9A-F]{8,16}:error:.*BIO_connect", line))


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read one handshake. To whom it was is said by the command line alone."""
    walk, page = Walk(block), _Page(block)
    for line in walk:
        if not page.take(line.rstrip()):
            walk.leave()
    return walk.reading(None, page.seen())


class _Page:
    """The output as it is read."""

    def __init__(self, block: Block) -> None:
        typed = _CONNECT.search(block.typed)
        host, _, port = (typed["where"] if typed else "").rpartition(":")
        self.host = host.strip("[]\"'") or None
        self.port = int(port.strip("\"'")[:6]) if port.strip("\"'").isdigit() else None
        self.tls = TlsFacts()
        self.connected = False
        self.shaken = False
        self.alert: str | None = None
        self.ended: ServiceOutcome | None = None
        self.failed: tuple[str, Any] | None = None
        self.chain: list[str] = []
        self.peer: str | None = None
        self.inside = ""

    def take(self, line: str) -> bool:
        """Take a line; false where it is no line of s_client."""
        if "-----BEGIN" in line or "-----END" in line:
            self.inside = "certificate" if "BEGIN" in line else ""
            return True
        if self.inside == "certificate":
            return True
        if _CONNECTED.match(line):
            self.connected = True
            return True
        return (
            self._paper(line)
            or self._state(line)
            or self._error(line)
            or self.connected
            or line.startswith(("Connecting to", "depth=", "verify return:"))
        )

    def _paper(self, line: str) -> bool:
        chain, issuer, dates = _CHAIN.match(line), _ISSUER.match(line), _DATES.match(line)
        if chain is not None:
            self.chain.append(chain["subject"])
            if chain["depth"] == "0":
                self.tls = replace(self.tls, subject=chain["subject"])
        elif issuer is not None:
            self.tls = replace(self.tls, issuer=self.tls.issuer or issuer["issuer"], last_issuer=issuer["issuer"])
        elif dates is not None and len(self.chain) == 1:
            self.tls = replace(self.tls, not_before=iso(dates["first"]), not_after=iso(dates["last"]))
        else:
            return False
        return True

    def _state(self, line: str) -> bool:
        verify, new, version = _VERIFY.match(line), _NEW.match(line), _VERSION.match(line)
        if verify is not None:
            number = int(verify["number"])
            trusted = number == 0
            self.tls = replace(self.tls, verify_code=number, verify_error=None if trusted else verify["why"].strip())
        elif new is not None:
            self.shaken = new["cipher"] not in ("(NONE)", "0000")
            if self.shaken:
                self.tls = replace(self.tls, version=new["version"], cipher=new["cipher"])
        elif version is not None and self.shaken:
            self.tls = replace(self.tls, version=version["version"])
        else:
            return False
        return True

    def _error(self, line: str) -> bool:
        if line.startswith("Connecting to "):
            self.peer = first_address(line)
            return True
        if ":error:" not in line and not line.startswith(("connect:errno", "write:errno", "read:errno")):
            return False
        alert, told = _ALERT.search(line), errors.call(line)
        if alert is not None:
            self.alert = alert["alert"].strip().replace(" ", "_")
        elif "BIO_connect" in line or "connect error" in line:
            self.failed = told or self.failed
        elif "unexpected eof" in line:
            self.ended = ServiceOutcome.CLOSES
        elif line.startswith(("write:errno=104", "read:errno=104")) or "reset" in line:
            self.ended = ServiceOutcome.RESETS
        elif line.startswith(("write:errno=0", "read:errno=0")):
            self.ended = ServiceOutcome.CLOSES
        elif "wrong version number" in line or "packet length too long" in line:
            self.ended = ServiceOutcome.TLS_FAILED
            self.tls = replace(self.tls, error=line.rpartition(":")[2] or "wrong version number")
        return True

    def seen(self) -> list[Any]:
        """Return what was read."""
        found: list[Any] = []
        where = address(self.host or "") or self.peer
        if self.host is not None and self.port is not None and self.port < 65536:
            if address(self.host) is None and self.peer is not None:
                found.append(LookUp(name=self.host, addresses=(self.peer,)))
            if self.connected or self.failed is not None:
                errno, word = self.failed or (None, None)
                found.append(
                    Connection(
                        name=self.host,
                        address=where,
                        port=self.port,
                        connected=self.connected,
                        failure=None if self.connected else word,
                        errno=None if self.connected else errno,
                    )
                )
            outcome = self._outcome()
            if outcome is not None:
                tls = replace(self.tls, chain=tuple(self.chain), alert=self.alert)
                found.append(
                    Served(name=self.host, result=ServiceResult(where or "", self.port, outcome, tls=tls, rung="tls"))
                )
        return found

    def _outcome(self) -> ServiceOutcome | None:
        if not self.connected:
            return None
        if self.alert is not None:
            return ServiceOutcome.TLS_ALERT
        if self.shaken:
            return ServiceOutcome.TLS_OK
        return self.ended
