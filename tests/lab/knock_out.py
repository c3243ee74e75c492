"""Take observations out of saved reports and judge again: a verdict may become less sure, never differently sure.

    python tests/lab/knock_out.py FOLDER [--pairs N] [--jobs N]

FOLDER is what ``tests/lab/run.py --save FOLDER`` left. Each observation of each report is left out once, and once made
unavailable; ``--pairs`` takes as many drawn pairs out of each report, too. Whatever is missing may lower the confidence
or leave the question open; it must not name another cause for certain, nor the same one at another place, nor call the
target healthy for certain. The reports are held against the table of contradictions besides. Prints what breaks this
and counts; exit status 1 where anything does, or where a report cannot be judged. Touches no network.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from msgspec.structs import replace  # noqa: E402

from probes.base import Observation, Status  # noqa: E402
from tests.lab.contradictions import contradictions  # noqa: E402
from troubleshoot.facts import Facts, Key  # noqa: E402
from troubleshoot.intake.request import Request  # noqa: E402
from troubleshoot.judge import healthy  # noqa: E402
from troubleshoot.knowledge.catalogue import Catalogue  # noqa: E402
from troubleshoot.report import Report, from_json, to_json  # noqa: E402
from troubleshoot.run.conclude import conclude  # noqa: E402
from troubleshoot.run.engine import replay  # noqa: E402
from troubleshoot.run.saved import load_observations, request_from  # noqa: E402

Observations = Mapping[Key, Observation[Any]]


@dataclass(frozen=True)
class Named:
    """What is named, where, and how surely."""

    what: str
    confidence: str
    scope: str | None = None
    hop: int | None = None

    def clashes(self, rest: Named) -> bool:
        """Whether ``rest``, said of a part of the same record, is certain of something else."""
        same = (rest.what, rest.scope) == (self.what, self.scope) and (rest.hop is None or rest.hop == self.hop)
        return rest.confidence == "certain" and not same


@dataclass
class Tally:
    """What was taken out of one report, and what came of it."""

    judged: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


@functools.cache
def catalogue() -> Catalogue:
    return Catalogue()


def verdict(request: Request, observations: Observations) -> Named:
    """Judge these observations."""
    known = catalogue()
    facts = Facts(request, known.judgement.thresholds, observations)
    found = conclude(facts, known.judgement)
    if found.finding is not None:
        one = found.finding
        return Named(one.cause, one.confidence, one.scope, one.hop)
    if found.outcome != "healthy":
        return Named(found.outcome, "possible")
    return Named("healthy", healthy.confidence(facts) if not found.unseen else "likely")


def singles(observations: Observations, probes: Collection[str] = ()) -> Iterator[tuple[str, Observations]]:
    """The record without one observation (of ``probes``, else of all) each time: never made, and not possible here."""
    for key, record in observations.items():
        if probes and record.probe not in probes:
            continue
        yield f"without {key}", {k: o for k, o in observations.items() if k != key}
        gone = replace(record, result=None, status=Status.NOT_APPLICABLE)
        yield f"{key} not possible", {**observations, key: gone}


def pairs(observations: Observations, count: int, seed: str) -> Iterator[tuple[str, Observations]]:
    """The record without two observations, ``count`` times."""
    keys = list(observations)
    for number in range(count if len(keys) > 1 else 0):
        pair = random.Random(f"{seed}{number}").sample(keys, 2)
        yield f"without {pair}", {k: o for k, o in observations.items() if k not in pair}


def knock_outs(saved: Report, drawn: int = 0, seed: str = "", probes: Collection[str] = ()) -> Tally:
    """Take out every observation of a report (of ``probes``, else of all) by itself, and ``drawn`` pairs."""
    request, observations = request_from(saved, catalogue()), load_observations(saved)
    whole, tally = verdict(request, observations), Tally()
    for taken, rest in (*singles(observations, probes), *pairs(observations, drawn, seed)):
        found = verdict(request, rest)
        tally.judged += 1
        tally.outcomes["same" if found == whole else "inconclusive" if found.what == "inconclusive" else "other"] += 1
        if whole.clashes(found):
            tally.broken.append(f"{taken}: {found} instead of {whole}")
    return tally


def examined(path: Path, drawn: int) -> Tally:
    """Knock out of one file, and hold what is said of it today against its own record."""
    try:
        saved = from_json(path.read_bytes())
        tally = knock_outs(saved, drawn, path.stem)
        tally.broken += contradictions(json.loads(to_json(replay(saved, "en"))))
    except Exception as error:  # noqa: BLE001 - one report that cannot be judged must not hide the others
        return Tally(broken=[f"{type(error).__name__}: {error}"])
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=0, metavar="N")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.json"))
    if not paths:
        raise SystemExit(f"{options.folder} holds no saved report")
    judged, outcomes, broken = 0, Counter[str](), 0
    with ProcessPoolExecutor(options.jobs) as pool:
        found = pool.map(examined, paths, [options.pairs] * len(paths), chunksize=8)
        for path, tally in zip(paths, found, strict=True):
            judged, outcomes = judged + tally.judged, outcomes + tally.outcomes
            broken += len(tally.broken)
            for one in tally.broken:
                print(f"{path.stem}: {one}")
    counts = ", ".join(f"{count} {what}" for what, count in outcomes.most_common())
    print(f"{len(paths)} reports, {judged} knock-outs ({counts}): {broken} certain of another thing or contradicted")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
