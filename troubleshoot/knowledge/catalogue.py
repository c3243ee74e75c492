"""Read what is known: codes, steps, causes, wording and thresholds, checked as they are read.

The data are TOML files in the project's ``catalogue`` folder, which a wheel carries as
``troubleshoot/_catalogue``. Every complaint about them names the file, the key and what would fit.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from troubleshoot.errors import UserError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Kind = Literal["network", "name-service", "local-resource", "api-misuse", "no-network-meaning"]
Scope = Literal["this-machine", "name-service", "local-network", "path", "remote-host", "application"]
Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")


class CatalogueError(UserError):
    """A data file of the catalogue does not fit its schema."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Common settings of all catalogue records."""


class Words(_Entry, frozen=True):
    """One text in each language."""

    en: str
    ko: str

    def in_(self, language: Language) -> str:
        """Return the text in ``language``."""
        return self.ko if language == "ko" else self.en


class ChecklistLine(_Entry, frozen=True):
    """One line of a code's own checklist: a ``step`` of its own, or all steps of another code (``inherit``)."""

    step: str | None = None
    inherit: str | None = None


class NoteText(_Entry, frozen=True):
    """A note in one language; ``source`` is there only where a citation holds words of ours."""

    text: str = ""
    source: str = ""


class SourcedNote(_Entry, frozen=True):
    """Where the reference contradicts itself or today's systems: both sides, and who says so."""

    text: str
    source: str
    ko: NoteText | None = None

    def in_(self, language: Language) -> NoteText:
        """Return note and source in ``language``, in English what it lacks."""
        if language == "en" or self.ko is None:
            return NoteText(text=self.text, source=self.source)
        return NoteText(text=self.ko.text or self.text, source=self.ko.source or self.source)


class CodeText(_Entry, frozen=True):
    """What a code's page says beyond title and meaning, in one language."""

    berkeley: str | None = None
    tcpip: str | None = None
    developer_hints: tuple[str, ...] = ()


class CodeEntry(_Entry, frozen=True):
    """One file of ``catalogue/codes``: a Winsock code as the reference and later systems know it.

    ``described`` tells whether the reference describes it (the others are plain constants); ``alias_of`` names
    the entry that carries the description of the same number. The keys are English; ``ko`` holds the Korean text
    of those that are sentences.
    """

    number: int
    name: str
    kind: Kind
    title: Words
    meaning: Words
    described: bool = True
    alias_of: str | None = None
    posix: str | None = None
    berkeley: str | None = None
    tcpip: str | None = None
    functions: tuple[str, ...] = ()
    also_raised_by: tuple[str, ...] = ()
    see_also: tuple[str, ...] = ()
    developer_hints: tuple[str, ...] = ()
    notes: tuple[SourcedNote, ...] = ()
    checklist: tuple[ChecklistLine, ...] = ()
    ko: CodeText = CodeText()

    def text(self, language: Language) -> CodeText:
        """Return the texts in ``language``, in English what it lacks.

        The hints are one list: they are taken over only whole.
        """
        ko = self.ko if language == "ko" else CodeText()
        whole = len(ko.developer_hints) == len(self.developer_hints)
        return CodeText(
            berkeley=self.berkeley and (ko.berkeley or self.berkeley),
            tcpip=self.tcpip and (ko.tcpip or self.tcpip),
            developer_hints=ko.developer_hints if whole else self.developer_hints,
        )

    @property
    def hex(self) -> str:
        """The number as eight hexadecimal digits, ``0x0000274D``."""
        return f"0x{self.number:08X}"

    @property
    def hresult(self) -> str:
        """The HRESULT that wraps it (``FACILITY_WIN32``), ``0x8007274D``."""
        return f"0x{0x80070000 | self.number:08X}"


class PosixNumbers(_Entry, frozen=True):
    """One POSIX name's number on each system; ``None`` where the system lacks it."""

    winsock: str
    linux: int | None = None
    macos: int | None = None
    windows: int | None = None


class Commands(_Entry, frozen=True):
    """The command that carries a step out by hand, for each system. Placeholders: see ``steps.toml``."""

    linux: str
    windows: str
    macos: str


class StepEntry(_Entry, frozen=True):
    """One step id of the contract: its title, what it tells, and how to do it by hand."""

    title: Words
    purpose: Words
    by_hand: Commands | None = None


class CauseText(_Entry, frozen=True):
    """A cause in one language.

    ``summary`` holds one sentence for each variant (``default`` is required), ``actions`` likewise lists of
    sentences: a variant without a list of its own takes the default's. An action with a placeholder that has
    no value in a given case is left out of it.
    """

    title: str
    explanation: str
    summary: dict[str, str]
    actions: dict[str, tuple[str, ...]]


class CauseEntry(_Entry, frozen=True):
    """One file of ``catalogue/causes``: an id of ``verdict.cause``, where it can lie, and what to say of it."""

    id: str
    scopes: tuple[Scope, ...]
    en: CauseText
    ko: CauseText

    def text(self, language: Language) -> CauseText:
        """Return the texts in ``language``."""
        return self.ko if language == "ko" else self.en


