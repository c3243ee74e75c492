"""``dig``: records of the answer section, the status of the header, and who was asked.

Source: dig(1), recorded outputs.
"""

from __future__ import annotations

import re
from typing import Any

from probes.resolve import Answer
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, LookUp, Reading, Walk
from troubleshoot.readers.words import address, first_address

COMMANDS = ("dig",)
_HEAD = re.compile(r"^; <<>> DiG ")
_STATUS = re.compile(r"^;; ->>HEADER<<-.*?status: (?P<status>[A-Z]+)")
_QUESTION = re.compile(r"^;(?P<name>[^\s;]{1,253})\s+IN\s+(?P<type>[A-Z]+)")
_RECORD = re.compile(r"^(?P<name>[^\s;]{1,253})\s+(?P<ttl>\d{1,10})\s+IN\s+(?P<type>[A-Z]+)\s+(?P<data>\S.*)$")
_TIME = re.compile(r"^;; Query time: (\d{1,7}) msec")
_SERVER = re.compile(r"^;; SERVER: (?P<address>[^#\s]+)#(?P<port>\d+)")
#: The types of records that dig(1) takes as a word of their own.
_TYPE = re.compile(r"(?i)A|AAAA|ANY|AXFR|CAA|CNAME|DNSKEY|DS|HTTPS|MX|NAPTR|NS|PTR|SOA|SRV|SVCB|TLSA|TXT")
_STATES = {
    "NOERROR": Answer.NO_DATA,
    "NXDOMAIN": Answer.NXDOMAIN,
    "SERVFAIL": Answer.SERVFAIL,
    "REFUSED": Answer.REFUSED,
    "FORMERR": Answer.FORMERR,
    "NOTIMP": Answer.NOTIMP,
}


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the output begins with this line."""
    return bool(_HEAD.match(line))


class _Answered:
    """One question and what came back."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.kind = ""
        self.state: Answer | None = None
        self.addresses: list[str] = []
        self.aliases: list[str] = []
        self.ttl: int | None = None
        self.server: str | None = None
        self.rtt_ms: float | None = None

    def look_up(self) -> LookUp | None:
        """Return it, ``None`` where nobody can be named who was asked, or nothing that was."""
        if self.name is None or self.server is None or (self.state is None and not self.addresses):
            return None
        if self.kind not in ("A", "AAAA", ""):
            return None  # of addresses the answer says nothing
        return LookUp(
            name=self.name.rstrip("."),
            server=self.server,
            record_type=self.kind,
            answer=Answer.ADDRESSES if self.addresses else self.state or Answer.NO_DATA,
            addresses=tuple(self.addresses),
            aliases=tuple(self.aliases),
            ttl_s=self.ttl,
            rtt_ms=self.rtt_ms,
        )


def read(block: Block, labels: Labels) -> Reading:
    """Read the answers to the questions of one command line; with ``+short`` there are addresses alone."""
    walk, found, answered = Walk(block), list[Any](), _Answered()
    words = block.arguments
    short = "+short" in words
    answered.server = next((address(w[1:]) for w in words if w.startswith("@")), None)
    named = [w for w in words if not w.startswith(("@", "+", "-")) and not _TYPE.fullmatch(w)]
    answered.name = named[0] if named else None
    answered.kind = next((w.upper() for w in words if _TYPE.fullmatch(w)), "PTR" if "-x" in words else "")
    for line in walk:
        if _HEAD.match(line) and (done := answered.look_up()) is not None:
            found.append(done)
            answered = _Answered()
        if not _line(line, answered, labels, short=short):
            walk.leave()
    if (done := answered.look_up()) is not None:
        found.append(done)
    elif short and answered.name is not None and answered.addresses:  # whoever the system asked first
        found.append(LookUp(name=answered.name.rstrip("."), addresses=tuple(answered.addresses)))
    return walk.reading(None, found)


def _line(line: str, answered: _Answered, labels: Labels, *, short: bool) -> bool:
    if labels.says(line, "dns-timed-out"):
        closed = "connection refused" in line or answered.state is Answer.PORT_CLOSED
        answered.state = Answer.PORT_CLOSED if closed else Answer.NO_ANSWER
        answered.server = answered.server or first_address(line.partition("#")[0])
        return True
    for pattern, take in ((_STATUS, _status), (_QUESTION, _question), (_SERVER, _server), (_TIME, _time)):
        matched = pattern.match(line)
        if matched is not None:
            take(matched, answered)
            return True
    record = _RECORD.match(line)
    if record is not None:
        return _record(record, answered)
    if short and (found := address(line)) is not None:
        answered.addresses.append(found)
        return True
    return line.startswith(";")


def _status(matched: re.Match[str], answered: _Answered) -> None:
    answered.state = _STATES.get(matched["status"], Answer.OTHER_RCODE)


def _question(matched: re.Match[str], answered: _Answered) -> None:
    answered.name, answered.kind = matched["name"], matched["type"]


def _server(matched: re.Match[str], answered: _Answered) -> None:
    answered.server = address(matched["address"])


def _time(matched: re.Match[str], answered: _Answered) -> None:
    answered.rtt_ms = float(matched[1])


def _record(record: re.Match[str], answered: _Answered) -> bool:
    found = address(record["data"]) if record["type"] in ("A", "AAAA") else None
    if found is not None:
        answered.addresses.append(found)
        answered.ttl = min(int(record["ttl"]), answered.ttl if answered.ttl is not None else int(record["ttl"]))
    elif record["type"] == "CNAME":
        answered.aliases.append(record["name"].rstrip("."))
    return found is not None or record["type"] not in ("A", "AAAA")
