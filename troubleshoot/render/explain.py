"""Show entries of the catalogue: one code as a page or as ``wsadiag/code/1``, all of them as a table."""

from __future__ import annotations

from troubleshoot.knowledge.text import fill
from troubleshoot.render import user
from troubleshoot.render.labels import checklist_heading, labels_in
from troubleshoot.render.layout import cells, pad, wrap
from troubleshoot.reproduce.claims import SUCCESS, Reproducible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from troubleshoot.knowledge.catalogue import Catalogue
    from troubleshoot.knowledge.kinds import Language, System
    from troubleshoot.knowledge.model import CodeEntry
    from troubleshoot.render.style import Style

_SYSTEMS = (("linux", "Linux"), ("macos", "macOS"), ("windows", "Windows"))


def _described(entry: CodeEntry, catalogue: Catalogue) -> CodeEntry:
    """Return the entry that carries the description: another one's where two names share a number."""
    return catalogue.code(entry.alias_of) if entry.alias_of else entry


def _posix_names(entry: CodeEntry, catalogue: Catalogue) -> list[str]:
    """Return every POSIX name whose Winsock twin the entry is, the entry's own first."""
    twins = [name for name, on in catalogue.posix.items() if on.winsock == entry.name and name != entry.posix]
    return [*([entry.posix] if entry.posix else []), *twins]


def code_document(
    name: str,
    catalogue: Catalogue,
    language: Language,
    shown: Reproducible | None = None,
    *,
    system: System = "windows",
) -> dict[str, Any]:
    """Return the entry as ``wsadiag/code/1``, inherited checklists filled in; ``shown`` is what can be reproduced.

    Title, meaning and the checklist's titles are in ``language``, all else is English whatever it is.
    Beyond the contract: ``user`` (with the commands of ``system``), ``qualifiers``, ``described``, ``aliases``,
    ``notes``, ``posix_numbers``, ``reproducible`` with ``not_reproducible`` (why), and ``added`` on steps of ours.
    """
    shown = shown or Reproducible()
    entry = catalogue.code(name)
    full = _described(entry, catalogue)
    return {
        "schema": "wsadiag/code/1",
        "number": entry.number,
        "name": entry.name,
        "posix": entry.posix,
        "hex": entry.hex,
        "hresult": entry.hresult,
        "title": entry.title.in_(language),
        "meaning": entry.meaning.in_(language),
        "berkeley": full.berkeley,
        "tcpip": full.tcpip,
        "functions": list(full.functions),
        "also_raised_by": user.raised_by(full, catalogue),
        "see_also": list(full.see_also),
        "kind": full.kind,
        "checklist": _steps(name, catalogue, language),
        "developer_hints": user.hints(full.developer_hints, catalogue, system),
        "user": list(user.steps(full, catalogue, language, system)),
        "qualifiers": dict(full.qualifiers),
        "described": full.described,
        "aliases": [other for other in catalogue.names_of(entry.number) if other != name],
        "posix_numbers": {
            posix: {system: getattr(catalogue.posix[posix], system) for system, _ in _SYSTEMS}
            for posix in _posix_names(full, catalogue)
            if posix in catalogue.posix
        },
        "notes": [{"text": note.text, "source": note.source} for note in full.notes],
        "reproducible": [
            {"id": c.id, "function": c.function, "state": c.state, "errno": c.errno, "winsock": c.winsock}
            for c in shown.claims
        ],
        "not_reproducible": shown.impossible,
    }


def _steps(name: str, catalogue: Catalogue, language: Language) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for step in catalogue.checklist(name):
        title = catalogue.steps[step.id].title.in_(language)
        lines.append({"id": step.id, "title": title, "from": step.origin, **({"added": True} if step.added else {})})
    return lines


def code_page(
    name: str,
    catalogue: Catalogue,
    language: Language,
    style: Style,
    shown: Reproducible | None = None,
    *,
    system: System = "windows",
) -> str:
    """Return the entry as a page of text; ``shown`` is what of it can be made to happen."""
    ui = labels_in(catalogue.wording(language))
    entry = catalogue.code(name)
    full = _described(entry, catalogue)
    lines = wrap(f"{entry.number} {entry.name}: {entry.title.in_(language)}", style.width, rest="  ")
    lines = [style.heading(line) for line in lines]
    rows = [(ui["number"], f"{entry.number} = {entry.hex}, {ui['hresult']} {entry.hresult} = {_signed(entry.hresult)}")]
    rows += [(ui["posix"] if n == 0 else "", text) for n, text in enumerate(_posix(full, catalogue, ui))]
    rows += _names(name, catalogue, language, ui)
    column = max(cells(label) for label, _ in rows) + 2
    for label, value in rows:
        lines += wrap(value, style.width, pad(label, column))

    def section(heading: str, texts: Iterable[str], bullet: str = "  ") -> None:
        wrapped = [line for text in texts for line in wrap(text, style.width, bullet)]
        if wrapped:
            lines.extend(["", style.heading(ui[heading]), *wrapped])

    section("meaning", [entry.meaning.in_(language)])
    text = full.text(language)
    section("berkeley", [text.berkeley] if text.berkeley else [])
    section("tcpip", [text.tcpip] if text.tcpip else [])
    lines += _checklist(name, catalogue, language, style)
    guide = list(user.lines(full, catalogue, language, system, style.width))
    if guide:
        lines += ["", style.heading(fill(ui["user"], {"system": user.NAMES[system]})), *guide]
    section("hints", user.hints(text.developer_hints, catalogue, system), "  - ")
    notes = (note.in_(language) for note in full.notes)
    section("notes", [f"{note.text} ({ui['source']}: {note.source})" for note in notes], "  - ")
    if shown is not None:
        lines += _reproducible(entry, shown, ui, style)
    if full.kind not in ("api-misuse", "no-network-meaning"):
        lines += ["", fill(ui["run-it"], {"number": str(entry.number)})]
    return "\n".join(lines) + "\n"


