"""What is known: codes, steps, causes, wording and thresholds, each part read when it is first asked for.

The data are TOML files in the project's ``catalogue`` folder; a wheel carries them compiled into one file. Every
complaint about them names the file, the key and what would fit.
"""

from __future__ import annotations

import functools
import os

from troubleshoot.errors import CatalogueError
from troubleshoot.knowledge.model import (
    CauseEntry,
    CauseText,
    ChecklistStep,
    ClaimEntry,
    CodeEntry,
    CommandEntry,
    Judgement,
    Measured,
    PosixNumbers,
    ReproduceEntry,
    SecretEntry,
    ServiceEntry,
    StepEntry,
    WindowsClaimEntry,
)
from troubleshoot.knowledge.record import Table
from troubleshoot.knowledge.sayings import Sayings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from troubleshoot.knowledge.cache import Source
    from troubleshoot.knowledge.kinds import Language

__all__ = [
    "COMPILED",
    "LANGUAGES",
    "Catalogue",
    "CatalogueError",
    "CauseEntry",
    "CauseText",
    "CodeEntry",
    "Judgement",
    "ServiceEntry",
    "catalogue",
]

LANGUAGES: tuple[Language, ...] = ("en", "ko")
#: The compiled catalogue's place within the package ``troubleshoot``, where the wheel's build puts it.
COMPILED = "_catalogue"


class Catalogue(Sayings):
    """The catalogue in ``folder`` (TOML files), in the installed one where none is given.

    Most want :func:`catalogue`, which every part of a process shares.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._source = _installed() if folder is None else _in_folder(os.fspath(folder))
        self._codes: dict[str, CodeEntry] = {}
        self._causes: dict[str, CauseEntry] = {}
        self._wording: dict[Language, dict[str, str]] = {}

    # -- codes ---------------------------------------------------------------------------------------------

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        """Code name → number, of every code."""
        return dict(self._source.part("numbers"))

    def names_of(self, number: int) -> tuple[str, ...]:
        """Return the names that share ``number``, the described one first."""
        names = sorted(name for name, value in self.numbers.items() if value == number)
        return tuple(sorted(names, key=lambda name: len(names) > 1 and self.code(name).alias_of is not None))

    def code(self, name: str) -> CodeEntry:
        """Return one entry; raises ``KeyError`` for a name that is none."""
        if name not in self._codes:
            self._codes[name] = CodeEntry.of(self._source.part(f"codes/{name}"))
        return self._codes[name]

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
                raise CatalogueError(f"steps.toml: added: no step is called {step}{_nearest(step, self.steps)}")
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
                    raise _unknown(entry, "step", line.step, self.steps)
                found: Iterable[ChecklistStep] = (ChecklistStep(id=line.step),)
            else:
                assert line.inherit is not None  # noqa: S101 - checked when the entry was read
                if line.inherit not in self.numbers:
                    raise _unknown(entry, "code", line.inherit, self.numbers)
                other = self._reference_steps(self.code(line.inherit), (*path, entry.name))
                found = (ChecklistStep(id=s.id, origin=s.origin or line.inherit) for s in other)
            for step in found:
                if step.id not in seen:
                    seen.add(step.id)
                    yield step

    def added_steps(self, entry: CodeEntry) -> tuple[str, ...]:
        """Return the steps that we add for this code: its own list, else its kind's and those of what it is about."""
        if entry.name in self._added:
            return tuple(self._added[entry.name])
        lists = (self._added.get(key, ()) for key in (entry.kind, *entry.about))
        return tuple(dict.fromkeys(step for steps in lists for step in steps))

    @functools.cached_property
    def _added(self) -> dict[str, list[str]]:
        return dict(self._source.part("added"))

    @functools.cached_property
    def posix(self) -> Table[PosixNumbers]:
        """POSIX name (``ECONNREFUSED``, ``EAI_NONAME``) → its numbers and its Winsock twin."""
        return Table(PosixNumbers, self._source.part("posix"))

    @functools.cached_property
    def commands(self) -> Table[CommandEntry]:
        """Command id → its forms on each system."""
        return Table(CommandEntry, self._source.part("commands"))

    @functools.cached_property
    def functions(self) -> dict[str, list[str]]:
        """Family of functions → its members."""
        return dict(self._source.part("functions"))

    @functools.cached_property
    def steps(self) -> Table[StepEntry]:
        """Step id → entry, in the contract's order."""
        return Table(StepEntry, self._source.part("steps"))

    @functools.cached_property
    def causes(self) -> dict[str, CauseEntry]:
        """Cause id → entry, of every cause."""
        return {name: self.cause(name) for name in sorted(self.cause_names)}

    @functools.cached_property
    def cause_names(self) -> frozenset[str]:
        """Every cause id that has a file."""
        return frozenset(self._source.part("causes"))

    def cause(self, name: str) -> CauseEntry:
        """Return one cause; raises :class:`CatalogueError` where there is none."""
        if name not in self._causes:
            if name not in self.cause_names:
                raise CatalogueError(f"{name}.toml: no such cause")
            self._causes[name] = CauseEntry.of(self._source.part(f"causes/{name}"))
        return self._causes[name]

    @functools.cached_property
    def services(self) -> Table[ServiceEntry]:
        """Service name → what is registered and known of it."""
        return Table(ServiceEntry, self._source.part("services"))

    def service(self, name: str, transport: str = "tcp") -> ServiceEntry | None:
        """Return the entry of a service by its name or an alias of it, ``None`` for an unknown one.

        Where a name stands for both transports, the entry of ``transport`` is taken.
        """
        wanted = name.lower()
        found = [entry for key, entry in self.services.items() if wanted == key or wanted in entry.aliases]
        return min(found, key=lambda entry: entry.transport != transport, default=None)

    def service_on(self, port: int, transport: str) -> ServiceEntry | None:
        """Return the entry of the service that is registered on a port, ``None`` where none is known."""
        return self.services.first(port=port, transport=transport)

    def service_of_scheme(self, scheme: str) -> ServiceEntry | None:
        """Return the entry of the service that a URL's scheme stands for, ``None`` for an unknown one."""
        return next((e for name, e in self.services.items() if scheme == name or scheme in e.schemes), None)

    def manner(self, entry: ServiceEntry) -> ServiceEntry:
        """Return the entry with what is said to its service, and what may come back, filled in from ``speaks``."""
        shared = self.services.get(entry.speaks)
        if shared is None:
            return entry
        said = ("opening", "opening_hex", "start_hex", "well", "no", "mark", "source")
        return entry.replaced(**{name: getattr(entry, name) or getattr(shared, name) for name in said})

    @functools.cached_property
    def marks(self) -> tuple[tuple[str, str], ...]:
        """Name of a service and the expression that tells its protocol from all others."""
        return tuple(self.services.column("mark"))

    @functools.cached_property
    def judgement(self) -> Judgement:
        """Order and thresholds of the judge."""
        return Judgement.of(self._source.part("judgement"))

    @functools.cached_property
    def secrets(self) -> Table[SecretEntry]:
        """Name of a kind of secret → how it is known."""
        return Table(SecretEntry, self._source.part("secrets"))

    def probes(self, language: Language) -> dict[str, str]:
        """Return what the probes do, in a language other than English: that is in their modules."""
        wording = self.wording(language)
        return {key.removeprefix("probe."): text for key, text in wording.items() if key.startswith("probe.")}

    def wording(self, language: Language) -> dict[str, str]:
        """Return every sentence and label of ``language`` by its key, ``table.name``."""
        if language not in self._wording:
            self._wording[language] = self._source.part(f"wording.{language}")
        return self._wording[language]

    # -- what can be made to happen ------------------------------------------------------------------------

    @functools.cached_property
    def claimed(self) -> tuple[str, ...]:
        """Every code that has claims, in the order of ``reproduce.toml``."""
        return tuple(self._source.part("reproduce")["codes"])

    @functools.cached_property
    def reproduce(self) -> ReproduceEntry:
        """What ``reproduce.toml`` says beside its claims."""
        return ReproduceEntry.of(self._source.part("reproduce")["entry"])

    def claims(self, code: str) -> dict[str, ClaimEntry]:
        """Return the claims of ``code`` by id, in the file's order; none for an unknown code."""
        return {name: ClaimEntry.of(entry) for name, entry in self._claims_of(code, "claims").items()}

    def windows_claims(self, code: str) -> dict[str, WindowsClaimEntry]:
        """Return the claims of ``code`` that Windows alone can show, by id."""
        return {name: WindowsClaimEntry.of(entry) for name, entry in self._claims_of(code, "windows").items()}

    def _claims_of(self, code: str, table: str) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = self._source.part(f"claims/{code}")[table] if code in self.numbers else {}
        return found

    @functools.cached_property
    def wine(self) -> Measured:
        """What Windows' Python met under wine; ``tests/windows/record.py`` writes the file."""
        return Measured.of(self._source.part("wine"))


