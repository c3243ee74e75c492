"""The catalogue as its authors write it: TOML files, read one by one and checked as they are read.

Each file gives one *part* of the catalogue, and a part is plain data (tables, lists, text, numbers) under a name:
``numbers``, ``causes``, ``codes/WSAECONNREFUSED``, ``causes/no-listener``, ``posix``, ``wording.en``, …
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from troubleshoot.errors import CatalogueError
from troubleshoot.knowledge.check import checked, checked_table
from troubleshoot.knowledge.labels import LabelEntry
from troubleshoot.knowledge.model import (
    CauseEntry,
    ClaimEntry,
    CodeEntry,
    CommandEntry,
    EndEntry,
    Judgement,
    Measured,
    PlaceEntry,
    PosixNumbers,
    ReproduceEntry,
    SecretEntry,
    ServiceEntry,
    StepEntry,
    TextEntry,
    WindowsClaimEntry,
)
from troubleshoot.knowledge.record import Record

#: A mistake in the catalogue; whatever else keeps a file from being read is this machine's, and no mistake at all.
_NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_ENDING = ".toml"
#: The table of ``steps.toml`` that is no step: which steps are added to whose checklists.
_ADDED = "added"


class Folder:
    """The parts of the catalogue in the folder ``path``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._readers: dict[str, Callable[[], Any]] = {
            "added": lambda: checked(self._steps.get(_ADDED, {}), dict[str, tuple[str, ...]], "steps.toml", _ADDED),
            "causes": lambda: sorted(self._names("causes")),
            "commands": lambda: self._table("commands", CommandEntry),
            "ends": lambda: self._inside("texts", "ends", EndEntry),
            "functions": lambda: checked(self._toml("functions"), dict[str, tuple[str, ...]], "functions.toml"),
            "labels": lambda: self._table("labels", LabelEntry),
            "judgement": lambda: self._record("judgement", Judgement),
            "numbers": lambda: {name: int(file.partition("-")[0]) for name, file in self._code_files.items()},
            "posix": lambda: self._table("posix", PosixNumbers),
            "reproduce": self._reproduce,
            "places": lambda: self._inside("texts", "places", PlaceEntry),
            "secrets": lambda: self._table("secrets", SecretEntry),
            "sentences": self._sentences,
            "services": lambda: self._table("services", ServiceEntry),
            "steps": lambda: checked_table(
                {step: entry for step, entry in self._steps.items() if step != _ADDED}, StepEntry, "steps.toml"
            ),
            "texts": lambda: self._inside("texts", "texts", TextEntry),
            "wine": lambda: self._record("reproduced-wine", Measured),
            "wording.en": lambda: self._wording("en"),
            # A sentence that is not translated yet is said in English.
            "wording.ko": lambda: {**self._wording("en"), **self._wording("ko")},
        }

    def part(self, name: str) -> Any:
        """Return one part; raises ``KeyError`` where there is none, :class:`CatalogueError` where it cannot be used."""
        kind, _, inside = name.partition("/")
        if not inside:
            return self._readers[name]()
        if kind == "codes":
            return self._code(inside)
        if kind == "causes":
            return self._cause(inside)
        return {"claims": self._claims(inside), "windows": self._claims(inside, "windows")}

    def names(self) -> Iterator[str]:
        """Yield the name of every part."""
        yield from self._readers
        yield from (f"codes/{name}" for name in self._code_files)
        yield from (f"causes/{name}" for name in self._names("causes"))
        yield from (f"claims/{name}" for name in self._code_files)

    # -- one file ------------------------------------------------------------------------------------------

    def _toml(self, name: str) -> dict[str, Any]:
        path = os.path.join(self._path, f"{name}{_ENDING}")
        file = os.path.basename(path)
        try:
            with open(path, "rb") as opened:
                return tomllib.load(opened)
        except _NOT_THERE as error:
            raise CatalogueError(f"{file}: cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise CatalogueError(f"{file}: not TOML: {error}") from None

    def _record(self, name: str, kind: type[Record]) -> Any:
        return checked(self._toml(name), kind, f"{os.path.basename(name)}{_ENDING}")

    def _table(self, name: str, kind: type[Record]) -> dict[str, Any]:
        return checked_table(self._toml(name), kind, f"{name}{_ENDING}")

    def _inside(self, name: str, table: str, kind: type[Record]) -> dict[str, Any]:
        """Return one table of several in a file."""
        return checked_table(self._toml(name).get(table, {}), kind, f"{name}{_ENDING}", table)

    def _names(self, folder: str) -> list[str]:
        try:
            files = os.listdir(os.path.join(self._path, folder))
        except _NOT_THERE as error:
            raise CatalogueError(f"{folder}: cannot be read: {error.strerror}") from None
        return [file.removesuffix(_ENDING) for file in files if file.endswith(_ENDING)]

    # -- what needs more than its schema -------------------------------------------------------------------

    @functools.cached_property
    def _code_files(self) -> dict[str, str]:
        """Return code name → file. The file's name carries number and name, so that one code costs one file."""
        return {file.partition("-")[2]: file for file in self._names("codes")}

    def _code(self, name: str) -> Any:
        file = self._code_files[name]
        entry = self._record(f"codes/{file}", CodeEntry)
        if file != f"{entry['number']}-{entry['name']}":
            raise CatalogueError(f"{file}.toml: name: the file would be {entry['number']}-{entry['name']}.toml")
        for line in entry.get("checklist", ()):
            if ("step" in line) == ("inherit" in line):
                raise CatalogueError(f"{file}.toml: checklist: each line holds either step or inherit")
        return entry

    def _sentences(self) -> dict[str, Any]:
        """Return what systems say for each code, which reads faster than the entries one by one."""
        entries = {name: self._code(name) for name in sorted(self._code_files)}
        return {name: entry["sentences"] for name, entry in entries.items() if entry.get("sentences")}

    def _cause(self, name: str) -> Any:
        entry = self._record(f"causes/{name}", CauseEntry)
        if entry["id"] != name:
            raise CatalogueError(f"{name}.toml: id: the file would be {entry['id']}.toml")
        return entry

    def _wording(self, language: str) -> dict[str, str]:
        name = f"wording.{language}"
        tables = checked(self._toml(name), dict[str, dict[str, str]], f"{name}{_ENDING}")
        return {f"{table}.{key}": text for table, keys in tables.items() for key, text in keys.items()}

    @functools.cached_property
    def _steps(self) -> dict[str, Any]:
        return self._toml("steps")

    @functools.cached_property
    def _all_claims(self) -> dict[str, Any]:
        return self._toml("reproduce")

    def _reproduce(self) -> Any:
        """Return the file without its claims, and the codes that have some, in the file's order."""
        rest = {key: value for key, value in self._all_claims.items() if key not in ("claims", "windows")}
        return {"entry": checked(rest, ReproduceEntry, "reproduce.toml"), "codes": list(self._all_claims["claims"])}

    def _claims(self, code: str, table: str = "claims") -> dict[str, Any]:
        kind = WindowsClaimEntry if table == "windows" else ClaimEntry
        claims = self._all_claims.get(table, {})
        return checked_table(claims.get(code, {}), kind, "reproduce.toml", f"{table}.{code}")
