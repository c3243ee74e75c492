"""``ping`` of Windows (and of wine), Linux (iputils, BusyBox) and macOS.

Formats: Windows answers with ``TTL=`` and a time in whole milliseconds, and counts its sent, received and lost packets
whatever the language; a router's *unreachable* counts as received there, and is no answer of the address. iputils
writes ``icmp_seq=``, BSD ``icmp_seq `` for what it missed. Sources: ping(8) of iputils, ping(8) of FreeBSD, Microsoft's
page on ``ping``, and recorded outputs.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from probes.failure import Failure
from probes.ping import Echo, PingMethod, PingResult
from troubleshoot.knowledge.kinds import System
from troubleshoot.readers import errors
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, LookUp, Reading, Walk
from troubleshoot.readers.words import address, first_address, number

COMMANDS = ("ping", "ping6")
#: How long Windows waits for each answer unless it is told otherwise, milliseconds.
_WINDOWS_WAITS_MS = 4000.0

_WINDOWS = re.compile(
    r"(?i)^(?!ping6?\s*\(|ping .*\): \d).{0,200}\bping(?:ing)?\b.{0,300}\b\d+\s*\S{2,4}.{0,60}[:\uff1a]\s*$"
)
_UNIX = re.compile(
    r"^PING6?\s?(?:\(\d+=[\d+]+ bytes\) \S+ --> )?(?P<name>[^\s(]+)?\s?(?:\((?P<more>.{2,120}?)\))?\)?(?:[:\s]|$)"
)
_TTL = re.compile(r"(?i)\b(?:ttl|hlim)=(\d{1,3})\b")
_TIME = re.compile(r"(?i)(?P<less>[=<])\s*(?P<ms>\d+(?:[.,]\d+)?)\s*ms")
_SEQUENCE = re.compile(r"(?:icmp_seq|seq)[= ](\d{1,6})")
_COUNTED_WINDOWS = re.compile(r"=\s*(\d+)\D{1,20}=\s*(\d+)\D{1,20}=\s*(\d+)\s*(?:\(|$)")
_COUNTED_UNIX = re.compile(r"^(\d+) packets transmitted, (\d+) (?:packets )?received.*?(?:time (\d+)ms)?$")
_SUMMED = re.compile(r"=\s*([\d.]+)/([\d.]+)/([\d.]+)(?:/([\d.]+))?\s*ms")
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9_][\w.-]{0,253})\s*\[(?P<address>[^\]]{2,60})\]")
_UNFOUND = re.compile(r"(?i)^ping6?: (?:cannot resolve )?(?P<name>[^\s:]{1,253}): ")
_WORD = re.compile(r"[A-Za-z0-9_](?:[\w-]*\.)+[A-Za-z][\w-]*|(?<=host )[\w.-]+")
#: What BSD adds to an ICMP error: the header of the packet that it is about.
_HEADER = re.compile(r"^\s*(?:Vr HL TOS|\d\s+\d\s+[0-9a-f]{2}\s|4  5  00)")


def starts(line: str, labels: Labels) -> bool:
    """Whether the output of a ping begins with this line."""
    if _windows_head(line, labels) is not None:
        return True
    if line.startswith("PING") and _UNIX.match(line) and "bytes" in line:
        return True
    if _UNFOUND.match(line) and labels.says(line, "no-such-host", "temporary-failure"):
        return True
    return "ping" in line.casefold() and _not_found(line, labels)


def _windows_head(line: str, labels: Labels) -> str | None:
    """Return the address in a heading of Windows' ping: how many bytes are sent stands there in every language."""
    if not _WINDOWS.match(line) or not labels.says(line, "bytes"):
        return None
    return first_address(line)


def _not_found(line: str, labels: Labels) -> bool:
    if labels.says(line, "timed-out") or _TTL.search(line) or first_address(line) is not None:
        return False
    return labels.says(line, "ping-no-host")


class _Series:
    """One run of a ping as it is read."""

    def __init__(self) -> None:
        self.system: System | None = None
        self.name: str | None = None
        self.address: str | None = None
        self.echoes: list[Echo] = []
        self.sent: int | None = None
        self.received: int | None = None
        self.took_ms: float | None = None
        self.summed: tuple[float, ...] = ()
        self.local: tuple[str, Failure] | None = None
        self.found: list[Any] = []

    def echo(self, sequence: int | None, **what: Any) -> None:
        self.echoes.append(Echo(len(self.echoes) if sequence is None else sequence, **what))

    def result(self) -> PingResult | None:
        """Return the series, ``None`` where its address is not known."""
        if self.address is None:
            return None
        echoes = {echo.sequence: echo for echo in self.echoes[:1000]}
        answered = [e for e in echoes.values() if e.rtt_ms is not None and e.icmp is None]
        counted = self.received if self.system != "windows" else None
        received = max(len(answered), counted or 0)
        sent = max(self.sent or 0, len(echoes), received)
        base = min(echoes, default=0)
        for sequence in range(base, base + min(sent, 1000)):
            if len(echoes) >= sent or (received > len(answered) and len(echoes) >= sent - received + len(answered)):
                break
            echoes.setdefault(sequence, Echo(sequence))
        ordered = [replace(echo, sequence=n) for n, (_, echo) in enumerate(sorted(echoes.items()))]
        lost = sent - received - sum(e.icmp is not None or e.failure is not None for e in ordered)
        times = [e.rtt_ms for e in answered if e.rtt_ms is not None]
        least, mean, most, deviation = (*self.summed, None, None, None, None)[:4]
        return PingResult(
            self.address,
            PingMethod.ICMP_RAW,
            sent=sent,
            received=received,
            echoes=tuple(ordered),
            waited_ms=(_WINDOWS_WAITS_MS if self.system == "windows" else self.took_ms or 0.0) if lost > 0 else 0.0,
            rtt_min_ms=least if least is not None else min(times, default=None),
            rtt_mean_ms=mean if mean is not None else (sum(times) / len(times) if times else None),
            rtt_max_ms=most if most is not None else max(times, default=None),
            rtt_deviation_ms=deviation,
        )


