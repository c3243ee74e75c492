"""What came of one connection to a service: the rungs of the ladder after connect, read by what is known of protocols.

A rung is one connection on which something is said, or nothing is. What the service does then is its answer; whether
that is a good one, a refusal or another protocol altogether, the expressions of ``catalogue/services.toml`` tell.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from probes.service import ServiceOutcome, ServiceResult
from troubleshoot.knowledge.model import ServiceEntry

#: The names of rungs. One of the first three is climbed at once, by what is expected on the port; the others follow.
LISTEN, SAY, TLS = "", "say", "tls"
#: In the clear where TLS was expected; a page where nothing is known; with a PROXY line; with another server's name;
#: what comes after the opening; the greeting once more, and again; the first hello again, the TTL of answers watched.
PLAIN, GET, ANNOUNCED, OTHER_NAME, START, AGAIN = "plain", "get", "announced", "tls other-name", "start", "again"
WATCHED: Final = "watched"
#: The first once more, longer, of a service that was silent and then answered what it does not understand.
LATE: Final = "again late"
#: No rung of the ladder: what another connection was greeted with, which was made to move data.
OVERHEARD: Final = "again overheard"
#: The service answers what its client has not said.
UNASKED: Final = "unasked"
#: Each version of TLS by itself.
VERSIONS: Final = ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3")
#: An alert or a message of a handshake, in a record of any version (RFC 8446, section 5.1).
_TLS_RECORD: Final = r"[\x15\x16]\x03[\x00-\x04]"
#: How servers say that they were spoken to in the clear on a port for TLS: nginx, Apache, Go, HAProxy and others.
_TO_A_TLS_PORT: Final = (
    r"(?i).*?(?:plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL|requires TLS"
    r"|sent an HTTP request to an HTTPS server|HTTP request (?:received )?on (?:an )?(?:HTTPS|TLS))"
)
#: How a server turns a client away that has not said a word, whatever it speaks: by a reply code (RFC 959, RFC 5321,
#: RFC 3977), by the words of OpenSSH (drop_connection() in sshd.c).
_TURNED_AWAY: Final = r"[45]\d\d[ -]|Exceeded MaxStartups|Not allowed at this time"
#: How an HTTP server says that it does not understand a request (RFC 9110, section 15.5 and 15.6).
_NOT_UNDERSTOOD: Final = frozenset({400, 405, 414, 431, 501, 505})
#: From how many characters on printable bytes are words, and how many of them are quoted.
_WORD: Final = r"[\x20-\x7e]{4,}"
_QUOTED: Final = 160


class Ending(enum.StrEnum):
    """How a rung ended."""

    WELL = "answered well"
    NO = "answered no"
    ELSE = "answered something else"
    CUT = "cut"
    SILENT = "silent"
    UNTRIED = "not tried"


class Rung(msgspec.Struct, frozen=True):
    """One connection and what it came to.

    ``means`` is the kind of a refusal (a variant of service-refuses, ``error`` for a fault of the service, an alert's
    name) or :data:`UNASKED`, ``speaks`` the protocol that was recognised, ``quote`` what the service said, bounded and
    printable.
    """

    name: str
    ending: Ending
    result: ServiceResult | None = None
    means: str | None = None
    speaks: str | None = None
    quote: str = ""

    @property
    def answered(self) -> bool:
        """Whether the service said anything."""
        return self.ending in (Ending.WELL, Ending.NO, Ending.ELSE)

    @property
    def tls(self) -> bool:
        """Whether TLS is spoken on the other side: a handshake was carried out, or refused with an alert."""
        outcome = self.result.outcome if self.result is not None else None
        return self.speaks == "tls" or outcome in (ServiceOutcome.TLS_OK, ServiceOutcome.TLS_ALERT)


def read_rung(
    name: str, result: ServiceResult | None, manner: ServiceEntry | None, marks: Iterable[tuple[str, str]]
) -> Rung:
    """Read what a connection came to; ``manner`` says what may come back, ``marks`` tell protocols apart."""
    if result is None or result.outcome is ServiceOutcome.NOT_CONNECTED:
        return Rung(name, Ending.UNTRIED, result)
    said = bytes.fromhex(result.first_hex)
    if result.outcome is ServiceOutcome.TLS_ALERT:
        return Rung(name, Ending.NO, result, means=(result.tls.alert if result.tls else None) or "alert", speaks="tls")
    if not said and result.outcome is ServiceOutcome.TLS_OK:
        return Rung(name, _without_words(result, manner), result, speaks="tls")
    if not said:
        silent = result.outcome is ServiceOutcome.SILENT
        failed = result.outcome is ServiceOutcome.TLS_FAILED
        return Rung(name, Ending.ELSE if failed else Ending.SILENT if silent else Ending.CUT, result)
    if result.outcome is ServiceOutcome.TLS_FAILED:  # whatever this is, it is no handshake
        _ending, _means, speaks = _read(said, result, None, tuple(marks))
        return Rung(name, Ending.ELSE, result, None, speaks, quote(said))
    ending, means, speaks = _read(said, result, manner, tuple(marks))
    greeted = name == LISTEN or name.startswith(AGAIN)
    if manner is None and greeted and _matches(_TURNED_AWAY, said):
        ending, means = Ending.NO, None
    if name == ANNOUNCED and status_of(said) in _NOT_UNDERSTOOD:
        ending = Ending.ELSE  # it takes the PROXY line for a request
    return Rung(name, ending, result, means, speaks, quote(said))


def _without_words(result: ServiceResult, manner: ServiceEntry | None) -> Ending:
    """What a session comes to in which nothing was said: well where nothing is expected there."""
    if manner is None or not manner.well or not result.complete:
        return Ending.WELL
    if result.ended_ms is not None:
        return Ending.CUT
    # Only some protocols are spoken inside; of the others the handshake is all that is asked for.
    spoken = manner.opening or manner.opening_hex or manner.speaks_first
    return Ending.SILENT if spoken else Ending.WELL


def _read(
    said: bytes, result: ServiceResult, manner: ServiceEntry | None, marks: tuple[tuple[str, str], ...]
) -> tuple[Ending, str | None, str | None]:
    """Return the ending, what a refusal means, and the protocol that was recognised."""
    inside = result.outcome is ServiceOutcome.TLS_OK
    if not inside and _matches(_TLS_RECORD, said):
        return Ending.ELSE, None, "tls"
    if result.http is not None or said.startswith(b"HTTP/"):
        if not inside and _matches(_TO_A_TLS_PORT, said):
            return Ending.ELSE, None, "tls"
        if manner is None or "HTTP" in manner.well:
            return (*_page(said), "http")
        return Ending.ELSE, None, "http"
    if manner is not None and manner.unasked and _matches(manner.unasked, said):
        return Ending.ELSE, UNASKED, None
    if manner is not None and manner.well and _matches(manner.well, said):
        return Ending.WELL, None, None
    own = manner.mark if manner is not None else ""
    for protocol, mark in marks:
        if mark != own and _matches(mark, said):
            return (Ending.WELL if manner is None else Ending.ELSE), None, protocol
    for means, refusal in (manner.no if manner is not None else {}).items():
        if _matches(refusal, said):
            return Ending.NO, means, None
    return Ending.ELSE, None, None


def _page(said: bytes) -> tuple[Ending, str | None]:
    """What the status of an HTTP answer comes to (RFC 9110, section 15; RFC 6585, section 4)."""
    status = status_of(said)
    if status in (429, 503):
        return Ending.NO, "crowded" if status == 429 else "unavailable"
    if status is not None and 500 <= status <= 599:
        return Ending.NO, "error"
    return Ending.WELL, None


def status_of(said: bytes) -> int | None:
    """Return the status code at the start of an HTTP answer."""
    found = re.match(rb"HTTP/\d\.\d (\d{3})", said)
    return int(found[1]) if found is not None else None


@functools.lru_cache(maxsize=256)
def _expression(text: str) -> re.Pattern[bytes]:
    return re.compile(text.encode("latin-1"), re.DOTALL)


def _matches(text: str, said: bytes) -> bool:
    return _expression(text).match(said) is not None


def quote(said: bytes) -> str:
    """Return the words in what a service said: printable, on one line, and not too many.

    Of PostgreSQL's messages it is the field that is meant for people.
    """
    words = [found.decode("ascii") for found in _expression(_WORD).findall(said)]
    if said[:1] == b"E" and b"SFATAL\0" in said:
        words = [word[1:] for word in words if word.startswith("M")] or words
    return " ".join(words)[:_QUOTED].strip()