@functools.cache
def catalogue() -> Catalogue:
    """Return the installed catalogue, read once in a process."""
    return Catalogue()


def folder() -> str | None:
    """Return the folder of TOML files beside this package, ``None`` where the compiled catalogue is installed."""
    beside = os.path.join(os.path.dirname(_package()), "catalogue")
    return beside if os.path.isdir(beside) and not os.path.exists(os.path.join(_package(), COMPILED)) else None


def _package() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _installed() -> Source:
    beside = folder()
    if beside is not None:
        from troubleshoot.knowledge import cache  # noqa: PLC0415 - of a checkout only

        return cache.of_folder(beside)
    from troubleshoot.knowledge import parts  # noqa: PLC0415

    path = os.path.join(_package(), COMPILED)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        data = __loader__.get_data(path)  # type: ignore[name-defined]  # the package is in a zip
    return parts.Parts(data)


def _in_folder(path: str) -> Source:
    from troubleshoot.knowledge.files import Folder  # noqa: PLC0415 - tests and tools; it imports what checks TOML

    return Folder(path)


def _unknown(entry: CodeEntry, kind: str, name: str, known: Iterable[str]) -> CatalogueError:
    said = f"checklist: no {kind} is called {name}{_nearest(name, known)}"
    return CatalogueError(f"{entry.number}-{entry.name}.toml: {said}")


def _nearest(word: str, known: Iterable[str]) -> str:
    from troubleshoot.knowledge.check import nearest  # noqa: PLC0415 - only for a complaint

    return nearest(word, known)
