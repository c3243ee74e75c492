"""Frozen records whose classes cost next to nothing to make.

The catalogue is read by commands that should be over in the time of two empty interpreters; ``import msgspec``
alone takes one more. So what the catalogue holds is described by these classes, and
:mod:`troubleshoot.knowledge.check` derives the schema from them where files are checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

    Entry = TypeVar("Entry", bound="Record")
else:
    Entry = object

    def dataclass_transform(**_: object):  # noqa: ANN201 - read by type checkers only
        """Return a decorator that does nothing."""
        return lambda decorated: decorated


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=True)
class Record:
    """A frozen record: its fields are the annotations of its class, given by keyword; a default stands in the class.

    A field may hold text, numbers, records, tuples of one of these, and tables (``dict``) of texts, numbers and tuples.
    """

    #: Every class of records by its name, those that others are made of first.
    known: ClassVar[dict[str, type[Record]]] = {}
    fields: ClassVar[tuple[str, ...]] = ()
    _required: ClassVar[frozenset[str]] = frozenset()
    _nested: ClassVar[dict[str, type[Record]]] = {}

    def __init_subclass__(cls) -> None:
        annotations: dict[str, str] = cls.__dict__["__annotations__"]  # noqa: RUF063 - text, and nothing imported
        cls.fields = tuple(annotations)
        cls._required = frozenset(name for name in annotations if not hasattr(cls, name))
        cls._nested = {
            name: Record.known[word]
            for name, text in annotations.items()
            for word in re.findall(r"[A-Z]\w+", text)
            if word in Record.known
        }
        Record.known[cls.__name__] = cls

    def __init__(self, **values: Any) -> None:
        wrong = values.keys() - set(self.fields) or self._required - values.keys()
        if wrong:
            raise TypeError(f"{type(self).__name__}: {', '.join(sorted(wrong))}: unknown or missing")
        self.__dict__.update(values)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Return the record that ``data`` holds: plain values that were checked before."""
        return cls(**{name: _made(value, cls._nested.get(name)) for name, value in data.items()})

    def replaced(self, **values: Any) -> Self:
        """Return a copy with other ``values``."""
        return type(self)(**{**self.__dict__, **values})

    def plain(self) -> dict[str, Any]:
        """Return the fields as a dictionary, records within them as they are."""
        return {name: getattr(self, name) for name in self.fields}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is read only")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.plain() == other.plain() if isinstance(other, Record) else False

    def __hash__(self) -> int:
        return hash(tuple(self.plain().values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.plain().items())})"


class Table(Mapping[str, Entry]):
    """Entries by name, each made when it is first asked for: most commands need a few of a hundred."""

    def __init__(self, kind: type[Entry], data: Mapping[str, Mapping[str, Any]]) -> None:
        self._kind = kind
        self._data = data
        self._made: dict[str, Entry] = {}

    def __getitem__(self, name: str) -> Entry:
        entry = self._made.get(name)
        if entry is None:
            entry = self._made[name] = self._kind.of(self._data[name])
        return entry

    def first(self, **values: object) -> Entry | None:
        """Return the first entry whose fields hold ``values``, without making the others."""
        wanted = [(field, value, getattr(self._kind, field, None)) for field, value in values.items()]
        for name, data in self._data.items():
            if all(data.get(field, default) == value for field, value, default in wanted):
                return self[name]
        return None

    def column(self, field: str) -> Iterator[tuple[str, Any]]:
        """Yield the name of each entry that says something in ``field``, and what, without making any."""
        return ((name, data[field]) for name, data in self._data.items() if data.get(field))

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


# Files that were just checked hold tuples where JSON holds lists.
def _made(value: Any, kind: type[Record] | None) -> Any:
    if isinstance(value, dict):
        return {key: _made(one, None) for key, one in value.items()} if kind is None else kind.of(value)
    if isinstance(value, list | tuple):
        return tuple(_made(one, kind) for one in value)
    return value
