"""``mtr -r`` (``--report``): a line a TTL with sent packets, losses and times. Source: mtr(8), recorded outputs."""

from __future__ import annotations

import re

from probes.failure import IcmpError
from probes.traceroute import Hop, HopAnswer, TracerouteResult
from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block, Reading, Walk
from troubleshoot.readers.words import address, family

COMMANDS = ("mtr",)
_HEAD = re.compile(r"^(?:HOST|Host): \S.{0,200}Loss%\s+Snt\s+Last\s+Avg")
_HOP = re.compile(
    r"^\s{0,3}(?P<ttl>\d{1,3})\.(?:\|--|\s+AS\S+)?\s*(?P<who>\S{1,253})(?:\s+\((?P<in>[^)]{2,60})\))?\s+"
    r"(?P<loss>\d{1,3}(?:\.\d+)?)%\s+(?P<sent>\d{1,6})\s+[\d.]+\s+(?P<mean>\d+(?:\.\d+)?)\s"
)


def starts(line: str, labels: Labels) -> bool:  # noqa: ARG001 - the same in every language
    """Whether the report begins with this line."""
    return bool(_HEAD.match(line)) or bool(re.match(r"^Start: \d{4}-\d\d-\d\dT", line))


def read(block: Block, labels: Labels) -> Reading:
    """Read one report: whom it was for stands in the command line alone, else it is who answered last."""
    walk, hops, target = Walk(block), dict[int, Hop](), None
    for word in block.arguments:
        target = address(word) or target
    last: str | None = None
    rows: list[tuple[int, str | None, int, int, float]] = []
    for line in walk:
        matched = _HOP.match(line)
        if matched is None:
            if not starts(line, labels) and not line.strip().startswith("|"):
                walk.leave()
            continue
        who = address(matched["in"] or matched["who"])
        sent = int(matched["sent"])
        answered = round(sent * (100 - min(100.0, float(matched["loss"]))) / 100)
        if who is None and matched["who"] != "???":
            walk.leave()  # a name without its address
        rows.append((int(matched["ttl"]), who, sent, answered, float(matched["mean"])))
        last = who or last
    target = target or (rows[-1][1] if rows else None)
    for ttl, who, sent, answered, mean in rows:
        if not 0 < ttl < 256:
            continue
        version = family(who or "")
        error = None if who == target else IcmpError(version, 11 if version == 4 else 3, 0, who)
        answers = (HopAnswer(who, error, mean),) * min(answered, 10) if who is not None else ()
        hops[ttl] = Hop(ttl, sent, answers)
    if target is None or not hops:
        return walk.reading("linux", ())
    kept = [hops[ttl] for ttl in sorted(hops)]
    reached = next((h.ttl for h in kept if any(a.icmp is None for a in h.answers)), None)
    result = TracerouteResult(target, "icmp", tuple(kept), reached, sum(h.sent for h in kept))
    return walk.reading("linux", (result,))
