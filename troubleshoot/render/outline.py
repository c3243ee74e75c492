"""Typed results as indented ``key: value`` lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from troubleshoot.render.layout import cells
from troubleshoot.render.safe import safe

#: A list of more entries than this (sockets, hops) is cut; JSON holds all of it.
_LONGEST_LIST = 40


def outline(value: Any, depth: int = 0) -> Iterator[str]:
    """Give a typed result, as plain data, as indented ``key: value`` lines; empty values are left out."""
    indent = "  " * depth
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if inner is None or inner in ("", [], (), {}):
                continue
            if _flat(inner):
                yield f"{indent}{safe(str(key))}: {_scalar(inner)}"
            else:
                yield f"{indent}{safe(str(key))}:"
                yield from outline(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value[:_LONGEST_LIST]:
            if _flat(inner):
                yield f"{indent}- {_scalar(inner)}"
                continue
            short = _short(inner)
            if short:
                yield f"{indent}- {short}"
                continue
            first, *rest = [*outline(inner, depth + 1)] or [f"{indent}  {{}}"]
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
        if len(value) > _LONGEST_LIST:
            yield f"{indent}- ... {len(value) - _LONGEST_LIST} more"
    else:
        yield f"{indent}{_scalar(value)}"


def _short(value: Any) -> str:
    """Return an entry of a list in one line, ``name: lo; mtu: 65536``, where it is that simple."""
    if not isinstance(value, Mapping):
        return ""
    kept = {key: inner for key, inner in value.items() if inner is not None and inner not in ("", [], (), {})}
    if len(kept) > 8 or not all(_flat(inner) for inner in kept.values()):
        return ""
    line = "; ".join(f"{safe(str(key))}: {_scalar(inner)}" for key, inner in kept.items())
    return line if cells(line) <= 66 else ""


def _flat(value: Any) -> bool:
    """Whether ``value`` fits behind its key: a scalar, or a short list of scalars."""
    if isinstance(value, list | tuple):
        return len(value) <= 8 and not any(isinstance(inner, list | tuple | Mapping) for inner in value)
    return not isinstance(value, Mapping)


def _scalar(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_scalar(inner) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return safe(str(value))
