"""The report model: what a diagnosis found, as ``wsadiag/report/1``. Every output is rendered from it.

Times are milliseconds, instants RFC 3339 in UTC, addresses strings, absent facts ``None``. All texts are in the
language that the diagnosis was asked for. Free text of the network (names, banners) stands in it as it came: a
renderer is responsible for what its medium needs.
"""

from __future__ import annotations

import codecs
from typing import Any, Literal

import msgspec

from troubleshoot.errors import UserError
from troubleshoot.knowledge.letters import escape_json

SCHEMA = "wsadiag/report/1"
#: The largest reports hold some ten thousand values; each takes a hundred bytes of memory and more.
_MOST_VALUES = 400_000

Outcome = Literal["fault", "healthy", "inconclusive"]
Confidence = Literal["certain", "likely", "possible"]
Relation = Literal["rival", "further", "consequence"]
StepStatus = Literal["passed", "failed", "warning", "skipped", "unavailable"]
WayEnd = Literal["refuses", "resets", "closes", "silent", "says"]
Reproduced = Literal["same", "different", "not-reproduced", "not-attempted"]

#: Exit status of a finished diagnosis, by the verdict's outcome.
EXIT_STATUS: dict[str, int] = {"healthy": 0, "fault": 1, "inconclusive": 3}


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """Who made the report."""

    name: str
    version: str


class Vantage(msgspec.Struct, frozen=True, kw_only=True):
    """Where the report was made; ``privileged`` is whether raw packets could be sent.

    ``user`` is the account that asked, ``system`` the operating system with its version, where they could be told.
    ``place`` is where probes looked from, where that was named: ``netns NAME``, ``docker NAME``, ``user NAME``.
    """

    hostname: str
    platform: str
    privileged: bool
    user: str | None = None
    system: str | None = None
    place: str | None = None

    @property
    def named(self) -> str:
        """The machine, with the place on it where one was named."""
        return self.hostname if self.place is None else f"{self.hostname}, {self.place}"


class ErrorCode(msgspec.Struct, frozen=True, kw_only=True):
    """The code that the user brought."""

    input: str
    number: int
    name: str
    posix: str | None
    title: str


class TargetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The target as it was understood; ``addresses`` are those that were looked at."""

    input: str
    host: str | None
    port: int | None
    transport: str
    addresses: tuple[str, ...]
    service: str | None = None


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """What the live attempt returned now, as a Winsock number, against the code that was brought.

    ``said`` is what the system's look-up of the name said (``EAI_NONAME``), where it failed.
    """

    outcome: Reproduced
    observed: int | None
    said: str | None = None


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where the fault lies; ``hop`` counts devices from this machine, 1 = the first router."""

    scope: str
    hop: int | None = None
    address: str | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One fact behind the verdict and the step that found it."""

    step: str
    fact: str


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """Another cause, and how it stands to the one that was named.

    ``relation``: another reading of the same evidence (``rival``), a second fault beside the first (``further``), or
    one that follows from the first (``consequence``).
    """

    cause: str
    confidence: Confidence
    why: str
    relation: Relation = "rival"


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """The way from this machine, which is no node itself: routers, then the target or a name server (``kind``).

    ``broken`` is the first node that is not reached (an index of ``nodes``), ``None`` where all are; a router that
    keeps silent is ``?``. ``end`` is what the last node that is reached does instead of serving, ``said`` its word
    (``NXDOMAIN``).
    """

    nodes: tuple[str, ...]
    broken: int | None = None
    kind: Literal["target", "name-server"] = "target"
    end: WayEnd | None = None
    said: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, how sure that is, and what to do, first thing first.

    ``not_checked`` says what was not looked at and could change the verdict. ``ways`` is where the way to the target
    breaks, one for each address family where they differ. ``actions`` are written for the system ``advice_for``;
    ``elsewhere`` says what to run on the machine of the caller, where that is another one than this.
    """

    outcome: Outcome
    cause: str | None
    failed_step: str | None
    location: Location | None
    confidence: Confidence
    summary: str
    actions: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    alternatives: tuple[Alternative, ...]
    title: str | None = None
    explanation: str | None = None
    not_checked: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    advice_for: str | None = None
    elsewhere: str | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the checklist. ``observations`` holds the typed results behind it, by probe and subject.

    ``origin`` names the code whose list it was taken from, ``added`` marks the steps that go beyond the
    reference. ``by_hand`` is the command for each system where the step must be done on another machine.
    """

    id: str
    title: str
    status: StepStatus
    summary: str
    why: str
    observations: dict[str, Any]
    duration_ms: float | None
    origin: str | None = None
    added: bool = False
    by_hand: dict[str, str] | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One diagnosis. ``probes`` holds every probe's record, enough to judge again without a network.

    ``request`` repeats what was asked for (the options that change a verdict); ``interrupted`` tells that
    Ctrl-C ended the run, ``packets`` how many packets our probes sent and ``packet_limit``
    how many a run sends at most. A ``redacted`` one has other names and addresses in the place of the true ones.
    """

    tool: Tool
    started: str
    duration_ms: float
    vantage: Vantage
    error: ErrorCode
    target: TargetInfo
    reproduction: Reproduction
    verdict: Verdict
    steps: tuple[Step, ...]
    probes: tuple[dict[str, Any], ...] = ()
    request: dict[str, Any] = msgspec.field(default_factory=dict)
    language: str = "en"
    interrupted: bool = False
    packets: int = 0
    packet_limit: int | None = None
    redacted: bool = False
    schema: str = SCHEMA

    @property
    def exit_status(self) -> int:
        """The command line's exit status for this report."""
        return 130 if self.interrupted else EXIT_STATUS[self.verdict.outcome]


def to_json(report: Report) -> str:
    """Return the report as its JSON document, keys in the contract's order, indented by two."""
    data = msgspec.to_builtins(report)
    ordered = {"schema": data.pop("schema"), **data}
    return written(ordered)


def written(data: Any) -> str:
    """Return data as a JSON document for people and programs: indented by two, invisible characters escaped."""
    return escape_json(msgspec.json.format(encode(data), indent=2).decode())


def encode(data: Any) -> bytes:
    r"""Return plain data as JSON; a lone surrogate in it becomes the text ``\udcff``.

    Undecodable bytes in the names of files and processes arrive as such surrogates, and UTF-8 has none.
    """
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(data))


def _text(data: bytes) -> str:
    """Return the text of a file of JSON, whose first character is ASCII: zeros beside it tell the encoding."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if data[:2].count(0) == 1:
        return data.decode("utf-16-le" if data[1] == 0 else "utf-16-be")
    return data.decode("utf-8-sig")


def _encodable(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {_encodable(key): _encodable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_encodable(value) for value in data]
    return data


def from_json(text: bytes | str) -> Report:
    """Read a report back; raises :class:`UserError` naming what does not fit.

    UTF-8, and UTF-16 as PowerShell 5.1 writes it, each with or without a byte order mark.
    """
    try:
        text = text if isinstance(text, str) else _text(text)
        values = sum(map(text.count, "[{,"))
        if values > _MOST_VALUES:
            raise UserError(f"not a report: it holds {values} values, and {_MOST_VALUES} are read at most")
        report = msgspec.json.decode(text, type=Report)
    except RecursionError:
        raise UserError("not a report: nested too deeply") from None
    except msgspec.ValidationError as error:
        raise UserError(f"not a report: {error}") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UserError(f"not JSON: {error}") from None
    if report.schema != SCHEMA:
        raise UserError(f"a report of schema {report.schema!r}; this version reads {SCHEMA}")
    return report
