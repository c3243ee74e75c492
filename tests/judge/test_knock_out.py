"""Take an observation out of a saved report and judge again: the verdict may become less sure, never differently sure.

Whatever is missing, not possible or cut short may lower the confidence or leave the question open; it must not name
another cause for certain, nor call the target healthy for certain. And no verdict may contradict its own record. What
the lab's plays leave behind is held to the same (``tests/lab/test_scenarios.py``, ``tests/lab/knock_out.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.lab.contradictions import CONTRADICTIONS, contradictions
from tests.lab.knock_out import Named, knock_outs
from troubleshoot.report import from_json, to_json
from troubleshoot.run.engine import replay

DATA = Path(__file__).parents[1] / "data"
REPORTS = sorted(p for folder in ("reports", "connected", "mtu") for p in (DATA / folder).glob("*.json"))
#: Drawn pairs of each report.
PAIRS = 20


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_what_is_not_seen_makes_nothing_else_certain(
    path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally = knock_outs(from_json(path.read_bytes()), PAIRS, path.stem)
    record_property("knock-outs", tally.judged)
    assert tally.broken == []
    assert tally.judged >= 2 * len(json.loads(path.read_bytes())["probes"])


def test_what_else_may_not_be_certain() -> None:
    whole = Named("firewall-drop", "certain", "path", 2)
    assert whole.clashes(Named("healthy", "certain"))
    assert whole.clashes(Named("no-listener", "certain", "remote-host", 4))
    assert whole.clashes(Named("firewall-drop", "certain", "path", 1))
    assert not whole.clashes(Named("firewall-drop", "certain", "path"))
    assert not whole.clashes(Named("no-listener", "likely", "remote-host", 4))


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_no_verdict_contradicts_its_record(path: Path) -> None:
    again = msgspec.json.decode(to_json(replay(from_json(path.read_bytes()), "en")))
    assert contradictions(again) == []


def test_a_contradiction_is_seen() -> None:
    path = next(p for p in REPORTS if p.name.startswith("no-listener.nobody"))
    report = msgspec.json.decode(to_json(replay(from_json(path.read_bytes()), "en")))
    report["verdict"] |= {"outcome": "healthy", "cause": None, "confidence": "certain"}
    assert set(contradictions(report)) >= set(list(CONTRADICTIONS)[:2])


def test_a_rival_that_the_record_excludes_is_seen() -> None:
    path = next(p for p in REPORTS if p.name.startswith("no-listener.nobody"))
    report = msgspec.json.decode(to_json(replay(from_json(path.read_bytes()), "en")))
    rival = {"cause": "host-down", "confidence": "possible", "why": "", "relation": "rival"}
    report["verdict"] |= {"confidence": "likely", "alternatives": [rival]}
    assert contradictions(report) == ["host-down as a rival: the host is down, and it answered"]
    report["verdict"]["alternatives"] = [rival | {"relation": "consequence"}]
    assert contradictions(report) == []
