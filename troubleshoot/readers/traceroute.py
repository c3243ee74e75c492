"""``traceroute`` of Linux and macOS, ``tracert`` and ``pathping`` of Windows.

Formats: a line a TTL; ``*`` for silence; Windows writes three times and then who answered, the others who answered and
then the times. An ICMP *unreachable* is ``!H``, ``!N``, ``!X`` and so on behind a time, in words on Windows. Sources:
traceroute(8) of Linux and of FreeBSD, Microsoft's pages on ``tracert`` and ``pathping``, recorded outputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from probes.failure import IcmpError
from probes.traceroute import Hop, HopAnswer, TracerouteResult
from troubleshoot.knowledge.kinds import System
from troubleshoot.readers import errors
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, LookUp, Reading, Walk
from troubleshoot.readers.words import address, addresses, family, first_address

COMMANDS = ("traceroute", "traceroute6", "tracert", "pathping", "tracepath")
_UNIX = re.compile(r"^traceroute6?(?: to |: Warning: )(?P<name>\S{1,253})\s+\((?P<address>[^)]{2,60})\)(?:,| from)")
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9_][\w.-]{0,253})\s*\[(?P<address>[^\]]{2,60})\]")
_HOP = re.compile(r"^\s{0,3}(?P<ttl>\d{1,3})\s+(?P<rest>\S.*)$")
_PIECE = re.compile(
    r"(?P<star>\*)(?!\S)|(?P<less><)?(?P<ms>\d+(?:\.\d+)?)\s*ms(?:\s+(?P<mark>![A-Z]?\d{0,3}))?"
    r"|\((?P<in>[0-9A-Fa-f:.%\w]{2,60})\)|(?P<address>(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]+)"
)
_CANNOT = re.compile(r"(?i)^traceroute6?: (?:unknown host (?P<one>\S+)|(?P<two>\S+): (?:name or service|temporary))")
#: Linux' traceroute names itself only in the line after it.
_ALONE = re.compile(
    r"(?i)^(?P<one>(?!))?(?P<two>[\w.-]{1,253}): (?:name or service not known|temporary failure in name)"
)
_QUOTED = re.compile(r"(?:name |\")(?P<name>[\w-]+(?:\.[\w-]+)*)")
#: The marks of traceroute(8), type and code of ICMP and of ICMPv6.
_MARKS = {
    "!H": ((3, 1), (1, 3)),
    "!N": ((3, 0), (1, 0)),
    "!P": ((3, 2), (4, 1)),
    "!X": ((3, 13), (1, 1)),
    "!Z": ((3, 10), (1, 1)),
    "!A": ((3, 9), (1, 1)),
    "!F": ((3, 4), (2, 0)),
}
_MOST_HOPS = 255


def starts(line: str, labels: Labels) -> bool:
    """Whether the output of a trace begins with this line."""
    if _UNIX.match(line) or _CANNOT.match(line):
        return True
    if labels.says(line, "trace-no-host"):
        return True
    return labels.says(line, "tracing") and first_address(line) is not None


def read(block: Block, labels: Labels) -> Reading:
    """Read one trace."""
    walk, trace = Walk(block), _Trace()
    for line in walk:
        if not (trace.head(line, labels) or trace.hop(line, labels) or _known(line, trace, labels)):
            walk.leave()
    found: list[object] = []
    if trace.name and trace.target and address(trace.name) is None:
        found.append(LookUp(name=trace.name, addresses=(trace.target,)))
    if trace.unfound:
        found.append(LookUp(name=trace.unfound, eai="EAI_AGAIN" if trace.later else "EAI_NONAME"))
    result = trace.result()
    if result is not None:
        found.append(result)
    return walk.reading(trace.system, found)


class _Trace:
    """One trace as it is read."""

    def __init__(self) -> None:
        self.system: System | None = None
        self.name: str | None = None
        self.unfound: str | None = None
        self.later = False
        self.target: str | None = None
        self.hops: dict[int, Hop] = {}
        self.told: tuple[int, IcmpError] | None = None
        self.statistics = False

    def head(self, line: str, labels: Labels) -> bool:
        unix = _UNIX.match(line)
        if unix is not None:
            self.name, self.target = unix["name"].rstrip(","), address(unix["address"])
            self.system = "macos" if " 64 hops max" in line else "linux"  # the defaults of each
            return True
        cannot = _CANNOT.match(line) or (_ALONE.match(line) if self.target is None else None)
        if cannot is not None:
            self.later = labels.says(line, "temporary-failure")
            self.unfound = cannot["one"] or cannot["two"]
            self.system = "macos" if cannot["one"] else "linux"
            return True
        if labels.says(line, "trace-no-host") and self.target is None:
            named = _QUOTED.search(line)
            self.system, self.unfound = "windows", named["name"].rstrip(".") if named else None
            return named is not None
        if self.target is None and not _HOP.match(line):
            first = first_address(line)
            if first is not None and (labels.says(line, "tracing") or starts(line, labels)):
                named = _NAMED.search(line)
                self.system, self.name = "windows", named["name"] if named else None
                self.target = (address(named["address"]) if named else None) or first
                return True
        return False

    def hop(self, line: str, labels: Labels) -> bool:
        matched = None if self.statistics else _HOP.match(line)
        if matched is None or int(matched["ttl"]) > _MOST_HOPS:
            return False
        if int(matched["ttl"]) == 0:  # pathping begins with the machine itself
            return self.system == "windows" and first_address(matched["rest"]) is not None
        ttl, rest = int(matched["ttl"]), matched["rest"]
        answers = list(self._of_windows(ttl, rest, labels) if self.system == "windows" else self._of_unix(ttl, rest))
        silent = sum(1 for word in rest.split() if word == "*")
        if not answers and not silent:
            return False
        self.hops[ttl] = Hop(ttl, max(3 if self.system == "windows" else 1, len(answers) + silent), tuple(answers))
        return True

    def _exceeded(self, sender: str) -> IcmpError:
        version = family(sender)
        return IcmpError(version, 11 if version == 4 else 3, 0, sender)

    def _of_unix(self, ttl: int, rest: str) -> Iterator[HopAnswer]:
        who: str | None = None
        for piece in _PIECE.finditer(rest):
            if piece["in"] or piece["address"]:
                who = address(piece["in"] or piece["address"]) or who
            elif piece["ms"] and who is not None:
                error: IcmpError | None = None
                marked = _MARKS.get((piece["mark"] or "")[:2])
                if marked is not None:
                    error = IcmpError(family(who), *marked[family(who) == 6], who)
                    self.told = self.told or (ttl, error)
                elif not self._is_target(who):
                    error = self._exceeded(who)
                yield HopAnswer(who, error, float(piece["ms"]))

    def _of_windows(self, ttl: int, rest: str, labels: Labels) -> Iterator[HopAnswer]:
        named = list(addresses(rest))
        if not named:
            return
        who = named[-1]
        times = [float(piece["ms"]) for piece in _PIECE.finditer(rest) if piece["ms"]]
        error = errors.icmp(rest, labels, who)
        if error is not None:
            self.told = self.told or (ttl, error)
        elif not self._is_target(who):
            error = self._exceeded(who)
        for ms in times or [0.0]:  # pathping writes no times in its first half
            yield HopAnswer(who, error, ms)

    def _is_target(self, who: str) -> bool:
        return self.target is not None and who.partition("%")[0] == self.target.partition("%")[0]

    def result(self) -> TracerouteResult | None:
        if self.target is None or not self.hops:
            return None
        hops = [self.hops[ttl] for ttl in sorted(self.hops)]
        while len(hops) > 3 and not any(h.answers for h in hops[-4:]):
            hops.pop()  # three silent ones are kept, as the probe does
        reached = next(
            (h.ttl for h in hops if any(self._is_target(a.address or "") and a.icmp is None for a in h.answers)), None
        )
        told = self.told if self.told is not None and reached is None else None
        return TracerouteResult(
            self.target,
            "icmp" if self.system == "windows" else "udp",
            tuple(hops),
            reached,
            sum(h.sent for h in hops),
            ended_by=told[1] if told else None,
            ended_ttl=told[0] if told else None,
        )


def _known(line: str, trace: _Trace, labels: Labels) -> bool:
    if labels.says(line, "computing-statistics"):
        trace.statistics = True
        return True
    if trace.statistics:  # the second half of pathping repeats the hops with losses of their own
        counted = any(sign in line for sign in ("%", "|", "RTT")) or bool(_HOP.match(line))
        return counted or labels.says(line, "source-to-here", "trace-complete")
    return labels.says(line, "most-hops", "trace-complete", "tracing")
