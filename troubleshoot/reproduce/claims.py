"""Read the claims that can be reproduced, and the reasons why the other codes cannot, from the catalogue."""

from __future__ import annotations

import functools
import re
import tomllib
from typing import Any

import msgspec

from troubleshoot.knowledge.catalogue import Catalogue, CatalogueError, Language, root
from troubleshoot.knowledge.text import fill, read_back
from troubleshoot.reproduce.records import SUCCESS, Claim, Reproducible, Reproduction

_FILE = "reproduce.toml"
_WINE_FILE = "reproduced-wine.toml"
_NONE = "none"

#: Twins whose names differ: one of POSIX's own pairs, and the words of gethostbyname() (<netdb.h>).
_TWINS = {
    "EAGAIN": "WSAEWOULDBLOCK",
    "HOST_NOT_FOUND": "WSAHOST_NOT_FOUND",
    "TRY_AGAIN": "WSATRY_AGAIN",
    "NO_RECOVERY": "WSANO_RECOVERY",
    "NO_DATA": "WSANO_DATA",
}


class _Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    state: str = ""
    note: str = ""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    function: str
    state: str
    errno: str
    winsock: str | None = None
    note: str = ""
    source: str = ""
    ko: _Texts = _Texts()


class _WindowsEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    function: str
    state: str
    source: str
    ko: _Texts = _Texts()


class _Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a system returned: ``observed`` by code and claim, an error's name, ``OK`` or why there is none."""

    measured_on: str
    observed: dict[str, dict[str, str]]


class _Translation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``impossible`` by code, ``reasons`` by their English sentence; both sides of a reason hold the same places."""

    impossible: dict[str, str] = {}
    reasons: dict[str, str] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    measured_on: str
    impossible: dict[str, str]
    claims: dict[str, dict[str, _Entry]]
    windows: dict[str, dict[str, _WindowsEntry]] = {}
    ko: _Translation = _Translation()


@functools.cache
def _text() -> str:
    return (root() / _FILE).read_text(encoding="utf-8")


@functools.cache
def _file(code: str | None = None) -> _File:
    """Read the file, for one ``code`` only its own tables: the whole takes 17 ms, which ``explain`` need not pay."""
    try:
        tables = re.split(r"(?m)^(?=\[)", _text())
        about = ("[claims.", "[windows.")
        ours = tuple(f"{start}{code}." for start in about)
        kept = (t for t in tables if code is None or not t.startswith(about) or t.startswith(ours))
        data: Any = {"claims": {}, **tomllib.loads("".join(kept))}
        return msgspec.convert(data, _File)
    except OSError as error:
        raise CatalogueError(f"{_FILE}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{_FILE}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        place = where.strip("`").removeprefix("$").lstrip(".") or "top level"
        raise CatalogueError(f"{_FILE}: {place}: {what}") from None


def codes() -> tuple[str, ...]:
    """Return every code that the file speaks of: those with claims, then those that cannot happen."""
    return (*_file().claims, *_file().impossible)


def claims(code: str, language: Language = "en") -> tuple[Claim, ...]:
    """Return the claims of ``code``, in the file's order; none for a code that cannot happen here.

    State and note are in ``language``, in English where it lacks them.
    """
    found = []
    for claim_id, entry in _file(code).claims.get(code, {}).items():
        said = entry.ko if language == "ko" else _Texts()
        found.append(
            Claim(
                id=claim_id,
                code=code,
                function=entry.function,
                state=said.state or entry.state,
                errno=entry.errno,
                winsock=None if entry.winsock == _NONE else entry.winsock or code,
                note=entry.note and (said.note or entry.note),
                source=entry.source,
            )
        )
    return tuple(found)


def windows_claims(code: str, language: Language = "en") -> tuple[Claim, ...]:
    """Return the claims of ``code`` that Windows alone can show."""
    found = []
    for claim_id, entry in _file(code).windows.get(code, {}).items():
        state = (entry.ko.state if language == "ko" else "") or entry.state
        found.append(Claim(claim_id, code, entry.function, state, code, code, source=entry.source))
    return tuple(found)


@functools.cache
def measured_under_wine() -> _Measured:
    """Return what Windows' Python met under wine; ``tests/windows/record.py`` writes the file."""
    return msgspec.convert(tomllib.loads((root() / _WINE_FILE).read_text(encoding="utf-8")), _Measured)


def impossible(code: str, language: Language = "en") -> str | None:
    """Return why nothing on a modern Linux returns ``code``; ``None`` where something does, or where it is unknown."""
    reason = _file(code).impossible.get(code)
    return reason if reason is None or language == "en" else _file(code).ko.impossible.get(code, reason)


def reproducible(code: str, language: Language = "en") -> Reproducible:
    """Return what of ``code`` can be made to happen, for whoever describes it."""
    return Reproducible(claims(code, language), impossible(code, language))


def said_of(one: Reproduction, language: Language) -> tuple[str, str]:
    """Return the state and the remark of a reproduction in ``language``, in English where it lacks them."""
    claim = one.claim
    if language == "en":
        return claim.state, one.remark
    known = (*claims(one.code, language), *windows_claims(one.code, language))
    said = next((c for c in known if c.id == claim.id), claim)
    if one.remark == claim.note:
        return said.state, said.note
    for sentence, translated in _file(one.code).ko.reasons.items():
        values = read_back(one.remark, sentence)
        if values is not None:
            return said.state, fill(translated, values)
    return said.state, one.remark


def measured_on() -> str:
    """Return the system on which every claim was last seen to hold."""
    return _file().measured_on


def winsock_twin(observed: str) -> str | None:
    """Return the Winsock name of a POSIX error's twin, ``None`` for success and for an error without one.

    A twin has the same name: EPIPE, which Linux has for what Winsock calls WSAESHUTDOWN, is not one.
    """
    if observed == SUCCESS:
        return None
    if observed in _TWINS:
        return _TWINS[observed]
    if observed.startswith("EAI_"):
        known = _catalogue().posix.get(observed)
        return None if known is None else known.winsock
    return f"WSA{observed}" if f"WSA{observed}" in _catalogue().numbers else None


@functools.cache
def _catalogue() -> Catalogue:
    return Catalogue()