def _names(name: str, catalogue: Catalogue, language: Language, ui: dict[str, str]) -> list[tuple[str, str]]:
    """Return the rows of names: others for the code, what it is about, who raises it, what to see as well."""
    entry = catalogue.code(name)
    full = _described(entry, catalogue)
    rows = []
    others = [other for other in catalogue.names_of(entry.number) if other != name]
    if others:
        rows.append((ui["also-called"], ", ".join(others)))
    if full is not entry:
        rows.append((ui["same-as"], full.name))
    rows.append((ui["kind"], ui[f"kind-{full.kind}"]))
    if full.functions:
        rows.append((ui["functions"], _qualified(full.functions, full, language)))
    others_too = user.raised_by(full, catalogue)
    if others_too:
        rows.append((ui["also-raised-by"], _qualified(others_too, full, language)))
    others = [other for other in full.see_also if other != full.name]
    if others:
        rows.append((ui["see-also"], ", ".join(others)))
    return rows


def _qualified(names: Iterable[str], entry: CodeEntry, language: Language) -> str:
    """Return functions in a row, each with when it brings the code where that is not always so."""
    said = entry.text(language).qualifiers
    return ", ".join(f"{name} ({said[name]})" if name in said else name for name in names)


def _reproducible(entry: CodeEntry, shown: Reproducible, ui: dict[str, str], style: Style) -> list[str]:
    """Say which claims about the code have a reproducer, or why none can."""
    if shown.impossible:
        text = fill(ui["reproduce-impossible"], {"code": entry.name, "reason": shown.impossible})
        return ["", style.heading(ui["reproduce-page"]), *wrap(text, style.width, "  ")]
    if not shown.claims:
        return []
    lines = ["", style.heading(ui["reproduce-page"])]
    for claim in shown.claims:
        observed = ui["reproduce-no-error"] if claim.errno == SUCCESS else claim.errno
        given = {"function": claim.function, "state": claim.state, "observed": observed}
        lines += wrap(fill(ui["reproduce-claim"], given), style.width, "  - ")
    return [*lines, *wrap(fill(ui["reproduce-try"], {"number": str(entry.number)}), style.width, "  ")]


def _signed(hresult: str) -> int:
    return int(hresult, 16) - (1 << 32)


def _posix(entry: CodeEntry, catalogue: Catalogue, ui: dict[str, str]) -> list[str]:
    lines = []
    for name in _posix_names(entry, catalogue):
        on = catalogue.posix.get(name)
        numbers = [(title, getattr(on, system)) for system, title in _SYSTEMS] if on else []
        known = [f"{title} {number}" for title, number in numbers if number is not None]
        lines.append(f"{name} ({', '.join(known)})" if known else name)
    return lines or [ui["posix-none"]]


def _checklist(name: str, catalogue: Catalogue, language: Language, style: Style) -> list[str]:
    """Return the steps under a heading for each list they were taken from, numbered through."""
    ui = labels_in(catalogue.wording(language))
    lines: list[str] = []
    last: str | None = None
    for number, step in enumerate(catalogue.checklist(name), 1):
        heading = checklist_heading(step.origin, ui, added=step.added)
        if heading != last:
            lines += ["", style.heading(heading)]
            last = heading
        title = catalogue.steps[step.id].title.in_(language)
        lines += wrap(catalogue.steps[step.id].purpose.in_(language), style.width, f"  {number:2}. {title}: ", " " * 6)
    return lines


def matching(words: Sequence[str], catalogue: Catalogue) -> tuple[CodeEntry, ...]:
    """Return the entries in which every one of ``words`` occurs, in either language."""
    wanted = [word.casefold() for word in words]
    found = []
    for entry in catalogue.codes():
        text = _searchable(entry) if wanted else ""
        if all(word in text for word in wanted):
            found.append(entry)
    return tuple(found)


def _searchable(entry: CodeEntry) -> str:
    words = (entry.name, str(entry.number), entry.hex, entry.hresult, entry.posix or "", entry.kind)
    texts = (entry.title.en, entry.title.ko, entry.meaning.en, entry.meaning.ko)
    sentences = (sentence for said in entry.sentences.values() for sentence in said)
    return "\n".join((*words, *texts, *entry.words, *sentences)).casefold()


def codes_document(entries: Iterable[CodeEntry], language: Language) -> dict[str, Any]:
    """Return entries as ``wsadiag/codes/1``."""
    return {
        "schema": "wsadiag/codes/1",
        "codes": [
            {
                "number": entry.number,
                "name": entry.name,
                "posix": entry.posix,
                "title": entry.title.in_(language),
                "kind": entry.kind,
            }
            for entry in entries
        ],
    }


def codes_table(entries: Sequence[CodeEntry], language: Language, style: Style) -> str:
    """Return entries one a line: number, name, title; a long title goes on below itself."""
    column = max((cells(entry.name) for entry in entries), default=0)
    lines: list[str] = []
    for entry in entries:
        lines += wrap(entry.title.in_(language), style.width, f"{entry.number:5}  {pad(entry.name, column)}  ")
    return "".join(f"{line}\n" for line in lines)
