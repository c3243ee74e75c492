"""Read the claims that can be reproduced, and the reasons why the other codes cannot, from the catalogue."""

from __future__ import annotations

from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.knowledge.record import Record
from troubleshoot.knowledge.text import fill, read_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.knowledge.kinds import Language
    from troubleshoot.knowledge.model import Measured
    from troubleshoot.reproduce.records import Reproduction

#: What an observed error and a claim's ``errno`` say where the call succeeds.
SUCCESS = "OK"
_NONE = "none"

#: Twins whose names differ: one of POSIX's own pairs, and the words of gethostbyname() (<netdb.h>).
_TWINS = {
    "EAGAIN": "WSAEWOULDBLOCK",
    "HOST_NOT_FOUND": "WSAHOST_NOT_FOUND",
    "TRY_AGAIN": "WSATRY_AGAIN",
    "NO_RECOVERY": "WSANO_RECOVERY",
    "NO_DATA": "WSANO_DATA",
}


class Claim(Record):
    """One claim of the catalogue (``reproduce.toml``): ``function`` called in ``state`` ends in ``errno`` on Linux.

    ``winsock`` is the code that Winsock has for this situation, ``None`` where it does not know the situation or
    sees nothing wrong with it; ``errno`` is :data:`SUCCESS` where Linux sees nothing wrong. ``note`` says what
    differs and why, ``source`` who says so.
    """

    id: str
    code: str
    function: str
    state: str
    errno: str
    winsock: str | None
    note: str = ""
    source: str = ""


class Reproducible(Record):
    """What can be made to happen of a code: its claims, or why there are none (``None``: nothing is known)."""

    claims: tuple[Claim, ...] = ()
    impossible: str | None = None


def codes() -> tuple[str, ...]:
    """Return every code that the file speaks of: those with claims, then those that cannot happen."""
    known = catalogue()
    return (*known.claimed, *known.reproduce.impossible)


def claims(code: str, language: Language = "en") -> tuple[Claim, ...]:
    """Return the claims of ``code``, in the file's order; none for a code that cannot happen here.

    State and note are in ``language``, in English where it lacks them.
    """
    found = []
    for claim_id, entry in catalogue().claims(code).items():
        said = entry.ko if language == "ko" else None
        found.append(
            Claim(
                id=claim_id,
                code=code,
                function=entry.function,
                state=(said and said.state) or entry.state,
                errno=entry.errno,
                winsock=None if entry.winsock == _NONE else entry.winsock or code,
                note=entry.note and ((said and said.note) or entry.note),
                source=entry.source,
            )
        )
    return tuple(found)


def windows_claims(code: str, language: Language = "en") -> tuple[Claim, ...]:
    """Return the claims of ``code`` that Windows alone can show."""
    found = []
    for claim_id, entry in catalogue().windows_claims(code).items():
        state = (entry.ko.state if language == "ko" else "") or entry.state
        found.append(
            Claim(
                id=claim_id,
                code=code,
                function=entry.function,
                state=state,
                errno=code,
                winsock=code,
                source=entry.source,
            )
        )
    return tuple(found)


def measured_under_wine() -> Measured:
    """Return what Windows' Python met under wine; ``tests/windows/record.py`` writes the file."""
    return catalogue().wine


def impossible(code: str, language: Language = "en") -> str | None:
    """Return why nothing on a modern Linux returns ``code``; ``None`` where something does, or where it is unknown."""
    known = catalogue().reproduce
    reason = known.impossible.get(code)
    return reason if reason is None or language == "en" else known.ko.impossible.get(code, reason)


def reproducible(code: str, language: Language = "en") -> Reproducible:
    """Return what of ``code`` can be made to happen, for whoever describes it."""
    return Reproducible(claims=claims(code, language), impossible=impossible(code, language))


def said_of(one: Reproduction, language: Language) -> tuple[str, str]:
    """Return the state and the remark of a reproduction in ``language``, in English where it lacks them."""
    claim = one.claim
    if language == "en":
        return claim.state, one.remark
    known = (*claims(one.code, language), *windows_claims(one.code, language))
    said = next((c for c in known if c.id == claim.id), claim)
    if one.remark == claim.note:
        return said.state, said.note
    for sentence, translated in catalogue().reproduce.ko.reasons.items():
        values = read_back(one.remark, sentence)
        if values is not None:
            return said.state, fill(translated, values)
    return said.state, one.remark


def measured_on() -> str:
    """Return the system on which every claim was last seen to hold."""
    return catalogue().reproduce.measured_on


def winsock_twin(observed: str) -> str | None:
    """Return the Winsock name of a POSIX error's twin, ``None`` for success and for an error without one.

    A twin has the same name: EPIPE, which Linux has for what Winsock calls WSAESHUTDOWN, is not one.
    """
    if observed == SUCCESS:
        return None
    if observed in _TWINS:
        return _TWINS[observed]
    if observed.startswith("EAI_"):
        known = catalogue().posix.get(observed)
        return None if known is None else known.winsock
    return f"WSA{observed}" if f"WSA{observed}" in catalogue().numbers else None
