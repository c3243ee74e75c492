"""Take an observation out of a saved report and judge again: the verdict may become less sure, never differently sure.

Whatever is missing, not possible or cut short may lower the confidence or leave the question open; it must not name
another cause for certain, nor call the target healthy for certain. And no verdict may contradict its own record.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from probes.base import Observation, Status
from tests.lab.contradictions import CONTRADICTIONS, contradictions
from troubleshoot.facts import Facts, Key
from troubleshoot.intake.request import Request
from troubleshoot.judge import healthy
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.report import from_json, to_json
from troubleshoot.run.conclude import conclude
from troubleshoot.run.engine import replay
from troubleshoot.run.saved import load_observations, request_from

DATA = Path(__file__).parents[1] / "data"
CATALOGUE = Catalogue()
REPORTS = sorted(p for folder in ("reports", "connected", "mtu") for p in (DATA / folder).glob("*.json"))

Observations = Mapping[Key, Observation[Any]]


def verdict(request: Request, observations: Observations) -> tuple[str, str]:
    """What is named, and how surely."""
    facts = Facts(request, CATALOGUE.judgement.thresholds, observations)
    found = conclude(facts, CATALOGUE.judgement)
    if found.finding is not None:
        return found.finding.cause, found.finding.confidence
    if found.outcome != "healthy":
        return found.outcome, "possible"
    return "healthy", healthy.confidence(facts) if not found.unseen else "likely"


def without(observations: Observations, key: Key) -> Iterator[Observations]:
    """The same without one observation: never made, and not possible here."""
    yield {k: o for k, o in observations.items() if k != key}
    gone = replace(observations[key], result=None, status=Status.NOT_APPLICABLE)
    yield {**observations, key: gone}


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_what_is_not_seen_makes_nothing_else_certain(path: Path) -> None:
    saved = from_json(path.read_bytes())
    request, observations = request_from(saved, CATALOGUE), load_observations(saved)
    whole, _ = verdict(request, observations)
    for key in observations:
        for rest in without(observations, key):
            named, confidence = verdict(request, rest)
            assert named == whole or confidence != "certain", f"without {key}: {named}"


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_two_of_them_missing_make_nothing_else_certain(path: Path) -> None:
    saved = from_json(path.read_bytes())
    request, observations = request_from(saved, CATALOGUE), load_observations(saved)
    whole, _ = verdict(request, observations)
    keys = list(observations)
    for _ in range(20 if len(keys) > 1 else 0):
        pair = random.Random(f"{path.stem}{_}").sample(keys, 2)
        named, confidence = verdict(request, {k: o for k, o in observations.items() if k not in pair})
        assert named == whole or confidence != "certain", f"without {pair}: {named}"


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_no_verdict_contradicts_its_record(path: Path) -> None:
    again = msgspec.json.decode(to_json(replay(from_json(path.read_bytes()), "en")))
    assert contradictions(again) == []


def test_a_contradiction_is_seen() -> None:
    path = next(p for p in REPORTS if p.name.startswith("no-listener.nobody"))
    report = msgspec.json.decode(to_json(replay(from_json(path.read_bytes()), "en")))
    report["verdict"] |= {"outcome": "healthy", "cause": None, "confidence": "certain"}
    assert set(contradictions(report)) >= set(list(CONTRADICTIONS)[:2])