class ServiceEntry(_Entry, frozen=True):
    """One well-known service: its registered port, and how it behaves when a connection opens.

    ``speaks_first`` tells whether the server sends before the client does (RFC 959 for ftp, and so on). ``dialogue``
    is what a client may say at once, with places for ``{host}`` and for ``{padding}`` that makes it long.
    """

    port: int
    transport: Literal["tcp", "udp"] = "tcp"
    aliases: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    speaks_first: bool = False
    tls: bool = False
    question_hex: str = ""
    dialogue: str = ""


class Judgement(_Entry, frozen=True):
    """Order and thresholds of the judge: ``order`` ranks causes, first the one that outranks all others."""

    order: tuple[str, ...]
    thresholds: dict[str, float]


class ChecklistStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a resolved checklist; ``origin`` is the entry it was taken from, ``added`` marks ours."""

    id: str
    origin: str | None = None
    added: bool = False


T = TypeVar("T")


def root() -> Traversable:
    """Return the catalogue's folder: inside an installed package, else beside it."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "_catalogue", here.parent / "catalogue"):
        if folder.is_dir():
            return folder
    # Inside a zip. Imported only here: importlib.resources takes a fifth of the time of `explain`.
    from importlib import resources  # noqa: PLC0415

    return resources.files("troubleshoot") / "_catalogue"


def _read(file: Traversable, kind: type[T]) -> T:
    """Decode one TOML file strictly; raises :class:`CatalogueError`."""
    return _convert(_toml(file), kind, file)


def _read_table(file: Traversable, kind: type[T]) -> dict[str, T]:
    """Decode a TOML file that holds one record under each key; raises :class:`CatalogueError`."""
    return {key: _convert(value, kind, file, key) for key, value in _toml(file).items()}


def _toml(file: Traversable) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(f"{file.name}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{file.name}: not TOML: {error}") from None


