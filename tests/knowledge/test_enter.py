"""What is entered into a table under a name stays there: a second entry is refused, both places named."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.faults import FAULTS, fault
from troubleshoot.judge.model import DECLARED, RULES, rule
from troubleshoot.knowledge.registry import enter
from troubleshoot.steps import ASKS, STEPS
from troubleshoot.steps.model import step


class Second:
    """Offered under a name that is taken."""


def second(*_: object) -> None:
    """Offered under a name that is taken."""


@pytest.mark.parametrize(
    ("table", "decorator", "made"), [(RULES, rule, second), (STEPS, step, second), (FAULTS, fault, Second)]
)
def test_a_second_entry_is_refused(
    table: dict[str, Callable[..., Any]], decorator: Callable[[str], Callable[..., Any]], made: Callable[..., Any]
) -> None:
    name, first = next(iter(table.items()))
    places = [f"{one.__module__}:{inspect.getsourcelines(one)[1]}" for one in (first, made)]
    declared = dict(DECLARED), dict(ASKS)
    with pytest.raises(ValueError, match="registered twice") as refused:
        decorator(name)(made)
    assert declared == (DECLARED, ASKS)
    assert f"{name!r} is registered twice: at {places[0]} and at {places[1]}" in str(refused.value)
    assert table[name] is first


def test_an_entry_is_returned_as_it_is() -> None:
    table: dict[str, Callable[..., Any]] = {}
    assert enter(table, "second", second) is second
    assert table == {"second": second}
