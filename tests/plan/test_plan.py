"""What the plan names for a request and what is known so far: held against a table (see table.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.plan.table import BLIND, FOR_CODES, GOLDEN, REPORTS, by_code, saved, told, without

NAMES = sorted(path.stem for path in REPORTS.glob("*.json"))
ANEW = "if this is meant: python tests/plan/table.py --write"


def held(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def jobs(table: Any) -> Iterator[str]:
    """Every job in a table, whatever its layers."""
    for part in table.values() if isinstance(table, dict) else table:
        if isinstance(part, str):
            yield part
        else:
            yield from jobs(part)


#: Probes of the tables. One that came since has no record in any of these reports: that it is asked for is held by
#: test_declared.py, and by the tables once they are written anew.
KNOWN = {job.partition(" ")[0] for path in GOLDEN.glob("*.json") for job in jobs(held(path.stem))}


def known(table: Any) -> Any:
    """Return a table without the probes that came since."""
    if isinstance(table, dict):
        return {key: known(part) for key, part in table.items()}
    return [job for job in table if job.partition(" ")[0] in KNOWN]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_asked_for_after_each_answer(name: str) -> None:
    asked = {last: new for last, new in known(told(saved(name))).items() if new}
    assert asked == held(name), ANEW


@pytest.mark.parametrize("name", FOR_CODES)
def test_what_each_code_asks_for(name: str) -> None:
    table, asked = held(f"codes.{name}"), known(by_code(saved(name)))
    assert {code: asked.get(code) for code in table} == table, ANEW
    # A code that came since asks for what another one asks for, or has its own row.
    assert [code for code in asked.keys() - table.keys() if asked[code] not in table.values()] == [], ANEW


@pytest.mark.parametrize("name", BLIND)
def test_what_is_asked_for_where_a_probe_cannot_be_run(name: str) -> None:
    assert known(without(saved(name))) == held(f"without.{name}"), ANEW


def test_no_table_is_left_over() -> None:
    others = {f"codes.{name}" for name in FOR_CODES} | {f"without.{name}" for name in BLIND}
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*NAMES, *others}
