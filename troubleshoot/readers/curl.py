"""``curl -v``: look-up, connection, handshake and the head of an answer. Source: curl(1), recorded outputs.

Lines that begin with ``*`` are curl's own, ``>`` what it said, ``<`` what the server said.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from probes.failure import Failure
from probes.service import HttpFacts, ServiceOutcome, ServiceResult, TlsFacts
from troubleshoot.readers import errors
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Connection, LookUp, Reading, Served, Walk
from troubleshoot.readers.words import address

COMMANDS = ("curl",)
_TRYING = re.compile(r"^\*\s+Trying (?P<address>\[?[0-9A-Fa-f:.%\w]+?\]?)(?::(?P<port>\d{1,5}))?\.\.\.")
_CONNECTED = re.compile(r"^\* Connected to (?P<name>\S{1,253}) \((?P<address>[^)]{2,60})\) port (?P<port>\d{1,5})")
_ESTABLISHED = re.compile(
    r"^\* Established connection to (?P<name>\S{1,253}) \((?P<address>\S{2,60}) port (?P<port>\d{1,5})\)"
    r"(?: from (?P<source>\S{2,60}) port \d{1,5})?"
)
_FAILED = re.compile(
    r"^\* connect to (?P<address>\S{2,60}) port (?P<port>\d{1,5}) (?:from \S+ port \d+ )?failed: (?P<why>.{1,100})$"
)
_HOST = re.compile(r"^\* (?:Host (?P<one>\S{1,253}):(?P<port>\d{1,5}) was resolved\.|IPv[46]: (?P<list>.{1,400}))$")
_UNFOUND = re.compile(r"Could not resolve host: (?P<name>\S{1,253}?)\.?(?:(?: \(|: ).{1,200})?$")
_GAVE_UP = re.compile(
    r"^(?:\* |curl: \(\d+\) )Failed to connect to (?P<name>\S{1,253}) port (?P<port>\d{1,5})"
    r"(?: after (?P<ms>\d{1,8}) ms)?: (?P<why>.{1,100})$"
)
_TIMED = re.compile(
    r"^(?:\* |curl: \(28\) )(?:Connection timed out|Connection timeout|Operation timed out|"
    r"Connection time-out|Failed to connect.{0,300}?Timeout)(?: after (?P<ms>\d{1,8}) (?:ms|milliseconds))?"
)
#: The progress meter, which ends without a line break.
_METER = re.compile(r"^(?:\s*\d+\s[^*]{20,500}?)(?=\* )")
_SECURE = re.compile(r"^\* SSL connection using (?P<version>TLS\S+)(?: / (?P<cipher>\S+))?")
_PAPER = re.compile(r"^\*\s+(?P<key>subject|issuer|start date|expire date): (?P<value>.{1,300})$")
_CURL = re.compile(r"^curl: \((?P<number>\d{1,3})\) (?P<why>.{1,300})$")
_HTTP = re.compile(r"^< HTTP/[\d.]+ (?P<status>\d{3})(?: (?P<reason>.{0,100}))?$")
_HEADER = re.compile(r"(?i)^< (?P<name>server|date|via): (?P<value>.{0,200})$")


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line."""
    return bool(_TRYING.match(line) or _HOST.match(line) or _CURL.match(line)) or bool(
        re.match(r"^\* (?:Could not resolve host: |Rebuilt URL to|Uses proxy env)", line)
    )


def read(block: Block, labels: Labels) -> Reading:  # noqa: ARG001 - as above
    """Read the transfers: each address that was tried, and what the service did."""
    walk, pages = Walk(block), [_Page()]
    for line in walk:
        if pages[-1].is_over(line):
            pages.append(_Page())
        page = pages[-1]
        known = page.take(_METER.sub("", line.rstrip()))
        own = line.startswith(("*", ">", "<", "{", "}", "  %", "  0", "100", "--:--", " " * 33, "More details here: "))
        if not (known or own or page.body):
            walk.leave()
    return walk.reading(None, [one for page in pages for one in page.seen()])


