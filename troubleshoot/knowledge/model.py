"""What the catalogue holds, one record for each form of entry.

English is always there. Korean may lack while an entry is a draft: then the English stands in its place.
"""

from __future__ import annotations

from troubleshoot.knowledge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.knowledge.kinds import (
        About,
        Ender,
        Held,
        Kind,
        Language,
        Owner,
        Sayer,
        Scope,
        Sureness,
        System,
        Transport,
    )


class Words(Record):
    """One text in each language."""

    en: str
    ko: str = ""

    def in_(self, language: Language) -> str:
        """Return the text in ``language``, in English where it lacks."""
        return (self.ko if language == "ko" else "") or self.en


class ChecklistLine(Record):
    """One line of a code's own checklist: a ``step`` of its own, or all steps of another code (``inherit``)."""

    step: str | None = None
    inherit: str | None = None


class NoteText(Record):
    """A note in one language; ``source`` is there only where a citation holds words of ours."""

    text: str = ""
    source: str = ""


class SourcedNote(Record):
    """Where the reference contradicts itself or today's systems: both sides, and who says so."""

    text: str
    source: str
    ko: NoteText | None = None

    def in_(self, language: Language) -> NoteText:
        """Return note and source in ``language``, in English what it lacks."""
        if language == "en" or self.ko is None:
            return NoteText(text=self.text, source=self.source)
        return NoteText(text=self.ko.text or self.text, source=self.ko.source or self.source)


class CodeText(Record):
    """What a code's page says beyond title and meaning, in one language."""

    berkeley: str | None = None
    tcpip: str | None = None
    developer_hints: tuple[str, ...] = ()
    qualifiers: dict[str, str] = {}


class HeldEntry(Record):
    """Sockets on which a call can raise a code: of a kind, in one of ``states`` (words of ss(8); none: whatever it is).

    ``non_blocking``: those with O_NONBLOCK alone.
    """

    socket: Held = "any"
    states: tuple[str, ...] = ()
    non_blocking: bool = False


class CodeEntry(Record):
    """One file of ``catalogue/codes``: a Winsock code as the reference and later systems know it.

    ``described`` tells whether the reference describes it (the others are plain constants); ``alias_of`` names
    the entry that carries the description of the same number. The keys are English; ``ko`` holds the Korean text
    of those that are sentences. ``needs_port``: only a connection to a port brings it, no ping shows it. ``windows``
    says what may be behind it on Windows alone, and which command tells, best first.
    ``held`` are the sockets of a program on which a call can raise it.
    ``also_any`` names families of functions (``functions.toml``) that bring it as well, without those of
    ``also_except``; ``qualifiers`` says of a function when it does. ``user`` is what to do about this very code.
    ``sentences`` are what systems say for it, in small letters and as far as nobody else says it, by system or
    by the language of Windows; ``words`` what people look for.
    """

    number: int
    name: str
    kind: Kind
    title: Words
    meaning: Words
    words: tuple[str, ...] = ()
    sentences: dict[Sayer, tuple[str, ...]] = {}
    about: tuple[About, ...] = ()
    held: tuple[HeldEntry, ...] = ()
    described: bool = True
    alias_of: str | None = None
    posix: str | None = None
    berkeley: str | None = None
    tcpip: str | None = None
    functions: tuple[str, ...] = ()
    also_raised_by: tuple[str, ...] = ()
    see_also: tuple[str, ...] = ()
    needs_port: bool = False
    developer_hints: tuple[str, ...] = ()
    notes: tuple[SourcedNote, ...] = ()
    windows: tuple[Words, ...] = ()
    also_any: tuple[str, ...] = ()
    also_except: tuple[str, ...] = ()
    qualifiers: dict[str, str] = {}
    user: tuple[Words, ...] = ()
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
            qualifiers={**self.qualifiers, **ko.qualifiers},
        )

    @property
    def hex(self) -> str:
        """The number as eight hexadecimal digits, ``0x0000274D``."""
        return f"0x{self.number:08X}"

    @property
    def hresult(self) -> str:
        """The HRESULT that wraps it (``FACILITY_WIN32``), ``0x8007274D``."""
        return f"0x{0x80070000 | self.number:08X}"


class PosixNumbers(Record):
    """One POSIX name's number on each system; ``None`` where the system lacks it."""

    winsock: str
    linux: int | None = None
    macos: int | None = None
    windows: int | None = None


class CommandEntry(Record):
    """What a command does, written for each system; several belong together or stand for each other."""

    linux: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    macos: tuple[str, ...] = ()

    def on(self, system: System) -> tuple[str, ...]:
        """Return the forms of one system."""
        forms: tuple[str, ...] = getattr(self, system)
        return forms


class StepEntry(Record):
    """One step id of the contract: title, question, what an answer ``tells``, and the command that does it by hand."""

    title: Words
    purpose: Words
    tells: Words | None = None
    by_hand: str | None = None


class SecretEntry(Record):
    """How a kind of secret is known: a regular expression whose group ``secret`` is masked.

    ``signs`` are pieces in small letters, one of which every match holds: most texts have none, and spare the
    expression's making. ``examples`` are pairs of a text and what is shown of it; equal ones say what is left alone.
    """

    pattern: str
    signs: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]


class TextEntry(Record):
    """One thing that programs say of an error in words of their own, as ``texts.toml`` tells how it is known.

    ``has`` are words, in small letters, of which a line holds one at least; ``pattern`` is then searched in the line
    (where it is empty, the words say enough). ``code`` is what is meant, ``also`` what else it may be; the group
    ``errno`` of the pattern is a number of the system's, ``winsock`` one of Winsock's. ``system`` is the only one on
    which this is said. ``reads`` gives for the ``example`` the codes and the target that are read out of it.
    """

    has: tuple[str, ...]
    example: str
    reads: tuple[str, ...]
    pattern: str = ""
    code: str | None = None
    also: tuple[str, ...] = ()
    sure: Sureness = "meant"
    system: System | None = None


