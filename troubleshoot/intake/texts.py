"""Read a text that somebody pastes or reads out: which code it means, and where to.

Several codes may be spoken for. The best is what is said most surely and most often; it is *clear* where nothing else
comes near. Texts are bounded (:data:`LONGEST`), as are lines and every pattern, and what is shown of them is without
secrets.
"""

from __future__ import annotations

import re

import msgspec
from msgspec.structs import replace

from troubleshoot.intake.evidence import MEANT, SURELY, Found, Line, folded, in_line, line_of
from troubleshoot.intake.login import without_odd_login
from troubleshoot.intake.places import Place, places
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import System
from troubleshoot.knowledge.secrets import masked

#: Characters of a text, and lines of it, that are read.
LONGEST = 1 << 16
_MOST_LINES = 400
#: As much of a line is shown.
_SHOWN = 160
# Two characters that stand for a line break where a text was written as one line (JSON, a table).
_ESCAPED = re.compile(r"\\n(?=[\s\"'A-Z#{}]|\\[nt]|0x[0-9a-fA-F]|$)|\\r\\n")
_TAB = re.compile(r"\\t(?=[\sA-Z(]|\\t)")
_INNER = ("caused by", "--->", "inner exception", "reason:", "[cause]")


class Candidate(msgspec.Struct, frozen=True):
    """A code that a text speaks for: how surely (1 to 4), how often, and the line that says it best.

    ``number`` is that line's, counted from 1.
    """

    code: str
    sure: int
    times: int
    line: str
    system: System | None = None
    number: int = 1


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a text says. ``code`` is the best of ``candidates``, ``None`` where nothing in it is an error that is known.

    ``clear`` tells whether it can be taken without asking. ``target`` is the best of ``targets``, each as TARGET is
    written. ``caller_system`` is the system on which the text was written, where it tells.
    """

    code: str | None = None
    clear: bool = False
    candidates: tuple[Candidate, ...] = ()
    target: str | None = None
    targets: tuple[str, ...] = ()
    caller_system: System | None = None


def read_text(text: str, catalogue: Catalogue, system: System | None = None) -> Reading:
    """Return what ``text`` says; ``system`` tells whose a small number is."""
    lines = _lines(text)
    found = [one for line in lines for one in in_line(line, catalogue, system)]
    if not any(one.code for one in found) and len(lines) > 1:
        # A sentence may go on in the next line.
        found = in_line(line_of(0, " ".join(line.text for line in lines)), catalogue, system)
    candidates = _candidates(found, lines, catalogue)
    ends = _ordered(places(lines, catalogue), found, candidates)
    best = candidates[0] if candidates else None
    return Reading(
        code=best.code if best is not None else None,
        clear=_is_clear(candidates),
        candidates=candidates,
        target=_with_port(ends),
        targets=tuple(end.target for end in ends),
        caller_system=system or _system(found, best),
    )


def _lines(text: str) -> list[Line]:
    spread = _TAB.sub(" ", _ESCAPED.sub("\n", without_odd_login(text[:LONGEST])))
    written = [(place, line) for place, line in enumerate(spread.splitlines(), 1) if line.strip()][:_MOST_LINES]
    return [replace(line_of(number, line), place=place) for number, (place, line) in enumerate(written)]


def _candidates(found: list[Found], lines: list[Line], catalogue: Catalogue) -> tuple[Candidate, ...]:
    by_code: dict[str, list[Found]] = {}
    for one in found:
        if one.code:
            by_code.setdefault(one.code, []).append(one)
    made = []
    for code, spoken in by_code.items():
        best = max(spoken, key=lambda one: (one.sure, _is_inner(one, lines), -one.line))
        times = len({(one.line, one.start) for one in spoken if one.sure == best.sure})
        systems = {one.system for one in spoken} - {None}
        system = next(iter(systems)) if len(systems) == 1 else None
        line = masked(lines[best.line].text.strip(), catalogue)
        shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
        made.append(Candidate(code, best.sure, times, shown, system, lines[best.line].place))
    inner = {code for code, spoken in by_code.items() if any(_is_inner(one, lines) for one in spoken)}
    return tuple(sorted(made, key=lambda one: (-one.sure, -one.times, one.code not in inner)))


def _is_inner(one: Found, lines: list[Line]) -> bool:
    return any(word in lines[one.line].plain for word in _INNER)


def _is_clear(candidates: tuple[Candidate, ...]) -> bool:
    if not candidates or candidates[0].sure < MEANT:
        return False
    best, *others = candidates
    return all(other.sure < best.sure or 2 * other.times <= best.times for other in others)


def _ordered(ends: list[Place], found: list[Found], candidates: tuple[Candidate, ...]) -> list[Place]:
    """Return the ends with those first that stand where the best code is spoken for, addresses before names."""
    best = candidates[0].code if candidates else None
    there = {one.line for one in found if one.code == best}
    return sorted(ends, key=lambda end: (-end.rank, end.line not in there, not end.by_address))


def _with_port(ends: list[Place]) -> str | None:
    """Return the best end, with the port that the text gives to the same host elsewhere."""
    if not ends:
        return None
    best = ends[0].target
    return next((end.target for end in ends[1:] if _host_of(end.target) == best), best)


def _host_of(target: str) -> str:
    """Return the host of a target that has a port, an empty text for one that has none."""
    found = re.match(r"(?:[A-Za-z][\w.+-]{0,20}://)?([^/]{1,260}):[0-9]{1,5}(?![^/])", target)
    return found[1] if found else ""


def _system(found: list[Found], best: Candidate | None) -> System | None:
    """Return the system that speaks for the best code, else the one that anything in the text belongs to."""
    if best is not None and best.system is not None:
        return best.system
    systems = [one.system for one in found if one.system is not None]
    return next((system for system in systems if systems.count(system) * 2 > len(systems)), None)


__all__ = ["LONGEST", "SURELY", "Candidate", "Reading", "folded", "read_text"]
