"""A verdict from pasted outputs alone: the same plan asks, the outputs answer what they can, the same judge weighs it.

What no output shows is recorded as not looked at, and nothing is certain of what was only told. Nothing is sent or
read here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from probes.base import Observation, Status, note
from troubleshoot.asks.model import Job
from troubleshoot.errors import UserError
from troubleshoot.facts import Facts, Key
from troubleshoot.intake.request import Request
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import Language
from troubleshoot.readers.model import Machine, Reading
from troubleshoot.report import Report, Vantage
from troubleshoot.run.compose import Circumstances, compose
from troubleshoot.run.conclude import PASTED, conclude, views_of
from troubleshoot.run.pasted.answers import answer
from troubleshoot.run.pasted.evidence import Evidence
from troubleshoot.run.plan import wanted
from troubleshoot.run.sound import check

T = TypeVar("T")
#: How platforms are called in reports.
_PLATFORMS = {"linux": "linux", "macos": "darwin", "windows": "windows"}
_NAMES = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
#: Each round answers what the one before called for; a plan is a few rounds deep.
_MOST_ROUNDS = 20


def of_one_machine(readings: Sequence[Reading]) -> tuple[tuple[Reading, ...], int]:
    """Return the readings of the machine that most of them are of, and how many may be of another one.

    Machines are told apart by system, and by the name in the prompt; where several names are there, what has none may
    be of any.
    """
    told = [reading for reading in readings if reading.seen]
    system = _most([reading.system for reading in told if reading.system is not None])
    kept = [reading for reading in told if reading.system in (None, system)]
    hosts = [reading.host for reading in kept if reading.host]
    if len(set(hosts)) > 1:
        host = _most(hosts)
        kept = [reading for reading in kept if reading.host == host]
    return tuple(kept), len(told) - len(kept)


def _most(words: Sequence[T]) -> T | None:
    """Return the word that stands there most often, of several the first."""
    return max(Counter(words).items(), key=lambda pair: pair[1], default=(None, 0))[0]


def judge_pasted(
    request: Request,
    readings: Sequence[Reading],
    catalogue: Catalogue,
    *,
    started: str,
    epoch_s: float,
    code_input: str,
    language: Language,
) -> Report:
    """Judge ``request`` by what ``readings`` of one machine show; ``started`` and ``epoch_s`` are now."""
    request = replace(request, privileged=False)
    evidence = Evidence(readings, foreign="bind-address" in request.about)
    facts = _answered(request, evidence, catalogue, epoch_s)
    system = next((reading.system for reading in readings if reading.system is not None), None)
    hostname = next(
        (seen.hostname for reading in readings for seen in reading.seen if isinstance(seen, Machine)),
        next((reading.host for reading in readings if reading.host), "pasted"),
    )
    circumstances = Circumstances(
        started=started,
        duration_ms=0.0,
        vantage=Vantage(hostname=hostname, platform=_PLATFORMS.get(system or "", "linux"), privileged=False),
        code_input=code_input,
        interrupted=False,
        packets=0,
        packet_limit=None,
        language=language,
    )
    conclusion = conclude(facts, catalogue.judgement)
    return compose(facts, conclusion, views_of(facts, conclusion), catalogue, circumstances)


def _answered(request: Request, evidence: Evidence, catalogue: Catalogue, epoch_s: float) -> Facts:
    """Return the facts once no answer calls for another question."""
    observations: dict[Key, Observation[Any]] = {}
    facts = Facts(request, catalogue.judgement.thresholds, observations)
    for _ in range(_MOST_ROUNDS):
        fresh = [job for job in wanted(facts) if job.key not in observations]
        if not fresh:
            break
        for job in fresh:
            observations[job.key] = _record(job, evidence, epoch_s)
        facts = Facts(request, catalogue.judgement.thresholds, observations)
    return facts


def _record(job: Job, evidence: Evidence, epoch_s: float) -> Observation[Any]:
    """Return the record of what the outputs say of one question."""
    vantage = f"{PASTED}, {_NAMES[evidence.system]}" if evidence.system else PASTED
    unseen: Observation[Any] = Observation(
        probe=job.probe,
        subject=job.subject,
        status=Status.NOT_APPLICABLE,
        started=epoch_s,
        duration_ms=0.0,
        vantage=vantage,
        reason=note("reason.not-pasted"),
    )
    result = answer(job, evidence)
    if result is None:
        return unseen
    found = replace(unseen, status=Status.OBSERVED, result=result, reason=None)
    try:
        check(found)  # a paste may come from anybody, and hold anything
    except UserError:
        return unseen
    return found