class EndEntry(Record):
    """How programs say that a connection came about and was then ended, ``by`` its certificate or its service.

    ``has`` and ``pattern`` are as in :class:`TextEntry`; ``example`` is a test.
    """

    has: tuple[str, ...]
    by: Ender
    example: str
    pattern: str = ""


class PlaceEntry(Record):
    """One form in which texts say where to: ``pattern`` has groups ``host``, ``address``, ``port``, ``url``, ``path``.

    ``rank`` orders them: what names the failing end itself comes before an address that merely stands there; a
    negative one marks the other end, which is never the target. ``port`` and ``transport`` hold where the text has
    none. ``example`` and the target that is read out of it (``reads``, empty for none) are a test.
    """

    has: tuple[str, ...]
    pattern: str
    example: str
    reads: str
    rank: int
    port: int | None = None
    transport: Transport = "tcp"


class CauseText(Record):
    """A cause in one language.

    ``summary`` holds one sentence for each variant (``default`` is required), ``actions`` likewise lists of
    sentences: a variant without a list of its own takes the default's. An action with a placeholder that has
    no value in a given case is left out of it.
    """

    title: str
    explanation: str
    summary: dict[str, str]
    actions: dict[str, tuple[str, ...]]


class CauseTranslation(Record):
    """A :class:`CauseText` as far as it is translated."""

    title: str = ""
    explanation: str = ""
    summary: dict[str, str] = {}
    actions: dict[str, tuple[str, ...]] = {}


class CauseEntry(Record):
    """One file of ``catalogue/causes``: an id of ``verdict.cause``, where it can lie, and what to say of it.

    ``environment``: it leaves this machine without any name service or any way out, whatever the target is.
    """

    id: str
    scopes: tuple[Scope, ...]
    en: CauseText
    ko: CauseTranslation = CauseTranslation()
    environment: bool = False

    def text(self, language: Language) -> CauseText:
        """Return the texts in ``language``, in English what it lacks; a list of actions is taken over whole."""
        if language == "en":
            return self.en
        whole = {v: lines for v, lines in self.ko.actions.items() if len(lines) == len(self.en.actions.get(v, ()))}
        return CauseText(
            title=self.ko.title or self.en.title,
            explanation=self.ko.explanation or self.en.explanation,
            summary={**self.en.summary, **self.ko.summary},
            actions={**self.en.actions, **whole},
        )


class ServiceEntry(Record):
    """One well-known service: its registered port, and how it behaves when a connection opens.

    ``speaks_first`` tells whether the server sends before the client does (RFC 959 for ftp, and so on). ``dialogue``
    is what a client may say at once, with places for ``{host}`` and for ``{padding}`` that makes it long.

    ``opening`` (with a place for ``{host}``) or ``opening_hex`` is what a client says first, ``start_hex`` what it says
    after that is agreed to, before any login. ``well``, ``no`` (by what it means) and ``mark`` are regular expressions
    for how an answer begins, ``source`` says where all of it is written down. ``speaks`` names the entry that holds
    them for this one. ``ends``: the service hangs up by itself once it has spoken. ``unasked`` is how a greeting begins
    that goes on as if the client had said something wrong, though it has not said anything.
    """

    port: int
    transport: Transport = "tcp"
    aliases: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    speaks_first: bool = False
    tls: bool = False
    question_hex: str = ""
    dialogue: str = ""
    speaks: str = ""
    opening: str = ""
    opening_hex: str = ""
    start_hex: str = ""
    well: str = ""
    no: dict[str, str] = {}
    mark: str = ""
    unasked: str = ""
    ends: bool = False
    source: str = ""


class Judgement(Record):
    """Order and thresholds of the judge: ``order`` ranks causes, first the one that outranks all others.

    ``stop_everything`` names those that stop whatever leaves this machine, or lead it elsewhere: other faults may be
    mere consequences. ``owners`` gives who can mend a fault, by its cause or else by its scope (``public-path``: a path
    among public addresses).
    """

    order: tuple[str, ...]
    stop_everything: tuple[str, ...]
    thresholds: dict[str, float]
    owners: dict[str, Owner]


class ClaimText(Record):
    """What a claim says, in one language."""

    state: str = ""
    note: str = ""


class ClaimEntry(Record):
    """One claim of ``reproduce.toml``: ``function`` called in ``state`` ends in ``errno`` on Linux."""

    function: str
    state: str
    errno: str
    winsock: str | None = None
    note: str = ""
    source: str = ""
    ko: ClaimText = ClaimText()


class WindowsClaimEntry(Record):
    """One claim of ``reproduce.toml`` that Windows alone can show."""

    function: str
    state: str
    source: str
    ko: ClaimText = ClaimText()


class ReproduceText(Record):
    """``impossible`` by code, ``reasons`` by their English sentence; both sides of a reason hold the same places."""

    impossible: dict[str, str] = {}
    reasons: dict[str, str] = {}


class ReproduceEntry(Record):
    """``reproduce.toml`` without its claims: where they were last seen to hold, which codes cannot happen and why."""

    measured_on: str
    impossible: dict[str, str]
    ko: ReproduceText = ReproduceText()


class Measured(Record):
    """What a system returned: ``observed`` by code and claim, an error's name, ``OK`` or why there is none."""

    measured_on: str
    observed: dict[str, dict[str, str]]


class ChecklistStep(Record):
    """One step of a resolved checklist; ``origin`` is the entry it was taken from, ``added`` marks ours."""

    id: str
    origin: str | None = None
    added: bool = False
