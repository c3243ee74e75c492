"""Entering into a table what a module offers under a name: a name that is taken is refused, both places named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Made = TypeVar("Made", bound=Callable[..., Any])


def enter(table: dict[str, Made], name: str, made: Made) -> Made:
    """Put a function or class into ``table`` and return it; raises ``ValueError`` where another one has the name."""
    if name in table:
        raise ValueError(f"{name!r} is registered twice: at {_place(table[name])} and at {_place(made)}")
    table[name] = made
    return made


def _place(made: Callable[..., Any]) -> str:
    import inspect  # noqa: PLC0415 - only a mistake needs it, and it is slow to import

    return f"{made.__module__}:{inspect.getsourcelines(made)[1]}"
