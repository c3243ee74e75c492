"""Check what a catalogue file holds against its record, and say what is wrong by file, key and what would fit."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from troubleshoot.errors import CatalogueError
from troubleshoot.knowledge import kinds, labels, model
from troubleshoot.knowledge.record import Record


@functools.cache
def _schemas() -> dict[str, Any]:
    """Return a strict ``msgspec`` type for each class of records, by the record's name."""
    made: dict[str, Any] = {}
    words = {**vars(typing), **vars(kinds), "Record": Record}
    for name, record in {**vars(labels), **vars(model)}.items():
        if not isinstance(record, type) or not issubclass(record, Record) or record is Record:
            continue
        hints = typing.get_type_hints(record, words, made)
        fields: list[Any] = []
        for field in record.fields:
            default = getattr(record, field, msgspec.NODEFAULT)
            if isinstance(default, Record):
                default = made[type(default).__name__]()
            fields.append((field, hints[field], msgspec.field(default=default)))
        made[name] = msgspec.defstruct(
            name, fields, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
        )
    return made


def checked(data: object, kind: Any, file: str, key: str = "") -> Any:
    """Return ``data`` as plain values that fit ``kind``: a class of records, or a type of plain values.

    ``key`` is where in ``file`` it stands. Raises :class:`CatalogueError`.
    """
    if isinstance(kind, type) and issubclass(kind, Record):
        kind = _schemas()[kind.__name__]
    try:
        return msgspec.to_builtins(msgspec.convert(data, kind))
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        inside = where.strip("`").removeprefix("$").lstrip(".")
        place = ".".join(filter(None, (key, inside))) or "top level"
        what = what.replace("`", "")
        raise CatalogueError(f"{file}: {place}: {what[:1].lower()}{what[1:]}{_what_fits(kind, inside)}") from None


def checked_table(data: Mapping[str, object], kind: type[Record], file: str, key: str = "") -> dict[str, Any]:
    """Check a table that holds one record under each key; raises :class:`CatalogueError`."""
    return {name: checked(value, kind, file, f"{key}.{name}".lstrip(".")) for name, value in data.items()}


def _what_fits(kind: Any, place: str) -> str:
    """Return what the schema has at ``place`` (``checklist[0]``): the values of a choice, the keys of a record."""
    node = inspect.type_info(kind)
    for part in filter(None, place.replace("[...]", "[0]").replace("[", ".[").split(".")):
        if isinstance(node, inspect.UnionType):  # an optional record
            node = next(kind for kind in node.types if not isinstance(kind, inspect.NoneType))
        if isinstance(node, inspect.StructType):
            node = next(field.type for field in node.fields if field.encode_name == part)
        elif isinstance(node, inspect.DictType):
            node = node.value_type
        elif isinstance(node, inspect.VarTupleType):
            node = node.item_type
    if isinstance(node, inspect.UnionType):
        node = next(kind for kind in node.types if not isinstance(kind, inspect.NoneType))
    if isinstance(node, inspect.LiteralType):
        return f"; one of {', '.join(map(str, node.values))}"
    if isinstance(node, inspect.StructType):
        return f"; the keys are {', '.join(field.encode_name for field in node.fields)}"
    return ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a complaint about ``word``: the names most like it, else all of them."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a complaint

    names = list(known)
    return f"; did you mean {', '.join(get_close_matches(word, names)) or ', '.join(names)}?"
