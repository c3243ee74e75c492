"""What a text was found to say: screen and document of ``wsadiag parse``, and the question about several codes."""

from __future__ import annotations

from typing import Any

from troubleshoot.intake.codes import SYSTEM_NAMES
from troubleshoot.intake.texts import Candidate, Reading
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import Language
from troubleshoot.knowledge.text import fill
from troubleshoot.render.layout import cells, pad, wrap
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style

#: How surely a text means a code, by its rank (:class:`troubleshoot.intake.texts.Candidate`).
CERTAINTY = {1: "possible", 2: "likely", 3: "said", 4: "said"}


def page(reading: Reading, catalogue: Catalogue, language: Language, style: Style) -> str:
    """Return what a text says, one thing a line: code, other codes that it may be, target, system."""
    wording = catalogue.wording(language)
    rows: list[tuple[str, str]] = []
    best, *others = reading.candidates
    if reading.clear:
        rows += [("code", _titled(best, catalogue, language)), ("from", best.line)]
    else:
        rows.append(("code", wording["ui.text-unclear"]))
        others = list(reading.candidates)
    for one in others:
        rows += [("several", _titled(one, catalogue, language)), *([] if reading.clear else [("from", one.line)])]
    rows.append(("target", reading.target or wording["ui.text-nowhere"]))
    rows += [("several", target) for target in reading.targets[1:]]
    if reading.caller_system is not None:
        rows.append(("caller", SYSTEM_NAMES[reading.caller_system]))
    labelled = [(wording[f"ui.text-{name}"], text) for name, text in rows]
    column = max(cells(label) for label, _ in labelled)
    lines = [line for label, text in labelled for line in wrap(safe(text), style.width, f"{pad(label, column)}  ")]
    return "".join(f"{line}\n" for line in lines)


def document(reading: Reading, catalogue: Catalogue, language: Language) -> dict[str, Any]:
    """Return what a text says as ``wsadiag/parse/1``, candidates best first.

    ``code`` is the one to take, ``null`` where several are as likely, or none is. ``line`` counts from 1.
    """
    return {
        "schema": "wsadiag/parse/1",
        "code": _code(reading.code, catalogue, language) if reading.clear and reading.code is not None else None,
        "target": reading.target,
        "caller_system": reading.caller_system,
        "candidates": [
            {
                **_code(one.code, catalogue, language),
                "target": reading.target,
                "also_target": [target for target in reading.targets if target != reading.target],
                "line": one.number,
                "text": one.line,
                "system": one.system,
                "certainty": CERTAINTY[one.sure],
            }
            for one in reading.candidates
        ],
    }


def choices(reading: Reading, catalogue: Catalogue, language: Language) -> str:
    """Return the question which code is meant, with the line that each came from, without a line break at its end."""
    wording = catalogue.wording(language)
    lines = [f"{wording['ui.text-several']}:"]
    for number, one in enumerate(reading.candidates, 1):
        lines += [f"  {number}  {_titled(one, catalogue, language)}", f"     {safe(one.line)}"]
    return "\n".join((*lines, fill(wording["ui.text-ask"], {"count": str(len(reading.candidates))})))


def _titled(one: Candidate, catalogue: Catalogue, language: Language) -> str:
    entry = catalogue.code(one.code)
    return f"{entry.number} {entry.name}: {entry.title.in_(language)}"


def _code(name: str, catalogue: Catalogue, language: Language) -> dict[str, Any]:
    entry = catalogue.code(name)
    return {"number": entry.number, "name": entry.name, "posix": entry.posix, "title": entry.title.in_(language)}