class _Page:
    """The output of one transfer as it is read."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.port: int | None = None
        self.addresses: dict[str, None] = {}
        self.attempts: dict[str, Connection] = {}
        self.last: str | None = None
        self.unfound: str | None = None
        self.again = False
        self.tried = 0
        self.waited_ms: float | None = None
        self.tls: TlsFacts | None = None
        self.http: HttpFacts | None = None
        self.outcome: ServiceOutcome | None = None
        self.connected: tuple[str, int] | None = None
        self.secured = False
        self.body = False

    def is_over(self, line: str) -> bool:
        """Whether another transfer begins with a line: to where the answer points, or to the next URL."""
        host = _HOST.match(line)
        if host is not None and host["one"] and self.name not in (None, host["one"]):
            return True
        return self.connected is not None and bool(
            line.startswith("* Issue another request to this URL") or _TRYING.match(line) or host is not None
        )

    def take(self, line: str) -> bool:
        """Take a line; false where it says nothing that is looked for."""
        for pattern, take in (
            (_TRYING, self._trying), (_CONNECTED, self._met), (_ESTABLISHED, self._met), (_FAILED, self._failed),
            (_HOST, self._host), (_GAVE_UP, self._gave_up), (_SECURE, self._secure), (_PAPER, self._paper),
            (_HTTP, self._answered), (_HEADER, self._header), (_CURL, self._curl),
        ):  # fmt: skip
            found = pattern.match(line)
            if found is not None:
                take(found)
                if pattern is not _CURL:
                    return True
        unfound = _UNFOUND.search(line)
        if unfound is not None:
            self.unfound = unfound["name"]
            self.again = "temporary failure" in line.casefold()
        elif (timed := _TIMED.match(line)) is not None:
            self.waited_ms = float(timed["ms"]) if timed["ms"] else self.waited_ms
            if self.last is not None and self.connected is None:
                self._fail(self.last, "ETIMEDOUT", Failure.TIMED_OUT, self.waited_ms)
        elif line == "<":
            self.body = True
        elif re.search(r"TLS handshake|SSL certificate problem|ALPN", line):
            self.secured = self.secured or self.connected is not None
        else:
            return bool(_CURL.match(line))
        return True

    def _trying(self, found: re.Match[str]) -> None:
        where = address(found["address"])
        if where is None:
            return
        self.addresses[where] = None
        self.last = where
        self.tried += 1
        self.port = int(found["port"]) if found["port"] else self.port

    def _met(self, found: re.Match[str]) -> None:
        where, port = address(found["address"]), int(found["port"])
        if where is None or port > 65535:
            return
        self.name, self.port, self.connected = found["name"], port, (where, port)
        source = address(found.groupdict().get("source") or "")
        self.attempts[where] = Connection(name=self.name, address=where, port=port, connected=True, source=source)

    def _fail(self, where: str, errno: str, word: Failure, ms: float | None = None) -> None:
        if self.port is None or self.port > 65535:
            return
        self.attempts.setdefault(
            where,
            Connection(
                name=self.name,
                address=where,
                port=self.port,
                connected=False,
                failure=word,
                errno=errno,
                duration_ms=ms if self.tried == 1 else None,  # of several the whole time is told
            ),
        )

    def _failed(self, found: re.Match[str]) -> None:
        self.port = int(found["port"])
        where, told = address(found["address"]), errors.call(found["why"])
        if where is not None and told is not None:
            self._fail(where, *told)

    def _host(self, found: re.Match[str]) -> None:
        self.name = found["one"] or self.name
        self.port = int(found["port"]) if found["port"] else self.port
        for word in (found["list"] or "").split(","):
            where = address(word)
            self.addresses.update({where: None} if where is not None else {})

    def _gave_up(self, found: re.Match[str]) -> None:
        self.name, self.port = found["name"], int(found["port"])
        told = errors.call(found["why"])
        if told is not None and self.last is not None and self.last not in self.attempts:
            self._fail(self.last, *told, float(found["ms"]) if found["ms"] else None)
        elif self.last in self.attempts and found["ms"] and self.tried == 1:
            one = self.attempts[self.last]
            self.attempts[self.last] = replace(one, name=self.name, duration_ms=float(found["ms"]))

    def _secure(self, found: re.Match[str]) -> None:
        self.tls = replace(self.tls or TlsFacts(), version=found["version"], cipher=found["cipher"])
        self.outcome = ServiceOutcome.TLS_OK

    def _paper(self, found: re.Match[str]) -> None:
        fields = {"subject": "subject", "issuer": "issuer", "start date": "not_before", "expire date": "not_after"}
        value: str | None = found["value"]
        if "date" in found["key"]:
            from troubleshoot.readers.moments import iso  # noqa: PLC0415 - where a certificate was shown

            value = iso(found["value"])
        self.tls = replace(self.tls or TlsFacts(), **{fields[found["key"]]: value})

    def _answered(self, found: re.Match[str]) -> None:
        self.http = HttpFacts(int(found["status"]), (found["reason"] or "").strip())
        self.outcome = self.outcome or ServiceOutcome.SPEAKS

    def _header(self, found: re.Match[str]) -> None:
        if self.http is not None:
            field = {"server": "software"}.get(found["name"].lower(), found["name"].lower())
            self.http = replace(self.http, **{field: found["value"]})

    def _curl(self, found: re.Match[str]) -> None:
        """curl(1), EXIT CODES."""
        number, why = int(found["number"]), found["why"]
        if self.connected is None:
            return
        if number == 60:
            error = why.partition("SSL certificate problem: ")[2] or why
            self.tls = replace(self.tls or TlsFacts(), verify_error=error)
            self.outcome = ServiceOutcome.TLS_FAILED
        elif number == 35:
            self.tls = replace(self.tls or TlsFacts(), error=why)
            alert = re.search(r"alert ([a-z ]{3,40})", why)
            if alert is not None:
                self.tls = replace(self.tls, alert=alert[1].strip().replace(" ", "_"))
            reset = "reset by peer" in why
            closed = "unexpected eof" in why or "SSL_ERROR_SYSCALL" in why or "SSL_ERROR_ZERO_RETURN" in why
            self.outcome = (
                ServiceOutcome.TLS_ALERT
                if alert
                else ServiceOutcome.RESETS
                if reset
                else ServiceOutcome.CLOSES
                if closed
                else ServiceOutcome.TLS_FAILED
            )
        elif number == 52:
            self.outcome = ServiceOutcome.CLOSES
        elif number == 56 and "reset" in why:
            self.outcome = ServiceOutcome.RESETS
        elif number == 28 and self.http is None:
            self.outcome = ServiceOutcome.SILENT

    def seen(self) -> list[Any]:
        """Return what was read."""
        found: list[Any] = []
        if self.unfound is not None:
            found.append(LookUp(name=self.unfound, eai="EAI_AGAIN" if self.again else "EAI_NONAME"))
        if self.name is not None and self.addresses and address(self.name) is None:
            found.append(LookUp(name=self.name, addresses=tuple(self.addresses)))
        found += self.attempts.values()
        if self.connected is not None and self.outcome is not None:
            where, port = self.connected
            result = ServiceResult(
                where,
                port,
                self.outcome,
                tls=self.tls if self.secured or self.tls else None,
                http=self.http,
                rung="tls" if self.secured or self.tls else "get",
                waited_ms=(self.waited_ms or 0.0) if self.outcome is ServiceOutcome.SILENT else 0.0,
            )
            found.append(Served(name=self.name, result=result))
        return found