def _convert(data: object, kind: type[T], file: Traversable, key: str = "") -> T:
    """Check ``data`` against ``kind``; ``key`` is where in the file it stands."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        inside = where.strip("`").removeprefix("$").lstrip(".")
        place = ".".join(filter(None, (key, inside))) or "top level"
        what = what.replace("`", "")
        raise CatalogueError(f"{file.name}: {place}: {what[:1].lower()}{what[1:]}{_what_fits(kind, inside)}") from None


def _what_fits(kind: type, place: str) -> str:
    """Return what the schema has at ``place`` (``checklist[0]``): the values of a choice, the keys of a record."""
    from msgspec import inspect  # noqa: PLC0415 - only for a complaint

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
    if isinstance(node, inspect.LiteralType):
        return f"; one of {', '.join(map(str, node.values))}"
    if isinstance(node, inspect.StructType):
        return f"; the keys are {', '.join(field.encode_name for field in node.fields)}"
    return ""


def _nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a complaint about ``word``: the names most like it, else all of them."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a complaint

    names = list(known)
    return f"; did you mean {', '.join(get_close_matches(word, names)) or ', '.join(names)}?"


class Catalogue:
    """The catalogue, each part read when it is first asked for.

    ``folder`` is for tests of the schema check; everybody else takes the default.
    """

    def __init__(self, folder: Traversable | None = None) -> None:
        self._folder = folder if folder is not None else root()

    # -- codes ---------------------------------------------------------------------------------------------

    @functools.cached_property
    def _code_files(self) -> dict[str, Traversable]:
        """Code name → file. The file's name carries number and name, so that one code costs one file."""
        return {
            f.name[:-5].partition("-")[2]: f for f in (self._folder / "codes").iterdir() if f.name.endswith(".toml")
        }

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        """Code name → number, of every code."""
        return {name: int(file.name.partition("-")[0]) for name, file in self._code_files.items()}

    def names_of(self, number: int) -> tuple[str, ...]:
        """Return the names that share ``number``, the described one first."""
        names = sorted(name for name, value in self.numbers.items() if value == number)
        return (
            tuple(sorted(names, key=lambda name: self.code(name).alias_of is not None))
            if len(names) > 1
            else tuple(names)
        )

    def code(self, name: str) -> CodeEntry:
        """Return one entry; raises ``KeyError`` for a name that is none."""
        return self._code(name)

    @functools.cache  # noqa: B019 - one catalogue lives as long as the process
    def _code(self, name: str) -> CodeEntry:
        file = self._code_files[name]
        entry = _read(file, CodeEntry)
        if file.name != f"{entry.number}-{entry.name}.toml":
            raise CatalogueError(f"{file.name}: name: the file would be {entry.number}-{entry.name}.toml")
        for line in entry.checklist:
            if (line.step is None) == (line.inherit is None):
                raise CatalogueError(f"{file.name}: checklist: each line holds either step or inherit")
        return entry

    def codes(self) -> tuple[CodeEntry, ...]:
        """Return all entries by number, then name."""
        return tuple(self.code(name) for name in sorted(self.numbers, key=lambda n: (self.numbers[n], n)))

    def checklist(self, name: str) -> tuple[ChecklistStep, ...]:
        """Return the code's checklist with inherited steps filled in, then the steps that we add beyond it."""
        entry = self.code(self.code(name).alias_of or name)
        steps = list(self._reference_steps(entry, ()))
        seen = {step.id for step in steps}
        for step in self.added_steps(entry):
            if step not in self.steps:
                raise CatalogueError(f"added.toml: no step is called {step}{_nearest(step, self.steps)}")
            if step not in seen:
                steps.append(ChecklistStep(id=step, added=True))
        return tuple(steps)

    def _reference_steps(self, entry: CodeEntry, path: tuple[str, ...]) -> Iterable[ChecklistStep]:
        if entry.name in path:
            raise CatalogueError(f"{entry.number}-{entry.name}.toml: checklist: inherits itself by way of {path[-1]}")
        seen: set[str] = set()
        for line in entry.checklist:
            if line.step is not None:
                if line.step not in self.steps:
                    unknown = f"checklist: no step is called {line.step}{_nearest(line.step, self.steps)}"
                    raise CatalogueError(f"{entry.number}-{entry.name}.toml: {unknown}")
                found: Iterable[ChecklistStep] = (ChecklistStep(id=line.step),)
            else:
                assert line.inherit is not None  # noqa: S101 - checked when the entry was read
                if line.inherit not in self._code_files:
                    unknown = f"checklist: no code is called {line.inherit}{_nearest(line.inherit, self._code_files)}"
                    raise CatalogueError(f"{entry.number}-{entry.name}.toml: {unknown}")
                other = self._reference_steps(self.code(line.inherit), (*path, entry.name))
                found = (ChecklistStep(id=s.id, origin=s.origin or line.inherit) for s in other)
            for step in found:
                if step.id not in seen:
                    seen.add(step.id)
                    yield step

    def added_steps(self, entry: CodeEntry) -> tuple[str, ...]:
        """Return the steps that we add for this code: its own list in ``added.toml``, else its kind's."""
        return self._added.get(entry.name, self._added.get(entry.kind, ()))

    @functools.cached_property
    def _added(self) -> dict[str, tuple[str, ...]]:
        return _read(self._folder / "added.toml", dict[str, tuple[str, ...]])

    # -- the rest ------------------------------------------------------------------------------------------

    @functools.cached_property
    def posix(self) -> dict[str, PosixNumbers]:
        """POSIX name (``ECONNREFUSED``, ``EAI_NONAME``) → its numbers and its Winsock twin."""
        return _read_table(self._folder / "posix.toml", PosixNumbers)

    @functools.cached_property
    def steps(self) -> dict[str, StepEntry]:
        """Step id → entry, in the contract's order."""
        return _read_table(self._folder / "steps.toml", StepEntry)

    @functools.cached_property
    def causes(self) -> dict[str, CauseEntry]:
        """Cause id → entry, of every cause."""
        return {name: self.cause(name) for name in sorted(self.cause_names)}

    @functools.cached_property
    def cause_names(self) -> frozenset[str]:
        """Every cause id that has a file."""
        return frozenset(f.name[:-5] for f in (self._folder / "causes").iterdir() if f.name.endswith(".toml"))

    @functools.cache  # noqa: B019 - one catalogue lives as long as the process
    def cause(self, name: str) -> CauseEntry:
        """Return one cause; raises :class:`CatalogueError` where there is no such file."""
        file = self._folder / "causes" / f"{name}.toml"
        entry = _read(file, CauseEntry)
        if file.name != f"{entry.id}.toml":
            raise CatalogueError(f"{file.name}: id: the file would be {entry.id}.toml")
        return entry

    @functools.cached_property
    def services(self) -> dict[str, ServiceEntry]:
        """Service name → what is registered and known of it."""
        return _read_table(self._folder / "services.toml", ServiceEntry)

    def service(self, name: str, transport: str = "tcp") -> ServiceEntry | None:
        """Return the entry of a service by its name or an alias of it, ``None`` for an unknown one.

        Where a name stands for both transports, the entry of ``transport`` is taken.
        """
        wanted = name.lower()
        found = [entry for key, entry in self.services.items() if wanted == key or wanted in entry.aliases]
        return min(found, key=lambda entry: entry.transport != transport, default=None)

    def service_on(self, port: int, transport: str) -> ServiceEntry | None:
        """Return the entry of the service that is registered on a port, ``None`` where none is known."""
        return next((e for e in self.services.values() if (e.port, e.transport) == (port, transport)), None)

    @functools.cached_property
    def judgement(self) -> Judgement:
        """Order and thresholds of the judge."""
        return _read(self._folder / "judgement.toml", Judgement)

    def probes(self, language: Language) -> dict[str, str]:
        """Return what the probes do, in a language other than English: that is in their modules."""
        return _read(self._folder / "probes.toml", dict[str, dict[str, str]]).get(language, {})

    @functools.cache  # noqa: B019 - one catalogue lives as long as the process
    def wording(self, language: Language) -> dict[str, str]:
        """Return every sentence and label of ``language`` by its key, ``table.name``."""
        tables = _read(self._folder / f"wording.{language}.toml", dict[str, dict[str, str]])
        return {f"{table}.{key}": text for table, keys in tables.items() for key, text in keys.items()}