def goes_all_the_way(typed: str, system: System | None) -> bool:
    """Whether the packets of a command line go as far as any: with no TTL of their own, and free to be fragmented."""
    short = {"windows": r"[-/][if]", "macos": r"-[mD]\d*"}.get(system or "", r"-[tM]\S*")
    return not any(re.fullmatch(short, word) for word in typed.partition("|")[0].split())


def read(block: Block, labels: Labels) -> Reading:
    """Read the runs of a ping: one, or as many as there are headings."""
    walk, every = Walk(block), [_Series()]
    for line in walk:
        series = every[-1]
        if series.address is not None and _begins(line, labels):
            series = _Series()
            every.append(series)
        if not (_head(line, series, labels) or _answer(line, series, labels) or _end(line, series, labels)):
            walk.leave()
    system = next((series.system for series in every if series.system is not None), None)
    return walk.reading(system, [one for series in every for one in _told(series)])


def _begins(line: str, labels: Labels) -> bool:
    return (line.startswith("PING") and "bytes" in line) or _windows_head(line, labels) is not None


def _told(series: _Series) -> list[Any]:
    found = list(series.found)
    result = series.result()
    if series.name is not None and series.address is not None and address(series.name) is None:
        found.insert(0, LookUp(name=series.name, addresses=(series.address,)))
    if result is not None and (result.sent or result.echoes):
        found.append(result)
    return found


def _head(line: str, series: _Series, labels: Labels) -> bool:
    if series.address is not None and not line.startswith("PING"):
        return False
    if (found := _windows_head(line, labels)) is not None:
        named = _NAMED.search(line)
        series.system, series.name = "windows", named["name"] if named else None
        series.address = (address(named["address"]) if named else None) or found
        return True
    unix = _UNIX.match(line) if line.startswith("PING") and "bytes" in line else None
    if unix is None:
        return False
    series.name = unix["name"]
    inside = first_address(unix["more"] or "") or address(unix["name"] or "") or first_address(line.partition(">")[2])
    series.address = inside
    series.system = "macos" if "): " in line or line.startswith("PING6(") else "linux"
    return inside is not None


def _answer(line: str, series: _Series, labels: Labels) -> bool:
    """Take a line about one request."""
    sequence = _SEQUENCE.search(line)
    number_ = int(sequence[1]) if sequence else None
    time, ttl = _TIME.search(line), _TTL.search(line)
    sender = first_address(line)
    error = errors.icmp(line, labels, sender)
    if error is not None:
        series.echo(number_, icmp=error)
        return True
    if time is not None and sender is not None and "min/avg" not in line:
        same = series.address is None or sender.partition("%")[0] == series.address.partition("%")[0]
        if same:
            series.echo(
                number_, rtt_ms=number(time["ms"]), reply_ttl=int(ttl[1]) if ttl and int(ttl[1]) < 256 else None
            )
        return same
    if labels.says(line, "timed-out") or line.startswith("no answer yet"):
        series.echo(number_)
        return True
    if labels.says(line, "general-failure"):
        series.echo(None, failure=Failure.OTHER, errno="general failure")
        return True
    called = errors.call(line)
    if called is not None and re.match(r"(?i)^ping6?: ", line):
        series.system = series.system or "linux"
        series.echo(None, failure=called[1], errno=called[0])
        series.address = series.address or first_address(line)
        return True
    return False


def _end(line: str, series: _Series, labels: Labels) -> bool:
    """Take a line that counts, or says that there was nothing to ping."""
    counted = _COUNTED_WINDOWS.search(line)
    if counted is not None and series.system == "windows":
        series.sent, series.received = min(int(counted[1][:6]), 100_000), min(int(counted[2][:6]), 100_000)
        return True
    counted = _COUNTED_UNIX.match(line.strip())
    if counted is not None:
        series.sent, series.received = min(int(counted[1][:6]), 100_000), min(int(counted[2][:6]), 100_000)
        series.took_ms = float(counted[3][:9]) if counted[3] else None
        return True
    summed = _SUMMED.search(line)
    if summed is not None:
        series.summed = tuple(float(part) for part in summed.groups() if part and part.count(".") < 2)
        return True
    unfound = _UNFOUND.match(line)
    if unfound is not None and labels.says(line, "no-such-host", "temporary-failure"):
        eai = "EAI_AGAIN" if labels.says(line, "temporary-failure") else "EAI_NONAME"
        series.found.append(LookUp(name=unfound["name"], eai=eai))
        series.system = "macos" if "cannot resolve" in line else "linux"
        return True
    if series.address is None and _not_found(line, labels):
        name = _WORD.search(line.replace("check the name", ""))
        series.system = "windows"
        if name is not None:
            series.found.append(LookUp(name=name[0].rstrip("."), eai="EAI_NONAME"))
        return name is not None
    if labels.says(line, "round-trip"):
        return True
    of_windows = series.system == "windows"
    return (
        labels.says(line, "ping-statistics")
        or (of_windows and line.startswith("    ") and ("ms" in line or line.strip().startswith("(")))
        or (of_windows and labels.says(line, "bytes-of-data") and series.address is not None)
        or (line.startswith("--- ") and line.rstrip().endswith("ping statistics ---"))
        or bool(_HEADER.match(line))
        or (line.startswith("pipe ") and len(line) < 12)
    )
