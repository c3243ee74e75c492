"""What the plan names for a request and what is known so far: held against a table (see table.py)."""

from __future__ import annotations

import json

import pytest

from tests.plan.table import BLIND, FOR_CODES, GOLDEN, REPORTS, by_code, saved, told, without

NAMES = sorted(path.stem for path in REPORTS.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_asked_for_after_each_answer(name: str) -> None:
    held = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    assert told(saved(name)) == held, "if this is meant: python tests/plan/table.py --write"


@pytest.mark.parametrize("name", FOR_CODES)
def test_what_each_code_asks_for(name: str) -> None:
    held = json.loads((GOLDEN / f"codes.{name}.json").read_text(encoding="utf-8"))
    asked = by_code(saved(name))
    assert {code: asked.get(code) for code in held} == held, "if this is meant: python tests/plan/table.py --write"
    # A code that came since asks for what another one asks for, or has its own row.
    assert [code for code in asked.keys() - held.keys() if asked[code] not in held.values()] == []


@pytest.mark.parametrize("name", BLIND)
def test_what_is_asked_for_where_a_probe_cannot_be_run(name: str) -> None:
    held = json.loads((GOLDEN / f"without.{name}.json").read_text(encoding="utf-8"))
    assert without(saved(name)) == held, "if this is meant: python tests/plan/table.py --write"


def test_no_table_is_left_over() -> None:
    others = {f"codes.{name}" for name in FOR_CODES} | {f"without.{name}" for name in BLIND}
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*NAMES, *others}
