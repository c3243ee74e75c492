"""A report that tells nothing of whose network it is about, and is judged the same.

Addresses, names, users, paths, command lines and hardware addresses become others, the same everywhere in the report;
all sentences are then made anew from what is left. The key is drawn anew each time and kept by nobody.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from troubleshoot.errors import UserError
from troubleshoot.intake.caller import caller_system
from troubleshoot.intake.codes import is_plain
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.catalogue import catalogue as installed
from troubleshoot.knowledge.kinds import Language
from troubleshoot.report import Report, TargetInfo
from troubleshoot.run.engine import replay
from troubleshoot.run.redact.addresses import IPV4, IPV6, Addresses, read
from troubleshoot.run.redact.record import host, record
from troubleshoot.run.redact.words import Words

#: How often another key is tried where an address would stay what it is: a small network has few others.
_TRIES = 60


class Redacted(msgspec.Struct, frozen=True):
    """The report, and whether it is judged as the one that it was made of."""

    report: Report
    same: bool


def redact(report: Report, key: bytes | None = None) -> Redacted:
    """Return the report under other names; raises :class:`UserError` where it cannot be judged again.

    ``key`` is a secret of one call, drawn where none is given.
    """
    catalogue = installed()
    language: Language = "ko" if report.language == "ko" else "en"
    before = replay(report, language)
    words = _words(report, secrets.token_bytes(32) if key is None else key, catalogue)
    words.know(_names(report))
    vantage = report.vantage
    hidden = replace(
        report,
        redacted=True,
        vantage=replace(
            vantage,
            hostname=words.name(vantage.hostname),
            place=_place(vantage.place, words),
            user=words.word(vantage.user) if vantage.user not in (None, "root") else vantage.user,
        ),
        error=replace(report.error, input=_code(report, catalogue)),
        target=_target(report.target, words, catalogue),
        request={name: _option(value, words) for name, value in report.request.items()},
        probes=tuple(record(one, words) for one in report.probes),
    )
    after = replay(hidden, language)
    return Redacted(after, _judged(after) == _judged(before))


def _judged(report: Report) -> list[object]:
    verdict = report.verdict
    place = (verdict.location.scope, verdict.location.hop) if verdict.location is not None else None
    others = [(other.cause, other.confidence, other.relation) for other in verdict.alternatives]
    steps = [(step.id, step.status) for step in report.steps]
    met = (report.reproduction.outcome, report.reproduction.observed)
    return [verdict.outcome, verdict.cause, verdict.failed_step, verdict.confidence, place, others, steps, met]


def _words(report: Report, key: bytes, catalogue: Catalogue) -> Words:
    """Return the words and addresses of a key under which no address of the report is left."""
    held = [*_texts((report.probes, report.request, msgspec.to_builtins(report.target)))]
    found = {address for text in held for address in _addresses(text)}
    networks = set(_networks(report))
    best: tuple[int, Addresses] | None = None
    for turn in range(_TRIES):
        addresses = Addresses(hashlib.blake2b(b"%d" % turn, key=key).digest(), networks)
        badness = addresses.badness(found)
        if best is None or badness < best[0]:
            best = badness, addresses
        if not badness:
            break
    assert best is not None  # noqa: S101 - one try at least
    return Words(key, best[1], _spoken(catalogue))


def _spoken(catalogue: Catalogue) -> frozenset[str]:
    """Return the words by which the catalogue tells what a service says."""
    forms = [
        form for one in catalogue.services.values() for form in (one.well, one.mark, one.unasked, *one.no.values())
    ]
    plain = (re.sub(r"\\x[0-9a-fA-F]{2}|\\.", " ", form) for form in forms)
    return frozenset(word.casefold() for form in plain for word in re.findall(r"[A-Za-z]{2,}[0-9]*", form))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _addresses(text: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    found = [read(text), *(read(one[1]) for form in (IPV4, IPV6) for one in form.finditer(text))]
    return (address for address in found if address is not None)


def _networks(report: Report) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Yield the networks of this machine's own interfaces."""
    for one in report.probes:
        result = one.get("result")
        if one.get("probe") != "interfaces" or not isinstance(result, Mapping):
            continue
        for interface in result.get("interfaces") or ():
            for held in interface.get("addresses") or ():
                text = f"{str(held.get('address')).partition('%')[0]}/{held.get('prefix')}"
                try:
                    yield ipaddress.ip_network(text, strict=False)
                except ValueError:
                    continue


def _names(report: Report) -> Iterator[str]:
    """Yield the names that are known to be such, the longest parts of the report's texts."""
    yield report.vantage.hostname
    if report.target.host is not None:
        yield report.target.host
    for one in report.probes:
        result = one.get("result")
        if one.get("probe") == "resolve" and isinstance(result, Mapping):
            yield from filter(None, [*(result.get("candidates") or ()), result.get("name")])
            configuration = result.get("configuration")
            yield from (configuration.get("search") or ()) if isinstance(configuration, Mapping) else ()


def _place(place: str | None, words: Words) -> str | None:
    """Return a place with its names replaced; what kind of place it is stays."""
    if place is None:
        return None
    parts = (part.partition(" ") for part in place.split(", "))
    return ", ".join(f"{kind} {words.word(name)}" for kind, _, name in parts)


def _option(value: Any, words: Words) -> Any:
    return words.address(value) if isinstance(value, str) and read(value) is not None else value


def _code(report: Report, catalogue: Catalogue) -> str:
    """Return how the code was brought, where that was a plain one; of a text, what it means for the advice."""
    error = report.error
    if is_plain(error.input, catalogue):
        return error.input
    system = caller_system(error.input, catalogue)
    forms = (str(error.number), error.name, error.posix or error.name)
    return next((form for form in forms if caller_system(form, catalogue) == system), error.name)


def _target(target: TargetInfo, words: Words, catalogue: Catalogue) -> TargetInfo:
    """Return the target under another name, written so that it is read as the same kind of target."""
    addresses = tuple(map(words.address, target.addresses))
    if target.host is None:
        return replace(target, addresses=addresses)
    made = host(target.host, words)
    old = parse_target(target.input, catalogue)
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", target.input)
    bare = f"[{made}]" if ":" in made else made
    behind = old.service if old.service is not None else old.port
    port = "" if behind is None else f":{behind}"
    forms = [f"{scheme[0]}{bare}{port}", f"{scheme[0]}{bare}"] if scheme is not None else [f"{bare}{port}", made]
    forms.append(f"udp://{bare}{port}" if old.transport == "udp" else f"{bare}{port}")
    for form in forms:
        try:
            new = parse_target(form, catalogue)
        except UserError:
            continue
        alike = (new.port, new.transport, new.service, new.scheme) == (old.port, old.transport, old.service, old.scheme)
        if new.host == made and alike:
            return replace(target, input=form, host=made, addresses=addresses)
    raise UserError("the target cannot be written under another name")
