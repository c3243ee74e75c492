"""What the state of Winsock means: pure, and shared by the step that shows it and the rules that judge by it."""

from __future__ import annotations

from probes.base import Note, note
from probes.network_subsystem import Provider, Winsock

#: The families that this program's targets are reached by; what is wrong elsewhere concerns no connection of theirs.
_INTERNET = frozenset({"AF_INET", "AF_INET6"})
#: Winsock 2's only version, which every program of today asks for.
_CURRENT = "2.2"


def refused(winsock: Winsock) -> Note | None:
    """Return that WSAStartup refuses Winsock's current version, ``None`` where it does not."""
    for start in winsock.starts:
        if start.asked == _CURRENT and (start.error is not None or start.given != _CURRENT):
            return note("fact.winsock-refuses", version=start.asked, error=start.error or 0)
    return None


def broken(winsock: Winsock) -> Note | None:
    """Return what is wrong in the catalogue of providers or with the library itself, ``None`` where nothing is."""
    providers = winsock.providers
    if providers is None:
        return note("fact.winsock-catalogue-unread", error=winsock.error or 0)
    entries = {one.entry for one in providers}
    for one in (p for p in providers if p.family in _INTERNET):
        if one.missing:
            return note("fact.winsock-provider-missing", name=one.name, path=one.path or "?")
        lost = next((entry for entry in one.chain if entry not in entries), None)
        if lost is not None:
            return note("fact.winsock-chain-broken", name=one.name, entry=lost)
    lacking = [kind for kind in ("SOCK_STREAM", "SOCK_DGRAM") if not _offers(providers, kind)]
    if lacking:
        return note("fact.winsock-provider-lacking", type=", ".join(lacking))
    return None


def _offers(providers: tuple[Provider, ...], kind: str) -> bool:
    return any(one.kind != "layered" and one.family == "AF_INET" and one.type == kind for one in providers)


def foreign(winsock: Winsock) -> Note | None:
    """Return that the library is not the system's, ``None`` where it is or nothing is known."""
    return note("fact.winsock-foreign", path=winsock.library) if winsock.foreign else None


def layers(winsock: Winsock) -> Note | None:
    """Return which providers stand on top of others, ``None`` where none does."""
    layered = [one for one in winsock.providers or () if one.kind == "layered" or one.chain]
    if not layered:
        return None
    names = tuple(dict.fromkeys(one.name for one in layered))
    return note("fact.winsock-layered", count=len(layered), names=", ".join(names[:3]) + (", …" if names[3:] else ""))


def subject(fault: Note) -> str:
    """Return what a fault of those above is about: a provider, a file, a type of socket; else Winsock."""
    said = dict(fault.values)
    return said.get("name") or said.get("names") or said.get("path") or said.get("type") or "Winsock"


def summary(winsock: Winsock) -> Note:
    """Return in one line that loopback works, and by which Winsock."""
    given = next((start.given for start in winsock.starts if start.asked == _CURRENT), "?")
    path, count = winsock.library or "?", len(winsock.providers or ())
    return note("fact.winsock-works", version=given, path=path, count=count)


def details(winsock: Winsock) -> tuple[Note, ...]:
    """Return what WSAStartup offers and which file answers."""
    start = next((start for start in winsock.starts if start.error is None), None)
    offered = (note("fact.winsock-starts", version=start.given, expected=start.highest),) if start else ()
    if winsock.library is None:
        return offered
    return (*offered, note("fact.winsock-library", path=winsock.library, version=winsock.library_version or "?"))
